"""Scores of many lines, each on its own: how surprising every line of a log, or every name of a list, is to a model.

Rule: a line is read after a newline at the beginning of a text (where the model knows newlines), and its own characters
are counted, not the newline that ends it. A model of records reads a line as a record and counts its end too; where
records have labels, a line begins with one and a tab. Lines are read in batches in which equal beginnings are read
once. A character that the model does not know costs its escape, and is read as the unknown character. Left out: finding
lines in files (`unrolled.cli.lines`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.predictor import LanguageModel, Logits, PredictorState
from unrolled.model.prefixes import Level, prefix_levels
from unrolled.model.probabilities import log_softmax
from unrolled.text.variables import masked, variable
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, UNKNOWN, Ids, Vocabulary, with_label_end

BATCH_LINES, BATCH_CHARACTERS = 512, 1 << 20
"""A batch ends before it has more of either."""
LOGITS = 1 << 22
"""Largest number of logits in memory at once."""
CODE_POINTS = 0x110000
NEWLINE = "\n"
PEAK = 10
"""Characters in a row whose bits are the peak of a line."""


@dataclass(frozen=True, eq=False)
class LineScore:
    """How surprising one line is to a model."""

    line: str
    nats: NDArray[np.float32] = field(repr=False)
    """Of every character, (characters,), and of the end of a record after them; 0 for those that are not counted."""
    counted: int
    """Characters that are counted."""
    unknown: int
    """Characters among them that the model does not know."""
    peak: float
    """Bits per character of the `PEAK` counted characters in a row that surprise most: an odd word in a long line."""

    @property
    def total_bits(self) -> float:
        """Bits of the whole line."""
        return float(self.nats.sum(dtype=np.float64)) / math.log(2)

    @property
    def bits(self) -> float:
        """Bits per counted character; 0 where there is none."""
        return self.total_bits / max(self.counted, 1)

    @property
    def position(self) -> int | None:
        """The position of the most surprising character, from 0; None where none is counted."""
        return int(self.nats.argmax()) if self.counted else None

    def to_json(self) -> dict[str, float | int | str | None]:
        """`{"bits", "total_bits", "peak", "position", "unknown", "line"}`."""
        return {name: getattr(self, name) for name in ("bits", "total_bits", "peak", "position", "unknown", "line")}


def score_lines(
    model: LanguageModel,
    lines: Iterable[str],
    *,
    after: str | None = None,
    mask: bool = False,
    replace: bool = False,
) -> Iterator[LineScore]:
    """The score of every line, in order, in memory that does not grow with their number.

    Each line is read after the text `after`, whose characters are not counted; characters of `after` that the model
    does not know are left out. It is a newline if not given, and for a model of records the beginning of the record,
    empty if not given. With `after=""` the bits of a line are those of `CharModel.score`. With `mask`, the parts that
    `unrolled.text.variables` finds are read but not counted; with `replace`, for a model that was trained so, each is
    read and counted as one `MASK`. Raises InputError for a line without the label that it should have.
    """
    start = _start(model, after)
    if after is None and model.vocabulary.has_labels:
        lines = map(partial(_labelled, model.vocabulary), lines)
    for batch in _batches(lines, model.vocabulary):
        yield from _scored(model, batch, start, mask and not replace, replace)


def escape_nats(vocabulary: Vocabulary) -> tuple[float | None, float]:
    """The cost of a character that is not in `vocabulary`, in two parts: that it is unknown, and which one it is.

    Where rare characters of the training text were merged into the unknown one, the model itself predicts that: then
    the first part is None. Otherwise it is that of an event not seen in as many characters as the training text has.
    The second is that of one of all other code points of Unicode.
    """
    first = None if vocabulary.merged_count else math.log(sum(vocabulary.counts) + 1)
    return first, math.log(CODE_POINTS - len(vocabulary.characters))


def _labelled(vocabulary: Vocabulary, line: str) -> str:
    if "\t" not in line:
        raise InputError(
            f"the records of this model begin with a label and a tab, but there is no tab in {line[:40]!r}: "
            "ask for the probability of each label (--by-label)"
        )
    return with_label_end(line, vocabulary)


def _start(model: LanguageModel, after: str | None) -> tuple[Logits, PredictorState]:
    """Logits (1, vocabulary) of the first character of a line, and the state before it."""
    before = NEWLINE if after is None else after
    if model.vocabulary.boundary is not None:
        before = BOUNDARY + (after or "")
    ids = model.vocabulary.encode(before, "skip")
    state = model.predictor.initial_state(1)
    if not len(ids):
        return model.start_logits[None], state
    logits, state = model.predictor.read(ids[:, None], state)
    return logits[-1], state


def _batches(lines: Iterable[str], vocabulary: Vocabulary) -> Iterator[list[str]]:
    most = min(BATCH_LINES, max(1, LOGITS // len(vocabulary)))
    iterator = iter(lines)
    while chunk := list(islice(iterator, most)):
        batch, characters = list[str](), 0
        for line in chunk:
            if batch and characters + len(line) > BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
            batch.append(line)
            characters += len(line)
        yield batch


def _scored(
    model: LanguageModel, lines: Sequence[str], start: tuple[Logits, PredictorState], mask: bool, replace: bool
) -> Iterator[LineScore]:
    end = "" if model.vocabulary.boundary is None else BOUNDARY
    read = [masked(line + end) if replace else (line + end, np.arange(len(line + end))) for line in lines]
    texts = [model.vocabulary.encode(text, "replace") for text, _ in read]
    for line, (_, places), ids, nats in zip(lines, read, texts, _nats(model, texts, start), strict=True):
        counted = np.ones(len(ids), np.bool_)
        counted[: len(line)] &= ~variable(line) if mask else True
        unknown = int(((ids == UNKNOWN) & counted).sum())
        each = np.zeros(len(line + end), np.float32)
        each[places] = np.where(counted, nats, np.float32(0))
        yield LineScore(line.replace(LABEL_END, "\t", 1), each, int(counted.sum()), unknown, _peak(nats[counted]))


def _peak(nats: NDArray[np.float32]) -> float:
    """Bits per character of the `PEAK` in a row that cost most, or of all if they are fewer; 0 for none."""
    if not len(nats):
        return 0.0
    sums, size = np.concatenate([[0.0], np.cumsum(nats, dtype=np.float64)]), min(PEAK, len(nats))
    return float((sums[size:] - sums[:-size]).max()) / size / math.log(2)


def _nats(
    model: LanguageModel, texts: Sequence[Ids], start: tuple[Logits, PredictorState]
) -> list[NDArray[np.float32]]:
    """The nats of every character of every text."""
    lengths = [len(text) for text in texts]
    starts, nats = np.cumsum(lengths) - lengths, np.zeros(sum(lengths), np.float32)
    (logits, state), escape = start, escape_nats(model.vocabulary)
    for length, level in enumerate(prefix_levels(texts), 1):
        nats[starts[level.texts] + length - 1] = _level_nats(logits, level, escape)[level.prefixes]
        state = tuple(part[level.parents] for part in state)
        logits, state = model.predictor.step(level.ids, state)
    return np.split(nats, starts[1:]) if texts else []


def _level_nats(logits: Logits, level: Level, escape: tuple[float | None, float]) -> NDArray[np.float32]:
    """The nats of the last id of each prefix, (prefix,), from the logits of their parents."""
    nats = -log_softmax(logits)[level.parents, level.ids]
    unknown, which = level.ids == UNKNOWN, escape[1]
    if escape[0] is not None:
        nats[unknown] = escape[0]
    nats[unknown] += which
    result: NDArray[np.float32] = nats.astype(np.float32, copy=False)
    return result
