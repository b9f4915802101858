"""CountModel: which character followed which others, and how often. Smoothed, such counts predict a text by themselves.

Modified Kneser-Ney smoothing, interpolated (Chen and Goodman 1999): an n-gram keeps its count less a discount, and the
share that the discounts free goes to the distribution after the context without its first character, down to equal
probabilities for all ids. Shorter n-grams are counted by the number of different characters before them. An n-gram is
one 64-bit number, so that a table is a sorted array and a look-up a binary search. Left out: characters, files, and the
mixture with a network.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError, InputError
from unrolled.text.vocabulary import Ids

MAX_ORDER = 8
"""Characters before the predicted one that a context has at most."""
LONG = 5
"""N-grams whose context has at least so many characters are kept only if they occurred twice."""
CHUNK = 1 << 20
"""Characters whose n-grams are sorted or looked up at once."""
MAX_ENTRIES = 1 << 23
"""N-grams of the longest kind kept while counting; a text with more loses its rarest ones."""
CACHED = 1 << 20
"""Probabilities kept for contexts that come again."""
FALLBACK = (0.0, 0.5, 1.0, 1.5)
"""Discounts where the text is too small to estimate them."""

Codes = NDArray[np.uint64]
Probabilities = NDArray[np.float64]


def largest_order(symbols: int) -> int:
    """The longest context over so many ids that fits a 64-bit number together with the id after it, at most 8."""
    return next(order for order in range(MAX_ORDER, -1, -1) if symbols ** (order + 1) <= 1 << 64)


def bytes_needed(characters: int, symbols: int, order: int, most: int = MAX_ENTRIES) -> int:
    """Memory that counting takes at most, in bytes; real texts, which repeat themselves, take a third of it."""
    longest = min(characters, most + 2 * CHUNK)
    entries = [min(longest, int(symbols ** (n + 1))) >> (n >= LONG) for n in range(order + 1)]
    return 64 * longest + 12 * sum(entries)


@dataclass(frozen=True, eq=False)
class Table:
    """The n-grams of one length and their discounted probabilities.

    The code of an n-gram is the number whose digits, to the base `symbols`, are its ids, the earliest first. The code
    of its context is the same number without the last digit.
    """

    symbols: int
    codes: Codes = field(repr=False)
    """(entry,), ascending."""
    weights: NDArray[np.float32] = field(repr=False)
    """(entry,); those of one context sum to less than 1."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first entry of each context, and after the last the number of entries, (context + 1,)."""
        return _starts(self.codes // np.uint64(self.symbols))

    @cached_property
    def contexts(self) -> Codes:
        """The code of each context, (context,), ascending."""
        codes: Codes = self.codes[self.starts[:-1]] // np.uint64(self.symbols)
        return codes

    @cached_property
    def followers(self) -> Ids:
        """The last id of each entry, (entry,)."""
        ids: Ids = (self.codes % np.uint64(self.symbols)).astype(np.min_scalar_type(self.symbols - 1))
        return ids

    @cached_property
    def backoff(self) -> Probabilities:
        """What each context leaves to the shorter one, (context,)."""
        return 1 - _sums(self.weights.astype(np.float64), self.starts)

    def interpolate(self, codes: Codes, shorter: Probabilities) -> Probabilities:
        """Probabilities (n,) of n-grams by their codes (n,), from those that the shorter contexts give, (n,)."""
        context, entry = _find(self.contexts, codes // np.uint64(self.symbols)), _find(self.codes, codes)
        probabilities: Probabilities = shorter * np.append(self.backoff, 1.0)[context]
        probabilities += np.append(self.weights, np.float32(0))[entry]
        return probabilities

    def place(self, context: int) -> int | None:
        """Where the context with this code is; None if it was never seen."""
        place = bisect_left(self._contexts_view, context)
        found = place < len(self._contexts_view) and self._contexts_view[place] == context
        return place if found else None

    def interpolate_all(self, places: NDArray[np.int64], shorter: Probabilities) -> None:
        """Turn the distributions (n, symbols) after shorter contexts into those after the contexts at `places` (n,).

        A context that was never seen has place -1; its distribution stays.
        """
        shorter *= np.append(self.backoff, 1.0)[places][:, None]
        rows = np.flatnonzero(places >= 0)
        first, sizes = self.starts[places[rows]], np.diff(self.starts)[places[rows]]
        entries = np.arange(sizes.sum()) + np.repeat(first - sizes.cumsum() + sizes, sizes)
        shorter[np.repeat(rows, sizes), self.followers[entries]] += self.weights[entries]

    @cached_property
    def _contexts_view(self) -> memoryview:
        """Gives whole numbers of Python, which compare faster than those of NumPy one at a time."""
        return self.contexts.data


class Prediction(NamedTuple):
    """What comes after one context."""

    probabilities: Probabilities
    """(symbols,), read-only"""
    log_peak: float
    """Of the likeliest id, in nats."""
    log_backoff: float
    """Of the share that the longest known context leaves to shorter ones: near 0 if it was seen once or twice."""


@dataclass(frozen=True, eq=False)
class CountModel:
    """How often each id followed each context of up to `order` ids.

        >>> model = CountModel.count(np.array([1, 2, 1, 2, 1, 2, 1], np.uint8), symbols=3)
        >>> model.distribution([1]).round(2)
        array([0.1 , 0.1 , 0.81])

    Before the first id of a text stand zeros, those of the unknown character.
    """

    symbols: int
    tables: tuple[Table, ...] = field(repr=False)
    """Of contexts of 0, 1, ... ids."""

    @classmethod
    def count(
        cls,
        ids: Ids,
        symbols: int,
        order: int | None = None,
        *,
        boundary: int | None = None,
        most: int = MAX_ENTRIES,
        release: Callable[[], None] = lambda: None,
    ) -> CountModel:
        """Count `ids`, (character,), which are below `symbols`; about a second a megabyte.

        The order is 8 if not given, less where so many ids do not allow it. No context reaches back beyond the last
        `boundary`, the id between records. At most `most` of the longest n-grams are
        kept. `release` is called between chunks, so that ids mapped from a file need not stay in memory. Raises
        InputError for an order out of bounds, and where there is no id.
        """
        order = checked_order(order, symbols)
        if not len(ids):
            raise InputError("there is no character to count")
        codes, counts = _longest(ids, symbols, order, boundary, most, release)
        tables = []
        for n in range(order, -1, -1):
            # What follows a boundary stands in the table of its length alone, where nothing differs before it.
            whole = codes >= np.uint64(symbols**n if n and boundary is not None else 0)
            tables.append(_table(codes[whole], counts[whole], symbols, n))
            shorter = codes % np.uint64(symbols**n)
            codes, counts = _distinct(shorter) if whole.all() else _summed(shorter, np.where(whole, 1, counts))
        return cls(symbols, tuple(reversed(tables)))

    @property
    def order(self) -> int:
        """Ids in the longest contexts."""
        return len(self.tables) - 1

    @property
    def entries(self) -> int:
        """N-grams of all lengths."""
        return sum(len(table.codes) for table in self.tables)

    def nats(self, ids: Ids, before: Ids | Sequence[int] = (), boundary: int | None = None) -> Probabilities:
        """Nats of each of the `ids`, (character,), where the first follows the ids `before`.

        No context reaches back beyond a `boundary`.
        """
        result = np.empty(len(ids))
        for start in range(0, len(ids), CHUNK):
            codes = _codes(ids, start, start + CHUNK, self.symbols, self.order, boundary, before)
            result[start : start + CHUNK] = -np.log(self._probabilities(codes))
        return result

    def _probabilities(self, codes: Codes) -> Probabilities:
        probabilities = np.full(len(codes), 1 / self.symbols)
        for n, table in enumerate(self.tables[:-1]):
            probabilities = table.interpolate(codes % np.uint64(self.symbols ** (n + 1)), probabilities)
        return self.tables[-1].interpolate(codes, probabilities)

    def distribution(self, recent: Sequence[int]) -> Probabilities:
        """The probability of each id after the ids `recent`, of which the last `order` count: (symbols,)."""
        context = 0
        for i in recent[max(0, len(recent) - self.order) :]:
            context = context * self.symbols + int(i)
        return self.after(context).probabilities

    def after(self, context: int) -> Prediction:
        """The prediction after the context of `order` ids with this code; those of recent calls are remembered."""
        return self._cached(self.order, context)

    @cached_property
    def _cached(self) -> Callable[[int, int], Prediction]:
        return lru_cache(max(16, CACHED // self.symbols))(self._after)

    def _after(self, n: int, context: int) -> Prediction:
        if n < 0:
            probabilities, log_backoff = np.full(self.symbols, 1 / self.symbols), 0.0
        else:
            table, shorter = self.tables[n], self._cached(n - 1, context % self.symbols ** max(0, n - 1))
            place = table.place(context)
            if place is None:
                return shorter
            entries = slice(table.starts[place], table.starts[place + 1])
            probabilities = shorter.probabilities * table.backoff[place]
            probabilities[table.followers[entries]] += table.weights[entries]
            log_backoff = math.log(table.backoff[place])
        probabilities.flags.writeable = False  # it is handed out again
        return Prediction(probabilities, math.log(probabilities.max()), log_backoff)

    def after_all(self, contexts: Codes) -> tuple[Probabilities, Probabilities]:
        """The distributions (n, symbols) after contexts (n,) as in `after`, and their `log_backoff` (n,)."""
        probabilities = np.full((len(contexts), self.symbols), 1 / self.symbols)
        backoff = np.ones(len(contexts))
        for n, table in enumerate(self.tables):
            places = _find(table.contexts, contexts % np.uint64(self.symbols**n))
            table.interpolate_all(places, probabilities)
            backoff = np.where(places >= 0, np.append(table.backoff, 1.0)[places], backoff)
        return probabilities, np.log(backoff)

    def append(self, contexts: Codes, ids: NDArray[np.integer]) -> Codes:
        """The codes of contexts, of any shape, one id later."""
        after: Codes = contexts * np.uint64(self.symbols) + ids.astype(np.uint64)
        return after % np.uint64(self.symbols**self.order)

    def contexts(self, ids: Ids, positions: NDArray[np.integer], boundary: int | None = None) -> Codes:
        """The codes of the contexts of the characters at `positions` (n,) of a text, each from its last `boundary`."""
        codes = np.zeros(len(positions), np.uint64)
        for back in range(self.order, 0, -1):
            places = positions - back
            read = np.where(places >= 0, ids[np.maximum(places, 0)], 0)
            codes = self.append(np.where(read == boundary, np.uint64(0), codes), read)
        return codes

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for a safetensors file."""
        named = {f"{n}.codes": table.codes for n, table in enumerate(self.tables)}
        return named | {f"{n}.weights": table.weights for n, table in enumerate(self.tables)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], symbols: int) -> CountModel:
        """The model that `to_tensors` gave; raises FolderError for arrays that are no distributions of so many ids."""
        lengths = range(len(tensors) // 2)
        names = {f"{n}.{part}" for n in lengths for part in ("codes", "weights")}
        if tensors.keys() != names or not 1 <= len(lengths) <= 1 + largest_order(symbols):
            raise FolderError(f"tables of counts have other names or another order: {', '.join(sorted(tensors))}")
        tables = tuple(Table(symbols, tensors[f"{n}.codes"], tensors[f"{n}.weights"]) for n in lengths)
        for n, table in enumerate(tables):
            _check(table, n)
        return cls(symbols, tables)


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


def _longest(
    ids: Ids, symbols: int, order: int, boundary: int | None, most: int, release: Callable[[], None]
) -> tuple[Codes, NDArray[np.int64]]:
    """The n-grams with a context of `order` ids, ascending, and how often each occurs.

    Where more than `most` differ, the rarer ones are forgotten until half of that is left, and counting goes on (lossy
    counting, Manku and Motwani 2002).
    """
    parts: list[tuple[Codes, NDArray[np.int64]]] = []
    for start in range(0, len(ids), CHUNK):
        parts.append(_distinct(_codes(ids, start, start + CHUNK, symbols, order, boundary)))
        if start + CHUNK >= len(ids) or sum(len(codes) for codes, _ in parts[1:]) > len(parts[0][0]):
            parts = [_without_rarest(*_merged(parts), most)]
        release()
    return parts[0]


def _without_rarest(codes: Codes, counts: NDArray[np.int64], most: int) -> tuple[Codes, NDArray[np.int64]]:
    if len(codes) <= most:
        return codes, counts
    kept = counts > np.partition(counts, -(most // 2))[-(most // 2)]
    return codes[kept], counts[kept]


def _merged(parts: Sequence[tuple[Codes, NDArray[np.int64]]]) -> tuple[Codes, NDArray[np.int64]]:
    if len(parts) == 1:
        return parts[0]
    codes, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _summed(codes, counts)


def _summed(codes: Codes, counts: NDArray[np.int64]) -> tuple[Codes, NDArray[np.int64]]:
    """Every code once, ascending, with the sum of its counts."""
    order = np.argsort(codes, kind="stable")
    codes, counts = codes[order], counts[order]
    starts = _starts(codes)
    return codes[starts[:-1]], np.add.reduceat(counts, starts[:-1])


def _distinct(codes: Codes) -> tuple[Codes, NDArray[np.int64]]:
    """Every code once, ascending, and how often it occurs."""
    codes = np.sort(codes)
    starts = _starts(codes)
    return codes[starts[:-1]], np.diff(starts)


def _table(codes: Codes, counts: NDArray[np.int64], symbols: int, order: int) -> Table:
    starts = _starts(codes // np.uint64(symbols))
    totals = np.repeat(_sums(counts, starts), np.diff(starts))
    weights = ((counts - _discounts(counts)[np.minimum(counts, 3)]) / totals).astype(np.float32)
    weights = np.nextafter(weights, np.float32(0))  # rounded down, so that something is left for the shorter context
    kept = counts > (order >= LONG)
    return Table(symbols, codes[kept], weights[kept])


def _discounts(counts: NDArray[np.int64]) -> Probabilities:
    """What is taken from a count of 0, 1, 2, and 3 or more (Chen and Goodman 1999, equation 26)."""
    once, twice, thrice, four = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if not (once and twice and thrice and four):
        return np.array(FALLBACK)
    share = once / (once + 2 * twice)
    estimated = (0, 1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    return np.where(np.array(estimated) > 0, estimated, FALLBACK)


def _codes(
    ids: Ids,
    start: int,
    end: int,
    symbols: int,
    order: int,
    boundary: int | None = None,
    before: Ids | Sequence[int] = (),
) -> Codes:
    """The codes of the n-grams that end at the ids from `start` to `end`; `before` precedes the first id of all."""
    length = min(end, len(ids)) - start
    earlier = np.asarray(before[max(0, len(before) - order) :], np.uint64)
    recent = ids[max(0, start - order) : start + length].astype(np.uint64)
    joined = np.concatenate([np.zeros(order, np.uint64), earlier, recent])[-length - order :]
    codes = np.zeros(length, np.uint64)
    for n in range(order + 1):
        read = joined[n : n + length]
        if boundary is not None and n < order:
            codes[read == boundary] = 0
        codes *= np.uint64(symbols)
        codes += read
    return codes


def _starts(codes: Codes) -> NDArray[np.int64]:
    """Where a run of equal codes begins, and at the end their number: (run + 1,)."""
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return np.concatenate([[0], changes, [len(codes)]]) if len(codes) else np.zeros(1, np.int64)


def _sums(values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """The sum of each run that `_starts` found."""
    return np.add.reduceat(values, starts[:-1]) if len(values) else values


def _find(codes: Codes, wanted: Codes) -> NDArray[np.int64]:
    """The place of each wanted code among ascending codes, -1 for one that is not there."""
    if not len(codes):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, place, -1)


def _check(table: Table, order: int) -> None:
    """Raises FolderError unless every context of the table leaves a proper distribution."""
    codes, weights = table.codes, table.weights
    if codes.dtype != np.uint64 or weights.dtype != np.float32 or codes.ndim != 1 or codes.shape != weights.shape:
        raise FolderError(f"the counts of order {order} are not codes (uint64) and as many weights (float32)")
    ascending = bool((codes[1:] > codes[:-1]).all())
    small = not len(codes) or int(codes[-1]) < table.symbols ** (order + 1)
    if not (ascending and small and bool((weights >= 0).all()) and bool((table.backoff > 0).all())):
        raise FolderError(f"the counts of order {order} are damaged: they are no probability distributions")
