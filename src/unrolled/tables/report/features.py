"""A column as boosted trees can take it, whatever it holds: what the column report measures with.

Numbers and dates stay numbers with their gaps; up to `NATIVE_LEVELS` categories are split on natively; more become two
features, the cross-fitted mean of the target and the commonest categories (chosen by measurement: on 20,000 rows of
Rossmann the mean alone explains 0.838, the commonest alone 0.416, both 0.850; where categories only act through another
column -0.05, 0.43 and 0.42; on an id of pure noise they cost nothing either); whole numbers that repeat are
given both as a number and as a category. Left out: which columns are put together, and what the result means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra
from unrolled.tables.data.columns import Column, read_table
from unrolled.tables.data.files import TargetColumn

ReportKind = Literal["category", "boolean", "integer", "number", "date", "id", "constant", "empty"]

NATIVE_LEVELS = 254  # scikit-learn's trees split at most 255 categories, one of them is "missing"
INNER_FOLDS = 5  # of the cross-fit
CODED_CLASSES = 8  # of a multi-class target: more would make one column many
REPEATS = 3  # whole numbers seen at least so often on average may also be names of things
MANY_VALUES = 10  # below, a tree cuts the numbers apart just as well


@dataclass(frozen=True)
class ColumnData:
    """A column in two readings: `numbers` (row, part), NaN where missing; `codes` (row,), -1 where missing.

    `levels` names the categories that the codes stand for, in sorted order.
    """

    name: str
    kind: ReportKind
    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]
    levels: tuple[str, ...]

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(row,), set where the cell is empty."""
        return np.asarray(self.codes < 0)

    @property
    def useful(self) -> bool:
        """Whether the rows differ in it at all."""
        return self.kind not in ("constant", "empty")

    @property
    def as_category(self) -> bool:
        """Whether the model reads the codes."""
        if self.kind == "integer":
            return len(self.levels) > MANY_VALUES and len(self.codes) >= REPEATS * len(self.levels)
        return self.kind in ("category", "id") and not self.numbers.shape[1]

    def take(self, rows: NDArray[np.intp]) -> ColumnData:
        """The column on the chosen rows, with the same codes."""
        return ColumnData(self.name, self.kind, self.numbers[rows], self.codes[rows], self.levels)


@dataclass(frozen=True)
class Block:
    """The features that one column became in one fold: (row, feature) to learn from, and to be judged on."""

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    native: tuple[bool, ...]
    """Of each feature, whether it is a category code, to be split on natively."""


def read_columns(frame: Any, categories: Sequence[str] = ()) -> list[ColumnData]:
    """The columns of a pandas frame; integer columns named in `categories` are names of things and not numbers."""
    head = frame.iloc[_evenly(len(frame), 2000)]
    kinds = {column.name: column for column in read_table(head)}
    return [_read_column(frame[name], kinds[name], name in categories) for name in frame.columns]


def block(
    column: ColumnData, target: TargetColumn, train: NDArray[np.intp], test: NDArray[np.intp], seed: int
) -> Block:
    """The features of `column` in the fold (`train`, `test`); codes of the target see the training rows only."""
    parts = [(column.numbers[train], column.numbers[test], False)]
    if column.as_category:
        parts.append((*_native_codes(column.codes[train], column.codes[test]), True))
        if len(column.levels) > NATIVE_LEVELS:
            outcome = coded_target(target)[train]
            parts.append((*target_code(column.codes[train], column.codes[test], outcome, seed), False))
    native = tuple(flag for learned, _, flag in parts for _ in range(learned.shape[1]))
    return Block(np.hstack([p[0] for p in parts]), np.hstack([p[1] for p in parts]), native)


