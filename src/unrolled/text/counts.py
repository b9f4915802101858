"""CountModel: which character followed which others, and how often. Smoothed, such counts predict a text by themselves.

Modified Kneser-Ney smoothing, interpolated (Chen and Goodman 1999): an n-gram keeps its count less a discount, and the
share that the discounts free goes to the distribution after the context without its first character, down to equal
probabilities for all ids. Shorter n-grams are counted by the number of different characters before them. An n-gram is
one 64-bit number, so that a table is a sorted array and a look-up a binary search. Where it is told which ids are
characters of words, longer contexts that begin with a word are built upon these (`words`), and the prediction is the
mean of both. Left out: characters, files, and the mixture with a network.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError, InputError
from unrolled.text.vocabulary import Ids
from unrolled.text.words import DEPTH, REACH, START, WordReader
from unrolled.text.words import contexts as word_contexts

MAX_ORDER = 8
"""Characters before the predicted one that a context has at most."""
LONG = 5
"""N-grams whose context has at least so many characters are kept only if they occurred twice."""
CHUNK = 1 << 20
"""Characters whose n-grams are sorted or looked up at once."""
MAX_ENTRIES = 1 << 23
"""N-grams of the longest kind kept while counting; a text with more loses its rarest ones."""
WORDS_WEIGHT = 2 / 3
"""Of what contexts of words predict, in the mean with what contexts of characters do: a text that changes its subject
would be worse by words alone."""
WORD_SHARE = 4
"""How many times fewer are kept of those that begin with a word."""
CACHED, CACHED_ORDER = 1 << 20, 4
"""Probabilities kept for contexts that come again, and how many ids these have at most."""
FEW_ORDER = 2
"""Of many contexts so many ids at the end are few different ones, whose predictions are made once."""
FEW = 32
"""With fewer followers, the weights of a context are added one by one, which is faster than by arrays."""
FALLBACK = (0.0, 0.5, 1.0, 1.5)
"""Discounts where the text is too small to estimate them."""
LETTERS, WORDS = "letters", "words."
"""Names of tensors: which ids are characters of words, and the beginning of those of their tables."""

Codes = NDArray[np.uint64]
Counted = tuple[list[Codes], NDArray[np.int64]]
"""Codes of n-grams (n,), ascending, those of their shorter n-grams (n,), and how often each occurs, (n,)."""
Probabilities = NDArray[np.float64]


def largest_order(symbols: int) -> int:
    """The longest context over so many ids that fits a 64-bit number together with the id after it, at most 8."""
    return next(order for order in range(MAX_ORDER, -1, -1) if symbols ** (order + 1) <= 1 << 64)


def bytes_needed(characters: int, symbols: int, order: int, most: int = MAX_ENTRIES, *, words: bool = False) -> int:
    """Memory that counting takes at most, in bytes; real texts, which repeat themselves, take a third of it."""
    longest = min(characters, most + 2 * CHUNK)
    entries = [min(longest, int(symbols ** (n + 1))) >> (n >= LONG) for n in range(order + 1)]
    with_words = min(characters, most // WORD_SHARE + 2 * CHUNK) if words else 0
    return 64 * longest + 12 * sum(entries) + 200 * with_words


class Prediction(NamedTuple):
    """What comes after one context."""

    probabilities: Probabilities
    """(symbols,), read-only"""
    log_backoff: float
    """Of the share that the longest known context leaves to shorter ones: near 0 if it was seen once or twice."""


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
        return _starts(self.codes // np.uint64(self.symbols))

    @cached_property
    def contexts(self) -> Codes:
        """The code of each context, (context,), ascending."""
        codes: Codes = self.codes[self.starts[:-1]] // np.uint64(self.symbols)
        return codes

    @cached_property
    def followers(self) -> Ids:
        """The last id of each entry, (entry,)."""
        contexts = self.codes // np.uint64(self.symbols)
        return _last(self.codes, contexts, self.symbols).astype(np.min_scalar_type(self.symbols - 1))

    @cached_property
    def backoff(self) -> Probabilities:
        """What each context leaves to the shorter one, (context,)."""
        return 1 - _sums(self.weights.astype(np.float64), self.starts)

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


Known = tuple[Table, int, int, float, float]
"""A context that a table knows: its first entry and the end of its entries, the share of the prediction that their
weights are a part of, and the part of it that is left to shorter contexts."""


def known(tables: Sequence[Table], contexts: Sequence[int], share: float) -> tuple[list[Known], float]:
    """Those of the contexts, one of each table, that are known, longest first, and what they leave of a share."""
    found = []
    for table, context in zip(reversed(tables), reversed(contexts), strict=True):
        all_contexts, starts, backoff, _, _ = table.views
        place = bisect_left(all_contexts, context)
        if place < len(all_contexts) and all_contexts[place] == context:
            left = backoff[place]
            found.append((table, starts[place], starts[place + 1], share, left))
            share *= left
    return found, share


def refined(shorter: Prediction, found: Sequence[Known], left: float) -> Prediction:
    """The prediction by known contexts, which leave this share to that by a shorter one."""
    if not found:
        return shorter
    probabilities = shorter.probabilities * left
    numbers: Any = probabilities.data
    for table, first, end, share, _ in found:
        if end - first < FEW:
            _, _, _, followers, weights = table.views
            for follower, weight in zip(followers[first:end].tolist(), weights[first:end].tolist(), strict=True):
                numbers[follower] += weight * share
        else:
            places = table.followers[first:end].astype(np.intp)  # smaller numbers are slower as indices
            probabilities[places] += np.multiply(table.weights[first:end], share, dtype=np.float64)
    return Prediction(probabilities, math.log(found[0][-1]))


def refine(
    tables: Sequence[Table],
    contexts: Sequence[Codes],
    shorter: Probabilities,
    backoff: Probabilities,
    which: NDArray[np.int64],
    share: float = 1.0,
) -> None:
    """`refined` for many: turns the rows `which`, (m,), of distributions (n, symbols) and back-offs (n,) into theirs.

    The contexts are (m,) for each table; what they say is mixed with the shorter ones, of which it gets a share.
    """
    left, found = np.full(len(which), share), []
    for table, codes in reversed(list(zip(tables, contexts, strict=True))):
        rows, places = table.places(codes)
        found.append((table, rows, places, left[rows]))
        left[rows] *= table.backoff[places]
    kept = np.ones(len(shorter))
    kept[which] = left + (1 - share)
    shorter *= kept[:, None]
    for table, rows, places, left in reversed(found):
        backoff[which[rows]] = table.backoff[places]
        first = table.starts[places]
        sizes = table.starts[places + 1] - first
        entries = np.arange(sizes.sum()) + np.repeat(first - sizes.cumsum() + sizes, sizes)
        cells = np.repeat(which[rows] * table.symbols, sizes) + table.followers[entries]
        shorter.reshape(-1)[cells] += table.weights[entries] * np.repeat(left, sizes)


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
    words: WordReader | None = field(default=None, repr=False)
    """What reads the words of contexts; without it, there are none."""
    word_tables: tuple[Table, ...] = field(default=(), repr=False)
    """Of contexts that begin with the run of characters at their end, and with one and two words before it."""

    @classmethod
    def count(
        cls,
        ids: Ids,
        symbols: int,
        order: int | None = None,
        *,
        letters: NDArray[np.bool_] | None = None,
        boundary: int | None = None,
        most: int = MAX_ENTRIES,
        release: Callable[[], None] = lambda: None,
    ) -> CountModel:
        """Count `ids`, (character,), which are below `symbols`; about a second a megabyte.

        The order is 8 if not given, less where so many ids do not allow it. Where `letters`, (symbols,), says which
        ids are characters of words, contexts of words are counted, too. No context reaches back beyond the last
        `boundary`, the id between records. At most `most` of the longest n-grams are kept. `release` is called between
        chunks, so that ids mapped from a file need not stay in memory. Raises InputError for an order out of bounds,
        and where there is no id.
        """
        order = checked_order(order, symbols)
        if not len(ids):
            raise InputError("there is no character to count")
        (codes,), counts = _longest(ids, symbols, order, boundary, most, release)
        tables = []
        for n in range(order, -1, -1):
            # What follows a boundary stands in the table of its length alone, where nothing differs before it.
            whole = codes >= np.uint64(symbols**n if n and boundary is not None else 0)
            tables.append(_table(codes[whole], counts[whole], symbols, 1 + (n >= LONG)))
            shorter = codes % np.uint64(symbols**n)
            (codes,), counts = (
                _distinct([shorter], symbols) if whole.all() else _summed([shorter], np.where(whole, 1, counts))
            )
        words = None if letters is None else WordReader(letters)
        found = () if words is None else _word_tables(words, ids, symbols, boundary, most // WORD_SHARE, release)
        return cls(symbols, tuple(reversed(tables)), words, found)

    @property
    def order(self) -> int:
        """Ids in the longest contexts."""
        return len(self.tables) - 1

    @property
    def entries(self) -> int:
        """N-grams of all lengths."""
        return sum(len(table.codes) for table in (*self.tables, *self.word_tables))

    @property
    def start(self) -> tuple[int, ...]:
        """The context before the first id of a text: the code of the last ids, and where it is in its words."""
        return (0,) if self.words is None else (0, *START)

    @property
    def reach(self) -> int:
        """Ids before a place that its context is made of, at most."""
        return self.order if self.words is None else max(self.order, REACH)

    def nats(self, ids: Ids, before: Ids | Sequence[int] = (), boundary: int | None = None) -> Probabilities:
        """Nats of each of the `ids`, (character,), where the first follows the ids `before`.

        No context reaches back beyond a `boundary`.
        """
        earlier, result = np.asarray(before[max(0, len(before) - self.reach) :], ids.dtype), np.empty(len(ids))
        for start in range(0, len(ids), CHUNK):
            read = np.concatenate([earlier, ids[start : start + CHUNK]])
            result[start : start + CHUNK] = -np.log(self._probabilities(read, len(earlier), boundary))
            earlier = read[max(0, len(read) - self.reach) :]
        return result

    def _probabilities(self, ids: Ids, first: int, boundary: int | None) -> Probabilities:
        """Of each of the ids from `first` on, after those before it."""
        codes = _codes(ids, first, len(ids), self.symbols, self.order, boundary)
        probabilities = np.full(len(codes), 1 / self.symbols)
        for n, table in enumerate(self.tables):
            # The longest codes may fill 64 bits, and their number does not.
            shorter = codes if n == self.order else codes % np.uint64(self._powers[n + 1])
            probabilities = table.interpolate(shorter, probabilities)
        if self.words is not None:
            known, grams = _known_word_grams(self.words, ids, first, len(ids), self.symbols, boundary)
            words = probabilities[known]
            for table, each in zip(self.word_tables, grams, strict=True):
                words = table.interpolate(each, words)
            probabilities[known] += WORDS_WEIGHT * (words - probabilities[known])
        return probabilities

    def distribution(self, recent: Sequence[int]) -> Probabilities:
        """The probability of each id after the ids `recent`, of which the last `order` count: (symbols,)."""
        context = self.start
        for i in recent[max(0, len(recent) - self.reach) :]:
            context = self.follow(context, int(i))
        return self.after(context).probabilities

    def follow(self, context: tuple[int, ...], i: int) -> tuple[int, ...]:
        """The context after one more id."""
        code = (context[0] * self.symbols + i) % self._powers[-1]
        return (code,) if self.words is None else (code, *self.words.follow(context[1:], i))

    def after(self, context: tuple[int, ...]) -> Prediction:
        """The prediction after a context, `start` or one that `follow` gave."""
        words: list[Known] = []
        left, code, short = 1.0, context[0], min(CACHED_ORDER, self.order)
        if context[-1] and self.words is not None:
            hashes = _hashes(self.symbols)
            contexts = [each % hashes for each in word_contexts(context[1:])]
            words, left = known(self.word_tables, contexts, WORDS_WEIGHT)
            left += 1 - WORDS_WEIGHT
        longer = [code % power for power in self._powers[short + 1 :]]
        characters, left = known(self.tables[short + 1 :], longer, left)
        return refined(self._cached(short, code % self._powers[short]), words + characters, left)

    @cached_property
    def _powers(self) -> list[int]:
        return [self.symbols**n for n in range(self.order + 1)]

    @cached_property
    def _cached(self) -> Callable[[int, int], Prediction]:
        return lru_cache(max(16, CACHED // self.symbols))(self._after)

    def _after(self, n: int, context: int) -> Prediction:
        if n < 0:
            return Prediction(np.full(self.symbols, 1 / self.symbols), 0.0)
        shorter = self._cached(n - 1, context % self.symbols ** max(0, n - 1))
        prediction = refined(shorter, *known(self.tables[n : n + 1], [context], 1.0))
        prediction.probabilities.flags.writeable = False  # it is handed out again
        return prediction

    def after_all(self, contexts: Codes) -> tuple[Probabilities, Probabilities]:
        """The distributions (n, symbols) after contexts (n, numbers) as in `after`, and their `log_backoff` (n,)."""
        shortest, short = self._cached(0, 0), min(FEW_ORDER, self.order)
        codes, which = np.unique(contexts[:, 0] % np.uint64(self._powers[short]), return_inverse=True)
        probabilities = np.tile(shortest.probabilities, (len(codes), 1))
        backoff = np.full(len(codes), math.exp(shortest.log_backoff))
        self._refine(range(1, short + 1), codes, probabilities, backoff)
        probabilities, backoff = probabilities[which], backoff[which]
        self._refine(range(short + 1, self.order + 1), contexts[:, 0], probabilities, backoff)
        if self.words is not None:
            known, hashes = np.flatnonzero(contexts[:, -1]), np.uint64(_hashes(self.symbols))
            codes = [each % hashes for each in word_contexts(contexts[known, 1:].T)]
            refine(self.word_tables, codes, probabilities, backoff, known, WORDS_WEIGHT)
        return probabilities, np.log(backoff)

    def _refine(self, orders: range, codes: Codes, probabilities: Probabilities, backoff: Probabilities) -> None:
        """`refine` by the tables of these orders."""
        shorter = [codes % np.uint64(self._powers[n]) for n in orders]
        refine(self.tables[orders.start : orders.stop], shorter, probabilities, backoff, np.arange(len(codes)))

    def append(self, contexts: Codes, ids: NDArray[np.integer]) -> Codes:
        """The contexts (..., numbers) after one more id of each, (...)."""
        codes = self._append(contexts[..., 0], ids)[..., None]
        return codes if self.words is None else np.concatenate([codes, self.words.append(contexts[..., 1:], ids)], -1)

    def _append(self, codes: Codes, ids: NDArray[np.integer]) -> Codes:
        after: Codes = codes * np.uint64(self.symbols) + ids.astype(np.uint64)
        return after % np.uint64(self.symbols**self.order)

    def contexts(self, ids: Ids, positions: NDArray[np.integer], boundary: int | None = None) -> Codes:
        """The contexts (n, numbers) of the characters at `positions` (n,) of a text, each from its last `boundary`."""
        codes = np.zeros(len(positions), np.uint64)
        for back in range(self.order, 0, -1):
            places = positions - back
            read = np.where(places >= 0, ids[np.maximum(places, 0)], 0)
            codes = self._append(np.where(read == boundary, np.uint64(0), codes), read)
        words = [] if self.words is None else [self.words.before(ids, positions, boundary)]
        return np.column_stack([codes, *words])

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for a safetensors file."""
        named = _named(self.tables, "") | _named(self.word_tables, WORDS)
        return named if self.words is None else named | {LETTERS: self.words.letters.astype(np.uint8)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], symbols: int) -> CountModel:
        """The model that `to_tensors` gave; raises FolderError for arrays that are no distributions of so many ids."""
        depth = DEPTH if LETTERS in tensors else 0
        lengths = range(len(tensors) // 2 - depth)
        parts = [*(f"{n}" for n in lengths), *(f"{WORDS}{n}" for n in range(depth))]
        names = {f"{each}.{part}" for each in parts for part in ("codes", "weights")} | {LETTERS} & tensors.keys()
        if tensors.keys() != names or not 1 <= len(lengths) <= 1 + largest_order(symbols):
            raise FolderError(f"tables of counts have other names or another order: {', '.join(sorted(tensors))}")
        tables = [Table(symbols, tensors[f"{each}.codes"], tensors[f"{each}.weights"]) for each in parts]
        for name, table in zip(parts, tables, strict=True):
            _check(table, name)
        for n in lengths:
            _check_codes(tables[n], n)
        words = _reader(tensors[LETTERS], symbols) if depth else None
        return cls(symbols, tuple(tables[: len(lengths)]), words, tuple(tables[len(lengths) :]))


def _named(tables: Sequence[Table], prefix: str) -> dict[str, NDArray[Any]]:
    named: dict[str, NDArray[Any]] = {f"{prefix}{n}.codes": table.codes for n, table in enumerate(tables)}
    return named | {f"{prefix}{n}.weights": table.weights for n, table in enumerate(tables)}


def _reader(letters: NDArray[Any], symbols: int) -> WordReader:
    """Raises FolderError unless it is said of each id whether it belongs to words."""
    if letters.dtype != np.uint8 or letters.shape != (symbols,) or letters.max(initial=0) > 1:
        raise FolderError(f"the counts should say by 0 or 1 (uint8) of each of {symbols:,} ids whether words have it")
    return WordReader(letters.astype(np.bool_))


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
) -> Counted:
    """The n-grams with a context of `order` ids, ascending, and how often each occurs.

    Where more than `most` differ, the rarer ones are forgotten until half of that is left, and counting goes on (lossy
    counting, Manku and Motwani 2002).
    """

    def chunks() -> Iterator[Counted]:
        for start in range(0, len(ids), CHUNK):
            yield _distinct([_codes(ids, start, start + CHUNK, symbols, order, boundary)], symbols)
            release()

    return _counted(chunks(), most)


