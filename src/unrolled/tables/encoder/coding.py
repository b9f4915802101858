"""One column becomes numbers: a category its row in an embedding, a number its scaled value.

Rows 0, 1 and 2 of every embedding belong to what has no row of its own: unknown, missing and rare. Left out: vectors
(see `network`), and which column gets which coding (see `schema`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from unrolled.errors import InputError
from unrolled.tables.data.columns import EXACT, NOUNS, Column, ColumnKind, one_form, read_table

UNKNOWN, MISSING, RARE = 0, 1, 2
SPECIAL = ("(unknown)", "(missing)", "(rare)")
MIN_ROWS_PER_CATEGORY = 100
KNOTS = 100
"""Quantiles from which the normal scores of a column of numbers are read."""
ROUNDING = 1e-14
"""A deviation that is a smaller share of its mean is the rounding of equal numbers."""
DIGITS, NUMBERED = re.compile(r"\d+"), 0.9
_NUMERIC = ("integer", "number")


@dataclass(frozen=True)
class Coding:
    """How one column of categories becomes rows of an embedding.

    `known` holds the categories from row 3 on; `merged` the ones too rare for a row of their own; `counts` (row,) how
    many rows of the table each row of the embedding had while fitting.
    """

    name: str
    kind: ColumnKind
    known: NDArray[Any]
    merged: NDArray[Any]
    counts: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Rows of the embedding."""
        return len(SPECIAL) + len(self.known)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each row; a category that is itself called "(missing)" keeps the name in quotes."""
        return (*SPECIAL, *(repr(str(v)) if str(v) in SPECIAL else str(v) for v in self.known))

    @property
    def is_scarce(self) -> bool:
        """Whether there are fewer than 100 rows per category on average.

        A vector then remembers its own rows' targets, and a model that is given such vectors trusts them too much
        (docs/experiments.md, "Tables, second round").
        """
        return bool(self.counts.sum() < MIN_ROWS_PER_CATEGORY * len(self.known))

    def encode(self, column: Column, refuse_unknown: bool = False) -> NDArray[np.int32]:
        """The embedding row of each value, (row,).

        Raises InputError for a column of another type than the fitted one (1 and "1" are different categories), and
        for a category never seen if `refuse_unknown`.
        """
        column = one_form(as_kind(column, self.kind))
        ids = self._look_up(column.values)
        ids[column.missing] = MISSING
        if refuse_unknown and (ids == UNKNOWN).any():
            row = int((ids == UNKNOWN).argmax())
            raise InputError(
                f"column {self.name!r}, row {row}: the category {_shown(column.values[row])} was not seen "
                "while fitting, and handle_unknown is 'error'"
            )
        return ids

    def _look_up(self, values: NDArray[Any]) -> NDArray[np.int32]:
        if values.dtype == object:
            return np.fromiter(map(self._rows_by_name.get, values, repeat(UNKNOWN)), dtype=np.int32, count=len(values))
        keys, rows = self._sorted
        if not len(keys):
            return np.zeros(len(values), dtype=np.int32)
        place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        return np.where(keys[place] == values, rows[place], UNKNOWN).astype(np.int32)

    @cached_property
    def _rows_by_name(self) -> dict[Any, int]:
        rows = dict.fromkeys(self.merged.tolist(), RARE)
        return rows | {value: row for row, value in enumerate(self.known.tolist(), len(SPECIAL))}

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], NDArray[np.int32]]:
        keys = np.concatenate([self.known, self.merged])
        rows = np.full(len(keys), RARE, dtype=np.int32)
        rows[: len(self.known)] = np.arange(len(SPECIAL), self.rows)
        order = np.argsort(keys)
        return keys[order], rows[order]


def one_value(coding: Coding, value: object) -> Column:
    """A column of the single category `value`, as the coding has its values. Raises InputError for another type."""
    (column,) = read_table([[value]], [coding.name])
    if column.missing.any():
        raise InputError(f"column {coding.name!r}: a missing value cannot be added as a category")
    return as_kind(column, coding.kind)


def fit_coding(column: Column, rank: NDArray[np.float64], min_frequency: int = 1) -> Coding:
    """Learn the categories of `column`; those in fewer than `min_frequency` rows share the rare row.

    Rows are given by count, then mean of `rank` (row,), then value: an order that does not depend on what the
    categories are called unless they tie, so that renaming them changes nothing but names.
    """
    column = one_form(_whole_if_possible(column))
    present = ~column.missing
    values, inverse = distinct(column.values[present])
    counts = np.bincount(inverse)
    means = _means(inverse, rank[present], counts)
    return coding_of(column.name, column.kind, values, counts, means, int(column.missing.sum()), min_frequency)


def distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct `values`, rising, and the place of each among them: NumPy sorts all strings, here distinct ones."""
    if values.dtype != object:
        return np.unique(values, return_inverse=True)
    known = np.array(sorted(set(values)), dtype=object)
    places = {value: place for place, value in enumerate(known)}
    return known, np.fromiter(map(places.__getitem__, values), dtype=np.int64, count=len(values))


