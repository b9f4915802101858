"""Words: where a text is in its words, as four numbers that are carried from character to character.

A run is a stretch of characters of words, or of others between them. What is likely next depends on the run so far and
on the words before it, however long they are: contexts that eight characters do not hold. Runs and words are hashed
(polynomials modulo 2^64), so that a whole text is read by sums and products of arrays. Left out: what follows
(`counts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.text.vocabulary import Ids

DEPTH = 3
"""Contexts of a place: its run, the run after one word, and after two."""
REACH = 256
"""Characters in which the run and the two words before it are looked for."""
FACTOR = 0x9E3779B97F4A7C15
INVERSE = pow(FACTOR, -1, 1 << 64)
MASK = (1 << 64) - 1

Hashes = NDArray[np.uint64]
"""Of any shape; those of a place are (..., 4): 1 within a word, else 0; the run; the last word that has ended; the one
before it. A word that is not there is 0."""
START = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class WordReader:
    """Reads ids, some of which belong to words."""

    letters: NDArray[np.bool_]
    """(symbols,): whether an id is a character of words."""

    @cached_property
    def values(self) -> Hashes:
        """A random number for each id, (symbols,), the same on every machine."""
        return mixed(np.arange(1, len(self.letters) + 1, dtype=np.uint64))

    def follow(self, place: tuple[int, ...], i: int) -> tuple[int, ...]:
        """The place (4,) after one more id, in whole numbers of Python."""
        inside, run, last, previous = place
        is_inside, value = self._plain[i]
        if inside == is_inside:
            return inside, (run * FACTOR + value) & MASK, last, previous
        return (is_inside, value, run, last) if inside else (is_inside, value, last, previous)

    @cached_property
    def _plain(self) -> list[tuple[int, int]]:
        return list(zip(map(int, self.letters), self.values.tolist(), strict=True))

    def append(self, places: Hashes, ids: NDArray[np.integer]) -> Hashes:
        """`follow` for many: places (..., 4) and ids (...) -> (..., 4)."""
        inside, run, last, previous = np.split(places, len(START), axis=-1)
        read = np.asarray(ids)[..., None]
        is_inside = self.letters[read].astype(np.uint64)
        has_ended = inside > is_inside
        goes_on = np.where(inside == is_inside, run * np.uint64(FACTOR), np.uint64(0))
        words = np.where(has_ended, run, last), np.where(has_ended, last, previous)
        return np.concatenate([is_inside, goes_on + self.values[read], *words], axis=-1)

    def read(self, ids: Ids, begins: NDArray[np.bool_]) -> list[Hashes]:
        """The place after each id, as four arrays (character,); where `begins`, nothing stands before the id."""
        inside, places = self.letters[ids], np.arange(len(ids))
        changes = begins | (places == 0)
        changes[1:] |= inside[1:] != inside[:-1]
        runs = self._runs(ids, np.maximum.accumulate(np.where(changes, places, 0)))
        has_ended = changes & ~inside & ~begins & (places > 0)
        has_ended[1:] &= inside[:-1]
        words = np.concatenate([np.zeros(2, np.uint64), runs[np.flatnonzero(has_ended) - 1]])
        number = np.cumsum(has_ended)
        since = number - np.maximum.accumulate(np.where(begins, number, 0))  # the words that ended since it began
        last, previous = words[1:][number], words[number]
        last[since < 1] = 0
        previous[since < 2] = 0
        return [inside.astype(np.uint64), runs, last, previous]

    def between(self, ids: Ids, start: int, end: int, boundary: int | None = None) -> list[Hashes]:
        """`before` all characters from `start` to `end`, as four arrays (character,)."""
        read = ids[max(start - REACH, 0) : max(end - 1, 0)]
        places = self.read(read, np.zeros(len(read), np.bool_) if boundary is None else read == boundary)
        return [np.concatenate([np.zeros(1, np.uint64), each])[start - end :] for each in places]

    def before(self, ids: Ids, positions: NDArray[np.integer], boundary: int | None = None) -> Hashes:
        """The places before the characters at `positions` (n,) of a text, (n, 4), each from its last `boundary`."""
        ascending, which = np.unique(positions, return_inverse=True)
        pieces = np.split(ascending, np.flatnonzero(np.diff(ascending) > REACH) + 1)
        places = [
            np.column_stack(self.between(ids, piece[0], piece[-1] + 1, boundary))[piece - piece[0]] for piece in pieces
        ]
        return np.concatenate(places)[which]

    def _runs(self, ids: Ids, starts: NDArray[np.int64]) -> Hashes:
        """The hash of each stretch of ids from `starts` to its place, (character,)."""
        up, down = (np.cumprod(np.full(len(ids), np.uint64(factor))) for factor in (FACTOR, INVERSE))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(self.values[ids] * down)])
        runs: Hashes = up * (sums[1:] - sums[starts])
        return runs


def contexts(place: Any) -> list[Any]:
    """The hash of each of the `DEPTH` contexts of a place: numbers of Python, or arrays, for one that is of such.

    There are none where two words have not ended yet: what stands there is better known by its characters.
    """
    _, run, last, previous = place
    one = mixed(run + last * FACTOR & MASK)
    return [mixed(run), one, mixed(one + previous & MASK)]


def mixed(number: Any) -> Any:
    """A number, or each of an array, with its bits mixed well (the end of SplitMix64, Steele et al. 2014)."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & MASK
    return number ^ (number >> 31)
