"""A column of free text becomes numbers: what the n-grams of a text tell of the target, and its main components.

Free text is no category: nearly every row has one of its own. Left out: names that recur (`spelling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.columns import Column
from unrolled.tables.encoder.coding import as_kind
from unrolled.tables.encoder.ngrams import NGrams, fit_ngrams
from unrolled.tables.encoder.spelling import cross_fitted_ridge, main_axes

DISTINCT, LENGTH, MIN_TEXTS = 0.9, 20, 50
COMPONENTS = 10

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FreeText:
    """How a column of texts becomes numbers: `mean` (number,) and the `vectors` (n-gram, number) of its n-grams.

    The last numbers are main components, those before them predict the target: one an output of the networks.
    """

    name: str
    ngrams: NGrams
    vectors: Array
    mean: Array

    @property
    def width(self) -> int:
        """Output columns."""
        return len(self.mean)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output columns."""
        return tuple(f"{self.name}_spelling_{i}" for i in range(self.width))

    def encode(self, column: Column) -> Array:
        """(row, width) float32; a missing text is an empty one. Raises InputError for a column of no strings."""
        column = as_kind(column, "string")
        texts = np.where(column.missing, "", column.values).tolist()
        numbers: Array = (self.ngrams.features(texts) @ self.vectors + self.mean).astype(np.float32)
        return numbers


def is_free_text(column: Column) -> bool:
    """Whether the strings are long, 20 characters on average, and nine in ten rows have one of their own."""
    if column.kind != "string" or column.declared:
        return False
    present = column.values[~column.missing]
    if len(present) < MIN_TEXTS or sum(map(len, present)) < LENGTH * len(present):
        return False
    return len(set(present)) >= DISTINCT * len(present)


def fit_free_text(column: Column, target: NDArray[np.float64]) -> tuple[FreeText, Array]:
    """The coding learned from `target` (row, output), and the numbers of the rows, each predicted from other ones."""
    texts = np.where(column.missing, "", column.values).tolist()
    ngrams = fit_ngrams(texts)
    features = ngrams.features(texts)
    order = np.lexsort((*target.T, np.array(texts, dtype=str)))  # so that the order of the rows does not matter
    ridge = cross_fitted_ridge(features[order], target[order], np.ones(len(texts)))
    held_out = np.empty_like(ridge.held_out)
    held_out[order] = ridge.held_out
    axes = main_axes(features, np.ones(len(texts)), COMPONENTS)
    beside = features @ axes
    scale = beside.std() or 1.0
    mean = np.concatenate([ridge.mean, -beside.mean(axis=0) / scale]).astype(np.float32)
    vectors = np.concatenate([ridge.weights, axes / scale], axis=1).astype(np.float32)
    numbers = np.concatenate([held_out, (beside - beside.mean(axis=0)) / scale], axis=1).astype(np.float32)
    return FreeText(column.name, ngrams, vectors, mean), numbers
