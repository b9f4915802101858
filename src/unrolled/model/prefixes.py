"""The distinct prefixes of many strings, length by length, so that equal beginnings are read only once.

Log lines, names and product titles share much of their beginnings, and repeat themselves: reading them level by level
costs one step of the network for each distinct prefix instead of one for each character.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.text.vocabulary import Ids

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """The distinct prefixes of one length. A prefix is called by its row among those of its length."""

    texts: Indices
    """The texts that are at least this long, (text,), as indices into the batch."""
    prefixes: Indices
    """The row of the prefix of each of them, (text,)."""
    ids: Indices
    """The last id of each prefix, (prefix,)."""
    parents: Indices
    """The row, among the prefixes one shorter, of each prefix without its last id, (prefix,)."""


def prefix_levels(texts: Sequence[Ids]) -> Iterator[Level]:
    """The levels for lengths 1, 2, ... of texts of ids; the empty prefix, row 0 of length 0, is not yielded."""
    lengths = np.array([len(text) for text in texts], np.int64)
    starts = np.cumsum(lengths) - lengths
    flat = np.concatenate(texts) if len(texts) else np.zeros(0, np.int64)
    alive, rows = np.arange(len(texts)), np.zeros(len(texts), np.int64)
    for length in range(1, int(lengths.max(initial=0)) + 1):
        longer = lengths[alive] >= length
        alive, rows = alive[longer], rows[longer]
        ids = flat[starts[alive] + length - 1].astype(np.int64)
        if len(alive) == 1:
            parents, rows = rows, np.zeros(1, np.int64)
        else:
            keys, first, inverse = np.unique(rows << 32 | ids, return_index=True, return_inverse=True)
            parents, ids, rows = keys >> 32, ids[first], inverse
        yield Level(alive, rows, ids, parents)
