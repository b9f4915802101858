"""A Parquet data set in pieces teaches the same codings as the whole in memory, and about the same vectors."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tables.shops import shops
from unrolled.errors import InputError
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.parquet import ParquetTable, StreamedRows

NOT_HANDED_ON = "; its vectors are not handed on: the networks predict held-out rows as well without"
"""What `fit` finds out on rows that it holds out, which `fit_parquet` does not."""


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
    told = [line for encoder in (streamed, memory) for line in encoder.describe()]
    judged = [re.sub(r"tell [\d.]+%", "tell", line).removesuffix(NOT_HANDED_ON) for line in told]
    assert judged[: len(judged) // 2] == judged[len(judged) // 2 :]
    for one, other in zip(streamed.schema_.codings, memory.schema_.codings, strict=True):
        assert one.known.tolist() == other.known.tolist()
        assert one.counts.tolist() == other.counts.tolist()
    assert streamed.schema_.scalings[-1].mean == pytest.approx(memory.schema_.scalings[-1].mean)
    assert streamed.schema_.scalings[-1].deviation == pytest.approx(memory.schema_.scalings[-1].deviation)
    for means, expected in zip(
        streamed.fitted_.statistics.target_means, memory.fitted_.statistics.target_means, strict=True
    ):
        assert np.allclose(means, expected)
    in_memory_alone = re.compile(r".*\d|.*_mean|prediction")
    given = [[name for name in encoder.get_feature_names_out() if not in_memory_alone.fullmatch(name)]
             for encoder in (streamed, memory)]  # fmt: skip
    assert given[0] == given[1]
    for encoder in (streamed, memory):
        assert np.mean(np.abs(encoder.network_prediction(X) - y) / y) < 0.25


def test_what_only_later_buffers_hold_is_taken_for_what_it_is_in_the_whole(tmp_path):
    """Fractions, hours, and values at all: the first buffer has none of them."""
    rows, late = np.arange(600), np.arange(600) >= 400
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows // 100, "D")
    table = pd.DataFrame({
        "fraction": rows % 5 + 0.5 * (rows == 599), "code": (rows % 5).astype(float),
        "at": days + pd.to_timedelta(8 * late, "h"), "empty": np.where(late, rows % 3, np.nan),
        "word": ["a" if is_late else None for is_late in late], "shop": [f"s{i}" for i in rows % 4],
    })  # fmt: skip
    y = rows % 4 + np.sin(rows)
    table.assign(y=y).to_parquet(tmp_path / "t.parquet", row_group_size=100)
    streamed = EntityEncoder(recipe="quick", random_state=0).fit_parquet(tmp_path / "t.parquet", "y", buffer=200)
    memory = EntityEncoder(recipe="quick", random_state=0).fit(table, y)
    ours, theirs = (list(dict.fromkeys(f.coding.name for f in e.schema_.fields)) for e in (streamed, memory))
    assert ours == theirs
    whole = {coding.name: coding for coding in memory.schema_.codings}  # more rows may make more numbers categories
    for one in streamed.schema_.codings:
        other = whole[one.name]
        assert (one.kind, one.known.tolist()) == (other.kind, other.known.tolist())
        assert one.counts.tolist() == other.counts.tolist()
    assert streamed.schema_.scalings[-1].mean == pytest.approx(memory.schema_.scalings[-1].mean)


def test_a_column_of_fractions_named_as_categories_keeps_them_apart(tmp_path):
    rows = np.arange(400)
    table = pd.DataFrame({"size": np.where(rows < 200, rows % 2, rows % 2 + 0.5), "y": rows % 2 + np.sin(rows)})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=100)
    encoder = EntityEncoder(recipe="quick", random_state=0, categorical_features=["size"])
    vectors = encoder.fit_parquet(tmp_path / "t.parquet", "y", buffer=200).table("size")
    assert sorted(vectors.names[3:]) == ["0.0", "0.5", "1.0", "1.5"]


def test_categories_that_training_does_not_meet_have_the_vector_of_unknown(whole, tmp_path):
    X, y = whole
    X.assign(sales=y, w=1.0 * (X.shop != "s03")).to_parquet(tmp_path / "t.parquet", row_group_size=200)
    encoder = EntityEncoder(recipe="quick", random_state=0)
    vectors = encoder.fit_parquet(tmp_path / "t.parquet", "sales", sample_weight="w", buffer=300).table("shop")
    assert np.array_equal(vectors["s03"], vectors["(unknown)"])
    assert not np.array_equal(vectors["s04"], vectors["(unknown)"])


def test_buffers_hold_every_row_once(whole, folder):
    X, y = whole
    table = ParquetTable(folder, "sales", buffer=250)
    buffers = list(table.buffers(np.random.default_rng(0).permutation(table.groups)))
    assert max(len(target) for _, target, _ in buffers) <= 250
    for frame, target, places in buffers:
        assert np.array_equal(target, y[places])
        assert frame["size"].to_numpy() == pytest.approx(X["size"].to_numpy()[places], nan_ok=True)
    assert np.array_equal(np.sort(np.concatenate([places for _, _, places in buffers])), np.arange(1500))
    assert table.rows == len(X)


def test_weights_and_validation_rows_are_kept_apart(whole, tmp_path):
    """Rows of weight 0, or held for validation, have a target a hundred times too large: it must not be learned."""
    X, y = whole
    weight = np.where(np.arange(1500) % 3 == 0, 0.0, 2.0)
    table = X.assign(sales=np.where(weight > 0, y, 100 * y), w=weight)
    table.to_parquet(tmp_path / "t.parquet", row_group_size=200)
    encoder = EntityEncoder(recipe="quick", random_state=0, log_target=True)
    encoder.fit_parquet(tmp_path / "t.parquet", "sales", sample_weight="w", buffer=300)
    assert "w" not in encoder.feature_names_in_
    assert np.mean(np.abs(encoder.network_prediction(X) - y) / y) < 0.25
    held = np.flatnonzero(weight == 0)
    table.assign(w=1.0).to_parquet(tmp_path / "t.parquet", row_group_size=200)
    encoder.set_params(validation=held)
    encoder.fit_parquet(tmp_path / "t.parquet", "sales", sample_weight="w", buffer=300)
    assert np.median(encoder.network_prediction(X) / y) < 10


def test_rows_held_out_are_the_batch_of_validation(whole, folder):
    X, y = whole
    encoder = EntityEncoder(recipe="quick", random_state=0).fit(X, y)
    held = np.arange(1500) % 10 == 0
    rows = StreamedRows(ParquetTable(folder, "sales", 300), encoder.schema_, encoder.target_,
                        np.ones(1500, np.float32), held)  # fmt: skip
    batch = rows.validation(2, np.random.default_rng(0))
    assert rows.rows == 1350
    assert batch.target.shape == (2, 150, 1)
    assert batch.target[0, :, 0].numpy() == pytest.approx(encoder.target_.encode(y[held, None])[:, 0])
    trained = list(rows.epoch(1, 25, torch.Generator().manual_seed(0)))
    seen = np.concatenate([b.target.numpy().ravel() for b in trained])
    assert not set(seen) & set(batch.target.numpy().ravel())


BIG = """
import re, sys
from pathlib import Path
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.config import EncoderConfig

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

