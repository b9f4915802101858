"""The columns of one table and the coding of each: which are categories, which numbers, which dates split into parts.

The rule: strings, booleans and what the table itself declares a category are categories; dates become year, month, day,
weekday (and hour where there is one), each a category, and year and day of the year as numbers; whole numbers that
recur are categories beside numbers where their values tell of the target what their order does not (see `order`); other
numbers are scaled; free text and sets become numbers (see `free_text`). Left out: learning vectors.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, unknown_name
from unrolled.tables.data.columns import Column
from unrolled.tables.data.dates import AMOUNTS, PARTS, as_dates, date_part, form_of, has_hour
from unrolled.tables.encoder.coding import (
    MISSING,
    SPECIAL,
    UNKNOWN,
    Coding,
    Constant,
    Scaling,
    are_numbered,
    beyond_whole,
    fit_coding,
    fit_scaling,
)
from unrolled.tables.encoder.free_text import FreeText
from unrolled.tables.encoder.order import gain_beyond_order

MIN_ROWS_PER_VALUE, ROWS_PER_VALUE, PLENTY_PER_VALUE = 2, 10, 100
FEWEST_JUDGED = 50
LOOKED_AT = 100
Array = NDArray[np.float64]
DATE_LIKE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([ T]\d.*)?")


@dataclass(frozen=True)
class Field:
    """One coding of a table: of the column `source`, or of `part` of a column of dates; `reason` says why this one.

    Strings that are dates are read by their `form`. Vectors that are not `handed_on` serve the networks alone.
    """

    source: str
    part: str | None
    coding: Coding | Scaling | FreeText | Constant
    reason: str
    form: str | None = None
    handed_on: bool = True

    def read(self, column: Column) -> Column:
        """What is coded of the column `source`."""
        if self.part is None:
            return column
        return date_part(column if self.form is None else as_dates(column, self.form), self.part)


@dataclass(frozen=True)
class Encoded:
    """A table as network input: `codes` int32 (row, category field), `numbers` float32 (row, number column).

    Fields and columns stand in the order of their names. `spelled` holds, for the position of a category field, the
    vectors of names without a row of their own, (..., name, dimension): the codes beyond the rows of the embedding.
    """

    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    spelled: Mapping[int, NDArray[np.floating]] = dataclasses.field(default_factory=dict)

    def take(self, rows: NDArray[np.int64]) -> Encoded:
        """The input at `rows`, in their order."""
        return Encoded(self.codes[rows], self.numbers[rows], self.spelled)

    def look_up(self, tables: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The vector of each row per category field, (..., row, dimension), from `tables` (..., code, dimension)."""
        return [self._look_up(table, self.codes[:, i], self.spelled.get(i)) for i, table in enumerate(tables)]

    @staticmethod
    def _look_up(table: NDArray[Any], codes: NDArray[np.int32], spelled: NDArray[Any] | None) -> NDArray[Any]:
        if spelled is None:
            return table[..., codes, :]
        beyond = codes >= table.shape[-2]
        vectors = table[..., np.where(beyond, 0, codes), :]
        vectors[..., beyond, :] = spelled[..., codes[beyond] - table.shape[-2], :]
        return vectors


