"""CountModel: which character followed which others, and how often. Smoothed, such counts predict a text by themselves.

Modified Kneser-Ney smoothing, interpolated (Chen and Goodman 1999): an n-gram keeps its count less a discount, and the
share that the discounts free goes to the distribution after the context without its first character, down to equal
probabilities for all ids. Shorter n-grams are counted by the number of different characters before them. An n-gram is
one 64-bit number, so that a table is a sorted array and a look-up a binary search. Where it is told which ids are
characters of words, longer contexts that begin with a word are built upon these (`words`), and the prediction is the
mean of both. Left out: characters, files, and the mixture with a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError, InputError
from unrolled.text.counts.counting import CHUNK, MAX_ENTRIES, WORD_SHARE, character_tables, word_ngrams, word_tables
from unrolled.text.counts.ngrams import Codes, Probabilities, checked_order, hash_bound, largest_order, ngrams
from unrolled.text.counts.table import Prediction, Table, check, known, refine, refined
from unrolled.text.vocabulary import Ids
from unrolled.text.words import DEPTH, REACH, START, WordReader
from unrolled.text.words import contexts as word_contexts

CACHED, CACHED_ORDER = 1 << 20, 4
"""Probabilities kept for contexts that come again, and how many ids these have at most."""
FEW_ORDER = 2
"""Of many contexts so many ids at the end are few different ones, whose predictions are made once."""
LETTERS, WORDS = "letters", "words."
"""Names of tensors: which ids are characters of words, and the beginning of those of their tables."""


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
        words = None if letters is None else WordReader(letters)
        tables = character_tables(ids, symbols, order, boundary, most, release)
        found = () if words is None else word_tables(words, ids, symbols, boundary, most // WORD_SHARE, release)
        return cls(symbols, tables, words, found)

    @property
    def order(self) -> int:
        """Ids in the longest contexts."""
        return len(self.tables) - 1

    @property
    def depth(self) -> int:
        """Tables, of contexts of characters and of words."""
        return len(self.tables) + len(self.word_tables)

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
        codes = ngrams(ids, first, len(ids), self.symbols, self.order, boundary)
        probabilities = np.full(len(codes), 1 / self.symbols)
        for n, table in enumerate(self.tables):
            # The longest codes may fill 64 bits, and their number does not.
            shorter = codes if n == self.order else codes % np.uint64(self._powers[n + 1])
            probabilities = table.interpolate(shorter, probabilities)
        if self.words is not None:
            known, grams = word_ngrams(self.words, ids, first, len(ids), self.symbols, boundary)
            words = probabilities[known]
            for table, each in zip(self.word_tables, grams, strict=True):
                words = table.interpolate(each, words)
            probabilities[known] = Prediction(probabilities[known], words, ()).mean
        return probabilities

    def distribution(self, recent: Sequence[int]) -> Probabilities:
        """The probability of each id after the ids `recent`, of which the last `order` count: (symbols,)."""
        context = self.start
        for i in recent[max(0, len(recent) - self.reach) :]:
            context = self.follow(context, int(i))
        return self.after(context).mean

    def follow(self, context: tuple[int, ...], i: int) -> tuple[int, ...]:
        """The context after one more id."""
        code = (context[0] * self.symbols + i) % self._powers[-1]
        return (code,) if self.words is None else (code, *self.words.follow(context[1:], i))

    def after(self, context: tuple[int, ...]) -> Prediction:
        """The prediction after a context, `start` or one that `follow` gave."""
        code, short = context[0], min(CACHED_ORDER, self.order)
        shorter = self._cached(short, code % self._powers[short])
        found, left, logs = known(self.tables[short + 1 :], [code % power for power in self._powers[short + 1 :]])
        characters, logs = refined(shorter.characters, found, left), shorter.log_backoffs + logs
        if self.words is None:
            return Prediction(characters, characters, logs)
        if not context[-1]:
            return Prediction(characters, characters, logs + [0.0] * len(self.word_tables))
        hashes = hash_bound(self.symbols)
        found, left, more = known(self.word_tables, [each % hashes for each in word_contexts(context[1:])])
        return Prediction(characters, refined(characters, found, left), logs + more)

    @cached_property
    def _powers(self) -> list[int]:
        return [self.symbols**n for n in range(self.order + 1)]

    @cached_property
    def _cached(self) -> Callable[[int, int], Prediction]:
        return lru_cache(max(16, CACHED // self.symbols))(self._after)

    def _after(self, n: int, context: int) -> Prediction:
        if n < 0:
            even = np.full(self.symbols, 1 / self.symbols)
            return Prediction(even, even, [])
        shorter = self._cached(n - 1, context % self.symbols ** max(0, n - 1))
        found, left, logs = known(self.tables[n : n + 1], [context])
        probabilities = refined(shorter.characters, found, left)
        probabilities.flags.writeable = False  # it is handed out again
        return Prediction(probabilities, probabilities, shorter.log_backoffs + logs)

    def after_all(self, contexts: Codes) -> Prediction:
        """The prediction after each of the contexts (n, numbers)."""
        shortest, short = self._cached(0, 0), min(FEW_ORDER, self.order)
        codes, which = np.unique(contexts[:, 0] % np.uint64(self._powers[short]), return_inverse=True)
        characters = np.tile(shortest.characters, (len(codes), 1))
        logs = np.zeros((len(codes), self.depth))
        logs[:, 0] = shortest.log_backoffs
        self._refine(range(1, short + 1), codes, characters, logs)
        characters, logs = characters[which], logs[which]
        self._refine(range(short + 1, self.order + 1), contexts[:, 0], characters, logs)
        if self.words is None:
            return Prediction(characters, characters, logs)
        words, rows, hashes = characters.copy(), np.flatnonzero(contexts[:, -1]), np.uint64(hash_bound(self.symbols))
        codes = [each % hashes for each in word_contexts(contexts[rows, 1:].T)]
        refine(self.word_tables, codes, words, logs[:, len(self.tables) :], rows)
        return Prediction(characters, words, logs)

    def _refine(self, orders: range, codes: Codes, characters: Probabilities, log_backoffs: Probabilities) -> None:
        """`refine` by the tables of these orders."""
        shorter = [codes % np.uint64(self._powers[n]) for n in orders]
        columns = log_backoffs[:, orders.start : orders.stop]
        refine(self.tables[orders.start : orders.stop], shorter, characters, columns, np.arange(len(codes)))

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
            raise FolderError(f"unexpected names or order of the tables of counts: {', '.join(sorted(tensors))}")
        tables = [Table(symbols, tensors[f"{each}.codes"], tensors[f"{each}.weights"]) for each in parts]
        for n, (name, table) in enumerate(zip(parts, tables, strict=True)):
            check(table, name, n if n in lengths else None)
        words = _reader(tensors[LETTERS], symbols) if depth else None
        return cls(symbols, tuple(tables[: len(lengths)]), words, tuple(tables[len(lengths) :]))


def _named(tables: Sequence[Table], prefix: str) -> dict[str, NDArray[Any]]:
    named: dict[str, NDArray[Any]] = {f"{prefix}{n}.codes": table.codes for n, table in enumerate(tables)}
    return named | {f"{prefix}{n}.weights": table.weights for n, table in enumerate(tables)}


def _reader(letters: NDArray[Any], symbols: int) -> WordReader:
    """Raises FolderError unless it is said of each id whether it belongs to words."""
    if letters.dtype != np.uint8 or letters.shape != (symbols,) or letters.max(initial=0) > 1:
        raise FolderError(f"the counts need a flag, 0 or 1 (uint8), for each of {symbols:,} ids: is it in words?")
    return WordReader(letters.astype(np.bool_))
