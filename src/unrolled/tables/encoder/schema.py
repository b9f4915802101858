"""The columns of one table and the coding of each: which are categories, which numbers, which dates split into parts.

The rule: strings, truth values and what the table itself declares a category are categories; dates become year, month,
day, weekday (and hour where there is one), each a category; whole numbers are categories if their values recur, with 10
rows a value or more on average; other numbers are scaled. Left out: vectors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, unknown_name
from unrolled.tables.data.columns import Column
from unrolled.tables.data.dates import PARTS, date_part, has_hour
from unrolled.tables.encoder.coding import SPECIAL, Coding, Scaling, beyond_whole, fit_coding, fit_scaling

ROWS_PER_VALUE = 10
ROWS_ENOUGH = 10
FOLDS = 5
LOOKED_AT = 100
DATE_LIKE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([ T]\d.*)?")


@dataclass(frozen=True)
class Field:
    """One coding of a table: of the column `source`, or of `part` of a column of dates; `reason` says why this one."""

    source: str
    part: str | None
    coding: Coding | Scaling
    reason: str


@dataclass(frozen=True)
class Encoded:
    """A table as network input: `codes` int32 (row, category field), `numbers` float32 (row, number column).

    Fields and columns stand in the order of their names.
    """

    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> Encoded:
        """The input at `rows`, in their order."""
        return Encoded(self.codes[rows], self.numbers[rows])


@dataclass(frozen=True)
class Schema:
    """The fitted codings of a table, in the order of its columns."""

    fields: tuple[Field, ...]

    @property
    def codings(self) -> list[Coding]:
        """The codings of categories, by name: networks see columns in an order that the table does not decide."""
        return sorted((f.coding for f in self.fields if isinstance(f.coding, Coding)), key=lambda coding: coding.name)

    @property
    def scalings(self) -> list[Scaling]:
        """The codings of numbers, by name."""
        return sorted((f.coding for f in self.fields if isinstance(f.coding, Scaling)), key=lambda coding: coding.name)

    def encode(self, columns: Sequence[Column], refuse_unknown: bool = False) -> Encoded:
        """The table as network input. Raises InputError where a column's type is not the fitted one."""
        by_name = {column.name: column for column in columns}
        codes, numbers = [], []
        for field in sorted(self.fields, key=lambda field: field.coding.name):
            column = by_name[field.source]
            if isinstance(field.coding, Scaling):
                numbers.append(field.coding.encode(column))
            else:
                part = column if field.part is None else date_part(column, field.part)
                codes.append(field.coding.encode(part, refuse_unknown))
        rows = len(columns[0])
        return Encoded(
            np.stack(codes, axis=1) if codes else np.zeros((rows, 0), np.int32),
            np.concatenate(numbers, axis=1) if numbers else np.zeros((rows, 0), np.float32),
        )

    def place(self, name: str) -> int:
        """Where category field `name` stands among the category fields. Raises InputError for an unknown name."""
        names = [coding.name for coding in self.codings]
        if name not in names:
            if name in [scaling.name for scaling in self.scalings]:
                raise InputError(f"column {name!r} is a column of numbers: only categories have vectors")
            raise unknown_name("column", name, names)
        return names.index(name)


def fit_schema(
    columns: Sequence[Column],
    rank: NDArray[np.float64],
    categorical: Any = "auto",
    min_frequency: float | None = None,
) -> Schema:
    """Choose and learn the coding of each column.

    `rank` (row,) is the target as a number (it orders the rows of embeddings, see `fit_coding`); `categorical` is
    "auto" or names, positions or a mask of the columns of numbers that are categories; `min_frequency` a number of
    rows, or a share of them below 1.
    """
    named = _chosen(columns, categorical)
    least = least_rows(min_frequency, len(rank))
    fields = tuple(field for column in columns for field in _fields(column, rank, named, least))
    names = [field.coding.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"column {name!r} has the name that a part of a date column gets: rename it")
    return Schema(fields)