def _word_tables(
    words: WordReader, ids: Ids, symbols: int, boundary: int | None, most: int, release: Callable[[], None]
) -> tuple[Table, ...]:
    """Tables of contexts that begin with words, the shortest first; none is longer than `most` entries."""

    def chunks() -> Iterator[Counted]:
        for start in range(0, len(ids), CHUNK):
            _, grams = _known_word_grams(words, ids, start, min(start + CHUNK, len(ids)), symbols, boundary)
            yield _distinct(grams[::-1], symbols)
            release()

    grams, counts = _counted(chunks(), most)
    tables = [_table(grams[0], counts, symbols)]
    while len(grams) > 1:
        grams, counts = _distinct(grams[1:], symbols)
        tables.append(_table(grams[0], counts, symbols))
    return tuple(reversed(tables))


def _known_word_grams(
    words: WordReader, ids: Ids, start: int, end: int, symbols: int, boundary: int | None
) -> tuple[NDArray[np.int64], list[Codes]]:
    """Which of the ids from `start` to `end` follow two words, and the codes of these, the shortest contexts first."""
    places = words.between(ids, start, end, boundary)
    known = np.flatnonzero(places[-1])
    hashes, followers = np.uint64(_hashes(symbols)), ids[start + known].astype(np.uint64)
    contexts = word_contexts([each[known] for each in places])
    return known, [code % hashes * np.uint64(symbols) + followers for code in contexts]


