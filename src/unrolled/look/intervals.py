"""How sure a mean over places is: bootstrap intervals, and the test against a text whose characters are independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def bins(distance: int, ratio: float = 1.25, single: int = 8) -> NDArray[np.int64]:
    """Edges of bins over the distances 1 to `distance`: one each up to `single`, then wider by `ratio`.

    Bin b holds the distances from edges[b] to edges[b + 1] - 1.
    """
    edges = list(range(1, min(single, distance) + 1))
    while edges[-1] <= distance:
        edges.append(max(edges[-1] + 1, round(edges[-1] * ratio)))
    return np.array([*edges[:-1], distance + 1])


def binned(values: Numbers, edges: NDArray[np.int64]) -> Numbers:
    """Sums of (site, distance) over the bins, (site, bin)."""
    sums: Numbers = np.add.reduceat(values, edges[:-1] - 1, axis=1)
    return sums


def mean_with_interval(
    sums: Numbers, counts: Numbers, rng: np.random.Generator, level: float = 0.95, resamples: int = 500
) -> tuple[Numbers, Numbers, Numbers]:
    """Total over count for each column of (site, column), with the percentile interval of a bootstrap over sites.

    The interval always contains the mean: where all rows are equal, its ends would otherwise differ from the mean by a
    rounding, in a direction that depends on the processor. A column without a count is NaN.
    """
    weights = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / counts.sum(0)
        resampled = (weights @ sums) / (weights @ counts)
    low, high = (_quantile(resampled, q) for q in ((1 - level) / 2, (1 + level) / 2))
    return mean, np.minimum(low, mean), np.maximum(high, mean)


def beyond_chance(
    values: Numbers, rng: np.random.Generator, false_alarm: float = 0.01, flips: int = 2000
) -> NDArray[np.bool_]:
    """Which columns of (site, column) have a mean above zero that chance does not explain.

    The chance: rows whose signs are random, as the costs of an exchange are where both characters are as good. The
    largest studentised mean over all columns is what has to be beaten, so that `false_alarm` is the probability of one
    or more false columns.
    """
    error = values.std(0) / np.sqrt(len(values))
    scaled = np.divide(values, error * len(values), out=np.zeros_like(values), where=error > 0)
    signs = rng.choice(np.array([-1.0, 1.0]), size=(flips, len(values)))
    floor = np.quantile((signs @ scaled).max(1), 1 - false_alarm)
    exceeding: NDArray[np.bool_] = scaled.sum(0) > floor
    return exceeding


def _quantile(values: Numbers, q: float) -> Numbers:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column that is NaN throughout stays NaN
        result: Numbers = np.nanquantile(values, q, axis=0)
    return result