def coding_of(name: str, kind: ColumnKind, values: NDArray[Any], counts: NDArray[np.int64], means: NDArray[np.float64],
              missing: int, min_frequency: int) -> Coding:  # fmt: skip
    """The coding of `values` that stand in `counts` rows with mean ranks `means`, all (value,)."""
    order = np.lexsort((values, means, -counts))
    values, counts = values[order], counts[order]
    kept = counts >= min_frequency
    special = [0, missing, int(counts[~kept].sum())]
    return Coding(name, kind, values[kept], values[~kept], np.concatenate([special, counts[kept]]).astype(np.int64))


def _means(group: NDArray[np.int64], rank: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    order = np.lexsort((rank, group))  # summed in an order of its own, so that the order of rows leaves no rounding
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means: NDArray[np.float64] = np.add.reduceat(rank[order], starts) / counts
    return means


def beyond_whole(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(row,) which numbers are not whole, or too large for a float to tell them from their neighbours."""
    return np.asarray((values % 1 != 0) | (np.abs(values) > EXACT))


def are_numbered(names: Iterable[str]) -> bool:
    """Whether nine in ten `names` differ in their digits alone: S001, S002, ..."""
    forms = Counter(DIGITS.sub("0", name) for name in names)
    form, count = next(iter(forms.most_common(1)), ("", 0))
    return "0" in form and count >= NUMBERED * forms.total()


def _shown(value: object) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _whole_if_possible(column: Column) -> Column:
    """Whole numbers stored as floats (pandas does so where one is missing) as integers: 7.0 is the category 7."""
    present = column.values[~column.missing]
    if column.kind != "number" or beyond_whole(present).any():
        return column
    return Column(column.name, "integer", np.where(column.missing, 0, column.values).astype(np.int64), column.missing)


def as_kind(column: Column, kind: ColumnKind) -> Column:
    """`column` with values as `kind` has them. Raises InputError where that would confuse 1, True and "1"."""
    if column.kind == kind or column.missing.all():
        return column if column.kind == kind else _all_missing(column, kind)
    if column.kind in _NUMERIC and kind in _NUMERIC:
        return Column(column.name, kind, _numeric(column, kind), column.missing)
    value = column.values[~column.missing][0]
    raise InputError(
        f"column {column.name!r} was fitted on {NOUNS[kind]}, but now holds {NOUNS[column.kind]}, for "
        f"example {_shown(value)}: convert it, because 1, True and '1' are different categories"
    )


def _all_missing(column: Column, kind: ColumnKind) -> Column:
    dtype: dict[ColumnKind, Any] = {"string": object, "boolean": bool, "integer": np.int64, "number": np.float64,
                              "date": "datetime64[s]"}  # fmt: skip
    return Column(column.name, kind, np.zeros(len(column), dtype=dtype[kind]), column.missing)


def _numeric(column: Column, kind: ColumnKind) -> NDArray[Any]:
    if kind == "number":
        return column.values.astype(np.float64)
    # a fraction is no whole number, hence unknown: no known category is the smallest int64
    whole = ~beyond_whole(column.values)
    return np.where(whole, np.where(whole, column.values, 0), np.iinfo(np.int64).min).astype(np.int64)


@dataclass(frozen=True)
class Scaling:
    """How one column of numbers becomes network input: (x - mean) / deviation, missing as the mean with a mark.

    Last comes its normal score: the quantile of the normal distribution at the rank of x among the `knots`, which are
    quantiles of the column. It depends on the order alone, so that one huge income does not press all others together.
    It serves the networks and is not handed on; without knots (a column of two values) there is none.
    """

    name: str
    mean: float
    deviation: float
    marks_missing: bool
    knots: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Columns of network input."""
        return len(self.outputs) + bool(self.knots)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns handed on: the number, and where some were missing while fitting a mark for missing."""
        return (self.name, f"{self.name}_missing") if self.marks_missing else (self.name,)

    def encode(self, column: Column) -> NDArray[np.float32]:
        """(row, width) float32, without NaN. Raises InputError for a column that holds no numbers."""
        if column.missing.all():
            column = _all_missing(column, "number")
        if column.kind not in (*_NUMERIC, "boolean"):
            value = column.values[~column.missing][0]
            raise InputError(
                f"column {self.name!r} was fitted on numbers, but now holds {NOUNS[column.kind]}, for "
                f"example {_shown(value)}"
            )
        values = np.where(column.missing, self.mean, column.values.astype(np.float64))
        parts = [np.clip((values - self.mean) / self.deviation, -1e6, 1e6)]  # float32 must not overflow
        if self.marks_missing:
            parts.append(column.missing.astype(np.float64))
        if self.knots:
            parts.append(np.interp(values, *self._scores))
        return np.stack(parts, axis=1).astype(np.float32)

    @cached_property
    def at_mean(self) -> NDArray[np.float32]:
        """(width,) the input of the mean, nothing missing."""
        return self.encode(Column(self.name, "number", np.array([self.mean]), np.zeros(1, dtype=bool)))[0]

    @cached_property
    def _scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The distinct knots and the normal score of each: equal ones share their middle rank."""
        distinct, counts = np.unique(self.knots, return_counts=True)
        return distinct, ndtri((np.cumsum(counts) - counts / 2) / len(self.knots))


@dataclass(frozen=True)
class Constant:
    """A column of one `value`, none missing: it tells rows apart no more than no column does, and is left out."""

    name: str
    value: str
    width: ClassVar[int] = 0
    outputs: ClassVar[tuple[str, ...]] = ()

    def encode(self, column: Column) -> NDArray[np.float32]:
        """(row, 0)."""
        return np.zeros((len(column), 0), dtype=np.float32)


def fit_scaling(column: Column) -> Scaling | Constant:
    """Learn mean and standard deviation of a column of numbers."""
    values = np.sort(column.values[~column.missing].astype(np.float64))  # sorted: row order leaves no rounding
    with np.errstate(over="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not np.isfinite([mean, deviation]).all():
        raise InputError(f"column {column.name!r} holds numbers too large to scale, up to {np.abs(values).max():g}")
    return scaling_of(column.name, mean, deviation, bool(column.missing.any()), _knots(values))


def scaling_of(
    name: str, mean: float, deviation: float, marks_missing: bool, knots: tuple[float, ...]
) -> Scaling | Constant:
    """The scaling of numbers with these moments; where all are equal and none is missing they are constant."""
    is_one_value = deviation <= ROUNDING * abs(mean)
    if is_one_value and not marks_missing:
        return Constant(name, f"{mean:.15g}")
    return Scaling(name, mean, 1.0 if is_one_value else deviation, marks_missing, knots)


def _knots(values: NDArray[np.float64]) -> tuple[float, ...]:
    """`KNOTS` quantiles of sorted `values`, none of two values, which a score would only repeat."""
    ranks = (np.arange(KNOTS) + 0.5) / KNOTS * len(values)
    return tuple(values[ranks.astype(int)].tolist()) if len(np.unique(values)) > 2 else ()