recipe = EncoderConfig(networks=1, hidden=(8,), epochs=1, batch=8192)
encoder = EntityEncoder(recipe=recipe, validation=0.05, random_state=0)
encoder.fit_parquet(sys.argv[1], "y", sample_weight="w", buffer=5_000)
before = peak()
encoder.fit_parquet(sys.argv[2], "y", sample_weight="w", buffer=5_000)
print(peak() - before, encoder.schema_.codings[0].counts.sum())
"""


def write_wide(path, rows):
    """Two columns of long texts, 300 different each, in groups of 5,000 rows; returns its megabytes in memory."""
    rng = np.random.default_rng(0)
    names = [pa.array([f"{i:04} " + 320 * "long " for i in range(300)])] * 2
    writer = None
    for _ in range(rows // 5_000):
        texts = {f"c{k}": all_names.take(pa.array(rng.integers(0, 300, 5_000))) for k, all_names in enumerate(names)}
        table = pa.table(texts | {"y": rng.normal(size=5_000), "w": rng.uniform(0.5, 2, 5_000)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return table.nbytes * (rows // 5_000) / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_file_larger_than_the_memory_it_is_given(tmp_path):
    """Read whole, the file would take over 300 MB; fitted in buffers it costs less than half of that.

    What grows with the rows are their targets and weights. Validation rows and weights are on.
    """
    write_wide(tmp_path / "small.parquet", 20_000)
    size = write_wide(tmp_path / "big.parquet", 100_000)
    command = [sys.executable, "-c", BIG, f"{tmp_path / 'small.parquet'}", f"{tmp_path / 'big.parquet'}"]
    growth, rows = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert rows == 100_000
    assert size > 300
    assert growth < size / 2, f"{growth:.0f} of {size:.0f} MB"


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        EntityEncoder().fit_parquet(tmp_path / "none.parquet", "sales")
    with pytest.raises(InputError, match="did you mean 'sales'"):
        EntityEncoder().fit_parquet(folder, "sale")
    with pytest.raises(InputError, match="did you mean 'size'"):
        EntityEncoder().fit_parquet(folder, "sales", sample_weight="sice")
    with pytest.raises(InputError, match="sample_weight must be finite"):
        EntityEncoder().fit_parquet(folder, "sales", sample_weight="size")
    with pytest.raises(InputError, match="sample_weight names 'sales', which is the target"):
        EntityEncoder().fit_parquet(folder, "sales", sample_weight="sales")
    with pytest.raises(InputError, match="buffer is 0, but must be"):
        EntityEncoder().fit_parquet(folder, "sales", buffer=0)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        EntityEncoder().fit_parquet(tmp_path / "text.parquet", "sales")