def _native_codes(codes: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Codes 0, 1, ... of the commonest categories as (row, 1); a further code for the rest; NaN for missing, unseen."""
    size = int(max(codes.max(initial=-1), other.max(initial=-1))) + 1
    count = np.bincount(codes[codes >= 0], minlength=size)
    common = np.argsort(-count, kind="stable")[:NATIVE_LEVELS]
    place = np.full(size + 1, np.nan)  # the last place is for missing (-1)
    if (count > 0).sum() > NATIVE_LEVELS:
        place[:-1][count > 0] = NATIVE_LEVELS - 1
        common = common[:-1]
    place[common] = np.arange(len(common))
    place[:-1][count == 0] = np.nan
    return place[codes][:, None], place[other][:, None]


def coded_target(target: TargetColumn) -> NDArray[np.float64]:
    """The target as (row, output) numbers whose means describe a category: itself, or membership of each class."""
    if target.type == "continuous":
        return np.asarray(target.values[:, None], np.float64)
    if target.type == "binary":
        return np.asarray(target.values[:, None] == 1, np.float64)
    common = np.argsort(-np.bincount(target.values, minlength=len(target.classes)), kind="stable")[:CODED_CLASSES]
    return np.asarray(target.values[:, None] == common, np.float64)


def target_code(
    codes: NDArray[np.int64], other: NDArray[np.int64], outcome: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each category's mean outcome, shrunk by count, as (row, output): cross-fitted for `codes`, plain for `other`.

    A category that was not seen gets the overall mean, the same one everywhere: the mean of the other folds, which
    scikit-learn's TargetEncoder uses, would tell the model which fold a row is in.
    """
    prior = outcome.mean(axis=0)
    size = int(max(codes.max(initial=-1), other.max(initial=-1))) + 2  # the last place is for missing (-1)
    fold = np.random.default_rng(seed).permutation(len(codes)) % INNER_FOLDS
    inside = np.empty((len(codes), outcome.shape[1]))
    for k in range(INNER_FOLDS):
        seen = fold != k
        inside[~seen] = _shrunk_means(codes[seen], outcome[seen], prior, size)[codes[~seen]]
    return inside, _shrunk_means(codes, outcome, prior, size)[other]


def _shrunk_means(
    codes: NDArray[np.int64], outcome: NDArray[np.float64], prior: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """(category, output) means, drawn to `prior` as by an empirical Bayes estimate of the spread between categories."""
    places = codes % size  # -1 becomes the last place
    count = np.bincount(places, minlength=size)[:, None].astype(float)
    total = np.stack([np.bincount(places, column, size) for column in outcome.T], axis=1)
    mean = np.divide(total, count, out=np.tile(prior, (size, 1)), where=count > 0)
    within = ((outcome - mean[places]) ** 2).sum(axis=0) / max(len(codes) - (count > 0).sum(), 1)
    between = np.maximum(
        (count * (mean - prior) ** 2).sum(axis=0) / len(codes) - within * (count > 0).sum() / len(codes), 0
    )
    smooth = within / np.maximum(between, 1e-9 * within + 1e-300)
    return np.asarray((total + smooth * prior) / (count + smooth + 1e-300))


def _read_column(series: Any, column: Column, is_category: bool) -> ColumnData:
    pandas = import_extra("pandas", "tables")
    codes, levels = pandas.factorize(series, sort=column.kind != "string" and not column.declared)
    if len(levels) and (column.kind == "string" or column.declared):
        names = np.array([str(level) for level in levels], dtype=object)
        order = np.argsort(names)
        codes = np.where(codes < 0, -1, np.argsort(order)[codes])
        levels = names[order]
    kind = _kind(column, codes, levels, is_category)
    numbers = _numbers(series, column, kind)
    return ColumnData(column.name, kind, numbers, codes.astype(np.int64), tuple(str(level) for level in levels))


def _kind(column: Column, codes: NDArray[np.int64], levels: Any, is_category: bool) -> ReportKind:
    present = int((codes >= 0).sum())
    if not present:
        return "empty"
    if len(levels) == 1 and present == len(codes):
        return "constant"
    if column.kind == "boolean":
        return "boolean"
    named = column.kind == "string" or column.declared or is_category
    whole = column.kind == "integer" or (column.kind == "number" and bool((np.asarray(levels) % 1 == 0).all()))
    if (named or whole) and len(levels) == present and present == len(codes):
        return "id"
    if named:
        return "category"
    return "integer" if whole else column.kind  # type: ignore[return-value]


def _numbers(series: Any, column: Column, kind: ReportKind) -> NDArray[np.float64]:
    if column.kind == "date":
        return _date_parts(series)
    if kind in ("integer", "number", "boolean", "id") and column.kind != "string" and not column.declared:
        values = series.to_numpy(np.float64, na_value=np.nan)
        if np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            raise InputError(f"column {column.name!r} holds {values[row]} in row {row}: replace infinite numbers")
        return np.asarray(values[:, None])
    return np.empty((len(series), 0))


def _date_parts(series: Any) -> NDArray[np.float64]:
    """Days since 1970, year, month, day, day of the week; and the hour where there is one."""
    pandas = import_extra("pandas", "tables")
    dates = pandas.to_datetime(series)
    dates = dates.dt.tz_localize(None) if dates.dt.tz is not None else dates
    days = (dates - pandas.Timestamp(0)) / pandas.Timedelta(days=1)
    parts = [days, dates.dt.year, dates.dt.month, dates.dt.day, dates.dt.day_of_week]
    if (days.dropna() % 1 != 0).any():
        parts.append(dates.dt.hour)
    return np.column_stack([part.to_numpy(np.float64, na_value=np.nan) for part in parts])


def _evenly(count: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
