"""A column as boosted trees can take it, whatever it holds: what the column report measures with.

Numbers and dates stay numbers with their gaps; up to `NATIVE_LEVELS` categories are split on natively; more become two
features, the cross-fitted mean of the target and the commonest categories (chosen by measurement: on 20,000 rows of
Rossmann the mean alone explains 0.838, the commonest alone 0.416, both 0.850; where categories only act through another
column -0.05, 0.43 and 0.42; on an id of pure noise they cost nothing either), and names what their spelling tells of
the target; whole numbers that repeat are given both as a number and as a category. Left out: which columns are put
together, and what the result means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import import_extra
from unrolled.tables.data.columns import Column
from unrolled.tables.data.dates import date_numbers, has_hour
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import TargetColumn
from unrolled.tables.encoder.coding import are_numbered
from unrolled.tables.encoder.ngrams import fit_ngrams
from unrolled.tables.encoder.spelling import cross_fitted_ridge

ReportKind = Literal["category", "boolean", "integer", "number", "date", "id", "constant", "empty"]

NATIVE_LEVELS = 254  # scikit-learn's trees split at most 255 categories, one of them is "missing"
INNER_FOLDS = 5  # of the cross-fit
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

    @cached_property
    def ngrams(self) -> Any:
        """(level + 1, n-gram) those of the levels, sparse; none in the last row, where missing cells (-1) look."""
        return fit_ngrams(self.levels).features((*self.levels, ""))

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


def read_columns(table: Table, categories: Sequence[str] = ()) -> list[ColumnData]:
    """The columns of `table`; those of whole numbers named in `categories` are categories and not numbers."""
    return [_read_column(column, column.name in categories) for column in table.columns]


def block(
    column: ColumnData, target: TargetColumn, train: NDArray[np.intp], test: NDArray[np.intp], seed: int
) -> Block:
    """The features of `column` in the fold (`train`, `test`); codes of the target see the training rows only."""
    parts = [(column.numbers[train], column.numbers[test], False)]
    if column.as_category:
        parts.append((*_native_codes(column.codes[train], column.codes[test]), True))
        if len(column.levels) > NATIVE_LEVELS:
            outcome = target.indicators()[train]
            parts.append((*target_code(column.codes[train], column.codes[test], outcome, seed), False))
            if not are_numbered(column.levels):
                ridge = cross_fitted_ridge(column.ngrams[column.codes[train]], outcome, np.ones(len(train)))
                judged = column.ngrams[column.codes[test]] @ ridge.weights + ridge.mean
                parts.append((ridge.held_out, judged, False))
    native = np.array([flag for learned, _, flag in parts for _ in range(learned.shape[1])], dtype=bool)
    learned, judged = (np.hstack([p[i] for p in parts]) for i in (0, 1))
    known = ~np.isnan(learned).all(axis=0)  # a feature without a value to learn from, which trees refuse to bin
    return Block(learned[:, known], judged[:, known], tuple(native[known].tolist()))


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


def _read_column(column: Column, is_category: bool) -> ColumnData:
    codes, levels = _codes(column)
    kind = _kind(column, codes, levels, is_category)
    return ColumnData(column.name, kind, _numbers(column, kind), codes, tuple(_level_names(column, levels)))


def _codes(column: Column) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(row,) positions in the sorted levels, -1 where missing; strings and declared categories are sorted as text."""
    as_text = column.kind == "string" or column.declared
    found, levels = import_extra("pandas").factorize(column.values[~column.missing], sort=not as_text)
    if as_text:
        names = np.array([str(level) for level in levels], dtype=object)
        order = np.argsort(names)
        found, levels = np.argsort(order)[found], names[order]
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[~column.missing] = found
    return codes, levels


def _level_names(column: Column, levels: NDArray[Any]) -> list[str]:
    if column.kind == "date" and not column.declared and not has_hour(levels).any():
        levels = levels.astype("datetime64[D]")
    return [str(level).replace("T", " ") if column.kind == "date" else str(level) for level in levels]


def _kind(column: Column, codes: NDArray[np.int64], levels: NDArray[Any], is_category: bool) -> ReportKind:
    present = int((codes >= 0).sum())
    if not present:
        return "empty"
    if len(levels) == 1 and present == len(codes):
        return "constant"
    if column.kind == "boolean":
        return "boolean"
    named = column.kind == "string" or column.declared or is_category
    whole = column.kind == "integer" or (column.kind == "number" and bool((np.asarray(levels) % 1 == 0).all()))
    if (named or whole) and len(levels) == present == len(codes) and (whole or are_numbered(map(str, levels))):
        return "id"
    if named or column.kind == "string":
        return "category"
    return "integer" if whole else column.kind


def _numbers(column: Column, kind: ReportKind) -> NDArray[np.float64]:
    if column.kind == "date":
        return date_numbers(column)
    if kind in ("integer", "number", "boolean", "id") and column.kind != "string" and not column.declared:
        return np.where(column.missing, np.nan, column.values.astype(np.float64))[:, None]
    return np.empty((len(column), 0))
