"""How much a prediction depends on each character before it: exchange one, read on, and measure the change.

NumPy alone; all exchanges are read side by side. Left out: averages over many places of a long text, with intervals
(`unrolled.look.memory.measure`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.model.predictor import LanguageModel, Logits
from unrolled.model.probabilities import log_softmax, softmax
from unrolled.model.sampling import without_reserved
from unrolled.model.state import State
from unrolled.text.vocabulary import OnUnknown

BACK = 80
"""Default number of characters before the prediction that are exchanged."""
ALTERNATIVES = 2
"""Default number of replacements tried for each."""


@dataclass(frozen=True)
class Exchange:
    """How the prediction after a text changes when each of its last characters is replaced."""

    start: int
    """The position of the first character that was exchanged."""
    characters: str
    """Those that were exchanged, up to the end of the text."""
    bits: NDArray[np.float64]
    """The effect of each, (characters,): KL(prediction || prediction after the exchange), in bits."""
    instead: tuple[str, ...]
    """The likeliest replacement of each; empty where the model knows no other character."""

    def to_json(self) -> dict[str, Any]:
        """The four fields, with numbers as JSON has them."""
        named = {"start": self.start, "characters": self.characters}
        return named | {"bits": self.bits.tolist(), "instead": list(self.instead)}


def exchange(
    model: LanguageModel,
    text: str,
    back: int = BACK,
    *,
    alternatives: int = ALTERNATIVES,
    unknown: OnUnknown = "error",
    state: State | None = None,
) -> Exchange:
    """Exchange each of the last `back` characters of `text` for what the model most expected in its place.

    The text is read from the start, or on from `state`, which is not changed. Each is replaced by `alternatives` others
    in turn, and the divergences are averaged with the probabilities of the replacements as weights, so that likely ones
    count most. The time grows with the square of `back`. Raises InputError for a number below 1, and for unknown
    characters as `CharModel.read` does.
    """
    check_number("back", back, at_least=1)
    check_number("alternatives", alternatives, at_least=1)
    ids = model.vocabulary.encode(text, unknown)
    start, width = max(0, len(ids) - back), min(alternatives, len(model.vocabulary) - 2)
    place = State.start(model) if state is None else state.fork()
    place.feed(ids[:start])
    others, weights, moved = _read_on(place, ids[start:].tolist(), width)
    divergence = _divergence(place.logits, moved).reshape(weights.shape)
    known = model.vocabulary.characters
    instead = tuple(known[row[0] - 1] if width else "" for row in others.tolist())
    return Exchange(start, model.vocabulary.decode(ids[start:]), (divergence * weights).sum(axis=1), instead)


def _read_on(place: State, ids: list[int], width: int) -> tuple[NDArray[np.int64], NDArray[np.float64], Logits]:
    """Move `place` on past `ids`, and beside it one branch for each exchange.

    Returns the `width` replacements at each position and their weights, both (time, width), and the logits after the
    text of every branch, (time * width, vocabulary).
    """
    predictor = place.model.predictor
    branches = predictor.initial_state(0)
    others, weights = np.zeros((len(ids), width), np.int64), np.zeros((len(ids), width))
    logits: Logits = np.zeros((0, len(place.logits)))
    for t, i in enumerate(ids):
        others[t], weights[t] = _expected_instead(place.logits, i, width)
        inputs = np.concatenate([np.full(t * width, i), others[t]])
        begun = [np.repeat(part[None], width, axis=0) for part in place.hidden]
        branches = tuple(map(np.concatenate, zip(branches, begun, strict=True)))
        if t == len(ids) - 1:
            logits, branches = predictor.step(inputs, branches)
        else:
            branches = predictor.advance(inputs, branches)
        place.feed([i])
    return others, weights, logits


def _expected_instead(logits: Logits, i: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `width` likeliest ids but `i`, and their probabilities as shares of 1."""
    rest = without_reserved(logits)
    if i:
        rest[i] = -np.inf
    likeliest = np.argsort(-rest, kind="stable")[:width]
    return likeliest, softmax(rest[likeliest]) if width else np.zeros(0)


def _divergence(logits: Logits, others: Logits) -> NDArray[np.float64]:
    """KL divergence in bits from the prediction of (vocabulary,) to each of (row, vocabulary); id 0 is left out."""
    own, theirs = (log_softmax(each[..., 1:].astype(np.float64)) for each in (logits, others))
    nats = (np.exp(own) * (own - theirs)).sum(axis=-1)
    return np.maximum(nats, 0.0) / math.log(2)  # equal predictions may differ by rounding
