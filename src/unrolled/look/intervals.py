"""Uncertainty of means over probes: bootstrap intervals, and a sign-flip test with a family-wise error rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def bins(distance: int) -> NDArray[np.int64]:
    """Edges of bins over the distances 1 to `distance`: one distance per bin up to 8, then growing by a quarter.

    Bin b holds the distances from edges[b] to edges[b + 1] - 1.
    """
    edges = list(range(1, min(8, distance) + 1))
    while edges[-1] <= distance:
        edges.append(max(edges[-1] + 1, round(edges[-1] * 1.25)))
    return np.array([*edges[:-1], distance + 1])


def binned(values: Numbers, edges: NDArray[np.int64]) -> Numbers:
    """Means of `values` (probe, distance) within each bin, (probe, bin)."""
    return np.add.reduceat(values, edges[:-1] - 1, axis=1) / np.diff(edges)


def mean_with_interval(
    values: Numbers, rng: np.random.Generator, resamples: int = 500
) -> tuple[Numbers, Numbers, Numbers]:
    """Mean of each column of `values` (probe, column), with a 95 % bootstrap interval.

    Returns (mean, low, high), each (column,): the percentile interval of a bootstrap over probes. The interval always
    contains the mean: where all rows are equal, its ends would otherwise differ from the mean by a rounding error whose
    direction depends on the processor.
    """
    weights = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    mean, resampled = values.mean(0), weights.astype(np.float64) @ values / len(values)
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return mean, np.minimum(low, mean), np.maximum(high, mean)


def beyond_chance(
    values: Numbers, rng: np.random.Generator, false_alarm: float = 0.01, flips: int = 2000
) -> tuple[NDArray[np.bool_], Numbers]:
    """Which columns of `values` (probe, column) have a mean significantly above zero, and the mean that it takes.

    Both are (column,). The null distribution flips the sign of whole rows at random: where a replacement is as good as
    the original, its cost is as likely negative as positive. A column must exceed the largest studentised mean over all
    columns, so `false_alarm` is the probability of one or more false columns (the family-wise error rate).
    """
    error = values.std(0) / np.sqrt(len(values))
    scaled = np.divide(values, error * len(values), out=np.zeros_like(values), where=error > 0)
    signs = rng.choice(np.array([-1.0, 1.0]), size=(flips, len(values)))
    floor = float(np.quantile((signs @ scaled).max(1), 1 - false_alarm))
    exceeding: NDArray[np.bool_] = scaled.sum(0) > floor
    return exceeding, floor * error
