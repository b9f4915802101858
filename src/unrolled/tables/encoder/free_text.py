"""A column of free text, or of sets, becomes numbers: what its n-grams or members tell of the target, and components.

Free text is no category, because nearly every row has one of its own; nor is a cell such as "red; large", which holds
several. Left out: names that recur (`spelling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.columns import Column
from unrolled.tables.encoder.coding import as_kind
from unrolled.tables.encoder.ngrams import NGrams, fit_ngrams, members
from unrolled.tables.encoder.spelling import COMPONENTS, cross_fitted_ridge, main_axes

DISTINCT, LENGTH, MIN_TEXTS = 0.9, 20, 50
SEPARATORS, SHARE_OF_SETS = (";", "|"), 0.2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FreeText:
    """How a column of texts becomes numbers: `mean` (number,) and the `vectors` (n-gram, number) of its n-grams.

    Of sets, the vectors are those of the members, and a set has their mean, weighed by rarity. The last numbers are
    main components, those before them predict the target: one an output of the networks.
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
        kind = "spelling" if self.ngrams.separator is None else "members"
        return tuple(f"{self.name}_{kind}_{i}" for i in range(self.width))

    @property
    def reason(self) -> str:
        """What it was taken for."""
        if self.ngrams.separator is None:
            return "free text: what its spelling tells of the target, and its main components"
        return f"sets parted by {self.ngrams.separator!r}: what their members tell of the target, and main components"

    def encode(self, column: Column) -> Array:
        """(row, width) float32; a missing text is an empty one. Raises InputError for a column of no strings."""
        column = as_kind(column, "string")
        texts = np.where(column.missing, "", column.values).tolist()
        numbers: Array = (self.ngrams.features(texts) @ self.vectors + self.mean).astype(np.float32)
        return numbers


def is_free_text(column: Column) -> bool:
    """Whether the strings are sets, or long, 20 characters on average, and nine in ten rows have one of their own."""
    present = column.values[~column.missing]
    if column.kind != "string" or column.declared or len(present) < MIN_TEXTS:
        return False
    if separator_of(present) is not None:
        return True
    return sum(map(len, present)) >= LENGTH * len(present) and len(set(present)) >= DISTINCT * len(present)


def separator_of(texts: NDArray[np.object_]) -> str | None:
    """The mark that stands in a fifth of the texts and parts them into half as many members or fewer; None for none."""
    distinct = set(texts)
    for mark in SEPARATORS:
        stands = sum(mark in text for text in texts) >= SHARE_OF_SETS * len(texts)
        if stands and 2 * len({one for text in distinct for one in members(text, mark)}) <= len(distinct):
            return mark
    return None


def fit_free_text(column: Column, target: NDArray[np.float64]) -> tuple[FreeText, Array]:
    """The coding learned from `target` (row, output), and the numbers of the rows, each predicted from other ones."""
    texts = np.where(column.missing, "", column.values).tolist()
    ngrams = fit_ngrams(texts, separator_of(column.values[~column.missing]))
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