def _hashes(symbols: int) -> int:
    """How many contexts of words are told apart, so that one and an id after it are a number of 64 bits."""
    return (1 << 64) // symbols


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
    starts = _starts(codes[0])
    return [each[starts[:-1]] for each in codes], _sums(counts, starts)


def _distinct(codes: list[Codes], symbols: int) -> Counted:
    """Every code of the first array once, ascending, and how often it occurs."""
    if len(codes) == 1:
        codes = [np.sort(codes[0])]
    else:
        order = _ascending(codes[0], symbols)
        codes = [each[order] for each in codes]
    starts = _starts(codes[0])
    return [each[starts[:-1]] for each in codes], np.diff(starts)


def _ascending(codes: Codes, symbols: int) -> NDArray[np.int64]:
    """The order in which codes ascend, equal ones as they stand: `argsort` by a sort of numbers, twice as fast.

    A number is the first bits of a context, the id after it, and the place.
    """
    place, last = len(codes).bit_length(), (symbols - 1).bit_length()
    contexts = codes // np.uint64(symbols)
    ids = _last(codes, contexts, symbols)
    excess = max(0, _hashes(symbols).bit_length() + last + place - 64)
    numbers = contexts >> excess << last + place | ids << place | np.arange(len(codes), dtype=np.uint64)
    numbers.sort()
    order = (numbers & (1 << place) - 1).view(np.int64)
    found = codes[order]
    if (found[1:] < found[:-1]).any():  # contexts that begin with the same bits
        order = order[np.argsort(found, kind="stable")]
    return order


