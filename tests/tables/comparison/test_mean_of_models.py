"""The mean of models: of four where the last columns are predictions, of two elsewhere."""

import numpy as np
import pandas as pd
import pytest

from unrolled.tables.comparison.mean_of_models import mean_of_models
from unrolled.tables.comparison.models import MODELS, fit_predict
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import split_target

rng = np.random.default_rng(0)


def test_a_number_is_the_mean_of_four_of_which_one_is_the_last_column_alone() -> None:
    table = rng.normal(size=(60, 3)).astype(np.float32)
    target = 10 + 5 * table[:, 2]
    model = mean_of_models(random_state=0).fit(table, target)
    by_name = model.named_estimators_
    assert by_name["networks"].predict(table) == pytest.approx(target, abs=1e-4)
    assert by_name["LightGBM alone"].predict(table) == pytest.approx(
        by_name["LightGBM alone"].predict(table * [1, 1, 0])
    )
    assert len(by_name) == 4
    assert model.predict(table) == pytest.approx(np.mean([m.predict(table) for m in model.estimators_], axis=0))


@pytest.mark.parametrize(("classes", "last"), [(2, 1), (3, 3)])
def test_of_classes_it_is_the_mean_of_the_probabilities(classes: int, last: int) -> None:
    table = rng.normal(size=(60, 1 + last))
    target = np.arange(60) % classes
    model = mean_of_models(classes, random_state=0).fit(table, target)
    chances = model.predict_proba(table)
    assert chances == pytest.approx(np.mean([m.predict_proba(table) for m in model.estimators_], axis=0))
    (networks,) = (m for name, m in model.named_estimators_.items() if name == "networks")
    assert networks[-1].n_features_in_ == last


@pytest.mark.parametrize("predictions", [0, 1])
def test_the_comparison_tells_it_whether_the_columns_end_in_a_prediction(predictions: int) -> None:
    table = rng.normal(size=(60, 2))
    target = split_target(Table.read(pd.DataFrame({"x": table[:, 0], "y": table[:, 1] * 3})), "y")[1]
    model = MODELS["mean of models"].told(predictions)
    found = fit_predict(model, "embeddings", table, table, target, 0)
    fitted = mean_of_models(0, predictions, 0).fit(table, target.values)
    assert len(fitted.estimators_) == (4 if predictions else 2)
    assert found == pytest.approx(fitted.predict(table))
