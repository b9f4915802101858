"""N-grams as numbers: the digits of one, to the base `symbols`, are its ids, the earliest first.

So a table of n-grams is a sorted array. Contexts of words are hashes of such a size that one and an id after it fit a
64-bit number, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.text.vocabulary import Ids

MAX_ORDER = 8
"""Characters before the predicted one that a context has at most."""

Codes = NDArray[np.uint64]
Probabilities = NDArray[np.float64]


def largest_order(symbols: int) -> int:
    """The longest context over so many ids that fits a 64-bit number together with the id after it, at most 8."""
    return next(order for order in range(MAX_ORDER, -1, -1) if symbols ** (order + 1) <= 1 << 64)


def checked_order(order: int | None, symbols: int) -> int:
    """The order, or the largest if None. Raises InputError for one that is not possible with so many ids."""
    largest = largest_order(symbols)
    if order is None:
        return largest
    if not 0 <= order <= MAX_ORDER:
        raise InputError(f"the order of counts is {order}, but must be from 0 to {MAX_ORDER}")
    if order > largest:
        bits = (symbols ** (order + 1) - 1).bit_length()
        raise InputError(
            f"order {order} over {symbols:,} ids needs n-grams of {bits} bits, and 64 is the limit: "
            f"choose order {largest} or less, or merge rare characters"
        )
    return order


def hash_bound(symbols: int) -> int:
    """How many contexts of words are told apart, so that one and an id after it are a number of 64 bits."""
    return (1 << 64) // symbols


def ngrams(
    ids: Ids,
    start: int,
    end: int,
    symbols: int,
    order: int,
    boundary: int | None = None,
) -> Codes:
    """The codes of the n-grams that end at the ids from `start` to `end`; none reaches back beyond a `boundary`."""
    length = min(end, len(ids)) - start
    recent = ids[max(0, start - order) : start + length].astype(np.uint64)
    joined = np.concatenate([np.zeros(order, np.uint64), recent])[-length - order :]
    codes = np.zeros(length, np.uint64)
    for n in range(order + 1):
        read = joined[n : n + length]
        if boundary is not None and n < order:
            codes[read == boundary] = 0
        codes *= np.uint64(symbols)
        codes += read
    return codes


def starts_of(codes: Codes) -> NDArray[np.int64]:
    """Where a run of equal codes begins, and at the end their number: (run + 1,)."""
    begins = np.ones(len(codes) + 1, np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:-1])
    return np.flatnonzero(begins)


def sums_of(values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """The sum of each run that `starts_of` found."""
    return np.add.reduceat(values, starts[:-1]) if len(values) else values
