"""The mean of several models on one table of numbers, as a scikit-learn model.

Made for the output of `EntityEncoder`, where it predicts better than the single models that were measured; over means
of others no lead is clear (docs/tables.md). Left out: choosing members or weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unrolled.errors import import_extra

FOREST = {"n_estimators": 300, "learning_rate": 0.05, "num_leaves": 31, "n_jobs": 1, "verbose": -1}


def mean_of_models(classes: int = 0, predictions: int | None = None, random_state: int | None = None) -> Any:
    """The mean of four predictions from the output of `EntityEncoder`, as a `VotingRegressor` or `VotingClassifier`.

    They are those of LightGBM with and without the last columns, which are the prediction of the encoder's networks,
    of a linear model, and of these last columns alone, on the scale of the target. `classes` is how many there are, 0
    if the target is a number; then `predict_proba` is the mean of the probabilities. `predictions` counts the last
    columns, 1 unless there are three classes or more; with 0 of them LightGBM and the linear model are averaged.
    Settings are fixed. Where the encoder would learn the logarithm of a skewed target, let all of it do so:
    `TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp)`.

    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from unrolled import EntityEncoder, mean_of_models
    >>> shop = np.arange(400) % 4
    >>> X, y = np.char.add("shop ", shop.astype(str))[:, None], shop + np.sin(np.arange(400)) / 10
    >>> model = make_pipeline(EntityEncoder(random_state=0), mean_of_models()).fit(X, y)
    >>> model.predict([["shop 0"], ["shop 3"]]).round().tolist()
    [0.0, 3.0]
    """
    count = (classes if classes > 2 else 1) if predictions is None else predictions
    members = [("LightGBM", _forest(classes, random_state)), ("linear", _linear(classes))]
    if count:
        alone = _columns(slice(None, -count), _forest(classes, random_state))
        members += [("LightGBM alone", alone), ("networks", _columns(slice(-count, None), _calibrated(classes)))]
    return VotingClassifier(members, voting="soft") if classes else VotingRegressor(members)


def _columns(chosen: slice, model: Any) -> Any:
    """`model` on some of the columns."""
    return make_pipeline(make_column_transformer(("passthrough", chosen)), model)


def _forest(classes: int, random_state: int | None) -> Any:
    library = import_extra("lightgbm")
    return (library.LGBMClassifier if classes else library.LGBMRegressor)(random_state=random_state, **FOREST)


def _linear(classes: int) -> Any:
    model = LogisticRegression(max_iter=500) if classes else RidgeCV(np.logspace(-2, 3, 6))
    return make_pipeline(StandardScaler(), model)


def _calibrated(classes: int) -> Any:
    """Finds the scale of the networks' raw prediction."""
    return LogisticRegression() if classes else LinearRegression()
