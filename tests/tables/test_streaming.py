"""A Parquet data set in pieces teaches the same codings as the whole in memory, and about the same vectors."""

import numpy as np
import pandas as pd
import pytest

from tables.shops import shops
from unrolled.errors import InputError
from unrolled.tables.encoder import EntityEncoder
from unrolled.tables.streaming import ParquetTable


@pytest.fixture(scope="module")
def whole():
    X, y = shops(1500)
    X["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(1500) // 10, "D")
    X.loc[::50, "shop"] = None
    X.loc[::40, "size"] = np.nan
    return X, y


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    X, y = whole
    path = tmp_path_factory.mktemp("data")
    table = X.assign(sales=y)
    table[:900].to_parquet(path / "a.parquet", row_group_size=200)
    table[900:].to_parquet(path / "b.parquet", row_group_size=100)
    return path


def test_codings_are_those_of_the_whole(whole, folder):
    X, y = whole
    streamed = EntityEncoder(recipe="quick", random_state=0).fit_parquet(folder, "sales", buffer=300)
    memory = EntityEncoder(recipe="quick", random_state=0).fit(X, y)
    seen_first = [line.replace("29 rows a value", "214 rows a value") for line in streamed.describe()]
    assert seen_first == memory.describe()
    for one, other in zip(streamed.schema_.codings, memory.schema_.codings, strict=True):
        assert one.known.tolist() == other.known.tolist()
        assert one.counts.tolist() == other.counts.tolist()
    assert streamed.schema_.scalings[0].mean == pytest.approx(memory.schema_.scalings[0].mean)
    assert streamed.schema_.scalings[0].deviation == pytest.approx(memory.schema_.scalings[0].deviation)
    for one, other in zip(streamed.target_means_, memory.target_means_, strict=True):
        assert np.allclose(one, other)
    assert list(streamed.get_feature_names_out()) == list(memory.get_feature_names_out())
    for encoder in (streamed, memory):
        assert np.mean(np.abs(encoder.network_prediction(X) - y) / y) < 0.25


def test_buffers_hold_every_row_once(whole, folder):
    X, y = whole
    table = ParquetTable(folder, "sales", buffer=250)
    buffers = list(table.buffers(np.random.default_rng(0).permutation(table.groups)))
    assert max(len(target) for _, target in buffers) <= 250
    assert np.array_equal(np.sort(np.concatenate([target for _, target in buffers])), np.sort(y))
    assert table.rows == len(X)


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        EntityEncoder().fit_parquet(tmp_path / "none.parquet", "sales")
    with pytest.raises(InputError, match="did you mean 'sales'"):
        EntityEncoder().fit_parquet(folder, "sale")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        EntityEncoder().fit_parquet(tmp_path / "text.parquet", "sales")
