"""The encoder on a real table: sales of 1,115 shops. Small samples, so that it stays a test; figures are elsewhere."""

import numpy as np
import pandas as pd
import pytest

from data import shared_data
from unrolled.tables.encoder import EntityEncoder
from unrolled.tables.recipe import Recipe
from unrolled.tables.vectors import dimensions_of

SMALL = Recipe(networks=2, hidden=(64, 32), epochs=6)


@pytest.fixture(scope="module")
def sales():
    """40,000 days of shops at random: what is known beforehand, and the sales."""
    table = pd.read_parquet(shared_data("rossmann/rossmann_open_joined.parquet")).sort_values(["Date", "Store"])
    states = pd.read_csv(shared_data("rossmann/store_states.csv")).set_index("Store")["State"]
    table = table.sample(40_000, random_state=0)
    X = table[["Store", "Date", "Promo"]].assign(State=table["Store"].map(states))
    return X, table["Sales"].to_numpy(dtype=float)


def error(encoder, X, y):
    return float(np.mean(np.abs(encoder.network_prediction(X) - y) / y))


def test_columns_are_judged_rightly_and_sales_are_predicted(sales):
    X, y = sales
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit(X[:36_000], y[:36_000])
    assert encoder.log_target_
    assert [coding.name for coding in encoder.schema_.codings] == [
        "Date_day", "Date_month", "Date_weekday", "Date_year", "Promo", "State", "Store"]  # fmt: skip
    assert error(encoder, X[36_000:], y[36_000:]) < 0.16
    assert encoder.distance_check("Store").rank_correlation > 0.2
    assert dimensions_of(encoder.schema_.codings, {"Store": 10})[-1] == 10


def with_mean_row(encoder):
    """The encoder with the mean of the known shops in place of its unknown row."""
    i = encoder.schema_.place("Store")
    rows, counts = encoder.networks_.tables[i], encoder.schema_.codings[i].counts
    rows[:, 0] = np.einsum("nrd,r->nd", rows, counts / counts.sum())
    return encoder


def test_shops_never_seen(sales):
    """On shops hidden from fit, the unknown row does better than the mean row, and than a network without shops.

    A mean over three draws of hidden shops: with a tenth of 1,115 shops, draws differ more than the three ways do.
    """
    X, y = sales
    errors = []
    for draw in range(3):
        hidden = np.isin(X["Store"], np.random.default_rng(draw).choice(np.arange(1, 1116), 111, replace=False))
        encoder = EntityEncoder(recipe=SMALL, random_state=draw).fit(X[~hidden], y[~hidden])
        trained = error(encoder, X[hidden], y[hidden])
        mean_row = error(with_mean_row(encoder), X[hidden], y[hidden])
        without = EntityEncoder(recipe=SMALL, random_state=draw).fit(X[~hidden].drop(columns="Store"), y[~hidden])
        errors.append((trained, mean_row, error(without, X[hidden].drop(columns="Store"), y[hidden])))
    trained, mean_row, without = np.mean(errors, axis=0)
    assert trained < mean_row
    assert trained < without