def auto_folds(codes: NDArray[np.int32], schema: Schema) -> int | None:
    """Folds of cv="auto": 5 where a column has fewer than 10 rows a category on average, else none.

    Measured (docs/experiments.md): with 3 rows a category a vector remembers its own rows' targets, and a model that is
    given such vectors trusts them far too much; out-of-fold vectors cure that. With fifty they cost five
    more fits and bring nothing.
    """
    scarce = any(coding.counts.sum() < ROWS_ENOUGH * (coding.rows - len(SPECIAL)) for coding in schema.codings)
    return min(FOLDS, len(codes)) if scarce and len(codes) > 3 else None


def least_rows(min_frequency: float | None, rows: int) -> int:
    """`min_frequency` as a number of rows. Raises InputError for one that is neither a count nor a share."""
    if min_frequency is None:
        return 1
    number = isinstance(min_frequency, int | float | np.number) and not isinstance(min_frequency, bool)
    if not number or min_frequency <= 0:
        raise InputError(f"min_frequency is {min_frequency!r}, but must be a number of rows, or a share below 1")
    return int(np.ceil(min_frequency * rows)) if min_frequency < 1 else int(min_frequency)


def _chosen(columns: Sequence[Column], categorical: Any) -> set[str] | None:
    if isinstance(categorical, str):
        if categorical != "auto":
            raise InputError(f"categorical_features is {categorical!r}, but must be 'auto' or a list of columns")
        return None
    names = [column.name for column in columns]
    given = list(categorical) if categorical is not None else []
    if len(given) == len(names) and all(isinstance(flag, bool | np.bool_) for flag in given):
        return {name for name, flag in zip(names, given, strict=True) if flag}
    return {_column_name(names, column) for column in given}


def _column_name(names: list[str], given: object) -> str:
    if isinstance(given, str):
        if given not in names:
            raise unknown_name("column", given, names)
        return given
    if not isinstance(given, int | np.integer) or not -len(names) <= given < len(names):
        raise InputError(f"categorical_features names column {given!r}, but the table has {len(names)} columns")
    return names[int(given)]


def _fields(column: Column, rank: NDArray[np.float64], named: set[str] | None, least: int) -> list[Field]:
    if column.missing.all():
        raise InputError(f"column {column.name!r} holds no value at all: leave it out")
    if column.kind == "date":
        return [_date_field(column, part, rank, least) for part in PARTS if part != "hour" or _has_hours(column)]
    reason = _why_category(column, named)
    if reason is None:
        why = "numbers" if named is None else "numbers not named as categories"
        return [Field(column.name, None, fit_scaling(column), why)]
    return [Field(column.name, None, fit_coding(column, rank, least), reason)]


def _why_category(column: Column, named: set[str] | None) -> str | None:
    if column.declared:
        return "declared a category"
    if column.kind == "string":
        return _kind_of_strings(column)
    if column.kind == "boolean":
        return "truth values"
    if named is not None:
        return "named as a category" if column.name in named else None
    present = column.values[~column.missing]
    if column.kind == "number" and beyond_whole(present).any():
        return None
    each = len(present) / len(np.unique(present))
    return f"whole numbers, {each:,.0f} rows a value" if each >= ROWS_PER_VALUE else None


def _kind_of_strings(column: Column) -> str:
    present = column.values[~column.missing]
    if all(DATE_LIKE.fullmatch(text) for text in present[:LOOKED_AT]):
        return "strings that look like dates: a column of dates would be split into year, month, day and weekday"
    if len(present) > 1 and len(np.unique(present)) == len(present):
        return "strings, each in one row only: its vectors tell nothing about other rows"
    return "strings"


def _date_field(column: Column, part: str, rank: NDArray[np.float64], least: int) -> Field:
    return Field(column.name, part, fit_coding(date_part(column, part), rank, least), f"{part} of a date")


def _has_hours(column: Column) -> bool:
    return bool(has_hour(column.values[~column.missing]).any())