def _table(codes: Codes, counts: NDArray[np.int64], symbols: int, least: int = 1) -> Table:
    """Of n-grams, ascending, those that occurred `least` times."""
    starts = _starts(codes // np.uint64(symbols))
    totals = np.repeat(_sums(counts, starts), np.diff(starts))
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


def _last(codes: Codes, contexts: Codes, symbols: int) -> Codes:
    """The last ids of codes whose contexts are known: their remainders, which NumPy finds more slowly."""
    return codes - contexts * np.uint64(symbols)


def _starts(codes: Codes) -> NDArray[np.int64]:
    """Where a run of equal codes begins, and at the end their number: (run + 1,)."""
    begins = np.ones(len(codes) + 1, np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:-1])
    return np.flatnonzero(begins)


def _sums(values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """The sum of each run that `_starts` found."""
    return np.add.reduceat(values, starts[:-1]) if len(values) else values


def _find(codes: Codes, wanted: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the wanted codes are among `codes`, and where; both ascend, so that memory is read in order."""
    if not len(codes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    known = np.flatnonzero(codes[place] == wanted)
    return known, place[known]


def _check(table: Table, name: str) -> None:
    """Raises FolderError unless every context of the table leaves a proper distribution."""
    codes, weights = table.codes, table.weights
    if codes.dtype != np.uint64 or weights.dtype != np.float32 or codes.ndim != 1 or codes.shape != weights.shape:
        raise FolderError(f"the counts {name} are not codes (uint64) and as many weights (float32)")
    if not ((codes[1:] > codes[:-1]).all() and (weights >= 0).all() and (table.backoff > 0).all()):
        raise FolderError(f"the counts {name} are damaged: they are no probability distributions")


def _check_codes(table: Table, order: int) -> None:
    """Raises FolderError for n-grams that are longer than those of the table."""
    if len(table.codes) and int(table.codes[-1]) >= table.symbols ** (order + 1):
        raise FolderError(f"the counts {order} are damaged: they are of longer contexts")
