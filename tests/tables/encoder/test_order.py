"""Amounts and names among whole numbers: what their order tells, and what it does not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.order import gain_beyond_order, knots_of, pieces

RNG = np.random.default_rng(0)
AREAS = np.round(np.exp(RNG.normal(4.5, 0.6, 6000))).astype(int)
CODES = RNG.integers(0, 300, 6000)
EFFECTS = RNG.normal(size=300)


def test_amounts_and_names():
    price = np.log(AREAS) + RNG.normal(0, 0.08, 6000)
    amounts = gain_beyond_order(AREAS, price[:, None])
    assert not amounts.is_clear
    rent = EFFECTS[CODES] + RNG.normal(0, 0.3, 6000)
    names = gain_beyond_order(CODES, rent[:, None])
    assert names.share > 0.5
    assert names.is_clear
    order = RNG.permutation(6000)
    assert gain_beyond_order(CODES[order], rent[order, None]) == names


@pytest.mark.parametrize("values", [CODES % 2, CODES % 2 * 10, np.zeros(6000, int)])
def test_two_values_and_noise_are_no_names(values):
    assert not gain_beyond_order(values, (values + RNG.normal(size=6000))[:, None]).is_clear


def test_classes_are_told_by_each_of_them():
    kind = CODES % 3
    assert gain_beyond_order(CODES, np.eye(3)[kind]).share > 0.9


def test_pieces():
    knots = knots_of(np.array([0, 0, 1, 1, 2, 2, 8, 8]), 4)
    assert knots.tolist() == [0, 1, 2, 8]
    assert pieces(np.array([-1.0, 0.5, 5.0, 9.0]), knots).tolist() == [[0, 0, 0], [0.5, 0, 0], [1, 1, 0.5], [1, 1, 1]]


def test_the_encoder_follows():
    table = pd.DataFrame({"area": AREAS[:2000], "postcode": CODES[:2000]})
    price = np.log(AREAS[:2000]) + EFFECTS[CODES[:2000]]
    recipe = EncoderConfig(networks=5, hidden=(16,), min_steps=200)
    encoder = EntityEncoder(recipe=recipe, random_state=0).fit(table, price)
    assert list(encoder.get_feature_names_out()) == ["area", "postcode_0", "postcode_1", "postcode", "prediction"]
    assert r2_score(price, encoder.network_prediction(table)) > 0.9
