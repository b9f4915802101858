"""From trained networks to one vector per category: rows without data, scale, alignment, average, shrinkage.

NumPy only. Left out: training (`training`) and what is done with the vectors (`fitted`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.encoder.alignment import Alignment, align, rows_with_data, spread
from unrolled.tables.encoder.coding import UNKNOWN, Coding
from unrolled.tables.encoder.weights import NetworkWeights

Counts = NDArray[np.int64]

SMALLEST_SCALE = 1e-3
"""A column that moves no prediction is made small, but never nothing: another model may have a use for it."""


@dataclass(frozen=True)
class Scales:
    """What the networks' inputs are multiplied by when handed on: one factor a category field, one a number column.

    A network does not care how long its vectors are, its first layer sees to that; a distance does. Scaled by how far
    an input moves the prediction, a step of one means as much along every column (docs/experiments.md: the error of
    nearest neighbours falls by a tenth). One factor for a whole field turns nothing and changes no tree.
    """

    fields: tuple[float, ...]
    numbers: NDArray[np.float32]

    @classmethod
    def of(cls, weights: NetworkWeights) -> Scales:
        """From the sensitivity of the networks; all 1 where it was not measured."""
        factors = np.ones(weights.weights[0].shape[1])
        if weights.sensitivity is not None and weights.sensitivity.any():
            own = weights.sensitivity.astype(np.float64)
            factors = np.maximum(own / np.sqrt(np.mean(own**2)), SMALLEST_SCALE)
        *fields, numbers = np.split(factors, np.cumsum([table.shape[2] for table in weights.tables]))
        return cls(tuple(float(np.sqrt(np.mean(own**2))) for own in fields), numbers.astype(np.float32))


@dataclass(frozen=True)
class Vectors:
    """The vectors handed on, and the scales of them and of the numbers beside them.

    Per category field: `tables` float32 (row, dimension), `alignments` of the networks, `spreads` (row,), and the
    `axes` (dimension, main axis) on which the vectors are handed on; without them all dimensions are.
    """

    scales: Scales
    tables: list[NDArray[np.float32]]
    alignments: list[Alignment]
    spreads: list[NDArray[np.float64]]
    axes: tuple[NDArray[np.float32], ...] = ()

    def handed_on(self, i: int, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of field `i` on its main axes, (..., dimension + beside) -> (..., main axis + beside)."""
        if not self.axes:
            return vectors
        own = len(self.axes[i])
        turned = np.einsum("...d,da->...a", vectors[..., :own], self.axes[i])  # no BLAS: bits of a row are its own
        return np.concatenate([turned, vectors[..., own:]], axis=-1)


def main_axes(table: NDArray[np.float32], counts: Counts, share: float, most: int) -> NDArray[np.float32]:
    """(dimension, main axis) those that hold a `share` of the variance of `table` over its rows, at most `most`."""
    weight = counts / max(counts.sum(), 1)
    centred = table.astype(np.float64) - weight @ table
    sizes, axes = np.linalg.eigh(centred.T @ (weight[:, None] * centred))
    held = np.cumsum(sizes[::-1]) / max(sizes.sum(), np.finfo(float).tiny)
    count = min(int(np.searchsorted(held, share)) + 1, most, len(sizes))
    chosen = axes[:, ::-1][:, :count]
    return (chosen * np.where(chosen.sum(axis=0) < 0, -1, 1)).astype(np.float32)  # eigenvectors have no sign


def combine(
    weights: NetworkWeights, counts: Sequence[Counts], smoothing: float, reference: Vectors | None = None
) -> Vectors:
    """One vector per row: scaled, aligned (onto `reference` if given), shrunk towards unknown by count, averaged.

    `counts` has per field the rows that the networks were trained on, (row,) or (network, row).
    """
    scales = Scales.of(weights) if reference is None else reference.scales
    targets = [None] * len(counts) if reference is None else reference.tables
    tables, alignments, spreads = [], [], []
    for own, seen, target, scale in zip(weights.tables, counts, targets, scales.fields, strict=True):
        onto = None if target is None else target.astype(np.float64)
        shared = rows_with_data(np.atleast_2d(seen).min(axis=0))
        alignment = align(own * scale, shared, onto).after_scaling(scale)
        aligned = alignment.apply(own)
        tables.append(shrink(aligned, seen, smoothing).mean(axis=0).astype(np.float32))
        alignments.append(alignment)
        spreads.append(spread(aligned))
    return Vectors(scales, tables, alignments, spreads)


def network_tables(
    weights: NetworkWeights, counts: Sequence[Counts], smoothing: float, vectors: Vectors
) -> list[NDArray[np.float32]]:
    """Per field the vectors of each network, (network, row, dimension), whose mean over networks is in `vectors`."""
    fields = zip(weights.tables, counts, vectors.alignments, strict=True)
    return [shrink(alignment.apply(own), seen, smoothing).astype(np.float32) for own, seen, alignment in fields]


def shrink(vectors: NDArray[np.float64], counts: Counts, smoothing: float) -> NDArray[np.float64]:
    """(n v + smoothing u) / (n + smoothing) for each row: with few rows n, a vector v stays near the unknown one u.

    `vectors` is (..., row, dimension) and `counts` (row,) or (..., row).
    """
    if smoothing == 0:
        return vectors
    n = counts[..., None].astype(np.float64)
    unknown = vectors[..., UNKNOWN : UNKNOWN + 1, :]
    shrunk: NDArray[np.float64] = unknown + (vectors - unknown) * n / (n + smoothing)
    return shrunk


def fill_untrained(weights: NetworkWeights, counts: Sequence[Counts], unknown_is_trained: bool) -> NetworkWeights:
    """Give every row that training never saw the unknown row's vector.

    Without replaced categories in training the unknown row was not trained either: it becomes the mean over the rows
    seen, weighted by count.
    """
    tables = [_filled(own, seen, unknown_is_trained) for own, seen in zip(weights.tables, counts, strict=True)]
    return replace(weights, tables=tables)


def _filled(tables: NDArray[np.float32], counts: Counts, unknown_is_trained: bool) -> NDArray[np.float32]:
    filled, counts = tables.copy(), np.broadcast_to(counts, tables.shape[:2])
    if not unknown_is_trained:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        filled[:, UNKNOWN] = np.einsum("nrd,nr->nd", tables, shares)
    return np.where((counts == 0)[..., None], filled[:, UNKNOWN][:, None], filled)


def counts_of(codes: NDArray[np.int32], codings: Sequence[Coding]) -> list[Counts]:
    """How many rows of `codes` (row, field) each row of each embedding has."""
    return [np.bincount(codes[:, i], minlength=coding.rows).astype(np.int64) for i, coding in enumerate(codings)]


def means_of(
    codes: NDArray[np.int32], codings: Sequence[Coding], target: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """The mean target of each row of each embedding; of rows never seen, the mean of all."""
    means = []
    for i, coding in enumerate(codings):
        total = np.bincount(codes[:, i], weights=target, minlength=coding.rows)
        count = np.bincount(codes[:, i], minlength=coding.rows)
        means.append(np.where(count > 0, total / np.maximum(count, 1), target.mean()))
    return means
