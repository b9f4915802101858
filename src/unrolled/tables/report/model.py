"""How much of a target some columns explain: one boosted model per question, on folds that all questions share.

The unit everywhere is the *share explained*: 1 - loss / loss of the constant guess, with squared error for a
number and log loss for classes; 1 is perfect, 0 is no better than guessing, below 0 is worse. Left out: which
questions are asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from unrolled.tables.data.metrics import SMALLEST
from unrolled.tables.data.target import TargetColumn
from unrolled.tables.report.features import Block, ColumnData, block

ITERATIONS = 60
LEARNING_RATE = 0.15
LEAVES = 12  # measured: against 31, less noise, a better fit on small tables, and two thirds of the time
LEAST_LEAF = 5  # rows: a column that is 99 % empty has few to show
MIN_ITERATIONS = 20  # with many classes, each iteration grows a tree per class


@dataclass
class Round:
    """One fold under one seed, with the features of each column made once.

    `explained(names)` fits the model on those columns.
    """

    columns: dict[str, ColumnData]
    target: TargetColumn
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int
    _blocks: dict[tuple[str, int | None], Block] = field(default_factory=dict)

    def explained(self, names: Sequence[str], copy: tuple[str, int] | None = None) -> float:
        """The share of the target that the columns `names`, and perhaps shuffled copy number i of a column, explain."""
        blocks = [self.block(name) for name in names] + ([self.block(*copy)] if copy else [])
        return share_explained(blocks, self.target, self.train, self.test, self.seed)

    def missing_alone(self, name: str) -> float:
        """The share explained by nothing but whether `name` is empty."""
        gaps = self.columns[name].missing
        if not gaps.any() or gaps.all():
            return 0.0
        feature = gaps[:, None].astype(np.float64)
        only = Block(feature[self.train], feature[self.test], (False,))
        return share_explained([only], self.target, self.train, self.test, self.seed, iterations=MIN_ITERATIONS)

    def block(self, name: str, copy: int | None = None) -> Block:
        """The features of column `name`, or of copy number `copy` of it, whose rows are shuffled."""
        key = (name, copy)
        if key not in self._blocks:
            column = self.columns[name]
            if copy is not None:
                order = np.random.default_rng([self.seed, copy, *name.encode()[:16]]).permutation(len(column.codes))
                column = column.take(order)
            self._blocks[key] = block(column, self.target, self.train, self.test, self.seed)
        return self._blocks[key]


def share_explained(
    blocks: Sequence[Block],
    target: TargetColumn,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    seed: int,
    iterations: int = ITERATIONS,
) -> float:
    """The share of the target at `test` that a model of `blocks`, fitted at `train`, explains."""
    if not any(b.native for b in blocks):  # no feature at all
        return 0.0
    model = boosted(blocks, target, seed, iterations)
    with warnings.catch_warnings():  # the kind of the target is settled, and many classes are no mistake
        warnings.filterwarnings("ignore", "The number of unique classes")
        model.fit(np.hstack([b.train for b in blocks]), target.values[train])
    judged = np.hstack([b.test for b in blocks])
    if not target.is_classification:
        return _squared(model.predict(judged), target.values[train], target.values[test])
    predicted = _probabilities(model, judged, len(target.labels))
    return _logarithmic(predicted, target.values[train], target.values[test])


def boosted(blocks: Sequence[Block], target: TargetColumn | None, seed: int, iterations: int = ITERATIONS) -> Any:
    """scikit-learn's histogram gradient boosting for `blocks`, not fitted yet; no target stands for a number."""
    native = [flag for b in blocks for flag in b.native]
    settings: dict[str, Any] = {
        "learning_rate": LEARNING_RATE,
        "early_stopping": False,
        "random_state": seed,
        "min_samples_leaf": LEAST_LEAF,
        "max_leaf_nodes": LEAVES,
    }
    settings["categorical_features"] = native if any(native) else None
    if target is None or not target.is_classification:
        return HistGradientBoostingRegressor(max_iter=iterations, **settings)
    if len(target.labels) > 2:
        iterations = max(MIN_ITERATIONS, iterations * 3 // len(target.labels))
    return HistGradientBoostingClassifier(max_iter=iterations, **settings)


def _squared(predicted: NDArray[Any], train: NDArray[Any], test: NDArray[Any]) -> float:
    guess = float(((test - train.mean()) ** 2).sum())
    return 1 - float(((test - predicted) ** 2).sum()) / guess if guess else 0.0


def _probabilities(model: Any, judged: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """(row, class), 0 for a class that the model was not trained on."""
    probabilities = np.zeros((len(judged), classes))
    probabilities[:, model.classes_] = model.predict_proba(judged)[:, : len(model.classes_)]
    return probabilities


def _logarithmic(predicted: NDArray[Any], train: NDArray[Any], test: NDArray[Any]) -> float:
    prior = np.bincount(train, minlength=predicted.shape[1]) / len(train)
    own = np.log(np.maximum(predicted[np.arange(len(test)), test], SMALLEST))
    guess = np.log(np.maximum(prior[test], SMALLEST))
    return 1 - float(own.sum() / guess.sum()) if guess.any() else 0.0
