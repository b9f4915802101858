"""From logits to probabilities, in one place. Shapes are (..., vocabulary) throughout."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities over the last axis, in float64; a logit of -inf has probability 0."""
    powers: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def log_softmax(logits: NDArray[Number]) -> NDArray[Number]:
    """Logarithms of the probabilities over the last axis, in nats, in the precision of `logits`."""
    shifted: NDArray[Number] = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
