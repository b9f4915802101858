"""Mean targets of categories: shrunk by what they tell, and learned from other rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.target_means import cross_fitted_means, shrunk_means
from unrolled.tables.encoder.target_means import tested_means as means_if_clear

ROWS = 2000
WEIGHT = np.ones(ROWS, np.float32)
FOLD = np.arange(ROWS) % 5
PAIRS = [(np.flatnonzero(k != FOLD), np.flatnonzero(k == FOLD)) for k in range(5)]


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_means_of_many_rows_are_their_own_and_of_none_that_of_all(rng):
    codes = rng.integers(0, 4, ROWS).astype(np.int32)
    target = codes[:, None] * 3.0 + 0.1 * rng.normal(size=(ROWS, 1))
    means = shrunk_means(codes, 5, target, WEIGHT)
    assert means[:4, 0] == pytest.approx([0, 3, 6, 9], abs=0.03)
    assert means[4, 0] == pytest.approx(target.mean(), rel=1e-6)


def test_few_rows_lean_towards_the_mean_of_all(rng):
    effect = rng.normal(size=400)
    codes = rng.integers(0, 400, ROWS).astype(np.int32)
    target = (effect[codes] + 2 * rng.normal(size=ROWS))[:, None]
    raw = np.bincount(codes, target[:, 0], 400) / np.maximum(np.bincount(codes, minlength=400), 1)
    shrunk = shrunk_means(codes, 400, target, WEIGHT)[:, 0]
    assert ((shrunk - effect) ** 2).mean() < 0.6 * ((raw - effect) ** 2).mean()


def test_ids_that_tell_nothing_have_one_mean(rng):
    codes = rng.integers(0, 300, ROWS).astype(np.int32)
    assert np.ptp(means_if_clear(codes, 300, rng.normal(size=(ROWS, 1)), WEIGHT, PAIRS)) == 0


def test_a_row_does_not_know_its_own_target(rng):
    codes = rng.integers(0, 100, ROWS).astype(np.int32)
    target = rng.normal(size=(ROWS, 2)) + codes[:, None] % 3
    changed = target.copy()
    changed[7] += 100
    first, second = (
        cross_fitted_means(codes, codes, t, WEIGHT, shrunk_means(codes, 100, t, WEIGHT), PAIRS)
        for t in (target, changed)
    )
    assert np.array_equal(first[FOLD == 2], second[FOLD == 2])  # row 7 is one of fold 2
    assert not np.array_equal(first, second)


def test_an_encoder_hands_them_on_where_no_number_stands_beside(tmp_path, rng):
    shop = rng.integers(0, 40, ROWS)
    X = pd.DataFrame({"shop": [f"s{i}" for i in shop], "day": rng.integers(1, 8, ROWS)})
    y = rng.normal(size=40)[shop] + 0.3 * rng.normal(size=ROWS)
    encoder = EntityEncoder(recipe=EncoderConfig(networks=5, hidden=(8,), epochs=1), random_state=0).fit(X, y)
    assert [name for name in encoder.get_feature_names_out() if name.endswith("_mean")] == ["shop_mean"]
    out = encoder.transform(pd.DataFrame({"shop": ["s3", "never seen"], "day": [2, 2]}))
    mean = out[:, list(encoder.get_feature_names_out()).index("shop_mean")]
    scaled = (y - y.mean()) / y.std()
    assert mean == pytest.approx([scaled[shop == 3].mean(), 0], abs=0.05)
    encoder.save_pretrained(tmp_path / "encoder")
    assert np.array_equal(EntityEncoder.from_pretrained(tmp_path / "encoder").transform(X), encoder.transform(X))
