"""A new category, the shop that sells most, gets a vector from a few rows; nothing else moves."""

import numpy as np
import pytest

from tables.shops import shops
from unrolled.errors import InputError
from unrolled.tables.encoder.estimator import EntityEncoder


@pytest.fixture
def split():
    """A fitted encoder that never saw shop s08, and the rows of that shop."""
    X, y = shops(1200)
    new = (X.shop == "s08").to_numpy()
    encoder = EntityEncoder(recipe="quick", random_state=0).fit(X[~new], y[~new])
    return encoder, X, y, new


def test_a_new_shop_is_placed_and_the_others_stay(split):
    encoder, X, y, new = split
    others, before = encoder.transform(X[~new]), encoder.network_prediction(X[new])
    few = np.flatnonzero(new)[:30]
    encoder.add_category("shop", "s08", X.iloc[few], y[few])
    assert np.array_equal(encoder.transform(X[~new]), others)
    rest = np.flatnonzero(new)[30:]
    unknown = np.abs(before[30:] - y[rest]) / y[rest]
    learned = np.abs(encoder.network_prediction(X.iloc[rest]) - y[rest]) / y[rest]
    assert learned.mean() < 0.5 * unknown.mean()
    assert encoder.table("shop").facts["count"][-1] == 30
    assert encoder.table("shop").facts["target_mean"][-1] == pytest.approx(y[few].mean())


def test_it_survives_the_folder(split, tmp_path):
    encoder, X, y, new = split
    encoder.add_category("shop", "s08", X[new], y[new]).save_pretrained(tmp_path / "it")
    assert np.array_equal(EntityEncoder.from_pretrained(tmp_path / "it").transform(X), encoder.transform(X))


@pytest.mark.parametrize(
    ("recipe", "known", "least"),
    [("quick", ["s01"], 1), ("guo-berkhahn", ["s01"], 1), ("quick", [f"s{i:02}" for i in range(12)], 10**6)],
)
def test_a_new_shop_is_placed_where_one_or_none_is_known(recipe, known, least):
    X, y = shops(600)
    old = X.shop.isin(known).to_numpy() & (X.shop != "s08").to_numpy()
    X.loc[np.flatnonzero(old)[0], "shop"] = None  # so that a column of one shop is not constant
    encoder = EntityEncoder(recipe=recipe, random_state=0, min_frequency=least).fit(X[old], y[old])
    new = (X.shop == "s08").to_numpy()
    before = np.abs(encoder.network_prediction(X[new]) - y[new])
    vectors = encoder.add_category("shop", "s08", X[new], y[new]).table("shop")
    assert np.isfinite(vectors["s08"]).all()
    assert not np.allclose(vectors["s08"], vectors["(unknown)"], atol=1e-3)
    assert np.abs(encoder.network_prediction(X[new]) - y[new]).mean() < before.mean()


def test_a_target_that_the_encoder_cannot_have(split):
    encoder, X, y, new = split
    with pytest.raises(InputError, match="only numbers above 0"):
        encoder.add_category("shop", "s08", X[new], -y[new])


@pytest.mark.parametrize(
    ("column", "category", "sentence"),
    [
        ("shop", "s01", "has a vector for 's01' already"),
        ("shop", 7, "'shop' was fitted on strings, .* for example 7"),
        ("shop", None, "a missing value cannot be added"),
        ("shoop", "new", "did you mean 'shop'"),
        ("size", 3.0, "has no vectors: it is constant, or a column of numbers"),
    ],
)
def test_what_cannot_be_added(split, column, category, sentence):
    encoder, X, y, _ = split
    with pytest.raises(InputError, match=sentence):
        encoder.add_category(column, category, X.head(3), y[:3])
