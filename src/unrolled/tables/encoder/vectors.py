"""From trained networks to one vector a category: rows without data, scale, alignment, average, shrinkage.

NumPy only. Left out: training (see `network`) and the scikit-learn face (see `encoder`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, unknown_name
from unrolled.tables.encoder.alignment import Alignment, align, rows_with_data, spread
from unrolled.tables.encoder.coding import SPECIAL, UNKNOWN, Coding
from unrolled.tables.encoder.weights import Trained

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
    def of(cls, trained: Trained) -> Scales:
        """From the sensitivity of the networks; all 1 where it was not measured."""
        *fields, numbers = np.split(_factors(trained), np.cumsum([table.shape[2] for table in trained.tables]))
        return cls(tuple(float(np.sqrt(np.mean(own**2))) for own in fields), numbers.astype(np.float32))


def _factors(trained: Trained) -> NDArray[np.float64]:
    """A factor for each input, (in,), with a root mean square of 1 over all."""
    if trained.sensitivity is None or not trained.sensitivity.any():
        return np.ones(trained.weights[0].shape[1])
    own = trained.sensitivity.astype(np.float64)
    factors: NDArray[np.float64] = np.maximum(own / np.sqrt(np.mean(own**2)), SMALLEST_SCALE)
    return factors


@dataclass(frozen=True)
class Vectors:
    """The vectors handed on, and the scales of them and of the numbers beside them.

    Per category field: `tables` float32 (row, dimension), `alignments` of the networks, `spreads` (row,).
    """

    scales: Scales
    tables: list[NDArray[np.float32]]
    alignments: list[Alignment]
    spreads: list[NDArray[np.float64]]


def combine(trained: Trained, counts: Sequence[Counts], smooth: float, reference: Vectors | None = None) -> Vectors:
    """One vector a row: scaled, aligned (onto `reference` if given), averaged, leaned towards unknown by count."""
    scales = Scales.of(trained) if reference is None else reference.scales
    targets = [None] * len(counts) if reference is None else reference.tables
    tables, alignments, spreads = [], [], []
    for own, met, target, scale in zip(trained.tables, counts, targets, scales.fields, strict=True):
        onto = None if target is None else target.astype(np.float64)
        alignment = align(own * scale, rows_with_data(met), onto).after_scaling(scale)
        aligned = alignment.apply(own)
        tables.append(lean(aligned.mean(axis=0), met, smooth).astype(np.float32))
        alignments.append(alignment)
        spreads.append(spread(aligned))
    return Vectors(scales, tables, alignments, spreads)


def lean(vectors: NDArray[np.float64], counts: Counts, smooth: float) -> NDArray[np.float64]:
    """(n v + smooth u) / (n + smooth) for each row: with few rows n, a vector v stays near the unknown one u."""
    if smooth == 0:
        return vectors
    n = counts[:, None].astype(np.float64)
    unknown = vectors[UNKNOWN]
    leaned: NDArray[np.float64] = unknown + (vectors - unknown) * n / (n + smooth)
    return leaned


def settle(trained: Trained, counts: Sequence[Counts], unknown_is_trained: bool) -> Trained:
    """Give every row that training never met the unknown row's vector.

    Without replaced categories in training the unknown row was not met either: it becomes the mean over the rows met,
    weighted by count.
    """
    tables = [_settled(own, met, unknown_is_trained) for own, met in zip(trained.tables, counts, strict=True)]
    return replace(trained, tables=tables)


def _settled(tables: NDArray[np.float32], counts: Counts, unknown_is_trained: bool) -> NDArray[np.float32]:
    settled = tables.copy()
    if not unknown_is_trained:
        weights = counts / max(counts.sum(), 1)
        settled[:, UNKNOWN] = np.einsum("nrd,r->nd", tables, weights)
    unmet = counts == 0
    unmet[UNKNOWN] = False
    settled[:, unmet] = settled[:, UNKNOWN][:, None]
    return settled


def auto_dimension(categories: int) -> int:
    """The dimension of a column with that many categories: 3 n^(1/4), but never more than n - 1.

    Measured on Rossmann's validation rows (error of one network, temporal and random): 2 n^(1/4) 0.1089 and 0.0770,
    3 n^(1/4) 0.1059 and 0.0758, the sizes chosen by hand in the paper 0.1100 and 0.0759.
    """
    return max(1, min(categories - 1, round(3 * math.sqrt(math.sqrt(categories)))))


def dimensions_of(codings: Sequence[Coding], wanted: str | int | Mapping[str, int]) -> tuple[int, ...]:
    """The dimension of each category field: by rule ("auto"), one for all, or by name with the rule for the others.

    Raises InputError for a name that is no category field or a dimension below 1.
    """
    given: Mapping[str, Any] = wanted if isinstance(wanted, Mapping) else {}
    names = [coding.name for coding in codings]
    for name in given:
        if name not in names:
            raise unknown_name("column", str(name), names)
    if isinstance(wanted, str) and wanted != "auto":
        raise InputError(f"dimensions is {wanted!r}, but must be 'auto', a number, or numbers by column")
    fixed = None if isinstance(wanted, str | Mapping) else wanted
    return tuple(_dimension(coding, given.get(coding.name, fixed)) for coding in codings)


def _dimension(coding: Coding, wanted: int | None) -> int:
    if wanted is None:
        return auto_dimension(coding.rows - len(SPECIAL))
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1:
        raise InputError(f"the dimension of column {coding.name!r} is {wanted!r}, but must be a whole number from 1 on")
    return int(wanted)


def counts_of(codes: NDArray[np.int32], codings: Sequence[Coding]) -> list[Counts]:
    """How many rows of `codes` (row, field) each row of each embedding has."""
    return [np.bincount(codes[:, i], minlength=coding.rows).astype(np.int64) for i, coding in enumerate(codings)]


def means_of(
    codes: NDArray[np.int32], codings: Sequence[Coding], target: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """The mean target of each row of each embedding; of rows never met, the mean of all."""
    means = []
    for i, coding in enumerate(codings):
        total = np.bincount(codes[:, i], weights=target, minlength=coding.rows)
        count = np.bincount(codes[:, i], minlength=coding.rows)
        means.append(np.where(count > 0, total / np.maximum(count, 1), target.mean()))
    return means
