"""The small plot of a column as numbers: how its values spread, and the mean target beside each of them.

Left out: drawing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.target import TargetColumn
from unrolled.tables.report.features import ColumnData

BARS = 10


@dataclass(frozen=True)
class Profile:
    """Up to `BARS` bars and one for missing: label, share of the rows, mean target (None where no row is).

    For two classes the mean target is the share of the second class, for more the share of the commonest.
    """

    labels: tuple[str, ...]
    shares: tuple[float, ...]
    means: tuple[float | None, ...]


def profile(column: ColumnData, target: TargetColumn) -> Profile:
    """The profile of `column`: numbers and dates in bins of equal width, categories with the commonest first."""
    outcome = target.indicators()[:, 0]
    if column.numbers.shape[1] and len(column.levels) > BARS:
        bars, names = _bins(column)
    else:
        bars, names = _common(column)
    if column.missing.any():
        names = [*names, "(missing)"]
    bars = np.where(column.missing, len(names) - 1, bars)
    count = np.bincount(bars, minlength=len(names))
    total = np.bincount(bars, outcome, len(names))
    means = tuple(float(t / c) if c else None for t, c in zip(total, count, strict=True))
    return Profile(tuple(names), tuple((count / len(bars)).tolist()), means)


def _bins(column: ColumnData) -> tuple[NDArray[np.intp], list[str]]:
    values = column.numbers[:, 0]
    present = values[~column.missing]
    low, high = np.quantile(present, [0.01, 0.99])  # the outermost bins are open: one outlier hides nothing
    if low == high:
        low, high = present.min(), present.max()
    edges = np.linspace(low, high, BARS + 1)
    bars = np.searchsorted(edges[1:-1], np.where(column.missing, low, values), side="right")
    is_date = column.kind == "date"
    shown = [str(np.datetime64(int(edge), "D")) if is_date else f"{edge:.4g}" for edge in edges]
    return bars, [f"{a} to {b}" for a, b in itertools.pairwise(shown)]


def _common(column: ColumnData) -> tuple[NDArray[np.intp], list[str]]:
    count = np.bincount(column.codes[~column.missing], minlength=len(column.levels))
    if len(count) <= BARS and column.kind in ("integer", "boolean", "number", "date"):
        return np.maximum(column.codes, 0), list(column.levels)  # few values keep their natural order
    order = np.argsort(-count, kind="stable")
    shown = order[: BARS if len(order) <= BARS else BARS - 1]
    place = np.full(len(count) + 1, len(shown))
    place[shown] = np.arange(len(shown))
    names = [column.levels[i] for i in shown]
    rest = len(order) - len(shown)
    return place[column.codes], [*names, f"({rest:,} others)"] if rest else names
