"""Score: how well a model predicts a text, in nats and bits per character, beside gzip and xz.

Rule: a text of up to 65,536 characters is read in one go, the state carried from its first character to its last, so
that the figure is exact. A longer one is cut into 64 stretches that are read side by side; each is warmed up on the 256
characters before it, and every character is predicted once. The result says which was done. Memory does not grow with
the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.errors import InputError
from unrolled.model.predictor import LanguageModel, Logits, Predictor, PredictorState
from unrolled.model.probabilities import log_softmax
from unrolled.text.baselines.compressors import gzip_bits, xz_bits
from unrolled.text.encoded import EncodedText
from unrolled.text.sample import Sample
from unrolled.text.vocabulary import UNKNOWN, Ids, OnUnknown

EXACT_UP_TO = 1 << 16
STRETCHES, WARM_UP = 64, 256
RECORDS = 256
"""Records that are read side by side."""
STEPS = 256
"""Characters of each stretch whose logits are made at once, if the vocabulary is not too large for that."""
LOGITS = 1 << 22
"""Largest number of logits in memory at once."""
KEPT = 1 << 20
"""The longest text of which the nats of each character are kept."""
PIECE = 1 << 20

Start = tuple[Logits, PredictorState]
"""The logits of the first character of a text, (vocabulary,), and the state before it."""


@dataclass(frozen=True, eq=False)
class Score:
    """How well a model predicts a text; all figures but `characters` and `unknown` are per character."""

    characters: int
    nats: float
    gzip_bits: float
    xz_bits: float
    unknown: int
    """Characters that were scored as the unknown character; the figure leaves out which characters they are."""
    stretches: int
    """Parts read side by side; 1 is exact."""
    warm_up: int
    """Characters read before each part without being counted."""
    each: NDArray[np.float32] | None = field(default=None, repr=False)
    """Nats of every character, (characters,), for texts of up to a million; else None."""
    alone: Mapping[str, float] = field(default_factory=dict)
    """Nats per character of each member of a mixture, by its name."""

    @property
    def bits(self) -> float:
        """Bits per character."""
        return self.nats / math.log(2)

    @property
    def rule(self) -> str:
        """How it was measured, in one sentence."""
        if self.stretches == 1:
            return "exact: read in one go, the state carried from the first character to the last"
        return f"read in {self.stretches} stretches side by side, each warmed up on {self.warm_up} characters before it"

    def to_json(self) -> dict[str, Any]:
        """`{"characters", "nats", "bits", "gzip_bits", "xz_bits"}`, the unknown characters and the rule.

        For a mixture also `alone`, the nats of each member.
        """
        names = ("characters", "nats", "bits", "gzip_bits", "xz_bits", "unknown", "rule")
        return {name: getattr(self, name) for name in (*names, *(["alone"] if self.alone else []))}


def score(
    model: LanguageModel,
    text: str | EncodedText,
    *,
    unknown: OnUnknown = "error",
    stretches: int | None = None,
    progress: Callable[[int], None] | None = None,
    members: Mapping[str, LanguageModel] | None = None,
    start: Start | None = None,
) -> Score:
    """Score `text`, which may be larger than memory if it is an EncodedText with the model's vocabulary.

    The first character is predicted by its frequency in the training text, so that all characters count. `stretches`
    overrules the rule at the top of this file; 1 is exact, however long. `progress` is called with the number of
    characters done. Each of `members`, given by name, is scored too. With `start` the text is read on from there, in
    one go. Raises InputError for an empty text, and for characters that the model does not know, unless `unknown` says
    "skip" or "replace".
    """
    if start is None:
        check_stream(model)
    ids = _ids(model, text, unknown)
    check_number("stretches", stretches, at_least=1)
    wanted = 1 if start else stretches or (STRETCHES if len(ids) > EXACT_UP_TO else 1)
    count = min(wanted, len(ids))
    release = text.release if isinstance(text, EncodedText) else lambda: None
    nats, each = _read(model, ids, count, release, progress, start)
    alone = {name: _read(member, ids, count, release)[0] for name, member in (members or {}).items()}
    gzip, xz = (bits(_text(model, ids, release)) for bits in (gzip_bits, xz_bits))
    missing = sum(int((ids[start : start + PIECE] == UNKNOWN).sum()) for start in range(0, len(ids), PIECE))
    return Score(len(ids), nats, gzip, xz, missing, count, WARM_UP if count > 1 else 0, each, alone)


def check_stream(model: LanguageModel) -> None:
    """Raises InputError for a model of records, which reads each from its beginning and no text in one go."""
    if model.vocabulary.boundary is not None:
        raise InputError("this model was trained on records: score each line on its own, with --lines or score_lines")


def _read(
    model: LanguageModel,
    ids: Ids,
    stretches: int,
    release: Callable[[], None],
    progress: Callable[[int], None] | None = None,
    start: Start | None = None,
) -> tuple[float, NDArray[np.float32] | None]:
    """Nats per character, and those of each character of a text that is not too long."""
    total, done = 0.0, 0
    kept = np.empty(len(ids), np.float32) if len(ids) <= KEPT else None
    for positions, nats in _nats(model, ids, stretches, start):
        total += float(nats.sum(dtype=np.float64))
        done += len(positions)
        if kept is not None:
            kept[positions] = nats
        if progress is not None:
            progress(done)
        release()
    return total / len(ids), kept


def _ids(model: LanguageModel, text: str | EncodedText, unknown: OnUnknown) -> Ids:
    if isinstance(text, EncodedText):
        if text.vocabulary.characters != model.vocabulary.characters:
            raise InputError("this text was encoded with another vocabulary: encode it with the one of the model")
        ids: Ids = text.ids
    else:
        ids = model.vocabulary.encode(text, unknown)
    if not len(ids):
        raise InputError("the text to score is empty")
    return ids


def _nats(
    model: LanguageModel, ids: Ids, stretches: int, start: Start | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Every position of the text once, with the nats of its character, in parts that are flat arrays."""
    first, state = start or (model.start_logits, None)
    yield np.zeros(1, np.int64), -log_softmax(first)[ids[:1]].astype(np.float32, copy=False)
    if len(ids) > 1:
        sample = Sample.cut(1, len(ids), stretches)
        for positions, logits in readings(model.predictor, ids, sample, len(model.vocabulary), state):
            nats = -log_softmax(logits)[np.arange(len(positions)), ids[positions]]
            yield positions, nats.astype(np.float32, copy=False)


