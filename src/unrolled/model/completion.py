"""The likeliest ways to finish a word or a line, with their probabilities, by a beam of states read side by side.

The probability of a completion is exact: that these characters follow, and after them one that ends the word or line. A
beam may miss a completion whose beginning is less likely than all it keeps. Left out: texts that are drawn at random
(`sampling`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nlargest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.predictor import PredictorState
from unrolled.model.probabilities import log_softmax
from unrolled.model.sampling import without_reserved
from unrolled.model.state import State
from unrolled.text.vocabulary import BOUNDARY

Unit = Literal["word", "line"]

BEAM = 64
"""Beginnings that are kept at each length."""
MOST = 50
"""The largest number of completions."""
LONGEST = {"word": 40, "line": 400}
"""Characters of a completion, at most."""


@dataclass(frozen=True)
class Completion:
    """One way to finish a text, and its probability."""

    text: str
    probability: float


@dataclass(frozen=True)
class _Beam:
    """Beginnings of completions: their texts, log-probabilities (beginning,), predictions and states."""

    texts: list[str]
    nats: NDArray[np.float64]
    log_probabilities: NDArray[np.float64]
    """Of the next id, (beginning, vocabulary)."""
    state: PredictorState


def complete(state: State, unit: Unit = "word", count: int = 5) -> list[Completion]:
    """The `count` likeliest completions after `state`, the likeliest first: fewer where there are no more.

    A word ends before a character that is neither a letter, a digit nor one of _ ' ’ -; a line before its newline, or
    where a record ends. Where the text so far has ended one, the completion is a whole word or line, and not empty.
    Raises InputError for a count below 1 or above 50, and for lines of a model that knows no newline.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"count is {count}, but must be from 1 to {MOST}")
    characters = state.model.vocabulary.characters
    ends = np.array([False, *(_is_end(character, unit) for character in characters)])
    if not ends.any() and unit == "line":
        raise InputError("the vocabulary of this model has no newline, so it cannot finish a line")
    recent = state.recent[-1] if state.recent else 0
    alone = tuple(part[None] for part in state.hidden)
    beam = _Beam([""], np.zeros(1), log_softmax(without_reserved(state.logits))[None], alone)
    found = list[Completion]()
    may_end = recent != 0 and not ends[recent]
    for _ in range(LONGEST[unit]):
        if may_end:
            found = nlargest(count, [*found, *_ended(beam, ends)], key=lambda one: one.probability)
        beam, may_end = _longer(state, beam, ends), True
        if not beam.texts or (len(found) == count and math.exp(beam.nats.max()) < found[-1].probability):
            break
    return found


def _is_end(character: str, unit: Unit) -> bool:
    return character in ("\n", BOUNDARY) if unit == "line" else not (character.isalnum() or character in "_'’-")


def _ended(beam: _Beam, ends: NDArray[np.bool_]) -> list[Completion]:
    """Every beginning as a completion, with the probability that one of `ends` follows."""
    probabilities = np.exp(beam.nats) * np.exp(beam.log_probabilities[:, ends]).sum(axis=1)
    return [Completion(text, float(p)) for text, p in zip(beam.texts, probabilities, strict=True)]


def _longer(state: State, beam: _Beam, ends: NDArray[np.bool_]) -> _Beam:
    """The likeliest beginnings that are one character longer."""
    nats = beam.nats[:, None] + np.where(ends, -np.inf, beam.log_probabilities)
    likeliest = np.argsort(-nats, axis=None, kind="stable")[:BEAM]
    likeliest = likeliest[np.isfinite(nats.ravel()[likeliest])]
    parents, ids = np.divmod(likeliest, nats.shape[1])
    logits, after = state.model.predictor.step(ids, tuple(part[parents] for part in beam.state))
    characters = state.model.vocabulary.characters
    texts = [beam.texts[parent] + characters[i - 1] for parent, i in zip(parents.tolist(), ids.tolist(), strict=True)]
    return _Beam(texts, nats[parents, ids], log_softmax(without_reserved(logits)), after)
