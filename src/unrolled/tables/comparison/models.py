"""The models of the comparison: one line each in `MODELS`, with what they need of a table.

Settings are fixed and plain, the same for every encoding, and nothing is tuned on the rows that judge. Left out: the
encodings, and the folds.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import import_extra
from unrolled.tables.comparison.encodings import WITH_EMBEDDINGS
from unrolled.tables.data.files import TargetColumn

BASE = ("codes", "one-hot", "target", WITH_EMBEDDINGS)
DENSE_WIDTH = 500  # one-hot tables wider than that are left out for boosted trees, which cannot read sparse ones
HIST_LEVELS = 254
NEIGHBOURS = 10
STOPPED_EARLY = 20  # rows from which the network keeps some back to stop early
THREADS = 1  # for every model and the encoder: seconds are comparable, and small tables gain nothing from more


@dataclass(frozen=True)
class Task:
    """What a model is made for: a number (`continuous`) or classes, learned from so many `rows`.

    `rarest` is how many of them the rarest class has.
    """

    continuous: bool
    rows: int
    rarest: int
    seed: int

    @classmethod
    def of(cls, target: TargetColumn, seed: int) -> Task:
        """The task of learning `target`."""
        rows = len(target.values)
        if target.type == "continuous":
            return cls(True, rows, rows, seed)
        return cls(False, rows, int(np.unique(target.values, return_counts=True)[1].min()), seed)


@dataclass(frozen=True)
class Model:
    """A model: how it is made, which encodings it is given, and what a table needs for it.

    `scaled`: columns are put on one scale first (not vectors where `own_scale`: there distances carry the meaning).
    `levels` bounds native categories; `library` must be there.
    """

    make: Callable[[Task], Any]
    encodings: tuple[str, ...] = BASE
    library: str = "sklearn"
    scaled: bool = False
    own_scale: bool = False
    dense: bool = False
    levels: int | None = None


def available_models() -> list[str]:
    """The names of the models whose library is installed."""
    return [name for name, model in MODELS.items() if importlib.util.find_spec(model.library) is not None]


def fit_predict(
    model: Model, encoding: str, train: Any, test: Any, target: TargetColumn, seed: int
) -> NDArray[np.float64] | None:
    """Predictions for `test`: (row,) numbers or (row, class) chances; None where the table does not suit the model."""
    task = Task.of(target, seed)
    if model.dense and hasattr(train, "toarray"):
        if train.shape[1] > DENSE_WIDTH:
            return None
        train, test = train.toarray(), test.toarray()
    if model.scaled and not (model.own_scale and encoding == WITH_EMBEDDINGS):
        scaler = import_extra("sklearn.preprocessing", "tables").StandardScaler(with_mean=not hasattr(train, "toarray"))
        if encoding != "one-hot":  # zeros and ones are on one scale
            train, test = scaler.fit_transform(train), scaler.transform(test)
    fitted = model.make(task)
    with warnings.catch_warnings():  # a network that has not converged is judged as it is, names of features are ours
        warnings.simplefilter("ignore")
        fitted.fit(train, target.values)
        predicted = fitted.predict(test) if task.continuous else fitted.predict_proba(test)
    return np.asarray(predicted, np.float64)


def _either(module: str, number: str, classes: str, task: Task, **settings: Any) -> Any:
    return getattr(import_extra(module, "tables"), number if task.continuous else classes)(**settings)


def _neighbours(task: Task) -> Any:
    names = ("KNeighborsRegressor", "KNeighborsClassifier")
    return _either("sklearn.neighbors", *names, task, n_neighbors=min(NEIGHBOURS, task.rows), weights="distance")


def _forest(task: Task) -> Any:
    names = ("RandomForestRegressor", "RandomForestClassifier")
    return _either("sklearn.ensemble", *names, task, n_estimators=60, max_features=0.5, min_samples_leaf=2,
                   random_state=task.seed)  # fmt: skip


def _hist(task: Task) -> Any:
    names = ("HistGradientBoostingRegressor", "HistGradientBoostingClassifier")
    return _either("sklearn.ensemble", *names, task, max_iter=200, early_stopping=False, random_state=task.seed)


def _linear(task: Task) -> Any:
    if task.continuous:
        return import_extra("sklearn.linear_model", "tables").Ridge()
    return import_extra("sklearn.linear_model", "tables").LogisticRegression(max_iter=200)


def _network(task: Task) -> Any:
    early = task.rows >= STOPPED_EARLY and task.rarest > 1  # a tenth of the rows, of each class, is to be measured on
    network = _either("sklearn.neural_network", "MLPRegressor", "MLPClassifier", task, hidden_layer_sizes=(64, 32),
                      learning_rate_init=3e-3, early_stopping=early, max_iter=60, random_state=task.seed)  # fmt: skip
    if not task.continuous:
        return network
    scaler = import_extra(
        "sklearn.preprocessing", "tables"
    ).StandardScaler()  # a network far from its target never gets there
    return import_extra("sklearn.compose", "tables").TransformedTargetRegressor(network, transformer=scaler)


def _lightgbm(task: Task) -> Any:
    return _either("lightgbm", "LGBMRegressor", "LGBMClassifier", task, n_estimators=300, learning_rate=0.05,
                   num_leaves=63, random_state=task.seed, n_jobs=THREADS, verbose=-1)  # fmt: skip


def _xgboost(task: Task) -> Any:
    return _either("xgboost", "XGBRegressor", "XGBClassifier", task, n_estimators=300, learning_rate=0.1,
                   enable_categorical=True, random_state=task.seed, n_jobs=THREADS, verbosity=0)  # fmt: skip


def _catboost(task: Task) -> Any:
    return _either("unrolled.tables.comparison.models", "CatBoostNumbers", "CatBoostClasses", task, seed=task.seed)


class _CatBoost:
    """CatBoost as a scikit-learn model that is told which columns are categories, and writes no files."""

    kind = ""

    def __init__(self, seed: int) -> None:
        maker = getattr(import_extra("catboost", "bench"), self.kind)
        self.model = maker(
            iterations=300, random_seed=seed, thread_count=THREADS, verbose=False, allow_writing_files=False
        )

    def fit(self, table: Any, target: NDArray[Any]) -> None:
        """Fit on a matrix, or on a frame whose pandas categoricals are the categories."""
        names = [] if isinstance(table, np.ndarray) else list(table.select_dtypes("category").columns)
        self.model.fit(self._text(table, names), target, cat_features=names or None)

    def predict(self, table: Any) -> Any:
        """(row,) numbers."""
        return self.model.predict(self._text(table, self._names(table)))

    def predict_proba(self, table: Any) -> Any:
        """(row, class) chances."""
        return self.model.predict_proba(self._text(table, self._names(table)))

    def _names(self, table: Any) -> list[str]:
        return [] if isinstance(table, np.ndarray) else list(table.select_dtypes("category").columns)

    def _text(self, table: Any, names: list[str]) -> Any:
        if not names:
            return table
        return table.assign(**{name: table[name].astype(object).fillna("(unseen)").astype(str) for name in names})


class CatBoostNumbers(_CatBoost):
    """For a number."""

    kind = "CatBoostRegressor"


class CatBoostClasses(_CatBoost):
    """For classes."""

    kind = "CatBoostClassifier"


BOOSTED = ("target", WITH_EMBEDDINGS, "native")
MODELS: dict[str, Model] = {
    "nearest neighbours": Model(_neighbours, scaled=True, own_scale=True),
    "random forest": Model(_forest),
    "HistGradientBoosting": Model(_hist, (*BASE, "native"), dense=True, levels=HIST_LEVELS),
    "linear": Model(_linear, scaled=True),
    "network": Model(_network, (*BASE, "native"), scaled=True),
    "LightGBM": Model(_lightgbm, BOOSTED, "lightgbm"),
    "XGBoost": Model(_xgboost, BOOSTED, "xgboost"),
    "CatBoost": Model(_catboost, BOOSTED, "catboost"),
}
