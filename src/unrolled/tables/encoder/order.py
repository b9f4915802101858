"""Whether the order of whole numbers tells all that they tell: that of amounts does, that of postcodes does not.

Measured on held-out folds of the rows: what a curve over the order explains of the target, and what a mean of each
value explains beyond it. Left out: which columns are asked, and what follows (`schema`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
MAX_ROWS = 20_000
"""More rows than this are not looked at: the answer is clear by then."""
PIECES, VALUES_PER_PIECE = (16, 64), 3
"""Pieces that the curve may have, with three values or more in each."""
PRIORS = (3.0, 30.0, 300.0)
"""Rows that a value's mean is shrunk by towards the curve; what does best is taken."""
RIDGE = 1.0
ERRORS = 2.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """A share of the target's variance that is explained on held-out rows, and its standard error."""

    share: float
    error: float

    @property
    def is_clear(self) -> bool:
        """Whether it is above two standard errors."""
        return self.share > ERRORS * self.error


def gain_beyond_order(values: NDArray[np.int64], target: Array) -> Gain:
    """What `values` (row,) explain of `target` (row, output) beyond their order; that of the rows does not matter."""
    chosen = np.lexsort((*target.T, values))
    chosen = chosen[:: -(-len(chosen) // MAX_ROWS)]
    levels, place = np.unique(values[chosen], return_inverse=True)
    target = target[chosen] - target[chosen].mean(axis=0)
    fold = np.random.default_rng(0).permutation(len(chosen)) % FOLDS
    constant, curve, *means = min(
        (_errors(levels, place, target, fold, min(count, len(levels) // VALUES_PER_PIECE)) for count in PIECES),
        key=lambda errors: float(errors[1].sum()),
    )
    best = min(means, key=lambda error: float(error.sum()))
    scale = float(constant.mean()) or 1.0
    gained = curve - best
    return Gain(float(gained.mean()) / scale, float(gained.std()) / np.sqrt(len(gained)) / scale)


def _errors(levels: NDArray[np.int64], place: NDArray[np.int64], target: Array, fold: NDArray[np.int64],
            count: int) -> Array:  # fmt: skip
    """(model, row) squared errors on held-out rows of the models of `_predictions`, with a curve of `count` pieces."""
    basis = pieces(levels.astype(np.float64), knots_of(levels[place], count))
    errors = np.empty((2 + len(PRIORS), len(place)))
    for held in (fold == k for k in range(FOLDS)):
        predicted = _predictions(basis, place[~held], target[~held])
        errors[:, held] = ((target[held] - predicted[:, place[held]]) ** 2).sum(axis=2)
    return errors


def _predictions(basis: Array, place: NDArray[np.int64], target: Array) -> Array:
    """(model, value, output): the mean, the curve, and means of the values shrunk towards the curve by each prior."""
    count = np.bincount(place, minlength=len(basis)).astype(np.float64)[:, None]
    total = np.stack([np.bincount(place, column, len(basis)) for column in target.T], axis=1)
    mean = np.broadcast_to(target.mean(axis=0), total.shape)
    basis = basis - (count * basis).sum(axis=0) / len(place)
    system = basis.T @ (count * basis) + RIDGE * np.eye(basis.shape[1])
    curve = mean + basis @ np.linalg.solve(system, basis.T @ (total - count * mean))
    left = total - count * curve
    return np.stack([mean, curve, *(curve + left / (count + prior) for prior in PRIORS)])


def knots_of(values: NDArray[np.number], count: int) -> Array:
    """The ends of at most `count` pieces with as many of the `values` each, (knot,), rising."""
    shares = np.linspace(0, 1, max(count, 1) + 1)
    return np.unique(np.quantile(values, shares, method="nearest").astype(np.float64))


def pieces(values: Array, knots: Array) -> Array:
    """(value, piece): how far each value has come through each piece between two knots, 0 to 1 (TabM's encoding)."""
    return np.clip((values[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