def readings(
    predictor: Predictor,
    ids: Ids,
    sample: Sample,
    vocabulary: int,
    state: PredictorState | None = None,
) -> Iterator[tuple[NDArray[np.int64], Logits]]:
    """Every position of the sample once, (n,), with the logits of its character, (n, vocabulary).

    The pieces are read side by side, each warmed up on the characters before it, or the only one from `state`. The
    first of all needs a character before it.
    """
    state = _warmed_up(predictor, ids, sample.starts) if state is None else state
    return _side_by_side(predictor, ids, sample.starts, sample.ends, state, vocabulary)


def record_readings(
    predictor: Predictor, ids: Ids, sample: Sample, boundary: int, vocabulary: int
) -> Iterator[tuple[NDArray[np.int64], Logits]]:
    """`readings` of a sample of records, each of which ends with a `boundary`, or with its piece.

    Records of similar length are read side by side, each from a state of its own.
    """
    pieces = [np.union1d(1 + first + np.flatnonzero(ids[first:end] == boundary), end) for first, end in sample]
    ends = np.concatenate(pieces)
    starts = np.concatenate([np.append(start, own[:-1]) for start, own in zip(sample.starts, pieces, strict=True)])
    order = np.argsort(ends - starts, kind="stable")
    for some in np.array_split(order, -(-len(order) // RECORDS)):
        state = predictor.initial_state(len(some)) if len(some) > 1 else predictor.initial_state()
        yield from _side_by_side(predictor, ids, starts[some], ends[some], state, vocabulary)


def _side_by_side(
    predictor: Predictor,
    ids: Ids,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    state: PredictorState,
    vocabulary: int,
) -> Iterator[tuple[NDArray[np.int64], Logits]]:
    """The positions from `starts` to `ends`, each (stretch,), from the `state` before the input before each start."""
    steps = max(1, min(STEPS, LOGITS // (len(starts) * vocabulary)))
    longest = int((ends - starts).max())
    for offset in range(0, longest, steps):
        positions = starts + np.arange(offset, min(offset + steps, longest))[:, None]  # (time, stretch)
        counted = positions < ends
        positions = np.minimum(positions, len(ids) - 1)  # a stretch that has ended reads on uncounted
        inputs = ids[positions - 1]
        logits, state = predictor.read(inputs[:, 0] if len(starts) == 1 else inputs, state)
        yield positions[counted], logits.reshape(*positions.shape, -1)[counted]


def _warmed_up(predictor: Predictor, ids: Ids, starts: NDArray[np.int64]) -> PredictorState:
    """The states before the first input of each stretch; at the beginning of the text that is the start."""
    if len(starts) == 1:
        return _read_before(predictor, ids, int(starts[0]))
    state = predictor.initial_state(len(starts))
    for back in range(WARM_UP, 0, -1):
        positions = starts - 1 - back
        after = predictor.advance(ids[np.maximum(positions, 0)], state)
        begun = positions >= 0
        state = tuple(
            np.where(begun.reshape(-1, *[1] * (new.ndim - 1)), new, old) for new, old in zip(after, state, strict=True)
        )
    return state


def _read_before(predictor: Predictor, ids: Ids, start: int) -> PredictorState:
    state = predictor.initial_state()
    for i in ids[max(0, start - 1 - WARM_UP) : start - 1].tolist():
        state = predictor.advance(i, state)
    return state


def _text(model: LanguageModel, ids: Ids, release: Callable[[], None]) -> str | Iterator[str]:
    """The text that was scored, for the compressors; a long one in pieces."""
    return model.vocabulary.decode(ids) if len(ids) <= PIECE else _pieces(model, ids, release)


def _pieces(model: LanguageModel, ids: Ids, release: Callable[[], None]) -> Iterator[str]:
    for start in range(0, len(ids), PIECE):
        yield model.vocabulary.decode(ids[start : start + PIECE])
        release()
