"""The baseline without a network: characters counted after the two before them, backing off to one and to none.

Interpolated Witten-Bell smoothing (Witten and Bell 1991): a context that was followed by many different characters
leaves more to the shorter context. Left out: longer contexts and better smoothing; it is a yardstick, not a rival.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unrolled.text.vocabulary import Ids


def trigram_nats(train: Ids, validation: Ids, symbols: int) -> float:
    """Nats per character of `validation`, predicted from counts of `train`.

    `symbols` is the number of ids. The last two characters of `train` are the first context.
    """
    joined = np.concatenate([train[-2:], validation]).astype(np.int64)
    probability: NDArray[np.float64] = np.full(len(validation), 1 / symbols)
    for order in range(3):
        probability = _interpolate(train.astype(np.int64), joined, order, symbols, probability)
    return float(-np.log(probability).mean())


def _interpolate(
    train: NDArray[np.int64], joined: NDArray[np.int64], order: int, symbols: int, shorter: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(c(context, x) + t(context) * shorter) / (c(context) + t(context)), t being the different followers seen."""
    contexts, followed = _codes(train, order, symbols)
    wanted_contexts, wanted_followed = _codes(joined[2 - order :], order, symbols)
    pairs, pair_counts = np.unique(followed, return_counts=True)
    kinds, kind_counts = np.unique(contexts, return_counts=True)
    types, type_counts = np.unique(pairs // symbols, return_counts=True)
    seen = _look_up(pairs, pair_counts, wanted_followed)
    total = _look_up(kinds, kind_counts, wanted_contexts)
    followers = _look_up(types, type_counts, wanted_contexts)
    known = total > 0
    mixed = (seen + followers * shorter) / np.where(known, total + followers, 1)
    return np.where(known, mixed, shorter)


def _codes(ids: NDArray[np.int64], order: int, symbols: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number for the `order` characters before each place, and one for them with the character at it."""
    count = len(ids) - order
    context = np.zeros(count, np.int64)
    for i in range(order):
        context = context * symbols + ids[i : i + count]
    return context, context * symbols + ids[order:]


def _look_up(keys: NDArray[np.int64], values: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of each wanted key; 0 for a key that is not there."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
