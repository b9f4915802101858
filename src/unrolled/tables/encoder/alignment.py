"""Several networks, one coordinate system: orthogonal Procrustes, the average, and how far the networks agree.

A network may turn its vectors freely, because the next layer turns them back; only after undoing that can vectors of
several networks, or of several folds, be averaged or compared. Left out: training, and what a vector is used for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import rotation_onto

ROUNDS = 5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """How each network's vectors move into the shared coordinates: (v - centre) @ rotation.

    `centres` (network, dimension), `rotations` (network, dimension, dimension); the latter may hold a scale as well.
    """

    centres: Array
    rotations: Array

    def apply(self, tables: NDArray[np.floating]) -> Array:
        """(network, row, dimension) in own coordinates -> the same in shared ones."""
        moved: Array = (tables.astype(np.float64) - self.centres[:, None]) @ self.rotations
        return moved

    def undo(self, vectors: NDArray[np.floating], networks: slice = slice(None)) -> Array:
        """(row, dimension) in shared coordinates -> (network, row, dimension), the same in each network's own."""
        back = np.linalg.inv(self.rotations[networks])
        turned = np.einsum("rd,nde->nre", vectors, back)  # no BLAS: bits of a row are its own
        moved: Array = turned + self.centres[networks, None]
        return moved

    def after_scaling(self, scale: float) -> Alignment:
        """The alignment that first multiplies vectors by `scale`, and then does what this one does."""
        return Alignment(self.centres / scale, self.rotations * scale)


def align(tables: NDArray[np.floating], shared: NDArray[np.bool_], reference: Array | None = None) -> Alignment:
    """Turn the vectors of several networks onto each other, or onto `reference` (row, dimension) where given.

    `tables` is (network, row, dimension); only the `shared` rows, bool (row,), count. Without a reference the networks
    meet in the middle (generalised Procrustes), in the coordinates of the first. Turning the result to its main axes
    was tried and left out: it helps trees a little (0.0736 -> 0.0730) but spoils nearest neighbours by the sum of
    absolute differences (0.0955 -> 0.1166), which want the variance spread over all coordinates.
    """
    rows = tables[:, shared].astype(np.float64)
    centres = rows.mean(axis=1)
    rows = rows - centres[:, None]
    if reference is not None:
        middle = reference[shared].mean(axis=0)
        rotations = rotation_onto(rows, reference[shared] - middle)
        return Alignment(centres - middle @ rotations.swapaxes(1, 2), rotations)  # so that the centre lands on its own
    middle = rows[0]
    for _ in range(ROUNDS):
        rotations = rotation_onto(rows, middle)
        middle = (rows @ rotations).mean(axis=0)
    return Alignment(centres, rotations)


def spread(aligned: Array) -> Array:
    """How far networks disagree on each row: the root mean square distance from their mean, (row,).

    As a share of the root mean square distance of the rows from their centre: 0 is perfect agreement, and at 1 the
    networks disagree as much about this category as categories differ. NaN for a single network.
    """
    if len(aligned) == 1:
        return np.full(aligned.shape[1], np.nan)
    mean = aligned.mean(axis=0)
    own = np.sqrt(((aligned - mean) ** 2).sum(axis=2).mean(axis=0))
    scale = np.sqrt(((mean - mean.mean(axis=0)) ** 2).sum(axis=1).mean())
    shares: Array = own / max(scale, np.finfo(float).tiny)
    return shares


def rows_with_data(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that training has met, and if there are fewer than two of them all rows."""
    met = counts > 0
    return met if met.sum() > 1 else np.ones_like(met)
