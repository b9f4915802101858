"""The encoder on a real table: sales of 1,115 shops. Small samples, so that it stays a test; figures are elsewhere."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data import shared_data
from tables.shops import distances_follow_targets
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.schema import dimensions_of

SMALL = EncoderConfig(networks=2, hidden=(64, 32), epochs=6)


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
    assert encoder.target_.log
    assert [coding.name for coding in encoder.schema_.codings] == [
        "Date_day", "Date_month", "Date_weekday", "Date_year", "Promo", "State", "Store"]  # fmt: skip
    assert error(encoder, X[36_000:], y[36_000:]) < 0.16
    assert distances_follow_targets(encoder, "Store") > 0.2
    assert dimensions_of(encoder.schema_.codings, {"Store": 10})[-1] == 10


def log_error(encoder, X, y):
    """The mean absolute error of the logarithm, which is what the networks learn.

    A percentage error rewards whoever predicts too little, as the mean row happens to do: by it the two are level here.
    """
    return float(np.mean(np.abs(np.log(encoder.network_prediction(X) / y))))


def with_mean_row(encoder):
    """The encoder with the mean of the known shops in place of its unknown row."""
    i = encoder.schema_.position("Store")
    rows, counts = encoder.fitted_.weights.tables[i], encoder.schema_.codings[i].counts
    rows[:, 0] = np.einsum("nrd,r->nd", rows, counts / counts.sum())
    return encoder


def test_shops_never_seen(sales):
    """On shops hidden from fit, the unknown row does better than a network without shops, and than the usual cures.

    Those are networks that never meet a row again with its shop unknown, with their unknown row or the mean of the
    known ones. A mean over five draws of hidden shops: with a tenth of 1,115 shops, draws differ more than the ways do.
    """
    X, y = sales[0][:12_000], sales[1][:12_000]
    usual = replace(SMALL, masked_fraction=0.0)
    errors = []
    for draw in range(5):
        hidden = np.isin(X["Store"], np.random.default_rng(draw).choice(np.arange(1, 1116), 111, replace=False))
        known, new = X[~hidden], X[hidden]
        ours, plain = (EntityEncoder(recipe=r, random_state=draw).fit(known, y[~hidden]) for r in (SMALL, usual))
        without = EntityEncoder(recipe=usual, random_state=draw).fit(known.drop(columns="Store"), y[~hidden])
        found = [log_error(ours, new, y[hidden]), log_error(without, new.drop(columns="Store"), y[hidden])]
        errors.append([*found, log_error(plain, new, y[hidden]), log_error(with_mean_row(plain), new, y[hidden])])
    unknown, without, plain, mean_row = np.mean(errors, axis=0)
    assert unknown < without
    assert unknown < plain
    assert unknown < mean_row
