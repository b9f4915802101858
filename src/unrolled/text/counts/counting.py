"""Counting: the n-grams of a text, and tables of their discounted probabilities.

Modified Kneser-Ney smoothing (Chen and Goodman 1999): an n-gram keeps its count less a discount. Shorter n-grams are
counted by the number of different characters before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unrolled.text.counts.ngrams import Codes, Probabilities, hash_bound, ngrams, starts_of, sums_of
from unrolled.text.counts.table import Table
from unrolled.text.vocabulary import Ids
from unrolled.text.words import WordReader
from unrolled.text.words import contexts as word_contexts

LONG = 5
"""N-grams whose context has at least so many characters are kept only if they occurred twice."""
CHUNK = 1 << 20
"""Characters whose n-grams are sorted or looked up at once."""
MAX_ENTRIES = 1 << 23
"""N-grams of the longest kind kept while counting; a text with more loses its rarest ones."""
WORD_SHARE = 4
"""How many times fewer are kept of those that begin with a word."""
FALLBACK = (0.0, 0.5, 1.0, 1.5)
"""Discounts where the text is too small to estimate them."""

Counted = tuple[list[Codes], NDArray[np.int64]]
"""Codes of n-grams (n,), ascending, those of their shorter n-grams (n,), and how often each occurs, (n,)."""


def character_tables(
    ids: Ids, symbols: int, order: int, boundary: int | None, most: int, release: Callable[[], None]
) -> tuple[Table, ...]:
    """Tables of contexts of 0, 1, ... ids, the longest counted in the text and each shorter one in the longer."""
    (codes,), counts = _longest(ids, symbols, order, boundary, most, release)
    tables = []
    for n in range(order, -1, -1):
        # What follows a boundary stands in the table of its length alone, where nothing differs before it.
        whole = codes >= np.uint64(symbols**n if n and boundary is not None else 0)
        tables.append(_table(codes[whole], counts[whole], symbols, 1 + (n >= LONG)))
        shorter = codes % np.uint64(symbols**n)
        (codes,), counts = _distinct([shorter]) if whole.all() else _summed([shorter], np.where(whole, 1, counts))
    return tuple(reversed(tables))


def _longest(
    ids: Ids, symbols: int, order: int, boundary: int | None, most: int, release: Callable[[], None]
) -> Counted:
    """The n-grams with a context of `order` ids, ascending, and how often each occurs.

    Where more than `most` differ, the rarer ones are forgotten until half of that is left, and counting goes on (lossy
    counting, Manku and Motwani 2002).
    """

    def chunks() -> Iterator[Counted]:
        for start in range(0, len(ids), CHUNK):
            yield _distinct([ngrams(ids, start, start + CHUNK, symbols, order, boundary)])
            release()

    return _counted(chunks(), most)


def word_tables(
    words: WordReader, ids: Ids, symbols: int, boundary: int | None, most: int, release: Callable[[], None]
) -> tuple[Table, ...]:
    """Tables of contexts that begin with words, the shortest first; none is longer than `most` entries."""

    def chunks() -> Iterator[Counted]:
        for start in range(0, len(ids), CHUNK):
            _, grams = word_ngrams(words, ids, start, min(start + CHUNK, len(ids)), symbols, boundary)
            yield _distinct(grams[::-1])
            release()

    grams, counts = _counted(chunks(), most)
    tables = [_table(grams[0], counts, symbols)]
    while len(grams) > 1:
        grams, counts = _distinct(grams[1:])
        tables.append(_table(grams[0], counts, symbols))
    return tuple(reversed(tables))


def word_ngrams(
    words: WordReader, ids: Ids, start: int, end: int, symbols: int, boundary: int | None
) -> tuple[NDArray[np.int64], list[Codes]]:
    """Which of the ids from `start` to `end` follow two words, and the codes of these, the shortest contexts first."""
    places = words.between(ids, start, end, boundary)
    known = np.flatnonzero(places[-1])
    hashes, followers = np.uint64(hash_bound(symbols)), ids[start + known].astype(np.uint64)
    contexts = word_contexts([each[known] for each in places])
    return known, [code % hashes * np.uint64(symbols) + followers for code in contexts]


def _counted(chunks: Iterable[Counted], most: int) -> Counted:
    """The n-grams of all chunks, ascending, and how often each occurs."""
    parts: list[Counted] = []
    for chunk in chunks:
        parts.append(chunk)
        if sum(len(counts) for _, counts in parts[1:]) > len(parts[0][1]):
            parts = [_without_rarest(*_merged(parts), most)]
    return _without_rarest(*_merged(parts), most)


def _without_rarest(codes: list[Codes], counts: NDArray[np.int64], most: int) -> Counted:
    if len(counts) <= most:
        return codes, counts
    kept = counts > np.partition(counts, -(most // 2))[-(most // 2)]
    return [each[kept] for each in codes], counts[kept]


def _merged(parts: Sequence[Counted]) -> Counted:
    if len(parts) == 1:
        return parts[0]
    codes = [np.concatenate(each) for each in zip(*(codes for codes, _ in parts), strict=True)]
    return _summed(codes, np.concatenate([counts for _, counts in parts]))


def _summed(codes: list[Codes], counts: NDArray[np.int64]) -> Counted:
    """Every code of the first array once, ascending, with the sum of its counts; quick where they ascend in parts."""
    order = np.argsort(codes[0], kind="stable")
    codes, counts = [each[order] for each in codes], counts[order]
    starts = starts_of(codes[0])
    return [each[starts[:-1]] for each in codes], sums_of(counts, starts)


def _distinct(codes: list[Codes]) -> Counted:
    """Every code of the first array once, ascending, and how often it occurs."""
    if len(codes) == 1:
        codes = [np.sort(codes[0])]
    else:
        order = np.argsort(codes[0], kind="stable")
        codes = [each[order] for each in codes]
    starts = starts_of(codes[0])
    return [each[starts[:-1]] for each in codes], np.diff(starts)


def _table(codes: Codes, counts: NDArray[np.int64], symbols: int, least: int = 1) -> Table:
    """Of n-grams, ascending, those that occurred `least` times."""
    starts = starts_of(codes // np.uint64(symbols))
    totals = np.repeat(sums_of(counts, starts), np.diff(starts))
    weights = ((counts - _discounts(counts)[np.minimum(counts, 3)]) / totals).astype(np.float32)
    weights = np.nextafter(weights, np.float32(0))  # rounded down, so that something is left for the shorter context
    kept = counts >= least if least > 1 else slice(None)
    return Table(symbols, codes[kept], weights[kept])


def _discounts(counts: NDArray[np.int64]) -> Probabilities:
    """What is taken from a count of 0, 1, 2, and 3 or more (Chen and Goodman 1999, equation 26)."""
    once, twice, thrice, four = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if not (once and twice and thrice and four):
        return np.array(FALLBACK)
    share = once / (once + 2 * twice)
    estimated = (0, 1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    return np.where(np.array(estimated) > 0, estimated, FALLBACK)
