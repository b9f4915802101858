"""Records: many short texts whose order means nothing, such as names, log lines or messages.

A corpus of records is one text in which every record stands between two boundaries, a character that no text may
contain. So vocabularies, counts, compressors and model folders treat records like any text, and a model that knows the
boundary is a model of records: it is the input before the first character and the target after the last. Left out: how
records are put into batches (`unrolled.learn.record_task`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.text.columns import is_table, rows
from unrolled.text.corpus import Corpus, lower_case
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, Ids, Vocabulary
from unrolled.text.windows import Split, hold_out, split
from unrolled.text.words import mixed

LINES, FILES = "lines", "files"
TAB = "tab"
"""Where a label stands that is no column: before the first tab of its record."""
JOINED = 1000
"""Records that are handed on as one piece of text."""
BLOCK = 1 << 22
"""Characters whose hashes are computed at once."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class RecordCorpus(Corpus):
    """A corpus read as records, each between two boundaries; empty records are left out."""

    separator: str = "\n"
    """What stands between two records; an empty string if each source is one record. In a table, its column."""
    label: str | None = None
    """Where the label of a record stands: `TAB`, or a column of a table."""

    def pieces(self, on_read: Callable[[int], None] | None = None) -> Iterator[str]:
        """The text of the records, in pieces. Raises InputError for a text that contains what is reserved."""
        if self.reads_column:
            records = self._of_tables(on_read)
        elif self.label is None:
            records = self._of_texts(on_read)
        else:
            records = self._labelled(on_read)
        yield BOUNDARY
        is_empty = True
        while some := list(islice(records, JOINED)):
            is_empty = False
            yield BOUNDARY.join([*some, ""])
        if is_empty:
            raise InputError(f"{self.name} has no record: there is nothing but separators and empty records in it")

    @property
    def reads_column(self) -> bool:
        """Whether the records are a column of tables."""
        return self.separator not in ("", "\n") and is_table(self.sources[0].name)

    def _of_tables(self, on_read: Callable[[int], None] | None) -> Iterator[str]:
        """The records of tables, each with its label if there are labels."""
        columns = [self.separator] if self.label is None else [self.label, self.separator]
        for source in self.sources:
            for number, row in enumerate(rows(source.name, self._decoded(source, on_read), columns), 1):
                text = map(self._checked, (map(lower_case, row) if self.lower else row))
                if row[-1]:
                    yield self._with_label(list(text), f"row {number:,} of {source.name}")

    def _labelled(self, on_read: Callable[[int], None] | None) -> Iterator[str]:
        """The records of texts that begin with a label and a tab."""
        for number, record in enumerate(self._of_texts(on_read), 1):
            label, tab, text = record.partition("\t")
            if not tab:
                raise InputError(f"record {number:,} of {self.name} has no label: there is no tab in {record[:40]!r}")
            if text:
                yield self._with_label([label, text], f"record {number:,} of {self.name}")

    def _with_label(self, parts: list[str], where: str) -> str:
        if len(parts) == 2 and not parts[0].strip():
            raise InputError(f"{where} has no label: give it one, or leave it out")
        return LABEL_END.join(parts)

    def _of_texts(self, on_read: Callable[[int], None] | None) -> Iterator[str]:
        """The records of texts, those with nothing in them left out."""
        if not self.separator:
            for source in self.sources:
                yield "".join(map(self._checked, replace(self, sources=(source,))._plain(on_read)))
            return
        rest = ""
        for piece in self._plain(on_read):
            looked_at = max(0, len(rest) - len(self.separator))
            rest += self._checked(piece)
            if self.separator in rest[looked_at:]:  # a record of many pieces is not searched again for each
                *whole, rest = rest.split(self.separator)
                yield from filter(None, whole)
        if rest:
            yield rest

    def _plain(self, on_read: Callable[[int], None] | None) -> Iterator[str]:
        return super().pieces(on_read)

    def _checked(self, piece: str) -> str:
        for reserved, use in ((BOUNDARY, "separates records"), (LABEL_END, "ends labels")):
            if reserved in piece:
                raise InputError(
                    f"{self.name} contains {visible(reserved)} (U+{ord(reserved):04X}), which {use}: remove it from "
                    "the text"
                )
        return piece


