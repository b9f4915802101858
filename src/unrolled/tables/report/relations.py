"""What columns say about each other and about later rows, without looking at the target.

`replacements` measures in both directions how well one column predicts another, because information is not symmetric: a
shop determines its state, a state does not determine its shop. `drift` compares the first nine tenths of the rows with
the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.report.features import REPEATS, ColumnData

BINS = 255
ROWS_PER_BIN = 20
FEW_LEVELS = 20  # a number with no more values is predicted exactly or not at all, like a category
REPLACED = 0.95  # from here on a column counts as determined by another
LATE = 0.1  # the share of the rows that stands for later ones
MOST_ROWS = 10_000
MANY_COLUMNS = 60  # with more, pairs are measured on fewer rows


@dataclass(frozen=True)
class Drift:
    """How the last tenth of the rows differs from the rows before.

    `unseen` is the share of its cells whose value was not there before (for numbers and dates: lies outside the range
    before). `distance` is between 0, the same distribution, and 1, a disjoint one: the Kolmogorov-Smirnov distance
    for numbers, the total variation for categories less what a random tenth of the rows shows.
    """

    unseen: float
    distance: float


def replacements(columns: Sequence[ColumnData], seed: int) -> NDArray[np.float64]:
    """How well column i alone predicts column j, as (i, j) between 0 (no better than guessing) and 1 (exactly).

    Numbers: the share of the variance of the ranks explained by means per bin; categories: the share of right answers,
    as the part of the way from the commonest category to all right. Judged on a fifth of the rows that is held out.
    """
    rows = len(columns[0].codes)
    most = MOST_ROWS if len(columns) <= MANY_COLUMNS else MOST_ROWS // 2
    chosen = np.random.default_rng(seed).permutation(rows)[:most]
    learn, judge = chosen[len(chosen) // 5 :], chosen[: len(chosen) // 5]
    most_bins = int(np.clip(len(learn) // ROWS_PER_BIN, 4, BINS))
    given = [_bins(column, most_bins) for column in columns]
    targets = [_target(column) for column in columns]
    predicted = np.eye(len(columns))
    for i, bins in enumerate(given):
        for j, question in enumerate(targets):
            if i != j:
                answer: Callable[..., float] = _exactly if question.dtype == np.int64 else _in_rank
                predicted[i, j] = max(answer(bins[learn], question[learn], bins[judge], question[judge]), 0.0)
    return predicted


def twins(predicted: NDArray[np.float64]) -> list[list[int]]:
    """Groups of two or more columns of which each determines the others, by position."""
    same = (predicted >= REPLACED) & (predicted.T >= REPLACED)
    groups: list[list[int]] = []
    taken: set[int] = set()
    for i in range(len(predicted)):
        group = [j for j in range(len(predicted)) if same[i, j] and j not in taken]
        if i not in taken and len(group) > 1:
            groups.append(group)
            taken.update(group)
    return groups


def drift(column: ColumnData, order: NDArray[np.intp], seed: int) -> Drift:
    """The drift of `column` when its rows are taken in `order`."""
    cut = len(order) - max(1, round(len(order) * LATE))
    if column.numbers.shape[1]:
        values = column.numbers[order, 0]
        return _number_drift(values[:cut], values[cut:])
    codes = column.codes[order]
    shuffled = np.random.default_rng(seed).permutation(codes)
    late = codes[cut:][codes[cut:] >= 0]
    unseen = float((~np.isin(late, codes[:cut])).mean()) if len(late) else 0.0
    chance = _variation(shuffled[:cut], shuffled[cut:])
    return Drift(unseen, max(0.0, _variation(codes[:cut], codes[cut:]) - chance))


def _number_drift(early: NDArray[np.float64], late: NDArray[np.float64]) -> Drift:
    empty = abs(float(np.isnan(early).mean() - np.isnan(late).mean()))
    early, late = np.sort(early[~np.isnan(early)]), np.sort(late[~np.isnan(late)])
    if not len(early) or not len(late):
        return Drift(float(len(late) > 0), empty)
    outside = float(((late < early[0]) | (late > early[-1])).mean())
    points = np.concatenate([early, late])
    shares = [np.searchsorted(part, points, side="right") / len(part) for part in (early, late)]
    return Drift(outside, max(empty, float(np.abs(shares[0] - shares[1]).max())))


def _variation(early: NDArray[np.int64], late: NDArray[np.int64]) -> float:
    size = int(max(early.max(), late.max())) + 2
    shares = [np.bincount(part % size, minlength=size) / len(part) for part in (early, late)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _bins(column: ColumnData, most: int) -> NDArray[np.int64]:
    """The column as categories 0, 1, ..., missing being the last: numbers in up to `most` bins of equal size."""
    missing = column.missing
    repeats = len(column.codes) >= REPEATS * len(column.levels)  # every single date determines its day of the week
    if not column.numbers.shape[1] or len(column.levels) <= most or repeats:
        return np.where(missing, len(column.levels), column.codes)
    values = column.numbers[:, 0]
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, most + 1)[1:-1]))
    return np.where(missing, most, np.searchsorted(edges, values, side="right")).astype(np.int64)


def _target(column: ColumnData) -> NDArray[np.int64] | NDArray[np.float64]:
    """What is to be predicted: category numbers, or ranks in (0, 1] with 0 for missing."""
    if not column.numbers.shape[1] or len(column.levels) <= FEW_LEVELS:
        return np.where(column.missing, len(column.levels), column.codes)
    present = column.codes[~column.missing]  # codes of numbers are in the order of the numbers
    below = np.cumsum(np.bincount(present, minlength=len(column.levels)))
    return np.where(column.missing, 0.0, below[column.codes] / len(present))


def _in_rank(
    bins: NDArray[np.int64], target: NDArray[np.float64], others: NDArray[np.int64], judged: NDArray[np.float64]
) -> float:
    size = int(max(bins.max(), others.max())) + 1
    count = np.bincount(bins, minlength=size)
    mean = np.divide(np.bincount(bins, target, size), count, out=np.full(size, target.mean()), where=count > 0)
    total = float(((judged - target.mean()) ** 2).sum())
    return 1 - float(((judged - mean[others]) ** 2).sum()) / total if total else 0.0


def _exactly(
    bins: NDArray[np.int64], target: NDArray[np.int64], others: NDArray[np.int64], judged: NDArray[np.int64]
) -> float:
    width = int(max(target.max(), judged.max())) + 1
    size = int(max(bins.max(), others.max())) + 1
    pairs, count = np.unique(bins * width + target, return_counts=True)
    commonest = int(np.bincount(target).argmax())
    answer = np.full(size, commonest)
    order = np.argsort(count, kind="stable")  # the commonest pair of each bin is written last
    answer[pairs[order] // width] = pairs[order] % width
    chance = float((judged == commonest).mean())
    return (float((judged == answer[others]).mean()) - chance) / (1 - chance) if chance < 1 else 0.0
