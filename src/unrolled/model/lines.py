"""Scores of many lines, each on its own: how surprising every line of a log, or every name of a list, is to a model.

Rule: a line is read after a newline at the beginning of a text (where the model knows newlines), and its own characters
are counted, not the newline that ends it. A model of records reads a line as a record and counts its end too; where
records have labels, a line begins with one and a tab. Lines are read in batches in which equal beginnings are read
once. A character that the model does not know costs its escape, and is read as the unknown character. Where `Kinds`
of lines are counted, what is fixed in a line costs no more than naming its kind among the lines before. Left out:
finding lines in files (`unrolled.cli.lines`).
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
from unrolled.model.predictor import LanguageModel, Logits, Predictor, PredictorState
from unrolled.model.prefixes import Indices, prefix_levels
from unrolled.model.probabilities import log_softmax
from unrolled.text.variables import Kinds, masked, variable
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, UNKNOWN, Ids, Vocabulary, with_label_end

BATCH_LINES, BATCH_CHARACTERS = 1024, 1 << 20
"""A batch ends before it has more of either."""
NUMBERS = 1 << 22
"""Of logits, and of states, at most, in memory at once."""
ROWS = 256
"""Beginnings of lines that are read on side by side."""
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
    kinds: Kinds | None = None,
) -> Iterator[LineScore]:
    """The score of every line, in order, in memory that does not grow with their number.

    Each line is read after the text `after`, whose characters are not counted; characters of `after` that the model
    does not know are left out. It is a newline if not given, and for a model of records the beginning of the record,
    empty if not given. With `after=""` the bits of a line are those of `CharModel.score`. With `mask`, the parts that
    `unrolled.text.variables` finds are read but not counted; with `replace`, for a model that was trained so, each is
    read and counted as one `MASK`. With `kinds`, which are added to, a line whose like came before costs no more than
    that, apart from its variable parts. Raises InputError for a line without the label that it should have.
    """
    start = _start(model, after)
    if after is None and model.vocabulary.label_end is not None:
        lines = map(partial(_labelled, model.vocabulary), lines)
    for batch in _batches(lines, max(start[0].size, *(part.size for part in start[1]))):
        yield from _scored(model, batch, start, mask and not replace, replace, kinds)


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


def _batches(lines: Iterable[str], numbers: int) -> Iterator[list[str]]:
    """Lines that are read together, each of which takes so many `numbers` of memory."""
    most = min(BATCH_LINES, max(1, NUMBERS // numbers))
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
    model: LanguageModel,
    lines: Sequence[str],
    start: tuple[Logits, PredictorState],
    mask: bool,
    replace: bool,
    kinds: Kinds | None,
) -> Iterator[LineScore]:
    end = "" if model.vocabulary.boundary is None else BOUNDARY
    read = [masked(line + end) if replace else (line + end, np.arange(len(line + end))) for line in lines]
    texts = [model.vocabulary.encode(text, "replace") for text, _ in read]
    for line, (_, places), ids, nats in zip(lines, read, texts, _nats(model, texts, start), strict=True):
        if kinds is not None:
            _limit(nats, places, line, kinds.nats(line))
        counted = np.ones(len(ids), np.bool_)
        counted[: len(line)] &= ~variable(line) if mask else True
        unknown = int(((ids == UNKNOWN) & counted).sum())
        each = np.zeros(len(line + end), np.float32)
        each[places] = np.where(counted, nats, np.float32(0))
        yield LineScore(line.replace(LABEL_END, "\t", 1), each, int(counted.sum()), unknown, _peak(nats[counted]))


def _limit(nats: NDArray[np.float32], places: NDArray[np.intp], line: str, most: float) -> None:
    """Scale the nats of what is fixed in a line, read at `places`, so that their sum is at most `most`."""
    fixed = ~np.append(variable(line), False)[places]
    total = float(nats[fixed].sum())
    if total > most:
        nats[fixed] *= most / total


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
    lengths = np.array([len(text) for text in texts], np.int64)
    starts, nats = np.cumsum(lengths) - lengths, np.zeros(lengths.sum(), np.float32)
    (logits, state), escape, read = start, escape_nats(model.vocabulary), np.zeros(1, np.int64)
    for length, level in enumerate(prefix_levels(texts), 1):
        parents = np.searchsorted(read, level.parents)
        nats[starts[level.texts] + length - 1] = _level_nats(logits, parents, level.ids, escape)[level.prefixes]
        read = np.unique(level.prefixes[lengths[level.texts] > length])  # the others are whole lines
        if len(read):
            logits, state = _read_on(model.predictor, level.ids[read], state, parents[read])
    return np.split(nats, starts[1:]) if texts else []


def _read_on(
    predictor: Predictor, ids: Indices, state: PredictorState, parents: Indices
) -> tuple[Logits, PredictorState]:
    """Logits and states after one more id, (prefix,), from the states of the prefixes' `parents`."""
    steps = [
        predictor.step(ids[first : first + ROWS], tuple(part[parents[first : first + ROWS]] for part in state))
        for first in range(0, len(ids), ROWS)
    ]
    logits, states = zip(*steps, strict=True)
    return np.concatenate(logits), tuple(map(np.concatenate, zip(*states, strict=True)))


def _level_nats(
    logits: Logits, parents: Indices, ids: Indices, escape: tuple[float | None, float]
) -> NDArray[np.float32]:
    """The nats of the last id of each prefix, (prefix,), from the logits of their parents."""
    nats = -log_softmax(logits)[parents, ids]
    unknown, which = ids == UNKNOWN, escape[1]
    if escape[0] is not None:
        nats[unknown] = escape[0]
    nats[unknown] += which
    return nats.astype(np.float32, copy=False)
