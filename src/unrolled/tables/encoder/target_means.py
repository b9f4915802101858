"""The mean target of each category, shrunk towards that of all rows: what vectors forget and boosted trees can use.

Left out: which columns have one (`schema`), and the vectors beside it (`vectors`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.splits import Rows

Codes = NDArray[np.int32]
Array = NDArray[np.float32]
TINY = 1e-12
ERRORS = 2.0


def shrunk_means(codes: Codes, categories: int, target: NDArray[np.float64], weight: Array) -> Array:
    """(category, output) the mean of `target` (row, output) over the rows of each code in `codes` (row,).

    With n rows a mean weighs n, that of all rows as much as the variance within categories is larger than that between
    them (empirical Bayes, both by moments). Codes without rows have the mean of all.
    """
    rows = np.bincount(codes, weight, categories)
    total = max(float(rows.sum()), TINY)
    overall = weight @ target / total
    sums = np.stack([np.bincount(codes, weight * column, categories) for column in (target - overall).T], axis=1)
    means = sums / np.maximum(rows, TINY)[:, None]
    inside = float((weight @ (target - overall) ** 2).sum() - (rows[:, None] * means**2).sum())
    known = int(np.count_nonzero(rows))
    within = max(inside, 0.0) / max(total - known, 1.0)
    spread = max(total - float((rows**2).sum()) / total, TINY)
    between = (float((rows[:, None] * means**2).sum()) - (known - 1) * within) / spread
    prior = within / between if between > 0 else np.inf
    share = rows / np.maximum(rows + prior, TINY)
    shrunk: Array = (overall + means * share[:, None]).astype(np.float32)
    return shrunk


def tested_means(codes: Codes, categories: int, target: NDArray[np.float64], weight: Array,
                 splits: Sequence[tuple[Rows, Rows]]) -> Array:  # fmt: skip
    """`shrunk_means`, all alike unless they predict the held-out rows of `splits` better than the mean of all does.

    The squared error must fall by more than two standard errors: ids that tell nothing are not learned by heart.
    """
    means = shrunk_means(codes, categories, target, weight)
    constant = np.broadcast_to(weight @ target / max(float(weight.sum()), TINY), means.shape).astype(np.float32)
    predicted = cross_fitted_means(codes, codes, target, weight, means, splits)
    fall = weight * (((target - constant[0]) ** 2).sum(axis=1) - ((target - predicted) ** 2).sum(axis=1))
    return means if fall.mean() > ERRORS * fall.std() / np.sqrt(len(fall)) else constant


def cross_fitted_means(codes: Codes, shown: Codes, target: NDArray[np.float64], weight: Array, table: Array,
                       splits: Sequence[tuple[Rows, Rows]]) -> Array:  # fmt: skip
    """(row, output) for each held-out row of `splits` the mean of its code in `shown`, learned from the others.

    Rows that no split holds out have that of `table` (category, output), and so have all where its means are alike.
    """
    out = table[shown]
    if len(table) > 1 and not np.ptp(table, axis=0).any():
        return out
    for train, held in splits:
        out[held] = shrunk_means(codes[train], len(table), target[train], weight[train])[shown[held]]
    return out
