"""Every setting of a training run, once: its default, its bounds and the sentence that becomes the command line's help.

`Recipe` decides the weights, bit for bit, together with the text and the machine; `Machine` says where it runs. The
defaults were chosen by the experiments in docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypedDict

from unrolled.bounds import check_name, check_number, check_whole
from unrolled.errors import InputError
from unrolled.model.cells import CELLS, alone
from unrolled.model.members import COUNTS
from unrolled.text.encoding import OnDamage
from unrolled.typed import typed

ADDED = ("with_", "networks", "patience", "records", "errors", "normalize", "label_column", "mask", "hold_out")
"""Settings that the first recipes lack; one that is added later has its name here."""
OPTIMIZERS = ("muon", "adamw")
WITH = ("auto", "counts", "none")
ERRORS, FORMS = ("error", "replace", "skip"), ("NFC",)
HOLD_OUT = ("end", "files")
PRECISIONS = ("auto", "float32", "bfloat16", "float64")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Recipe:
    """What is trained and how. Raises InputError for a value out of its bounds."""

    rung: str = "lstm"
    """The recurrence: three-char, loop, concat, rnn, irnn, gru, lstm, mingru, minlstm, lru, rg-lru, mamba,
    linear-attention, deltanet, gated-deltanet, slstm, mlstm or hgrn2; each also in a block (mingru+block), or in one
    with a short convolution (mingru+conv); or counts, which is no network."""
    embedding: int = 64
    """Numbers in the vector of a character."""
    hidden: int = 320
    """Hidden units of a layer; if not given, --minutes decide: as many as suit the time and the machine."""
    layers: int = 1
    """Recurrent layers, one upon the other."""
    nonlinearity: str | None = None
    """For irnn: tanh (the default) or relu."""
    dropout: float | None = None
    """Share of a layer's outputs set to zero while training, and a quarter of it of the embedding; if not given, by how
    often the text is read."""
    streams: int = 16
    """Places of the text that are read side by side, each with a state that is carried on."""
    length: int = 64
    """BPTT length: characters through which gradients flow back."""
    epochs: float | None = None
    """How often the training text is read. Without it and --minutes, the budget is 3 minutes."""
    minutes: float | None = None
    """Minutes for everything: reading, training, and every measurement."""
    optimizer: str = "muon"
    """muon (for the recurrent matrices, with adamw for the rest) or adamw."""
    learning_rate: float = 2e-2
    """The largest step of adamw."""
    muon_rate: float = 2e-2
    """The largest step of muon."""
    weight_decay: float = 0.03
    """Decoupled weight decay, a share of the step size."""
    clip: float | None = 1.0
    """The norm to which gradients are clipped."""
    warmup: float = 0.02
    """Share of the steps over which the learning rate rises."""
    evaluations: int = 10
    """How often the validation part is measured, evenly over the run; less often where --minutes leave no time."""
    patience: int | None = None
    """Training ends after so many measurements without a better one."""
    validation: float = 0.1
    """Share of the text, at its end, that is never trained on and chooses the best weights."""
    test: float = 0.0
    """Share of the text, after the validation part, that is measured once at the very end."""
    hold_out: str = "end"
    """Where these two shares are taken from: end (of the text; records are always drawn by their hashes), or files:
    whole files, drawn by the hash of their content."""
    min_count: int = 1
    """Characters seen fewer times become the unknown character."""
    lower: bool = False
    """Read the text in lower case."""
    errors: OnDamage = "error"
    """Bytes that are not of the encoding: error stops, replace makes them U+FFFD, skip leaves them out."""
    normalize: Literal["NFC"] | None = None
    """NFC: compose letters and accents that are two characters."""
    mask: bool = False
    """Read each number, date, address and hexadecimal id of a log as one #, when training and whenever it is used."""
    networks: int = 1
    """Networks of this recipe and other seeds, whose probabilities are averaged; they share the minutes."""
    with_: str = "auto"
    """counts: mix the network with counts of what followed the last characters; none: do not; auto: where that is
    better on a 1/32 of the training text, from all over it, that neither has read."""
    records: str | None = None
    """Read the text as records whose order means nothing: lines, files (each is one), or the text between two. In .csv,
    .tsv, .jsonl and .parquet files, the column that holds them."""
    label_column: str | None = None
    """Records have labels: tab, if each begins with its label and a tab, or the column of a table that holds them."""
    seed: int = 0
    """Decides the first weights and the dropout masks."""

    def __post_init__(self) -> None:
        check_name("rung", alone(self.rung), (*CELLS, COUNTS))
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        check_name("partner (with)", self.with_, WITH)
        check_name("errors", self.errors, ERRORS)
        check_name("hold_out", self.hold_out, HOLD_OUT)
        if self.normalize is not None:
            check_name("normal form (normalize)", self.normalize, FORMS)
        for name in ("embedding", "hidden", "layers", "streams", "length", "evaluations", "min_count", "networks"):
            check_whole(name, getattr(self, name), at_least=1)
        for name in ("epochs", "minutes", "learning_rate", "muon_rate", "clip"):
            check_number(name, getattr(self, name), above=0, at_most=1e9)
        for name in ("dropout", "warmup", "validation", "test"):
            check_number(name, getattr(self, name), at_least=0, below=1)
        if self.patience is not None:
            check_whole("patience", self.patience, at_least=1)
        check_number("weight_decay", self.weight_decay, at_least=0, at_most=1e9)
        check_whole("seed", self.seed, at_least=0)
        if self.epochs is not None and self.minutes is not None:
            raise InputError("both epochs and minutes were given: choose one budget")
        if self.label_column is not None and self.records is None:
            raise InputError("labels stand at the head of records: say with --records what a record is")
        if self.validation == 0:
            raise InputError("validation is 0, but a part of the text must be held out to tell how good the network is")
        if self.validation + self.test >= 1:
            raise InputError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")

    def changes(self) -> frozenset[str]:
        """The settings that are not at their defaults."""
        return frozenset(entry.name for entry in fields(self) if getattr(self, entry.name) != entry.default)

    def to_json(self) -> dict[str, Any]:
        """The settings as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: object, file: str = "the recipe", path: str = "") -> Recipe:
        """The recipe that `to_json` gave, read from `file`. Raises FolderError on a setting that is not known here."""
        older = {entry.name: entry.default for entry in fields(cls) if entry.name in ADDED} | {"with_": "none"}
        return typed(cls, older | typed(dict[str, Any], content, file, path), file, path, whole=True)


@dataclass(frozen=True)
class Machine:
    """Where training runs. `auto` and None are replaced by what a short measurement finds fastest."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "auto"
    """auto, float32, bfloat16 (autocast) or float64. On the CPU, auto takes bfloat16 only where it is faster."""
    threads: int | None = None
    """Threads of the CPU; chosen by measurement if not given."""

    def __post_init__(self) -> None:
        check_name("device", self.device, DEVICES)
        check_name("precision", self.precision, PRECISIONS)
        if self.threads is not None:
            check_whole("threads", self.threads, at_least=1)


class RecipeSettings(TypedDict, total=False):
    """The fields of `Recipe`, each of which may be left out: what `train` takes as keyword arguments."""

    rung: str
    embedding: int
    hidden: int
    layers: int
    nonlinearity: str | None
    dropout: float | None
    streams: int
    length: int
    epochs: float | None
    minutes: float | None
    optimizer: str
    learning_rate: float
    muon_rate: float
    weight_decay: float
    clip: float | None
    warmup: float
    evaluations: int
    patience: int | None
    validation: float
    test: float
    hold_out: str
    min_count: int
    lower: bool
    errors: OnDamage
    normalize: Literal["NFC"] | None
    mask: bool
    networks: int
    with_: str
    records: str | None
    label_column: str | None
    seed: int


class Settings(RecipeSettings, total=False):
    """The fields of `Recipe` and of `Machine`."""

    device: str
    precision: str
    threads: int | None
