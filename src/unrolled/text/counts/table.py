"""One table of counts: the n-grams of one length, and predictions after contexts that tables know.

Left out: how n-grams are counted (`counting`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.text.counts.ngrams import Codes, Probabilities, starts_of, sums_of
from unrolled.text.vocabulary import Ids

WORDS_WEIGHT = 2 / 3
"""Of what contexts of words predict, in the mean with what contexts of characters do: a text that changes its subject
would be worse by words alone."""
FEW = 32
"""With fewer followers, the weights of a context are added one by one, which is faster than by arrays."""


class Prediction(NamedTuple):
    """What comes after one context, or after n of them."""

    characters: Probabilities
    """By contexts of characters, (symbols,), or (n, symbols); read-only."""
    words: Probabilities
    """By contexts of words, too; the same object where there are none."""
    log_backoffs: Any
    """Of the share that the context of each table leaves to shorter ones: 0 where it is unknown, near 0 where it was
    seen once or twice. The shortest first, those of words last: (table,) numbers of Python, or (n, table)."""

    @property
    def mean(self) -> Probabilities:
        """What counts predict when they are alone."""
        if self.words is self.characters:
            return self.characters
        mean: Probabilities = self.characters + WORDS_WEIGHT * (self.words - self.characters)
        return mean


@dataclass(frozen=True, eq=False)
class Table:
    """The n-grams of one length and their discounted probabilities.

    The code of an n-gram is the number whose digits, to the base `symbols`, are its ids, the earliest first. The code
    of its context is the same number without the last digit; of a context of words it is a hash.
    """

    symbols: int
    codes: Codes = field(repr=False)
    """(entry,), ascending."""
    weights: NDArray[np.float32] = field(repr=False)
    """(entry,); those of one context sum to less than 1."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first entry of each context, and after the last the number of entries, (context + 1,)."""
        return starts_of(self.codes // np.uint64(self.symbols))

    @cached_property
    def contexts(self) -> Codes:
        """The code of each context, (context,), ascending."""
        codes: Codes = self.codes[self.starts[:-1]] // np.uint64(self.symbols)
        return codes

    @cached_property
    def followers(self) -> Ids:
        """The last id of each entry, (entry,)."""
        return (self.codes % np.uint64(self.symbols)).astype(np.min_scalar_type(self.symbols - 1))

    @cached_property
    def backoff(self) -> Probabilities:
        """What each context leaves to the shorter one, (context,)."""
        return 1 - sums_of(self.weights.astype(np.float64), self.starts)

    def interpolate(self, codes: Codes, shorter: Probabilities) -> Probabilities:
        """Probabilities (n,) of n-grams by their codes (n,), from those that the shorter contexts give, (n,)."""
        order = np.argsort(codes)
        ascending = codes[order]
        known, places = _find(self.contexts, ascending // np.uint64(self.symbols))
        probabilities = shorter.copy()
        probabilities[order[known]] *= self.backoff[places]
        known, places = _find(self.codes, ascending)
        probabilities[order[known]] += self.weights[places]
        return probabilities

    def places(self, contexts: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of the contexts (n,) are known, and their places."""
        order = np.argsort(contexts)
        known, places = _find(self.contexts, contexts[order])
        return order[known], places

    @cached_property
    def views(self) -> tuple[Any, ...]:
        """Contexts, starts, back-off, followers and weights as what gives numbers of Python, faster one at a time."""
        return self.contexts.data, self.starts.data, self.backoff.data, self.followers.data, self.weights.data


Known = tuple[Table, int, int, float]
"""A context that a table knows: its first entry and the end of its entries, and the share of the prediction that their
weights are a part of."""


def known(tables: Sequence[Table], contexts: Sequence[int]) -> tuple[list[Known], float, list[float]]:
    """Those of the contexts, one of each table, that are known, the longest first.

    Also what they leave to a shorter one, and the logarithm of what each of them leaves, the shortest first.
    """
    found, share, logs = [], 1.0, []
    for table, context in zip(reversed(tables), reversed(contexts), strict=True):
        all_contexts, starts, backoff, _, _ = table.views
        place = bisect_left(all_contexts, context)
        if place < len(all_contexts) and all_contexts[place] == context:
            left = backoff[place]
            found.append((table, starts[place], starts[place + 1], share))
            share *= left
            logs.append(math.log(left))
        else:
            logs.append(0.0)
    return found, share, logs[::-1]


def refined(shorter: Probabilities, found: Sequence[Known], left: float) -> Probabilities:
    """The prediction by known contexts, which leave this share to that by a shorter one."""
    if not found:
        return shorter
    probabilities = shorter * left
    numbers: Any = probabilities.data
    for table, first, end, share in found:
        if end - first < FEW:
            _, _, _, followers, weights = table.views
            for follower, weight in zip(followers[first:end].tolist(), weights[first:end].tolist(), strict=True):
                numbers[follower] += weight * share
        else:
            places = table.followers[first:end].astype(np.intp)  # smaller numbers are slower as indices
            probabilities[places] += np.multiply(table.weights[first:end], share, dtype=np.float64)
    return probabilities


def refine(
    tables: Sequence[Table],
    contexts: Sequence[Codes],
    shorter: Probabilities,
    log_backoffs: Probabilities,
    which: NDArray[np.int64],
) -> None:
    """`refined` for many: turns the rows `which`, (m,), of distributions (n, symbols) into those of longer contexts.

    The contexts are (m,) for each table, and each fills its column of `log_backoffs`, (n, table).
    """
    left, found = np.ones(len(which)), []
    for n, (table, codes) in reversed(list(enumerate(zip(tables, contexts, strict=True)))):
        rows, places = table.places(codes)
        found.append((table, rows, places, left[rows]))
        left[rows] *= table.backoff[places]
        log_backoffs[which[rows], n] = np.log(table.backoff[places])
    kept = np.ones(len(shorter))
    kept[which] = left
    shorter *= kept[:, None]
    for table, rows, places, left in reversed(found):
        first = table.starts[places]
        sizes = table.starts[places + 1] - first
        entries = np.arange(sizes.sum()) + np.repeat(first - sizes.cumsum() + sizes, sizes)
        cells = np.repeat(which[rows] * table.symbols, sizes) + table.followers[entries]
        shorter.reshape(-1)[cells] += table.weights[entries] * np.repeat(left, sizes)


def _find(codes: Codes, wanted: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the wanted codes are among `codes`, and where; both ascend, so that memory is read in order."""
    if not len(codes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    known = np.flatnonzero(codes[place] == wanted)
    return known, place[known]


def check(table: Table, name: str, order: int | None) -> None:
    """Raises FolderError unless every context leaves a proper distribution, and has at most `order` ids if given."""
    codes, weights = table.codes, table.weights
    if codes.dtype != np.uint64 or weights.dtype != np.float32 or codes.ndim != 1 or codes.shape != weights.shape:
        raise FolderError(f"the counts {name} must be codes (uint64) and an equal number of weights (float32)")
    if not ((codes[1:] > codes[:-1]).all() and (weights >= 0).all() and (table.backoff > 0).all()):
        raise FolderError(f"the counts {name} are damaged: they are not probability distributions")
    if order is not None and len(codes) and int(codes[-1]) >= table.symbols ** (order + 1):
        raise FolderError(f"the counts {name} are damaged: they are of longer contexts")
