"""The model folder, which training writes and everything else reads, and its strict validation.

Five files and their manifest: `config.json`, `vocabulary.json`, `model.safetensors`, `training.json`, `README.md`.
Nothing read here can run code, and everything is checked before it is used: sums, names, shapes, dtypes, finite
numbers. Left out: what the weights compute (`cells`), and the files of a checkpoint that only training needs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from unrolled.errors import FolderError, InputError, UnrolledError, unknown_name
from unrolled.files import PICKLES, from_json, is_complete, read_folder, to_json
from unrolled.model.card import model_card
from unrolled.model.cells import CELLS
from unrolled.text.vocabulary import Vocabulary

FORMAT = 1
CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "model.safetensors"
TRAINING, CARD = "training.json", "README.md"
FILES = (CONFIG, VOCABULARY, WEIGHTS, TRAINING, CARD)
SNAPSHOTS = "embeddings.safetensors"
"""Also in a run folder: the embedding at each measurement."""
LIMITS = {"vocabulary": 0x110000 + 1, "embedding": 1 << 16, "hidden": 1 << 16, "layers": 1 << 8}
"""The largest sizes that are accepted; Unicode has 0x110000 code points, and id 0 is reserved."""
MAX_HEADER_BYTES = 1 << 20
"""The largest header of a safetensors file that is parsed; ours have a few KB."""

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a network. Raises InputError for a size that is no whole number within its bounds."""

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
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= limit:
                raise InputError(f"{name} is {size!r}, but must be a whole number from 1 to {limit:,}")

    def to_json(self) -> dict[str, Any]:
        """The content of `config.json`."""
        return {"format": FORMAT} | asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelConfig:
        """The sizes in `config.json`; raises FolderError for a newer format, unexpected keys and bad sizes."""
        version = content.get("format")
        if type(version) is int and version > FORMAT:
            raise FolderError(f"{CONFIG} has format {version}, newer than the {FORMAT} known here: upgrade unrolled")
        names = {field.name for field in fields(cls)}
        if version != FORMAT or set(content) != names | {"format"}:
            raise FolderError(f"{CONFIG} should have format {FORMAT} and hold {', '.join(sorted(names))}")
        try:
            config = cls(**{name: content[name] for name in names})
            _check_rung(config)
        except InputError as error:
            raise FolderError(f"{CONFIG}: {error}") from None
        return config

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor in `model.safetensors`, by name. Raises InputError for an unknown rung."""
        _check_rung(self)
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (self.vocabulary, self.embedding),
            "head.weight": (self.vocabulary, self.hidden),
            "head.bias": (self.vocabulary,),
        }
        for layer in range(self.layers):
            inputs = self.hidden if layer else self.embedding
            own = CELLS[self.rung].shapes(inputs, self.hidden)
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
    training: dict[str, Any]

    def __post_init__(self) -> None:
        if len(self.vocabulary) != self.config.vocabulary:
            raise FolderError(f"{VOCABULARY} has {len(self.vocabulary)} ids, but {CONFIG} {self.config.vocabulary}")
        _check_weights(self.weights, self.config.shapes())

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(array.size for array in self.weights.values())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, vocabulary and weights: all that the predictions depend on."""
        files = self._essence()
        return hashlib.sha256(b"".join(files[name] for name in (CONFIG, VOCABULARY, WEIGHTS))).hexdigest()

    def to_files(self) -> dict[str, bytes]:
        """The files of the folder, without its manifest: what `unrolled.files.write_folder` takes."""
        card = model_card(asdict(self.config) | {"parameters": self.parameters}, self.training)
        return self._essence() | {TRAINING: to_json(self.training), CARD: card.encode("utf-8", "backslashreplace")}

    def _essence(self) -> dict[str, bytes]:
        return {
            CONFIG: to_json(self.config.to_json()),
            VOCABULARY: to_json(self.vocabulary.to_json()),
            WEIGHTS: safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in self.weights.items()}),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ModelParts:
        """The parts in the files of a folder; further files are ignored.

        Raises FolderError naming the file that is missing, unexpected or inconsistent with the others.
        """
        _check_names(files)
        config = ModelConfig.from_json(from_json(files[CONFIG], CONFIG))
        vocabulary = _vocabulary(files[VOCABULARY])
        return cls(config, vocabulary, _tensors(files[WEIGHTS]), from_json(files[TRAINING], TRAINING))


def read_model(folder: str | Path, warn: Callable[[str], None] = warnings.warn) -> ModelParts:
    """The verified model in `folder`; of an unfinished run, that of its newest whole checkpoint.

    `warn` is called with a message for each damaged checkpoint. Raises FolderError naming the file that is missing,
    truncated, altered, unexpected or of a newer format.
    """
    path = Path(folder)
    checkpoints = _checkpoints(path)
    if is_complete(path) or not checkpoints:
        return _read(path)
    for checkpoint in checkpoints:
        try:
            return _read(checkpoint)
        except FolderError as error:
            warn(f"{error}; an older checkpoint is used instead")
    raise FolderError(f"{path} holds an unfinished run, and all of its {len(checkpoints)} checkpoints are damaged")


def _checkpoints(path: Path) -> list[Path]:
    """The complete checkpoints in a run folder, newest first."""
    steps = [step for step in path.glob("checkpoints/step-*") if step.name[5:].isdigit() and is_complete(step)]
    return sorted(steps, key=lambda step: int(step.name[5:]), reverse=True)


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
            raise FolderError(f"{path} holds the pickle {name}, which can run code when loaded: unrolled reads none")


def _check_names(files: Mapping[str, bytes]) -> None:
    missing = [name for name in FILES if name not in files]
    if missing:
        raise FolderError(f"this is not a model folder: {', '.join(missing)} missing from its manifest")


def _check_rung(config: ModelConfig) -> None:
    if not isinstance(config.rung, str) or config.rung not in CELLS:
        raise unknown_name("rung", str(config.rung), CELLS)
    choices = (None, *CELLS[config.rung].nonlinearities)
    if config.nonlinearity not in choices:
        raise InputError(f"nonlinearity is {config.nonlinearity!r}, but the rung {config.rung} knows {choices}")


def _vocabulary(data: bytes) -> Vocabulary:
    content = from_json(data, VOCABULARY)
    try:
        return Vocabulary.from_json(content)
    except UnrolledError as error:
        raise FolderError(f"{error}" if VOCABULARY in f"{error}" else f"{VOCABULARY}: {error}") from None


def _tensors(data: bytes) -> dict[str, NDArray[Any]]:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):  # checked before anything is allocated by it
        raise FolderError(f"{WEIGHTS} is not a safetensors file of ours: its header cannot be {size:,} bytes long")
    try:
        return dict(safetensors.numpy.load(data))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # KeyError: a dtype that NumPy lacks
        raise FolderError(f"{WEIGHTS} is not a safetensors file of ours: {error}") from None


def _check_weights(weights: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    foreign, missing = sorted(weights.keys() - shapes.keys()), sorted(shapes.keys() - weights.keys())
    if foreign or missing:
        first = f"{foreign[0]} is foreign" if foreign else f"{missing[0]} is missing"
        raise FolderError(f"{WEIGHTS} does not fit {CONFIG}: {first}")
    for name, shape in shapes.items():
        array = weights[name]
        if array.shape != shape or array.dtype != np.float32:
            given = f"{array.dtype} of shape {array.shape}"
            raise FolderError(f"{WEIGHTS} does not fit {CONFIG}: {name} is {given} instead of float32 of {shape}")
        if not np.isfinite(array).all():
            raise FolderError(f"{WEIGHTS} holds numbers in {name} that are not finite: its training went wrong")
