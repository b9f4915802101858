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
NEIGHBOURS = 5
MEASURED = 2000  # rows whose neighbours are looked for: every one costs its distance to all rows

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


def neighbours_kept(aligned: Array, k: int = NEIGHBOURS, most: int = MEASURED) -> Array:
    """The share of the `k` nearest rows of the mean that are among the `k` nearest in a single network, (row,).

    Of more than `most` rows so many are measured, drawn at random, against all rows; the others have NaN, and so have
    all rows of a single network.
    """
    rows = aligned.shape[1]
    k, share = min(k, rows - 1), np.full(rows, np.nan)
    if len(aligned) == 1 or k < 1:
        return share
    asked = np.sort(np.random.default_rng(0).permutation(rows)[:most])
    together = nearest_rows(aligned.mean(axis=0), asked, k)
    single = [nearest_rows(one, asked, k) for one in aligned]
    kept = [(together[:, :, None] == nearest[:, None, :]).any(axis=2).mean(axis=1) for nearest in single]
    share[asked] = np.mean(kept, axis=0)
    return share


def nearest_rows(vectors: Array, asked: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The `k` nearest other rows of each row `asked` for by Euclidean distance, (asked, k), in no order."""
    return np.concatenate([_nearest(vectors, asked[start : start + 1024], k) for start in range(0, len(asked), 1024)])


def _nearest(vectors: Array, asked: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    block = vectors[asked]
    distance = (block**2).sum(axis=1)[:, None] - 2 * block @ vectors.T + (vectors**2).sum(axis=1)
    distance[np.arange(len(block)), asked] = np.inf
    return np.argpartition(distance, k - 1, axis=1)[:, :k]


@dataclass(frozen=True)
class DistanceCheck:
    """The paper's check of an embedding (its Fig. 2): do categories with like targets have like vectors?

    `distance` between two vectors and `difference` of their mean targets, (pair,) each, over pairs drawn at random;
    `rank_correlation` is Spearman's, near 1 where distance orders pairs as the target does.
    """

    distance: Array
    difference: Array
    rank_correlation: float


def distance_check(vectors: NDArray[np.floating], means: Array, pairs: int = 10_000, seed: int = 0) -> DistanceCheck:
    """Compare distances between rows of `vectors` (row, dimension) with differences of `means` (row,)."""
    first, second = np.random.default_rng(seed).integers(0, len(vectors), (2, pairs))
    first, second = first[first != second], second[first != second]
    distance = np.linalg.norm(vectors[first].astype(np.float64) - vectors[second], axis=1)
    difference = np.abs(means[first] - means[second])
    return DistanceCheck(distance, difference, _rank_correlation(distance, difference))


def _rank_correlation(a: Array, b: Array) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Array) -> Array:
    """Ranks from 0, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends: Array = np.cumsum(counts) - (counts + 1) / 2
    return ends[inverse]


def rows_with_data(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that training has met, and if there are fewer than two of them all rows."""
    met = counts > 0
    return met if met.sum() > 1 else np.ones_like(met)
