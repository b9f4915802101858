"""The model folder, which training writes and everything else reads, and its strict validation.

Five files and their manifest: `config.json`, `vocabulary.json`, `model.safetensors`, `training.json`, `README.md`;
where a network is not alone, those of `members` too. Nothing read here can run code, and everything is checked before
it is used: sums, names, shapes, dtypes, finite numbers. Left out: what the weights compute (`cells`), and the files of
a checkpoint that only training needs.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from unrolled.bounds import check_whole
from unrolled.errors import FolderError, InputError, unknown_name
from unrolled.files import PICKLES, from_json, is_complete, read_folder, to_json
from unrolled.model.card import model_card, validation_nats
from unrolled.model.cells import find_cell
from unrolled.model.members import COUNTS, Members
from unrolled.model.tensors import Weights, check_weights, read_tensors, write_tensors
from unrolled.text.counts.model import CountModel
from unrolled.text.vocabulary import Vocabulary
from unrolled.typed import check_format, typed

FORMAT = 1
CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "model.safetensors"
TRAINING, CARD = "training.json", "README.md"
FILES = (CONFIG, VOCABULARY, WEIGHTS, TRAINING, CARD)
CHECKPOINTS = "checkpoints"
STEP = re.compile(r"step-(\d{8,18})", re.ASCII)
LIMITS = {"vocabulary": 0x110000 + 1, "embedding": 1 << 16, "hidden": 1 << 16, "layers": 1 << 8}
"""The largest sizes that are accepted; Unicode has 0x110000 code points, and id 0 is reserved."""


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a network; the rung `counts`, which is no network, has none but its vocabulary.

    Raises InputError for a size that is no whole number within its bounds.
    """

    rung: str
    vocabulary: int
    """Ids, the reserved id 0 included."""
    embedding: int
    hidden: int
    layers: int
    nonlinearity: str | None = None
    """For the rung `irnn`: tanh or relu."""

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            at_least, at_most = (0, 0) if self.rung == COUNTS and name != "vocabulary" else (1, limit)
            check_whole(name, getattr(self, name), at_least, at_most)

    @property
    def has_network(self) -> bool:
        """Whether there is a network; counts alone have none."""
        return self.rung != COUNTS

    def to_json(self) -> dict[str, Any]:
        """The content of `config.json`."""
        return {"format": FORMAT} | asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelConfig:
        """The sizes in `config.json`; raises FolderError for a newer format, unexpected keys and bad sizes."""
        check_format(content.get("format"), FORMAT, CONFIG)
        config = typed(cls, {name: value for name, value in content.items() if name != "format"}, CONFIG, whole=True)
        try:
            _check_rung(config)
        except InputError as error:
            raise FolderError(f"{CONFIG}: {error}") from None
        return config

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor in `model.safetensors`, by name. Raises InputError for an unknown rung."""
        _check_rung(self)
        if not self.has_network:
            return {}
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (self.vocabulary, self.embedding),
            "head.weight": (self.vocabulary, self.hidden),
            "head.bias": (self.vocabulary,),
        }
        for layer in range(self.layers):
            inputs = self.hidden if layer else self.embedding
            own = find_cell(self.rung).shapes(inputs, self.hidden)
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in own.items()}
        return shapes


@dataclass(frozen=True)
class ModelParts:
    """The content of a model folder.

    `training` is the free content of `training.json`: corpus, split, recipe, losses. Raises FolderError if the parts do
    not fit together, or a weight is not a finite number.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    weights: Weights
    """Of the network, or of the first one."""
    training: dict[str, Any]
    beside: Members = field(default_factory=Members)
    """What predicts together with the network."""

    def __post_init__(self) -> None:
        if len(self.vocabulary) != self.config.vocabulary:
            raise FolderError(f"{VOCABULARY} has {len(self.vocabulary)} ids, but {CONFIG} {self.config.vocabulary}")
        check_weights(WEIGHTS, self.weights, self.config.shapes())
        self.beside.check(self.config.vocabulary, self.config.shapes())

    @property
    def parameters(self) -> int:
        """The number of weights of all networks."""
        return sum(array.size for weights in (self.weights, *self.beside.networks) for array in weights.values())

    @property
    def members(self) -> list[str]:
        """The names of all that predict together."""
        return self.beside.names(self.config.has_network)

    def only(self, member: str) -> ModelParts:
        """One member alone. Raises InputError for one that is not there."""
        if member not in self.members:
            raise unknown_name("member", member, self.members)
        if member != COUNTS:
            networks = (self.weights, *self.beside.networks)
            return replace(self, weights=networks[self.members.index(member)], beside=Members())
        return counts_alone(self.vocabulary, self.beside.counts, self.training)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all that the predictions depend on: sizes, vocabulary, weights, other members."""
        return hashlib.sha256(b"".join(self._essence().values())).hexdigest()

    def to_files(self) -> dict[str, bytes]:
        """The files of the folder, without its manifest: what `unrolled.files.write_folder` takes."""
        return self._essence() | {TRAINING: to_json(self.training), CARD: self.card.encode("utf-8", "backslashreplace")}

    @property
    def validation_nats(self) -> float | None:
        """Nats per character on the validation text, of all members together; None if that was not measured."""
        return validation_nats(self.members, self.training)

    @property
    def card(self) -> str:
        """The model card, as Markdown."""
        return model_card(asdict(self.config) | {"parameters": self.parameters, "members": self.members}, self.training)

    def _essence(self) -> dict[str, bytes]:
        return {
            CONFIG: to_json(self.config.to_json()),
            VOCABULARY: to_json(self.vocabulary.to_json()),
            WEIGHTS: write_tensors(self.weights),
            **self.beside.to_files(self.config.has_network),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ModelParts:
        """The parts in the files of a folder; further files are ignored.

        Raises FolderError naming the file that is missing, unexpected or inconsistent with the others.
        """
        missing = [name for name in FILES if name not in files]
        if missing:
            raise FolderError(f"this is not a model folder: {', '.join(missing)} missing from its manifest")
        config = ModelConfig.from_json(from_json(files[CONFIG], CONFIG))
        vocabulary = Vocabulary.from_json(from_json(files[VOCABULARY], VOCABULARY), VOCABULARY)
        weights, training = read_tensors(files[WEIGHTS], WEIGHTS), _checked_training(files[TRAINING])
        return cls(
            config, vocabulary, weights, training, Members.from_files(files, len(vocabulary), config.has_network)
        )


@dataclass(frozen=True)
class _Loss:
    nats: float
    bits: float


@dataclass(frozen=True)
class _Corpus:
    sha256: str = ""
    characters: int = 0
    sources: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Training:
    """What is used of `training.json`, whose content is free otherwise. An unfinished run has none of it."""

    corpus: _Corpus = field(default_factory=_Corpus)
    recipe: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, _Loss] = field(default_factory=dict)
    members: dict[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    characters_seen: int = 0
    epochs: float = 0.0
    best_epoch: float = 0.0

    def __post_init__(self) -> None:
        typed(dict[str, bool], {"lower": self.recipe.get("lower", False)}, TRAINING, "recipe")


def _checked_training(data: bytes) -> dict[str, Any]:
    content, used = from_json(data, TRAINING), {entry.name for entry in fields(_Training)}
    typed(_Training, {name: value for name, value in content.items() if name in used}, TRAINING)
    return content


def counts_alone(vocabulary: Vocabulary, counts: CountModel | None, training: dict[str, Any]) -> ModelParts:
    """A model that is counts and no network."""
    config = ModelConfig(COUNTS, len(vocabulary), 0, 0, 0)
    return ModelParts(config, vocabulary, {}, training, Members(counts=counts))


def read_model(folder: str | Path, warn: Callable[[str], None] = warnings.warn) -> ModelParts:
    """The verified model in `folder`; of an unfinished run, that of its newest whole checkpoint.

    `warn` is called with a message for each damaged checkpoint. Raises FolderError naming the file that is missing,
    truncated, altered, unexpected or of a newer format.
    """
    path = Path(folder)
    checkpoints = list(checkpoint_steps(path / CHECKPOINTS).values())
    if is_complete(path) or not checkpoints:
        return _read(path)
    for checkpoint in reversed(checkpoints):
        try:
            return _read(checkpoint)
        except FolderError as error:
            warn(f"{error}; an older checkpoint is used instead")
    raise FolderError(f"{path} holds an unfinished run, and all of its {len(checkpoints)} checkpoints are damaged")


def is_model_folder(path: Path) -> bool:
    """Whether `path` is meant to be a model folder or an unfinished run, be it whole or not."""
    return (path / CONFIG).is_file() or (path / CHECKPOINTS).is_dir()


def checkpoint_steps(folder: Path) -> dict[int, Path]:
    """The complete checkpoints in the folder of a run's checkpoints, by step, ascending. Links are left out."""
    numbers = (STEP.fullmatch(path.name) for path in folder.glob("step-*") if not path.is_symlink())
    steps = sorted(int(number[1]) for number in numbers if number)
    paths = {step: folder / f"step-{step:08d}" for step in steps}
    return {step: path for step, path in paths.items() if is_complete(path)}


def _read(path: Path) -> ModelParts:
    if path.is_dir() and not is_complete(path):
        _refuse_pickles(path, [file.name for file in path.iterdir()])
    try:
        files = read_folder(path)
        _refuse_pickles(path, files)
        return ModelParts.from_files(files)
    except FolderError as error:
        raise error if str(path) in str(error) else FolderError(f"{path}: {error}") from None


def _refuse_pickles(path: Path, names: Mapping[str, bytes] | list[str]) -> None:
    for name in names:
        if Path(name).suffix in PICKLES:
            raise FolderError(f"{path} holds the pickle {name}, which can run code: unrolled never reads pickles")


def _check_rung(config: ModelConfig) -> None:
    if config.rung == COUNTS:
        return
    choices = (None, *find_cell(str(config.rung)).nonlinearities)
    if config.nonlinearity not in choices:
        raise InputError(f"nonlinearity is {config.nonlinearity!r}, but the rung {config.rung} accepts {choices}")
