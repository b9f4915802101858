"""What a prediction owes to each character before it: exchange one, read on, and see how far the prediction moves.

The question "what does it remember?" put as an experiment on one text. NumPy alone; all exchanges are read side by
side. Left out: what holds over many places of a long text, with intervals (`unrolled.look.memory.measure`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.sampling import Logits, softmax, without_reserved

if TYPE_CHECKING:
    from unrolled.model.cells import Array
    from unrolled.model.char_model import CharModel
    from unrolled.model.state import State
    from unrolled.text.vocabulary import OnUnknown

BACK = 80
"""Characters before the prediction that are exchanged, if not told otherwise."""
ALTERNATIVES = 2
"""Characters that are put in the place of each."""


@dataclass(frozen=True)
class Exchange:
    """What became of the prediction after a text when each of its last characters was another one."""

    start: int
    """The position of the first character that was exchanged."""
    characters: str
    """Those that were exchanged, up to the end of the text."""
    bits: NDArray[np.float64]
    """By how much each decides what comes next: KL(prediction || prediction after the exchange), in bits."""
    instead: tuple[str, ...]
    """The likeliest of the characters that took the place of each; empty where the model knows no other."""

    def to_json(self) -> dict[str, Any]:
        """The four fields, with numbers as JSON has them."""
        named = {"start": self.start, "characters": self.characters}
        return named | {"bits": self.bits.tolist(), "instead": list(self.instead)}


def exchange(
    model: CharModel,
    text: str,
    back: int = BACK,
    *,
    alternatives: int = ALTERNATIVES,
    unknown: OnUnknown = "error",
) -> Exchange:
    """Exchange each of the last `back` characters of `text` for what the model most expected in its place.

    A character gives way to each of `alternatives` others in turn; their divergences are averaged by their
    probabilities, so that likely exchanges count most. Takes time in the square of `back`. Raises InputError for a
    number below 1, and for unknown characters as `CharModel.read` does.
    """
    for name, value in (("back", back), ("alternatives", alternatives)):
        if value < 1:
            raise InputError(f"{name} is {value}, but must be at least 1")
    ids = model.vocabulary.encode(text, unknown)
    start, width = max(0, len(ids) - back), min(alternatives, len(model.vocabulary) - 2)
    place = model.read("")
    place.feed(ids[:start])
    others, weights, moved = _read_on(place, ids[start:].tolist(), width)
    divergence = _divergence(place.logits, moved).reshape(weights.shape)
    known = model.vocabulary.characters
    instead = tuple(known[row[0] - 1] if width else "" for row in others.tolist())
    return Exchange(start, model.vocabulary.decode(ids[start:]), (divergence * weights).sum(axis=1), instead)


def _read_on(place: State, ids: list[int], width: int) -> tuple[NDArray[np.int64], Logits, Array]:
    """Move `place` on past `ids`, and beside it one branch for each exchange.

    Returns the `width` others of each place and their weights, both (time, width), and the logits after the text of
    every branch, (time * width, vocabulary).
    """
    network = place.model.network
    branches = tuple(np.zeros((len(ids) * width, len(part)), part.dtype) for part in place.hidden)
    others, weights = np.zeros((len(ids), width), np.int64), np.zeros((len(ids), width))
    h = np.zeros((0, len(network.head)), network.head.dtype)
    for t, i in enumerate(ids):
        others[t], weights[t] = _expected_instead(place.logits, i, width)
        begun = t * width
        for branch, part in zip(branches, place.hidden, strict=True):
            branch[begun : begun + width] = part
        inputs = np.concatenate([np.full(begun, i), others[t]])
        h, after = network.advance(inputs, tuple(branch[: len(inputs)] for branch in branches))
        for branch, part in zip(branches, after, strict=True):
            branch[: len(inputs)] = part
        place.feed([i])
    return others, weights, h @ network.head + network.head_bias


def _expected_instead(logits: NDArray[np.floating], i: int, width: int) -> tuple[NDArray[np.int64], Logits]:
    """The `width` likeliest ids but `i`, and their probabilities as shares of 1."""
    rest = without_reserved(logits)
    if i:
        rest[i] = -np.inf
    likeliest = np.argsort(-rest, kind="stable")[:width]
    return likeliest, softmax(rest[likeliest]) if width else np.zeros(0)


def _divergence(logits: NDArray[np.floating], others: NDArray[np.floating]) -> Logits:
    """KL divergence in bits from the prediction of (vocabulary,) to each of (row, vocabulary); id 0 is left out."""
    own, theirs = (_log_probabilities(each[..., 1:].astype(np.float64)) for each in (logits, others))
    nats = (np.exp(own) * (own - theirs)).sum(axis=-1)
    bits: Logits = np.maximum(nats, 0.0) / math.log(2)  # equal predictions may differ by rounding
    return bits


def _log_probabilities(logits: Logits) -> Logits:
    shifted: Logits = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