@dataclass(frozen=True)
class Schema:
    """The fitted codings of a table, in the order of its columns, and the dimensions of its vectors.

    `dimensions` stands in the order of `codings`.
    """

    fields: tuple[Field, ...]
    dimensions: tuple[int, ...]

    @cached_property
    def codings(self) -> list[Coding]:
        """The codings of categories, by name: networks see columns in an order that the table does not decide."""
        return sorted((f.coding for f in self.fields if isinstance(f.coding, Coding)), key=lambda coding: coding.name)

    @property
    def is_scarce(self) -> bool:
        """Whether a column has fewer than 100 rows per category on average."""
        return any(coding.is_scarce for coding in self.codings)

    @cached_property
    def scalings(self) -> list[Scaling | FreeText | Constant]:
        """The codings of numbers, and of what is constant, by name."""
        numbers = (f.coding for f in self.fields if not isinstance(f.coding, Coding))
        return sorted(numbers, key=lambda coding: coding.name)

    @property
    def constants(self) -> set[str]:
        """The names of what is constant."""
        return {coding.name for coding in self.scalings if isinstance(coding, Constant)}

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where the numbers of each coding stand among the columns of numbers, by its name."""
        ends = np.cumsum([scaling.width for scaling in self.scalings]).tolist()
        return {s.name: slice(end - s.width, end) for s, end in zip(self.scalings, ends, strict=True)}

    def with_rows(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """`codes` (row, category field), unknown where a code has no row in its embedding."""
        return np.where(codes < [coding.rows for coding in self.codings], codes, np.int32(UNKNOWN))

    def encode(self, columns: Sequence[Column], refuse_unknown: bool = False) -> Encoded:
        """The table as network input. Raises InputError where a column's type is not the fitted one."""
        by_name = {column.name: column for column in columns}
        codes, numbers = [], []
        for field in sorted(self.fields, key=lambda field: field.coding.name):
            column = by_name[field.source]
            if isinstance(field.coding, Coding):
                codes.append(field.coding.encode(field.read(column), refuse_unknown))
            else:
                numbers.append(field.coding.encode(field.read(column)))
        rows = len(columns[0])
        return Encoded(
            np.stack(codes, axis=1) if codes else np.zeros((rows, 0), np.int32),
            np.concatenate(numbers, axis=1) if numbers else np.zeros((rows, 0), np.float32),
        )

    def position(self, name: str) -> int:
        """The position of category field `name` among the category fields. Raises InputError for an unknown name."""
        names = [coding.name for coding in self.codings]
        if name not in names:
            if name in [scaling.name for scaling in self.scalings]:
                raise InputError(f"column {name!r} has no vectors: it is constant, or a column of numbers")
            raise unknown_name("column", name, names)
        return names.index(name)

    def assemble(self, vectors: Sequence[NDArray[np.float32]], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output table, float32 (row, `names_out`): vectors and numbers in the order of the table's columns.

        `vectors` holds (row, dimension) per category field, `numbers` is (row, number column), both by name.
        """
        blocks = {s.name: numbers[:, self.places[s.name]][:, : len(s.outputs)] for s in self.scalings}
        by_name = dict(zip((coding.name for coding in self.codings), vectors, strict=True))
        own = (field.coding for field in self.fields)
        return np.concatenate([(by_name if isinstance(c, Coding) else blocks)[c.name] for c in own], axis=1)

    @property
    def without_numbers(self) -> list[int]:
        """The position of each category field that is handed on with no number beside it."""
        beside = {field.source for field in self.fields if not isinstance(field.coding, Coding)}
        alone = {field.coding.name for field in self.fields if field.handed_on and field.source not in beside}
        return [i for i, coding in enumerate(self.codings) if coding.name in alone]

    def names_out(self, widths: Sequence[int], beside: Mapping[int, int], means: Mapping[int, int]) -> list[str]:
        """Names of the output columns: Store_0, Store_1, ... for vectors, the column's own name for a number.

        `widths` has the length of the vectors by category field, `beside` the number of components of the spelling by
        position of the field, where there are any, and `means` that of means of the target.
        """
        outputs: dict[str, tuple[str, ...]] = {}
        for i, (coding, dimension) in enumerate(zip(self.codings, widths, strict=True)):
            spelled = (f"{coding.name}_spelling_{d}" for d in range(beside.get(i, 0)))
            mean = numbered(f"{coding.name}_mean", means.get(i, 0))
            outputs[coding.name] = (*(f"{coding.name}_{d}" for d in range(dimension)), *spelled, *mean)
        own = (f.coding for f in self.fields)
        return [name for c in own for name in (outputs[c.name] if isinstance(c, Coding) else c.outputs)]

    def describe(self) -> list[str]:
        """One sentence per field on how it is coded and why."""
        dimensions = dict(zip((coding.name for coding in self.codings), self.dimensions, strict=True))
        return [_described(field, dimensions.get(field.coding.name, 0)) for field in self.fields]


def numbered(name: str, count: int) -> list[str]:
    """Names of `count` output columns: `name` where there is one, else name_0, name_1, ..."""
    return [name] if count == 1 else [f"{name}_{i}" for i in range(count)]


def _described(field: Field, dimension: int) -> str:
    coding = field.coding
    if isinstance(coding, Constant):
        return f"{coding.name}: constant, left out (every row holds {coding.value})"
    if not isinstance(coding, Coding):
        return f"{coding.name}: {'a number, scaled' if isinstance(coding, Scaling) else 'numbers'} ({field.reason})"
    categories = coding.rows - len(SPECIAL)
    merged = f", {len(coding.merged):,} rare ones merged" if len(coding.merged) else ""
    noun = "category" if categories == 1 else "categories"
    alone = "" if field.handed_on else " for the networks alone"
    return f"{coding.name}: {categories:,} {noun}{merged} -> vectors of {dimension}{alone} ({field.reason})"


def fit_fields(
    columns: Sequence[Column],
    rank: NDArray[np.float64],
    categorical: Any = "auto",
    min_frequency: float | None = None,
    evidence: NDArray[np.float64] | None = None,
    texts: Mapping[str, FreeText] | None = None,
    scores: bool = True,
) -> tuple[Field, ...]:
    """Choose and learn the coding of each column, for `schema_of`.

    `rank` (row,) is the target as a number (it orders the rows of embeddings, see `fit_coding`); `categorical` is
    "auto" or names, positions or a mask of the columns of numbers that are categories, judged by `evidence` (row,
    output), the target as numbers, or else by whether values recur in 10 rows; `min_frequency` a number of
    rows, or a share of them below 1; `scores` says whether the networks also read normal scores of numbers.
    """
    named = _chosen(columns, categorical)
    least = least_rows(min_frequency, len(rank))
    texts = texts or {}
    fields = tuple(
        field for column in columns
        for field in ([Field(column.name, None, texts[column.name], texts[column.name].reason)] if column.name in texts
                      else _fields(column, rank, evidence, named, least))
    )  # fmt: skip
    of_column = {(field.source, field.coding.name) for field in fields}
    names = [name for _, name in of_column]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"column {name!r} has the same name as a part of a date column: rename it")
    return fields if scores else tuple(map(_without_score, fields))


def _without_score(field: Field) -> Field:
    return replace(field, coding=replace(field.coding, knots=())) if isinstance(field.coding, Scaling) else field


def schema_of(fields: tuple[Field, ...], dimensions: str | int | Mapping[str, int] = "auto") -> Schema:
    """The schema of these fields, what is constant left out, with `dimensions` as in `dimensions_of`."""
    named = {(field.coding.name, type(field.coding)): field for field in map(_without_constant, fields)}
    fields = tuple(named.values())  # the category and the number of one column are but one constant
    schema = Schema(fields, ())
    if isinstance(dimensions, Mapping):
        dimensions = {name: own for name, own in dimensions.items() if name not in schema.constants}
    return replace(schema, dimensions=dimensions_of(schema.codings, dimensions))


def _without_constant(field: Field) -> Field:
    """`field`, constant where it has a single category and no gap."""
    coding = field.coding
    if not isinstance(coding, Coding) or len(coding.known) + len(coding.merged) > 1 or coding.counts[MISSING]:
        return field
    return replace(field, coding=Constant(coding.name, str([*coding.known, *coding.merged][0])))


def auto_dimension(categories: int) -> int:
    """The dimension of a column with that many categories: 3 n^(1/4), but never more than n - 1.

    Measured on Rossmann's validation rows (error of one network, temporal and random): 2 n^(1/4) 0.1089 and 0.0770,
    3 n^(1/4) 0.1059 and 0.0758, the sizes chosen by hand in the paper 0.1100 and 0.0759.
    """
    return max(1, min(categories - 1, round(3 * math.sqrt(math.sqrt(categories)))))


def dimensions_of(codings: Sequence[Coding], wanted: str | int | Mapping[str, int]) -> tuple[int, ...]:
    """The dimension of each category field: by rule ("auto"), one for all, or by name with the rule for the others.

    Raises InputError for a name that is no category field or a dimension below 1.
    """
    given: Mapping[str, Any] = wanted if isinstance(wanted, Mapping) else {}
    names = [coding.name for coding in codings]
    for name in given:
        if name not in names:
            raise unknown_name("column", str(name), names)
    if isinstance(wanted, str) and wanted != "auto":
        raise InputError(f"dimensions is {wanted!r}, but must be 'auto', a number, or numbers by column")
    fixed = None if isinstance(wanted, str | Mapping) else wanted
    return tuple(_dimension(coding, given.get(coding.name, fixed)) for coding in codings)


def _dimension(coding: Coding, wanted: int | None) -> int:
    if wanted is None:
        return auto_dimension(coding.rows - len(SPECIAL))
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1:
        raise InputError(
            f"the dimension of column {coding.name!r} is {wanted!r}, but must be a whole number of at least 1"
        )
    return int(wanted)


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


def _fields(column: Column, rank: Array, evidence: Array | None, named: set[str] | None, least: int) -> list[Field]:
    if column.missing.all():
        raise InputError(f"column {column.name!r} has no values: leave it out")
    form = form_of(column.values[~column.missing]) if column.kind == "string" and not column.declared else None
    if form is not None or column.kind == "date":
        return _date_fields(column if form is None else as_dates(column, form), form, rank, least)
    reason = _why_category(column, named)
    if reason is not None:
        return [Field(column.name, None, fit_coding(column, rank, least), reason)]
    if named is not None:
        return [Field(column.name, None, fit_scaling(column), "numbers not named as categories")]
    reason, is_category, handed_on = _judged(column, evidence)
    number = Field(column.name, None, fit_scaling(column), reason)
    if not is_category:
        return [number]
    return [Field(column.name, None, fit_coding(column, rank, least), reason, handed_on=handed_on), number]


def _why_category(column: Column, named: set[str] | None) -> str | None:
    if column.declared:
        return "declared a category"
    if column.kind == "string":
        return _kind_of_strings(column)
    if column.kind == "boolean":
        return "booleans"
    return "named as a category" if named is not None and column.name in named else None


def _judged(column: Column, evidence: Array | None) -> tuple[str, bool, bool]:
    """What a column of numbers is, whether its values are categories beside, and whether these are handed on.

    Where the values alone tell nothing clear they may still do so with other columns: where each has plenty of rows,
    the networks have both readings.
    """
    present = column.values[~column.missing]
    if column.kind == "number" and beyond_whole(present).any():
        return "numbers", False, False
    each = len(present) / len(np.unique(present))
    if each < MIN_ROWS_PER_VALUE:
        return "whole numbers that hardly recur", False, False
    if evidence is None:
        return f"whole numbers, {each:,.0f} rows a value", each >= ROWS_PER_VALUE, True
    if len(present) < FEWEST_JUDGED:
        return "whole numbers in too few rows to tell more", False, False
    gain = gain_beyond_order(present.astype(np.int64), evidence[~column.missing])
    if gain.is_clear:
        return f"whole numbers whose values tell {gain.share:.1%} of the target beyond their order", True, True
    return "whole numbers whose values tell nothing clear beyond their order", each >= PLENTY_PER_VALUE, False


def _kind_of_strings(column: Column) -> str:
    present = column.values[~column.missing]
    if all(DATE_LIKE.fullmatch(text) for text in present[:LOOKED_AT]):
        return "strings that look like dates of no one form: a column of dates would be split into its parts"
    distinct = set(present)
    if len(present) > 1 and len(distinct) == len(present):
        return "strings, each in one row only: its vectors tell nothing about other rows"
    return "strings that differ in their digits alone" if are_numbered(distinct) else "strings"


def _date_fields(column: Column, form: str | None, rank: Array, least: int) -> list[Field]:
    parts = [part for part in PARTS if part != "hour" or _has_hours(column)]
    codings: list[tuple[str, Coding | Scaling | Constant]] = [
        *((part, fit_coding(date_part(column, part), rank, least)) for part in parts),
        *((part, fit_scaling(date_part(column, part))) for part in AMOUNTS),
    ]
    return [Field(column.name, part, coding, f"{part} of a date", form) for part, coding in codings]


def _has_hours(column: Column) -> bool:
    return bool(has_hour(column.values[~column.missing]).any())
