"""Tuning: the settings that held-out training rows prefer, for every model, and never by the rows that judge."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unrolled.errors import InputError
from unrolled.tables.comparison.compare import compare_encodings
from unrolled.tables.comparison.encodings import installed
from unrolled.tables.comparison.models import MODELS, fit_predict
from unrolled.tables.comparison.tuning import Tuning
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import TargetColumn, split_target


def target_of(values: Any) -> TargetColumn:
    return split_target(Table.read(pd.DataFrame({"x": np.arange(len(values)), "y": values})), "y", None)[1]


def squared(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(((predicted - true) ** 2).mean())


def test_the_settings_that_predict_held_out_rows_best_are_taken() -> None:
    rng = np.random.default_rng(0)
    table, seen = rng.normal(size=(200, 1)), []

    def fit_predict(settings: Any, train: Any, learned: TargetColumn, test: Any) -> np.ndarray:
        seen.append((dict(settings), len(train), len(learned.values), len(test)))
        return test[:, 0] * settings.get("slope", 0.0)

    target = target_of(3 * table[:, 0])
    assert Tuning(5, squared).best({"slope": (1.0, 2.0, 3.0, 4.0, 5.0)}, fit_predict, table, target, 0) == {
        "slope": 3.0
    }
    assert seen[0] == ({}, 160, 160, 40)
    assert Tuning(1, squared).best({"slope": (-9.0,)}, fit_predict, table, target, 0) == {}
    seen.clear()
    assert Tuning(5, squared).best({}, fit_predict, table, target, 0) == {}
    assert not seen


def test_a_class_with_one_row_cannot_be_held_out() -> None:
    target = target_of(["a"] * 30 + ["b"] * 30 + ["c"])
    assert Tuning(3, squared).best({"s": (1, 2)}, lambda *_: np.zeros(12), np.zeros((61, 1)), target, 0) == {}


SHORT: dict[str, dict[str, int]] = {
    "random forest": {"n_estimators": 2},
    "HistGradientBoosting": {"max_iter": 2},
    "network": {"max_iter": 2},
    "LightGBM": {"n_estimators": 2},
    "XGBoost": {"n_estimators": 2},
    "CatBoost": {"iterations": 2},
}


@pytest.mark.parametrize("name", [name for name in installed(MODELS) if MODELS[name].grid])
def test_every_value_of_every_grid_is_one_of_its_model(name: str) -> None:
    """Of numbers and of classes, by turns."""
    rng, model = np.random.default_rng(1), MODELS[name]
    table = rng.normal(size=(40, 2))
    targets = [target_of(table[:, 0]), target_of(np.where(table[:, 0] > 0, "up", "down"))]
    values = [(setting, value) for setting, choices in model.grid.items() for value in choices]
    for number, (setting, value) in enumerate(values):
        target = targets[number % 2]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows
            model.make(target, 0, **SHORT.get(name, {}), **{setting: value}).fit(table, target.values)


def test_tuned_models_predict_numbers_and_probabilities() -> None:
    table = np.random.default_rng(1).normal(size=(40, 2))
    tuning = Tuning(2, lambda predicted, true: float(len(predicted)))
    for values, shape in ((table[:, 0], (5,)), (np.where(table[:, 0] > 0, "up", "down"), (5, 2))):
        found = fit_predict(MODELS["linear"], "embeddings", table, table[:5], target_of(values), 0, tuning)
        assert found is not None
        assert found.shape == shape


def test_a_linear_model_with_many_noisy_columns_gains() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"c": rng.integers(150, size=400).astype(str), "y": rng.normal(size=400)})
    settings: dict[str, Any] = {"models": ["linear"], "encodings": ["one-hot"], "cv": 2, "seeds": 1}
    fixed, tuned, again = (compare_encodings(frame, "y", tune=n, **settings) for n in (0, 5, 5))
    assert tuned.cells[0].mean < fixed.cells[0].mean
    assert tuned.cells[0].by_fold == again.cells[0].by_fold
    assert any("5 others" in note for note in tuned.notes)
    assert not fixed.notes
    with pytest.raises(InputError, match="tune"):
        compare_encodings(frame, "y", tune=-1, **settings)
