"""Fitting from a Parquet data set larger than memory: statistics in one pass, then training in pieces.

A first pass over the rows settles what each column holds, a second one counts categories and takes scales, and each
epoch of the training reads them again. How often whole numbers recur is judged on one buffer. Memory holds the target,
the weights, one buffer of rows, another of validation rows, and one entry a category. Left out: out-of-fold vectors,
which want rows in memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.tables.data.columns import Column, one_form, read_table
from unrolled.tables.data.dates import has_hour
from unrolled.tables.data.splits import validation_rows
from unrolled.tables.data.target import Target, fit_target, read_target
from unrolled.tables.encoder.coding import Coding, Constant, Scaling, as_kind, beyond_whole, coding_of, scaling_of
from unrolled.tables.encoder.config import FitSettings, is_auto
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.fitting import scaled_weights
from unrolled.tables.encoder.free_text import FreeText
from unrolled.tables.encoder.networks import Batch
from unrolled.tables.encoder.reading import columns_to_read
from unrolled.tables.encoder.schema import Encoded, Field, Schema, fit_fields, least_rows, schema_of
from unrolled.tables.encoder.trainer import Trainer
from unrolled.tables.encoder.training import RowsInMemory
from unrolled.tables.encoder.vectors import Counts, counts_of

STREAMED_VALIDATION = 0.1


class ParquetTable:
    """The rows of a Parquet file, or of a folder of them, in buffers. Raises InputError for what cannot be read.

    `target` and, where given, `weight` name columns that are no features; `columns` names the features, and `groups`
    counts the row groups. Rows are held and shuffled `buffer` at a time.
    """

    def __init__(self, path: str | Path, target: str, buffer: int, weight: str | None = None) -> None:
        if not Path(path).exists():
            raise InputError(f"{path} does not exist: give a Parquet file or a folder of Parquet files")
        dataset = import_extra("pyarrow.dataset")
        try:
            self._data = dataset.dataset(path, format="parquet")
            self.rows = int(self._data.count_rows())
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from None
        if buffer < 1:
            raise InputError(f"buffer is {buffer}, but must be at least 1 row")
        if weight == target:
            raise InputError(f"sample_weight names {weight!r}, which is the target: name a column of weights")
        self._aside = [target] if weight is None else [target, weight]
        names = self._data.schema.names
        for name in self._aside:
            if name not in names:
                raise unknown_name("column", name, names)
        self.target, self.weight, self.buffer = target, weight, buffer
        self.columns = [name for name in names if name not in self._aside]
        self._pieces = [piece for part in self._data.get_fragments() for piece in part.split_by_row_group()]
        self.groups = len(self._pieces)
        self._starts = np.cumsum([0, *(sum(group.num_rows for group in piece.row_groups) for piece in self._pieces)])

    def buffers(self, order: NDArray[np.int64] | None = None) -> Iterator[tuple[Any, Any, NDArray[np.int64]]]:
        """Tables of at most `buffer` rows, their targets, and where the rows stand in the data set.

        Row groups come in the given order, or as they stand.
        """
        arrow = import_extra("pyarrow")
        waiting: list[Any] = []
        places: list[NDArray[np.int64]] = []
        for i in range(len(self._pieces)) if order is None else order:
            start = int(self._starts[i])
            for batch in self._pieces[i].to_batches(batch_size=self.buffer, schema=self._data.schema):
                if waiting and sum(b.num_rows for b in waiting) + batch.num_rows > self.buffer:
                    yield (*self._parted(arrow.Table.from_batches(waiting)), np.concatenate(places))
                    waiting, places = [], []
                waiting.append(batch)
                places.append(np.arange(start, start + batch.num_rows))
                start += batch.num_rows
        if waiting:
            yield (*self._parted(arrow.Table.from_batches(waiting)), np.concatenate(places))

    def _parted(self, table: Any) -> tuple[Any, Any]:
        return table.drop_columns(self._aside), table[self.target].to_numpy()

    def whole(self, name: str) -> NDArray[Any]:
        """The values of one column in all rows."""
        values: NDArray[Any] = self._data.to_table(columns=[name])[name].to_numpy()
        return values


@dataclass
class CategoryCount:
    """Rows and sum of targets of each value of one column, over all buffers; None counts the missing."""

    first: Coding
    sums: dict[Any, tuple[int, float]] = dataclasses.field(default_factory=dict)

    def add(self, column: Column, target: NDArray[np.float64]) -> None:
        """Count one buffer."""
        column = one_form(as_kind(column, self.first.kind))
        cells = column.values.astype(object)
        cells[column.missing] = None
        places: dict[Any, int] = {}
        inverse = [places.setdefault(cell, len(places)) for cell in cells.tolist()]
        counts, totals = np.bincount(inverse), np.bincount(inverse, weights=target)
        for value, count, total in zip(places, counts.tolist(), totals.tolist(), strict=True):
            before = self.sums.get(value, (0, 0.0))
            self.sums[value] = (before[0] + count, before[1] + total)

    def coding(self, least: int) -> Coding:
        """The coding of all values counted."""
        known = [(value, *sums) for value, sums in self.sums.items() if value is not None]
        values = np.array([value for value, _, _ in known], dtype=self.first.known.dtype)
        counts, totals = np.array([count for _, count, _ in known]), np.array([total for _, _, total in known])
        missing = self.sums.get(None, (0, 0.0))[0]
        return coding_of(self.first.name, self.first.kind, values, counts, totals / counts, missing, least)

    def means(self, coding: Coding, overall: float) -> NDArray[np.float64]:
        """The mean target of each row of the embedding."""
        totals = np.zeros(coding.rows)
        (column,) = read_table([[value] for value in self.sums], [coding.name])
        np.add.at(totals, coding.encode(column), [total for _, total in self.sums.values()])
        return np.where(coding.counts > 0, totals / np.maximum(coding.counts, 1), overall)


@dataclass
class Moments:
    """Mean and variance of one column of numbers over all buffers (Chan's update), and whether some were missing."""

    first: Scaling | FreeText | Constant
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    missing: bool = False

    def add(self, column: Column, target: NDArray[np.float64]) -> None:
        """Count one buffer."""
        present = column.values[~column.missing].astype(np.float64)
        self.missing |= bool(column.missing.any())
        if not len(present):
            return
        total, gap = self.count + len(present), float(present.mean()) - self.mean
        self.squares += float(((present - present.mean()) ** 2).sum()) + gap**2 * self.count * len(present) / total
        self.mean += gap * len(present) / total
        self.count = total

    def scaling(self) -> Scaling | Constant:
        """The scaling of all values counted, and the knots of the first buffer."""
        knots = self.first.knots if isinstance(self.first, Scaling) else ()
        return scaling_of(self.first.name, self.mean, math.sqrt(self.squares / self.count), self.missing, knots)


@dataclass(frozen=True)
class StreamedRows:
    """A source over a Parquet data set: row groups in a new order each epoch, rows shuffled within a buffer.

    `weight` (row,) weighs the loss; rows whose weight is 0 are left out, and so are those of the mask `held`.
    """

    table: ParquetTable
    schema: Schema
    target: Target
    weight: NDArray[np.float32]
    held: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return int(self._wanted.sum())

    @cached_property
    def _wanted(self) -> NDArray[np.bool_]:
        return ~self.held & (self.weight > 0)

    def counts(self) -> list[Counts]:
        """How many of the rows trained on each row of each embedding has."""
        codings = self.schema.codings
        if self._wanted.all():
            return [coding.counts for coding in codings]
        parts = [counts_of(encoded.codes, codings) for encoded, _, _ in self._parts(None, self._wanted)]
        return [np.sum(counts, axis=0) for counts in zip(*parts, strict=True)]

    def epoch(self, networks: int, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """The rows once; those that fill no batch at the end of a buffer are left out."""
        order = torch.randperm(self.table.groups, generator=generator).numpy()
        for part in self._parts(order, self._wanted):
            yield from RowsInMemory(*part).epoch(networks, size, generator)

    def goals(self) -> tuple[Tensor, Tensor]:
        """The encoded targets of the rows of an epoch, and their weights."""
        target = self.target.encode(read_target(self.table.whole(self.table.target), self.table.rows)[0])
        return torch.from_numpy(target[self._wanted]), torch.from_numpy(self.weight[self._wanted])

    def validation(self, networks: int, rng: np.random.Generator) -> Batch | None:
        """The rows held out, at most a buffer of them, for all networks; None where there are none."""
        rows = np.flatnonzero(self.held)
        if not len(rows):
            return None
        chosen = np.zeros_like(self.held)
        chosen[rng.permutation(rows)[: self.table.buffer]] = True
        tables, targets, weights = zip(*self._parts(None, chosen), strict=True)
        codes, numbers = (np.concatenate([getattr(t, name) for t in tables]) for name in ("codes", "numbers"))
        source = RowsInMemory(Encoded(codes, numbers), np.concatenate(targets), np.concatenate(weights))
        return source.batch(torch.arange(source.rows).expand(networks, -1))

    def _parts(
        self, order: NDArray[np.int64] | None, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[Encoded, NDArray[Any], NDArray[np.float32]]]:
        """The wanted rows of each buffer that has any: encoded, with their targets and weights."""
        for frame, y, places in self.table.buffers(order):
            rows = np.flatnonzero(wanted[places])
            if len(rows):
                encoded = self.schema.encode(read_table(frame)).take(rows)
                yield encoded, self.target.encode(read_target(y, len(y))[0])[rows], self.weight[places[rows]]


def fit_parquet(table: ParquetTable, settings: FitSettings) -> Fitted:
    """Learn from all rows of `table` but those that `settings.validation` holds out. Raises InputError as `fit` does.

    `settings.cv` does not apply.
    """
    statistics = fit_statistics(table, settings)
    config = settings.config.for_table(table.rows, statistics.schema.is_scarce, statistics.target.log)
    settings = replace(settings, config=config)
    weight = scaled_weights(None if table.weight is None else table.whole(table.weight), table.rows)
    trainer = Trainer(statistics, settings)
    held = np.zeros(table.rows, dtype=bool)
    automatic = STREAMED_VALIDATION if settings.holds_out else None
    wanted = automatic if is_auto(settings.validation) else settings.validation
    chosen = validation_rows(wanted, table.whole(table.target), None, settings.seed)
    held[[] if chosen is None else chosen] = True
    trainer.report(*statistics.describe())
    rows = StreamedRows(table, statistics.schema, statistics.target, weight, held)
    batch = rows.validation(trainer.networks, np.random.default_rng(settings.seed))
    counts = rows.counts()
    return trainer.complete(trainer.fitted(trainer.train(rows, batch, settings.seed), counts), counts)[0]


def fit_statistics(table: ParquetTable, settings: FitSettings) -> Statistics:
    """The codings of the columns and of the target, and the mean targets, of all rows."""
    values, single = read_target(table.whole(table.target), table.rows)
    by_maximum = settings.config.output == "sigmoid"
    target = fit_target(values, single, settings.target_type, settings.log_target, by_maximum)
    columns = first_reading(table)
    rows = len(columns[0])
    evidence = target.indicators(values[:rows])
    first = fit_fields(columns, np.zeros(rows), settings.categorical_features, evidence=evidence,
                       scores=settings.config.normal_scores)  # fmt: skip
    counters = count_all(table, first, target)
    least = least_rows(settings.min_frequency, table.rows)
    codings = [c.coding(least) if isinstance(c, CategoryCount) else c.scaling() for c in counters]
    fields = tuple(replace(f, coding=coding) for f, coding in zip(first, codings, strict=True))
    schema = schema_of(fields, settings.dimensions)
    columns_to_read(schema, settings.spelling)
    counts = {c.first.name: c for c in counters if isinstance(c, CategoryCount)}
    overall = float(target.numeric(values).mean())
    means = [counts[coding.name].means(coding, overall) for coding in schema.codings]
    return Statistics(schema, target, means, len(columns), tuple(table.columns))


def count_all(table: ParquetTable, fields: Sequence[Field], target: Target) -> list[CategoryCount | Moments]:
    """What all rows say of each of `fields`."""
    counters = [CategoryCount(f.coding) if isinstance(f.coding, Coding) else Moments(f.coding) for f in fields]
    for frame, y, _ in table.buffers():
        by_name = {column.name: column for column in read_table(frame)}
        rank = target.numeric(read_target(y, len(y))[0])
        for counter, field in zip(counters, fields, strict=True):
            counter.add(field.read(by_name[field.source]), rank)
    return counters


def first_reading(table: ParquetTable) -> list[Column]:
    """What the schema is judged on: each column in the first buffer that holds a value of it.

    Where only a later buffer tells that numbers are not whole, or that dates have hours, a value of it is put in.
    """
    found: dict[str, Column] = {}
    for frame, _, _ in table.buffers():
        doubtful = [name for name in frame.column_names if name not in found or not _is_settled(found[name])]
        if not doubtful:
            break
        for column in read_table(frame.select(doubtful)):
            found[column.name] = _joined(found.get(column.name), column)
    rows = max(len(column) for column in found.values())
    return [_padded(found[name], rows) for name in table.columns]


def _is_settled(column: Column) -> bool:
    return not column.missing.all() and (column.kind not in ("number", "date") or bool(_telling(column).any()))


def _telling(column: Column) -> NDArray[np.bool_]:
    """(row,) the values that show what a column of numbers or dates is: not whole, or with an hour."""
    told = beyond_whole(column.values) if column.kind == "number" else has_hour(column.values)
    return np.asarray(told & ~column.missing)


def _joined(first: Column | None, later: Column) -> Column:
    """The reading so far, with one telling value of a later buffer if there is one."""
    if first is None or first.missing.all():
        return later
    if later.missing.all() or not _telling(later).any():
        return first
    values = first.values.copy()
    values[(~first.missing).argmax()] = later.values[_telling(later)][0]
    return replace(first, values=values)


def _padded(column: Column, rows: int) -> Column:
    """`column` with missing values at its end: buffers differ in length."""
    missing = np.arange(rows) >= len(column)
    missing[: len(column)] = column.missing
    return replace(column, values=np.resize(column.values, rows), missing=missing)
