"""Which characters of a part of a text are judged: all of them, or pieces from all over it where time is short.

One `Sample` is handed to everything that measures: the network, counts, both together, and compressors. It is a
function of the part and of the number of characters, so nothing of it needs to be stored. Left out: measuring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.text.vocabulary import Ids

PIECES, SHORTEST = 32, 256
"""A sample has so many pieces at most, and a piece so many characters at least."""
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """The characters from `starts[i]` to `ends[i]` of a text for each piece i, both (piece,), in reading order."""

    starts: Places
    ends: Places

    @classmethod
    def cut(cls, start: int, end: int, count: int) -> Sample:
        """All characters from `start` to `end`, in `count` pieces of nearly equal length."""
        borders = start + np.arange(count + 1, dtype=np.int64) * (end - start) // count
        return cls(borders[:-1], borders[1:])

    @classmethod
    def of(cls, start: int, end: int, limit: int | None = None) -> Sample:
        """`limit` of the characters from `start` to `end`, or all: the beginnings of up to 32 equal stretches.

        The first character of a text has none before it, and is left out.

            >>> list(Sample.of(1000, 9000, limit=600))
            [(1000, 1300), (5000, 5300)]
        """
        start, end = max(start, 1), max(start, 1, end)
        count = min(end - start, end if limit is None else limit)
        pieces = max(1, min(PIECES, count // SHORTEST))
        stretches = cls.cut(start, end, pieces)
        return cls(stretches.starts, stretches.starts + np.diff(count * np.arange(pieces + 1) // pieces))

    def whole_records(self, ids: Ids, boundary: int, end: int) -> Sample:
        """Each record that begins in a piece, whole, of a part of records that ends at `end`; one at least."""
        first = int(self.starts[0])
        borders = np.append(first + np.flatnonzero(ids[first - 1 : end - 1] == boundary), end)
        starts, ends = (borders[np.searchsorted(borders, places)] for places in (self.starts, self.ends))
        kept = starts < ends
        return Sample(starts[kept], ends[kept]) if kept.any() else Sample(borders[:1], borders[1:2])

    def __len__(self) -> int:
        """The number of characters."""
        return int((self.ends - self.starts).sum())

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Where each piece begins and ends."""
        return zip(self.starts.tolist(), self.ends.tolist(), strict=True)

    def places(self, positions: Places) -> Places:
        """Where the characters at `positions` (n,) of the text stand in the sample, its pieces joined."""
        before = np.cumsum(self.ends - self.starts) - self.ends
        found: Places = positions + before[np.searchsorted(self.starts, positions, side="right") - 1]
        return found