def record_corpus(corpus: Corpus, records: str, label: str | None = None) -> RecordCorpus:
    """`corpus` read as `records`: "lines", "files" (each file is one), or the text that separates two records.

    Of files that are tables (.csv, .tsv, .jsonl, .ndjson, .parquet), `records` names the column that holds them,
    unless it is "lines" or "files". `label` is "tab" where a label and a tab stand at the head of each record, or the
    column of the labels. Raises InputError where that cannot be.
    """
    if not records:
        raise InputError(f"records is empty, but must be {LINES!r}, {FILES!r} or the text that separates two records")
    separator = {LINES: "\n", FILES: ""}.get(records, records)
    settings = {entry.name: getattr(corpus, entry.name) for entry in fields(Corpus)}
    read = RecordCorpus(**settings, separator=separator, label=label)
    tables = [source.name for source in corpus.sources if is_table(source.name)]
    if read.reads_column and len(tables) < len(corpus.sources):
        raise InputError("some of the files are tables and others are not: give files of one kind")
    if label not in (None, TAB) and not read.reads_column:
        raise InputError(
            f"the label column is {label!r}, but the text is not a table with the column of --records: for records "
            f"that begin with a label and a tab it is {TAB!r}"
        )
    return read


def label_counts(ids: Ids, vocabulary: Vocabulary) -> dict[str, int]:
    """How often each label stands at the head of a record in `ids`, the most frequent first; empty without labels."""
    if vocabulary.label_end is None:
        return {}
    starts = np.flatnonzero(ids == known_boundary(vocabulary)) + 1
    ends = np.flatnonzero(ids == vocabulary.label_end)
    firsts = starts[np.searchsorted(starts, ends, side="right") - 1]
    found = Counter(ids[first:last].tobytes() for first, last in zip(firsts, ends, strict=True))
    return {vocabulary.decode(np.frombuffer(key, ids.dtype)): times for key, times in found.most_common()}


def known_boundary(vocabulary: Vocabulary) -> int:
    """The id of the boundary. Raises InputError where it is among the rare characters that were merged."""
    if vocabulary.boundary is None:
        raise InputError("there are fewer records than min_count: lower min_count")
    return vocabulary.boundary


@dataclass(frozen=True)
class Records:
    """The records of a text: record i is `ids[starts[i] : starts[i] + lengths[i]]`, with a boundary on each side."""

    ids: Ids
    starts: Places
    lengths: Places

    @classmethod
    def of(cls, ids: Ids, boundary: int) -> Records:
        """The records between the boundaries in `ids` (character,). Raises InputError if there are fewer than two."""
        at = np.flatnonzero(ids == boundary)
        if len(at) < 3:
            raise InputError(
                "the text is a single record: the separator never occurs in it. Choose another --records, "
                "or leave it out for a text that is read in its order"
            )
        return cls(ids, at[:-1] + 1, np.diff(at) - 1)

    def __len__(self) -> int:
        """The number of records."""
        return len(self.starts)

    @property
    def predictions(self) -> Places:
        """(record,) what is predicted of each: its characters and its end."""
        return self.lengths + 1

    def hashes(self, label_end: int | None = None) -> NDArray[np.uint64]:
        """A 64-bit hash of each record (record,): the sum of one mixed number for each id and its position.

        With `label_end`, the id behind labels, that of the text after the label.
        """
        result = np.zeros(len(self), np.uint64)
        first = 0
        while first < len(self):
            end = int(np.searchsorted(self.starts, self.starts[first] + BLOCK))
            result[first:end] = self._hashes(first, max(end, first + 1), label_end)
            first = max(end, first + 1)
        return result

    def _hashes(self, first: int, end: int, label_end: int | None) -> NDArray[np.uint64]:
        starts, lengths = self.starts[first:end] - self.starts[first], self.predictions[first:end]
        ids = self.ids[self.starts[first] :][: lengths.sum()].astype(np.uint64)
        texts = starts.copy()
        if label_end is not None:
            ends = np.flatnonzero(ids == label_end)
            texts[np.searchsorted(starts, ends, side="right") - 1] = ends + 1
        position = np.arange(len(ids)) - np.repeat(texts, lengths)
        each = mixed(ids * np.uint64(0x9E3779B97F4A7C15) + position.astype(np.uint64))
        each[position < 0] = 0
        return np.add.reduceat(each, starts)

    def parts(
        self, validation: float, test: float = 0.0, mixing: float = 0.0, label_end: int | None = None
    ) -> list[Places]:
        """The numbers of the records of the training, mixing, validation and test part.

        The hash of a record without its label decides, so that equal records are in the same part, whatever their
        labels, and a record keeps its part when others are added. Training records keep their order; the others stand
        in that of their hashes, so that the first ones of a part are a fair sample of it. `mixing` is a share of the
        training records, and may come to none. Raises InputError if another part would be empty.
        """
        place = mixed(self.hashes(label_end)).astype(np.float64) / 2.0**64
        held_out = validation + test
        borders = np.array([validation, held_out, held_out + (1 - held_out) * mixing])
        part = np.searchsorted(borders, place, side="right")  # validation, test, mixing, training
        parts = [np.flatnonzero(part == number) for number in (3, 2, 0, 1)]
        parts[1:] = [numbers[np.argsort(place[numbers], kind="stable")] for numbers in parts[1:]]
        shares = {"training": 1, "mixing": 0, "validation": validation, "test": test}
        for (name, share), part in zip(shares.items(), parts, strict=True):
            if share and not len(part):
                raise InputError(
                    f"{len(self):,} records, of which {len(np.unique(self.hashes())):,} differ, are too few "
                    f"for a {name} part: give more records, or another share"
                )
        return parts

    def taken(self, numbers: Places) -> Ids:
        """The ids of these records, in this order, each followed by a boundary."""
        lengths = self.predictions[numbers]
        ends = np.cumsum(lengths)
        result = np.empty(int(ends[-1]) if len(ends) else 0, self.ids.dtype)
        for first in range(0, len(numbers), BLOCK):
            some = slice(first, first + BLOCK)
            begin, size = ends[some] - lengths[some], lengths[some]
            places = np.repeat(self.starts[numbers[some]] - begin, size) + np.arange(begin[0], ends[some][-1])
            result[begin[0] : ends[some][-1]] = self.ids[places]
        return result


