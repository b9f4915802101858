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
    with a short convolution (mingru+conv); or counts: a table of counts and no network."""
    embedding: int = 64
    """Size of a character's vector."""
    hidden: int = 320
    """Hidden units per layer; if not given, as many as suit --minutes and the machine."""
    layers: int = 1
    """Number of stacked recurrent layers."""
    nonlinearity: str | None = None
    """For irnn: tanh (the default) or relu."""
    dropout: float | None = None
    """Fraction of a layer's outputs set to zero while training, and a quarter of that for the embedding; if not given,
    chosen by the number of epochs."""
    streams: int = 16
    """Batch size: places of the text that are read in parallel, each with a carried state."""
    length: int = 64
    """BPTT length: characters through which gradients flow back."""
    epochs: float | None = None
    """Passes over the training text. With neither this nor --minutes, the budget is 3 minutes."""
    minutes: float | None = None
    """Minutes for everything: reading, training, and every measurement."""
    optimizer: str = "muon"
    """muon (for the recurrent matrices, with adamw for the rest) or adamw."""
    learning_rate: float = 2e-2
    """Peak learning rate of adamw."""
    muon_rate: float = 2e-2
    """Peak learning rate of muon."""
    weight_decay: float = 0.03
    """Decoupled weight decay, relative to the learning rate."""
    clip: float | None = 1.0
    """The norm to which gradients are clipped."""
    warmup: float = 0.02
    """Fraction of the steps over which the learning rate rises."""
    evaluations: int = 10
    """Measurements of the validation part, evenly spaced over the run; fewer where --minutes leaves no time."""
    patience: int | None = None
    """Stop after this many measurements without improvement."""
    validation: float = 0.1
    """Fraction of the text, at its end, that is held out to choose the best weights."""
    test: float = 0.0
    """Fraction of the text, after the validation part, that is held out and measured once, after training."""
    hold_out: str = "end"
    """Where these two parts are taken from: end (of the text; records are always drawn by their hashes), or files:
    whole files, drawn by the hash of their content."""
    min_count: int = 1
    """Characters seen fewer times become the unknown character."""
    lower: bool = False
    """Read the text in lower case."""
    errors: OnDamage = "error"
    """Bytes that are invalid in the encoding: error stops, replace turns them into U+FFFD, skip leaves them out."""
    normalize: Literal["NFC"] | None = None
    """NFC: compose a letter and a separate accent into one character."""
    mask: bool = False
    """Read each number, date, address and hexadecimal id of a log as one #, when training and whenever it is used."""
    networks: int = 1
    """Number of networks, each with another seed, whose probabilities are averaged; they share the minutes."""
    with_: str = "auto"
    """counts: mix the network with counts of what followed the last characters; none: do not; auto: if that is
    better on a held-out 1/32 of the training text, taken from all over it."""
    records: str | None = None
    """Read the text as records, whose order means nothing: lines, files (each is one), or the separator between them.
    For .csv, .tsv, .jsonl and .parquet files, the column that holds them."""
    label_column: str | None = None
    """Records have labels: tab, if each begins with its label and a tab, or the column of a table that holds them."""
    seed: int = 0
    """Random seed of the initial weights and the dropout masks."""

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
            raise InputError("labels belong to records: add --records, which says what a record is")
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
