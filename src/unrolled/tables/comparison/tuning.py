"""Choosing a model's settings on rows of the training fold, the same number of tries for every model.

The fixed settings are always among them. Left out: which settings a model has (`models`), and the encodings, which are
not tuned.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.splits import Rows, folds
from unrolled.tables.data.target import TargetColumn

PARTS = 5
"""One of so many parts of the training rows judges settings; it has the same share of each class."""
Settings = Mapping[str, Any]
FitPredict = Callable[[Settings, Any, TargetColumn, Any], NDArray[np.float64]]
"""Settings, a table and its target to learn from, and a table to predict."""


@dataclass(frozen=True)
class Tuning:
    """How many settings are drawn for each model, beside its fixed ones, and the error by which one is chosen."""

    tries: int
    error: Callable[[NDArray[np.float64], NDArray[Any]], float]
    """Of predictions and the true target, lower being better."""

    def best(
        self, grid: Mapping[str, Sequence[Any]], fit_predict: FitPredict, table: Any, target: TargetColumn, seed: int
    ) -> Settings:
        """The settings of `grid` that predict held-out rows of `table` best; {}, the fixed ones, where none is better.

        A function of `seed`. Nothing is tuned where there are too few rows to hold some of every class out.
        """
        drawn = self._drawn(grid, seed)
        parts = _parts(target, seed) if drawn else None
        if parts is None:
            return {}
        first, rest = parts
        train, test, learned = _rows(table, first), _rows(table, rest), target.take(first)
        tried: list[Settings] = [{}, *drawn]
        errors = [self.error(fit_predict(one, train, learned, test), target.values[rest]) for one in tried]
        return tried[int(np.argmin(np.nan_to_num(errors, nan=np.inf)))]  # NaN: these rows cannot be judged

    def _drawn(self, grid: Mapping[str, Sequence[Any]], seed: int) -> list[Settings]:
        every = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        order = np.random.default_rng(seed).permutation(len(every))[: self.tries]
        return [every[i] for i in order] if grid else []


def _parts(target: TargetColumn, seed: int) -> tuple[Rows, Rows] | None:
    """Rows to learn from and rows to judge; None where the table, or a class, has too few."""
    counts = np.bincount(target.values) if target.is_classification else np.array([len(target.values)])
    if counts.min() < PARTS:
        return None
    return folds(PARTS, target.values, None, target.is_classification, seed)[0]


def _rows(table: Any, rows: Rows) -> Any:
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]