def cut_text(
    ids: Ids,
    boundary: int | None,
    validation: float,
    test: float = 0.0,
    mixing: float = 0.0,
    label_end: int | None = None,
) -> tuple[Ids, Split]:
    """The text in the order of its parts, and the parts: those of `windows.split`, or with a `boundary` of its records.

    `mixing` is a share of the training part. Raises InputError for an empty part, and of records also for a single one,
    and where the memory is too small for another copy of the ids.
    """
    if boundary is None:
        parts = split(ids, validation, test)
        train, held_out = hold_out(parts.train, mixing)
        if not np.may_share_memory(train, ids):
            ids = np.concatenate([train, held_out, parts.validation, parts.test])
        return ids, replace(parts, train=train, mixing=held_out)
    needed, free = 2 * ids.nbytes + len(ids), _free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{len(ids):,} characters of records need {needed / 2**30:.1f} GB of memory to be sorted into their parts, "
            f"and {free / 2**30:.1f} GB are free: give fewer, or train without --records, which reads from the disk"
        )
    records = Records.of(ids, boundary)
    taken = [records.taken(numbers) for numbers in records.parts(validation, test, mixing, label_end)]
    arranged = np.concatenate([ids[:1], *taken])
    ends = 1 + np.cumsum([len(part) for part in taken])
    train, held_out, validated, tested = np.split(arranged, ends[:-1])
    return arranged, Split(train, validated, tested, held_out)


def record_hash(ids: Ids) -> np.uint64:
    """The hash that `Records.hashes` gives a record of these ids followed by its boundary, (character + 1,)."""
    return np.uint64(Records(ids, np.zeros(1, np.int64), np.array([len(ids) - 1])).hashes()[0])


def batches(lengths: Places, rows: int, positions: int, rng: np.random.Generator) -> list[Places]:
    """All records once, in batches of similar length: the numbers of the records of each, in random order.

    A batch has about `positions` characters, and at least `rows` records. Lengths within a batch differ by less than
    one, or than a twentieth: little of a batch is padding.
    """
    spread = rng.random(len(lengths)) * np.maximum(0.999, lengths / 20)
    order = np.argsort(lengths + spread, kind="stable")
    result, first = [], 0
    while first < len(order):
        longest = int(lengths[order[first]]) + 1
        end = first + max(rows, positions // longest)
        result.append(order[first:end])
        first = end
    return [result[i] for i in rng.permutation(len(result))]


def _free_memory() -> int | None:
    """Bytes that this system could still give; None where it does not say so."""
    try:
        found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])
