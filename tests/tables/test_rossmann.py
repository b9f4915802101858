"""The encoder on a real table: sales of 1,115 shops. Small samples, so that it stays a test; figures are elsewhere."""

import numpy as np
import pandas as pd
import pytest

from data import shared_data
from unrolled.tables.encoder import EntityEncoder
from unrolled.tables.recipe import Recipe
from unrolled.tables.vectors import dimensions_of

SMALL = Recipe(networks=2, hidden=(64, 32), epochs=6, dropout=0.05)


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


def test_shops_never_seen(sales):
    """A tenth of the shops is hidden from fit: the trained unknown row must do better on them than the mean row."""
    X, y = sales
    hidden = (X["Store"] % 10 == 3).to_numpy()
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit(X[~hidden], y[~hidden])
    trained = error(encoder, X[hidden], y[hidden])
    i = encoder.schema_.place("Store")
    rows, counts = encoder.networks_.tables[i], encoder.schema_.codings[i].counts
    rows[:, 0] = np.einsum("nrd,r->nd", rows, counts / counts.sum())
    assert trained < error(encoder, X[hidden], y[hidden])
