"""Vectors of short strings from the hidden states of a network: strings that are spelled alike lie close.

A string is read after a newline, or as a record. Its vector is the last layer's output after its last character, and
the mean of the outputs after each. Both are standardised unit by unit, by mean and deviation over a text that the
network writes itself with seed 0, so that the vector of a string does not depend on the other strings. Left out: scores
(`lines`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrolled.model.prefixes import prefix_levels
from unrolled.text.vocabulary import Ids

if TYPE_CHECKING:
    from unrolled.model.cell import Array, CellState
    from unrolled.model.cells import CellNetwork

BATCH = 512
"""Strings that are read side by side."""
STREAMS, STEPS = 32, 64
"""The text of the standardisation: so many streams of so many characters."""
SMALLEST = 1e-4
"""Units that deviate less are constant, and are not scaled."""


def string_vectors(network: CellNetwork, texts: Sequence[Ids], before: Ids, written: Ids) -> NDArray[np.float32]:
    """The vectors (text, 2 x hidden) of texts of ids, each read after the ids `before`, which may be none.

    The first half is the last output, the second the mean output; `written` is the text that gives their scale. The
    vector of an empty text is that of `before` itself.
    """
    state, h = network.initial_state(1), np.zeros((1, len(network.head)), network.head.dtype)
    for i in before[:, None]:
        h, state = network.hidden(i, state)
    mean, deviation = _scale(network, written)
    vectors = np.empty((len(texts), 2, h.shape[-1]), np.float32)
    for begin in range(0, len(texts), BATCH):
        vectors[begin : begin + BATCH] = _outputs(network, texts[begin : begin + BATCH], h, state)
    return ((vectors - mean) / deviation).astype(np.float32).reshape(len(texts), 2 * h.shape[-1])


def _outputs(network: CellNetwork, texts: Sequence[Ids], h: Array, state: CellState) -> Array:
    """Last and mean output of each text, (text, 2, hidden)."""
    found: Array = np.repeat(h[:, None], 2, axis=1).repeat(len(texts), axis=0)
    sums = np.zeros((len(texts), h.shape[-1]), np.float64)
    for length, level in enumerate(prefix_levels(texts), 1):
        h, state = network.hidden(level.ids, tuple(part[level.parents] for part in state))
        outputs = h[level.prefixes]
        sums[level.texts] += outputs
        found[level.texts, 0], found[level.texts, 1] = outputs, sums[level.texts] / length
    return found


def _scale(network: CellNetwork, written: Ids) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each unit of the last layer over a text, both (hidden,)."""
    state, outputs = network.initial_state(STREAMS), []
    for ids in written[: STREAMS * STEPS].reshape(STREAMS, -1).T:
        h, state = network.hidden(ids, state)
        outputs.append(h)
    every = np.concatenate(outputs).astype(np.float64)
    deviation = every.std(axis=0)
    return every.mean(axis=0), np.where(deviation < SMALLEST, 1.0, deviation)
