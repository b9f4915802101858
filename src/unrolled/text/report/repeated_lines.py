"""Counting repeated lines of a text in constant memory.

Each line becomes a 64-bit hash, a sum of one mixed number per character and position, so that lines may cross block
boundaries. The different hashes are counted. Beyond a few million only the smallest are kept: a known fraction of the
hash range, and so approximately of all different lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unrolled.text.vocabulary import Ids

LONG_LINE = 20  # shorter lines repeat in every text: speaker names, headings, brackets
MAX_KEPT = 1 << 22
_SEED = 20  # fixed: the hashes never leave the process, and equal texts should give equal reports
_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd, so that places up to 2**64 differ (the golden ratio, as in splitmix64)


class RepeatedLines:
    """Counts the lines of ids given to `add`; `newline` is the id that ends a line, or None."""

    def __init__(self, vocabulary: int, newline: int | None, max_kept: int = MAX_KEPT) -> None:
        self.lines = 0
        self.long_lines = 0
        self._newline = newline
        self._random = np.random.default_rng(_SEED).integers(1 << 63, size=vocabulary, dtype=np.uint64)
        self._hash, self._length = np.zeros(1, np.uint64), 0  # of the line that is not at its end yet
        self._different: list[NDArray[np.uint64]] = []
        self._waiting, self._max_kept, self._limit = 0, max_kept, (1 << 64) - 1

    def add(self, ids: Ids) -> None:
        """Add the next block of the text, (character,)."""
        ends = np.flatnonzero(ids == self._newline) if self._newline is not None else np.empty(0, np.intp)
        starts = np.concatenate(([0], ends + 1))
        lengths = np.diff(np.append(starts, len(ids) + 1)) - 1
        places = np.arange(len(ids)) - np.repeat(starts, lengths + 1)[:-1]
        places[: lengths[0]] += self._length
        hashes = np.add.reduceat(self._mixed(ids, places, ends), starts)
        hashes[:1] += self._hash
        lengths[0] += self._length
        self._hash, self._length = hashes[-1:], int(lengths[-1])
        self._keep(hashes[:-1], lengths[:-1])

    def end(self) -> None:
        """Add the last line, if the text does not end in a newline."""
        if self._length:
            self._keep(self._hash, np.array([self._length]))

    def repeated(self) -> int:
        """The number of long lines that repeat an earlier one.

        If only a sample was kept this is an estimate, and 0 if it may be due to chance.
        """
        self._compact(self._max_kept)
        kept, share = len(self._different[0]), (self._limit + 1) / (1 << 64)
        if share == 1:
            return self.long_lines - kept
        repeated = self.long_lines - kept / share
        return round(repeated) if repeated > 3 * kept**0.5 / share else 0

    def _mixed(self, ids: Ids, places: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
        """A number for each character at its place, 0 for newlines, and one 0 more for an empty line at the end."""
        mixed = np.zeros(len(ids) + 1, np.uint64)
        mixed[:-1] = self._random[ids] ^ (places.astype(np.uint64) * _STEP)
        mixed *= mixed  # not linear: else the sum would forget the order of some characters
        mixed[ends] = 0
        return mixed

    def _keep(self, hashes: NDArray[np.uint64], lengths: NDArray[np.intp]) -> None:
        self.lines += len(hashes)
        long = lengths >= LONG_LINE
        self.long_lines += int(long.sum())
        self._different.append(hashes[long & (hashes <= np.uint64(self._limit))])
        self._waiting += len(self._different[-1])
        if self._waiting > self._max_kept:
            self._compact(self._max_kept // 2)

    def _compact(self, most: int) -> None:
        """Keep each hash once, and of those the smallest if they are more than `most`."""
        every = np.unique(np.concatenate([*self._different, np.empty(0, np.uint64)]))
        while len(every) > most:
            self._limit //= 2
            every = every[every <= np.uint64(self._limit)]
        self._different, self._waiting = [every], len(every)
