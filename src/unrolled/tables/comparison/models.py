"""The models of the comparison: one entry each in `MODELS`, with what they need of a table.

Settings are fixed and plain, the same for every encoding, unless others are tried (`tuning`); nothing is tuned on the
rows that judge. Left out: the encodings, and the folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from unrolled.errors import import_extra
from unrolled.tables.comparison.encodings import ENCODINGS, Encoding
from unrolled.tables.comparison.mean_of_models import mean_of_models
from unrolled.tables.comparison.tuning import Settings, Tuning
from unrolled.tables.data.target import TargetColumn

DENSE_WIDTH = 500  # one-hot tables wider than that are left out for boosted trees, which cannot read sparse ones
HIST_LEVELS = 254
NEIGHBOURS = 10
STOPPED_EARLY = 20  # rows from which the network holds some out to stop early
THREADS = 1  # for every model and the encoder: seconds are comparable, and small tables gain nothing from more


@dataclass(frozen=True)
class Model:
    """A model: how it is made for a target, a seed and settings, which encodings it is not given, what it needs.

    `native` models read pandas categoricals, up to so many `levels` of each, and `texts` ones columns of strings beside
    them. `filled`: they read no NaN. A `slow` one runs only where it is named. `scaled`: columns are standardised
    first, but not vectors where `by_distance`: there lengths carry the meaning. `dense` ones read no sparse tables.
    `library` must be installed. `grid`: the values of each setting that tuning tries. `averaged`: it is told how many
    of the last columns are a prediction.
    """

    make: Callable[..., Any]
    without: tuple[str, ...] = ()
    native: bool = False
    library: str = "sklearn"
    scaled: bool = False
    by_distance: bool = False
    dense: bool = False
    levels: int | None = None
    texts: bool = False
    filled: bool = False
    slow: bool = False
    averaged: bool = False
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def encodings(self) -> list[str]:
        """The encodings that the model is given."""
        return [name for name, encoding in ENCODINGS.items() if name not in self.without and self._reads(encoding)]

    def told(self, predictions: int) -> Model:
        """This model for a table whose last columns are so many predictions."""
        return replace(self, make=partial(self.make, predictions=predictions)) if self.averaged else self

    def _reads(self, encoding: Encoding) -> bool:
        return (self.native or not encoding.native) and (self.texts or not encoding.texts)


def fit_predict(
    model: Model, encoding: str, train: Any, test: Any, target: TargetColumn, seed: int, tuning: Tuning | None = None
) -> NDArray[np.float64] | None:
    """Predictions for `test`: (row,) numbers or (row, class) probabilities; None where the table does not fit it.

    With `tuning` the settings are chosen on a part of the rows of `train`, and all of them teach then.
    """
    if model.dense and hasattr(train, "toarray"):
        if train.shape[1] > DENSE_WIDTH:
            return None
        train, test = train.toarray(), test.toarray()
    if model.scaled and not (model.by_distance and ENCODINGS[encoding].distances):
        scaler = StandardScaler(with_mean=not hasattr(train, "toarray"))
        if encoding not in ("one-hot", "skrub"):  # their parts are on one scale
            train, test = scaler.fit_transform(train), scaler.transform(test)
    if model.filled and not isinstance(train, np.ndarray):
        train, test = _filled(train, test)

    def predicted(settings: Settings, table: Any, learned: TargetColumn, asked: Any) -> NDArray[np.float64]:
        fitted = model.make(learned, seed, **settings)
        fitted.fit(table, learned.values)
        found = fitted.predict_proba(asked) if learned.is_classification else fitted.predict(asked)
        return np.asarray(found, np.float64)

    with warnings.catch_warnings():  # a network that has not converged is judged as it is, names of features are ours
        warnings.simplefilter("ignore")
        try:
            settings = {} if tuning is None else tuning.best(model.grid, predicted, train, target, seed)
            return predicted(settings, train, target, test)
        except _NoWordsError:
            return None


def _filled(train: Any, test: Any) -> tuple[Any, Any]:
    """Both frames with the medians of the first for numbers that are missing, and a mark beside them."""
    gaps = [name for name in train.select_dtypes("number") if train[name].isna().any() or test[name].isna().any()]
    marks = [{f"{name}?": frame[name].isna().astype(float) for name in gaps} for frame in (train, test)]
    middle = train[gaps].median()
    return train.fillna(middle).assign(**marks[0]), test.fillna(middle).assign(**marks[1])


def _either(module: str, name: str, target: TargetColumn, **settings: Any) -> Any:
    kind = "Classifier" if target.is_classification else "Regressor"
    return getattr(import_extra(module), f"{name}{kind}")(**settings)


def _seeded(module: str, name: str, **fixed: Any) -> Callable[..., Any]:
    """Makes the `name`Regressor or `name`Classifier of `module` for a target, a seed and tuned settings."""
    return lambda target, seed, **tuned: _either(module, name, target, **fixed | {"random_state": seed} | tuned)


def _neighbours(target: TargetColumn, seed: int, n_neighbors: int = NEIGHBOURS) -> Any:
    count = min(n_neighbors, len(target.values))
    return _either("sklearn.neighbors", "KNeighbors", target, n_neighbors=count, weights="distance")


def _linear(target: TargetColumn, seed: int, strength: float = 1.0) -> Any:
    return LogisticRegression(max_iter=200, C=1 / strength) if target.is_classification else Ridge(alpha=strength)


def _network(target: TargetColumn, seed: int, **tuned: Any) -> Any:
    rarest = np.unique(target.values, return_counts=True)[1].min() if target.is_classification else len(target.values)
    early = len(target.values) >= STOPPED_EARLY and rarest > 1  # a tenth of the rows, of each class, is measured on
    settings = {"hidden_layer_sizes": (64, 32), "learning_rate_init": 3e-3, "early_stopping": early, "max_iter": 60,
                "random_state": seed} | tuned  # fmt: skip
    network = _either("sklearn.neural_network", "MLP", target, **settings)
    if target.is_classification:
        return network
    # unscaled, a network that starts far from its target never gets there
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def _mean(target: TargetColumn, seed: int, predictions: int) -> Any:
    return mean_of_models(len(target.labels) if target.is_classification else 0, predictions, seed)


class _NoWordsError(Exception):
    """No words of the texts recur, so that CatBoost has nothing to read."""


class _CatBoost:
    """CatBoost as a scikit-learn model that is told which columns are categories, and writes no files."""

    def __init__(self, target: TargetColumn, seed: int, **tuned: Any) -> None:
        settings = {"iterations": 300, "random_seed": seed, "thread_count": THREADS, "verbose": False,
                    "allow_writing_files": False} | tuned  # fmt: skip
        self.model = _either("catboost", "CatBoost", target, **settings)

    def fit(self, table: Any, target: NDArray[Any]) -> None:
        """Fit on a matrix, or on a frame: pandas categoricals are the categories, t0, t1, ... are texts."""
        names = self._names(table)
        texts = [] if isinstance(table, np.ndarray) else [name for name in table if name.startswith("t")]
        try:
            self.model.fit(self._text(table, names), target, cat_features=names or None, text_features=texts or None)
        except import_extra("catboost").CatBoostError as error:
            raise _NoWordsError if "Dictionary size is 0" in str(error) else error from None

    def predict(self, table: Any) -> Any:
        """(row,) numbers."""
        return self.model.predict(self._text(table, self._names(table)))

    def predict_proba(self, table: Any) -> Any:
        """(row, class) probabilities."""
        return self.model.predict_proba(self._text(table, self._names(table)))

    def _names(self, table: Any) -> list[str]:
        return [] if isinstance(table, np.ndarray) else list(table.select_dtypes("category").columns)

    def _text(self, table: Any, names: list[str]) -> Any:
        if not names:
            return table
        return table.assign(**{name: table[name].astype(object).fillna("(unseen)").astype(str) for name in names})


OTHERS = tuple(name for name, encoding in ENCODINGS.items() if not encoding.native)
BOOSTED = ("codes", "one-hot")  # which boosted trees with native categories have no use for
RATES = (0.03, 0.05, 0.1, 0.2)
NEAR = {"n_neighbors": (3, 5, 20, 40)}
FOREST = {"max_features": (0.2, 0.5, 1.0), "min_samples_leaf": (1, 2, 5, 10)}
HIST = {"learning_rate": RATES, "max_leaf_nodes": (7, 15, 31, 63), "l2_regularization": (0.0, 1.0, 10.0)}
LINEAR = {"strength": (0.01, 0.1, 10.0, 100.0, 1000.0)}
NETWORK = {"hidden_layer_sizes": ((32,), (64, 32), (128, 64)), "learning_rate_init": (1e-3, 3e-3, 1e-2),
           "alpha": (1e-4, 1e-2, 1.0)}  # fmt: skip
LIGHTGBM = {"learning_rate": RATES, "num_leaves": (7, 15, 31, 63, 127), "min_child_samples": (5, 20, 60)}
XGBOOST = {"learning_rate": RATES, "max_depth": (3, 6, 9), "min_child_weight": (1, 5, 20)}
CATBOOST = {"learning_rate": RATES, "depth": (4, 6, 8), "l2_leaf_reg": (1, 3, 10)}
DEEP: dict[str, Any] = {"without": OTHERS, "native": True, "library": "pytabkit", "filled": True, "slow": True}
MODELS = {
    "nearest neighbours": Model(_neighbours, scaled=True, by_distance=True, grid=NEAR),
    "random forest": Model(
        _seeded("sklearn.ensemble", "RandomForest", n_estimators=60, max_features=0.5, min_samples_leaf=2), grid=FOREST
    ),
    "HistGradientBoosting": Model(
        _seeded("sklearn.ensemble", "HistGradientBoosting", max_iter=200, early_stopping=False),
        native=True, dense=True, levels=HIST_LEVELS, grid=HIST,
    ),
    "linear": Model(_linear, scaled=True, grid=LINEAR),
    "network": Model(_network, native=True, scaled=True, grid=NETWORK),
    "LightGBM": Model(
        _seeded("lightgbm", "LGBM", n_estimators=300, learning_rate=0.05, num_leaves=63, n_jobs=THREADS, verbose=-1),
        BOOSTED, True, "lightgbm", grid=LIGHTGBM,
    ),
    "XGBoost": Model(
        _seeded("xgboost", "XGB", n_estimators=300, learning_rate=0.1, enable_categorical=True, n_jobs=THREADS,
                verbosity=0),
        BOOSTED, True, "xgboost", grid=XGBOOST,
    ),
    "CatBoost": Model(_CatBoost, BOOSTED, True, "catboost", texts=True, grid=CATBOOST),
    "mean of models": Model(_mean, BOOSTED, library="lightgbm", dense=True, averaged=True),
    # whose defaults were tuned by their authors on many tables
    "TabM": Model(_seeded("pytabkit", "TabM_D_", device="cpu", n_threads=THREADS), **DEEP),
    "RealMLP": Model(_seeded("pytabkit", "RealMLP_TD_", device="cpu", n_threads=THREADS), **DEEP),
}  # fmt: skip
