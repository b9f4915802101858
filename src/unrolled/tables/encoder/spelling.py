"""A vector from the spelling of a name: the weighted mean of vectors that belong to its character n-grams.

Learned by ridge regression from the vectors of the categories that have rows, and used for names that have few or none.
Beside it stand the main components of the n-grams, which know no target. Left out: the vectors regressed on
(`vectors`), and which columns are read (`reading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from unrolled.tables.encoder.ngrams import NGrams, fit_ngrams

ROWS_OF_SPELLING = 3.0
"""A category's spelling counts as much as so many rows of it."""
PENALTIES, FEW_NAMES = (3.0, 1.0, 0.3, 0.1), 1000
FOLDS = 5
COMPONENTS, EXPLAINED_FOR_COMPONENTS = 30, 0.15
"""Main components beside the vectors, where the spelling explains so much: elsewhere they mislead boosted trees."""
MAX_ORIGINALS = 4096
LIKE = 0.5
"""Cosine of the n-grams of two names from which on one takes on a part of the other's deviation."""
RARE = 1 / 32
"""Share of the originals that a rare n-gram is in at most."""
MANY_NAMES, HELD = 10_000, 0.9
"""Of more names so many choose the penalty, and only the main axes that hold this share of the variance are learned."""
MAX_ITERATIONS, TOLERANCE = 200, 1e-2
ROUNDING = 1e-12
CACHED_NAMES = 1 << 16
CHUNK = 1024

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Spelling:
    """A map from names to vectors of their spelling, which end in the main components of the n-grams.

    `vectors` is (n-gram, dimension + component), `mean` (dimension + component,). `originals` are the most frequent
    names of the table, and `deviations` (original, dimension) what their vectors have beyond their spelling: a name
    that is nearly one of them, such as a misspelt one, takes on its deviation.
    """

    ngrams: NGrams
    vectors: Array
    mean: Array
    originals: tuple[str, ...]
    deviations: Array
    _cache: dict[str, Array | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(self, names: Sequence[str]) -> list[Array | None]:
        """The vector of each of `names`, (dimension + component,); None where no n-gram was seen while fitting."""
        new = [name for name in dict.fromkeys(names) if name not in self._cache]
        found: dict[str, Array | None] = {}
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            found |= zip(part, self._read(part), strict=True)
        vectors = [found[name] if name in found else self._cache[name] for name in names]
        if len(self._cache) + len(found) <= CACHED_NAMES:
            self._cache.update(found)
        return vectors

    def _read(self, names: Sequence[str]) -> list[Array | None]:
        features = self.ngrams.features(names)
        vectors = (features @ self.vectors + self.mean).astype(np.float32)
        similarity, nearest = self._nearest(features)
        likeness = np.clip((similarity - LIKE) / (1 - LIKE), 0, 1)[:, None]
        vectors[:, : self.deviations.shape[1]] += likeness * self.deviations[nearest]
        readable = np.diff(features.indptr) > 0
        return [vector if known else None for vector, known in zip(vectors, readable, strict=True)]

    def _nearest(self, features: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(name,) the similarity of the nearest original, and its position; without meaning below `LIKE`.

        Two names are at most as similar as their rare n-grams make them, and the lengths of their common ones
        multiplied: where these are short and originals many, few pairs need a look at all n-grams.
        """
        originals, rare, common = self._originals
        lengths = np.sqrt(features.power(2) @ (np.diff(rare.indptr) == 0))
        whole = np.flatnonzero((lengths * common.max() >= LIKE) | (len(common) <= FEW_NAMES))
        best, nearest = np.zeros(len(lengths)), np.zeros(len(lengths), dtype=np.int64)
        similarity = (features[whole] @ originals.T).toarray()  # the largest of a sparse row takes ten times as long
        best[whole], nearest[whole] = similarity.max(axis=1), similarity.argmax(axis=1)
        if len(whole) < len(lengths):
            row, original, similar = self._alike(features, lengths)
            best[row], nearest[row] = similar, original  # the largest of a row is written last
        return best, nearest

    def _alike(self, features: Any, lengths: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
        """The pairs of a name and an original that may be as similar as `LIKE`, the least similar first."""
        originals, rare, common = self._originals
        shared = (features @ rare).tocoo()
        near = shared.data + lengths[shared.row] * common[shared.col] >= LIKE - ROUNDING
        row, original = shared.row[near], shared.col[near]
        similar = np.asarray(features[row].multiply(originals[original]).sum(axis=1)).ravel()
        order = np.lexsort((-original, similar))
        return row[order], original[order], similar[order]

    @cached_property
    def _originals(self) -> tuple[Any, Any, NDArray[np.float64]]:
        """The n-grams of the originals, sparse (original, n-gram); the rare ones alone, (n-gram, original), and the
        length of the others, (original,)."""
        features = self.ngrams.features(self.originals)
        stands = np.bincount(features.indices, minlength=features.shape[1])
        is_rare = stands <= max(RARE * features.shape[0], 1)
        rare = (features @ sparse.diags(is_rare.astype(float))).T.tocsr()
        rare.eliminate_zeros()
        return features, rare, np.sqrt(features.power(2) @ (np.diff(rare.indptr) == 0))


@dataclass(frozen=True)
class Reading:
    """A fitted spelling and how good it is.

    `held_out` (category, dimension) is the vector that it predicts for each category from the other ones, `components`
    (category, component) are those of its name. The former explain the share `explained` of the variance of the vectors
    of held-out categories, `error` is its standard error.
    """

    spelling: Spelling
    held_out: Array
    components: Array
    explained: float
    error: float


def fit_spelling(names: Sequence[str], vectors: NDArray[np.floating], counts: NDArray[np.integer]) -> Reading:
    """Learn the map from `names` to their `vectors` (name, dimension), of which each was learned from `counts` rows.

    The names that stand first, by convention the most frequent ones, are the originals of misspelt ones.

    A vector of n rows weighs n / (n + 3): it is its spelling's and its own deviation, and the noise of few rows. The
    components are scaled by what the spelling explains, so that in distances between vectors they count as much.
    """
    ngrams = fit_ngrams(names)
    features, targets = ngrams.features(names), vectors.astype(np.float64)
    importance = np.maximum(counts / (counts + ROWS_OF_SPELLING), ROUNDING)
    learn = cross_fitted_ridge if len(names) <= MANY_NAMES else _ridge_on_main_axes
    ridge = learn(features, targets, importance)
    share, mean, weights = ridge.explained, ridge.mean, ridge.weights
    axes = main_axes(features, counts, COMPONENTS if share >= EXPLAINED_FOR_COMPONENTS else 0)
    deviation = np.sqrt(max(share, 0) * targets.var(axis=0).sum() / max((features @ axes).var(axis=0).sum(), ROUNDING))
    vectors = np.concatenate([weights, axes * deviation], axis=1).astype(np.float32)
    frequent = slice(0, MAX_ORIGINALS)
    deviations = (importance[:, None] * (targets - features @ weights - mean))[frequent].astype(np.float32)
    padded = np.pad(mean, (0, axes.shape[1])).astype(np.float32)
    spelling = Spelling(ngrams, vectors, padded, tuple(names[frequent]), deviations)
    components = (features @ vectors[:, len(mean) :]).astype(np.float32)
    return Reading(spelling, ridge.held_out.astype(np.float32), components, share, ridge.error)


@dataclass(frozen=True)
class Ridge:
    """A ridge regression on n-grams: `mean` (output,), `weights` (n-gram, output), and what it is worth.

    `held_out` (row, output) is predicted from the rows of other folds; it explains the share `explained` of the
    variance, `error` is its standard error.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    held_out: NDArray[np.float64]
    explained: float
    error: float


def _ridge_on_main_axes(features: Any, targets: NDArray[np.float64], importance: NDArray[np.float64]) -> Ridge:
    """`cross_fitted_ridge` of the main axes of `targets` alone, in the coordinates of `targets`."""
    mean = np.average(targets, axis=0, weights=importance)
    centred = targets - mean
    sizes, axes = np.linalg.eigh(centred.T @ (importance[:, None] * centred))
    held = np.cumsum(sizes[::-1]) / max(sizes.sum(), ROUNDING)
    count = int(np.searchsorted(held, HELD)) + 1
    axes = axes[:, ::-1][:, :count]
    ridge = cross_fitted_ridge(features, centred @ axes, importance)
    share = float(held[:count][-1])
    turned = (mean + ridge.mean @ axes.T, ridge.weights @ axes.T, mean + ridge.held_out @ axes.T)
    return Ridge(*turned, share * ridge.explained, share * ridge.error)


def cross_fitted_ridge(features: Any, targets: NDArray[np.float64], importance: NDArray[np.float64]) -> Ridge:
    """Of `targets` (row, output) weighed by `importance` (row,); folds choose the penalty, one for many rows."""
    features, targets = features.astype(np.float32), targets.astype(np.float32)
    order = np.random.default_rng(0).permutation(len(targets))
    fold, some = order % FOLDS, order < MANY_NAMES
    asked = FOLDS if len(targets) <= FEW_NAMES else 1
    penalty, held_out = _best_penalty(features[some], targets[some], importance[some], fold[some], asked)
    if not some.all():
        held_out, asked = np.zeros_like(targets), 0
    for k in range(asked, FOLDS):
        held_out += _held_out(features, targets, importance, fold == k, penalty)
    explained = [_explained(targets, held_out, importance, fold == k) for k in range(FOLDS)]
    mean, weights = _ridge(features, targets, importance, penalty)
    return Ridge(mean, weights, held_out, float(np.mean(explained)), float(np.std(explained) / np.sqrt(FOLDS - 1)))


def _best_penalty(features: Any, targets: NDArray[np.float64], importance: NDArray[np.float64],
                  fold: NDArray[np.int64], asked: int) -> tuple[float, NDArray[np.float64]]:  # fmt: skip
    """The penalty that explains most of the first `asked` folds, and what it predicts of them."""
    best = -np.inf
    for trial in PENALTIES:
        predicted = np.zeros_like(targets)
        for k in range(asked):
            predicted += _held_out(features, targets, importance, fold == k, trial)
        found = float(np.mean([_explained(targets, predicted, importance, fold == k) for k in range(asked)]))
        if found <= best:
            break
        best, penalty, held_out = found, trial, predicted
    return penalty, held_out


def main_axes(features: Any, counts: NDArray[Any], components: int) -> NDArray[np.float64]:
    """The axes of most variance of the n-grams over all rows, (n-gram, component): latent semantic analysis."""
    components = min(components, features.shape[0] // 4)
    if components == 0:
        return np.zeros((features.shape[1], 0))
    rows = sparse.diags(np.sqrt(counts)) @ features
    axes: NDArray[np.float64] = randomized_svd(rows, components, n_iter=4, random_state=0)[2].T
    return axes


def _held_out(features: Any, targets: NDArray[np.float64], importance: NDArray[np.float64],
              held: NDArray[np.bool_], penalty: float) -> NDArray[np.float64]:  # fmt: skip
    """Predictions for the `held` names from all others, (name, dimension), 0 elsewhere."""
    mean, weights = _ridge(features[~held], targets[~held], importance[~held], penalty)
    predicted = np.zeros_like(targets)
    predicted[held] = features[held] @ weights + mean
    return predicted


def _explained(targets: NDArray[np.float64], predicted: NDArray[np.float64], importance: NDArray[np.float64],
               held: NDArray[np.bool_]) -> float:  # fmt: skip
    """The share of the variance of the `held` names around the mean of the others that is predicted."""
    mean = np.average(targets[~held], axis=0, weights=importance[~held])
    weight = importance[held, None]
    left, all_ = (weight * (targets - predicted)[held] ** 2).sum(), (weight * (targets[held] - mean) ** 2).sum()
    return float(1 - left / all_) if all_ > ROUNDING * (weight * targets[held] ** 2).sum() else 0.0


def _ridge(features: Any, targets: NDArray[np.float64], importance: NDArray[np.float64],
           penalty: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Weighted mean (dimension,) and weights (n-gram, dimension): conjugate gradients on the dual problem."""
    mean = np.average(targets, axis=0, weights=importance)
    root = np.sqrt(importance).astype(features.dtype)
    scaled = sparse.diags(root) @ features
    left = (root[:, None] * (targets - mean)).astype(features.dtype)
    solution, direction = np.zeros_like(left), left.copy()
    size = start = (left**2).sum(axis=0)
    for _ in range(MAX_ITERATIONS):
        if size.sum() <= TOLERANCE**2 * start.sum():
            break
        product = scaled @ (scaled.T @ direction) + penalty * direction
        step = size / np.maximum((direction * product).sum(axis=0), np.finfo(np.float32).tiny)
        solution += step * direction
        left -= step * product
        before, size = size, (left**2).sum(axis=0)
        direction = left + size / np.maximum(before, np.finfo(np.float32).tiny) * direction
    return mean, scaled.T @ solution


def blend(own: NDArray[np.float32], spelled: NDArray[np.float32], seen: NDArray[Any]) -> NDArray[np.float32]:
    """(n v + 3 s) / (n + 3): a vector v learned from n rows `seen` (row,), and the vector s of its spelling."""
    share = (seen / (seen + ROWS_OF_SPELLING))[:, None]
    blended: NDArray[np.float32] = (share * own + (1 - share) * spelled).astype(np.float32)
    return blended
