"""The generated shops: the same for a seed, as stated, and their vectors are the hidden map."""

import numpy as np
import pytest

from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError
from unrolled.tables.data.demo import TARGET, demo_table, map_found
from unrolled.tables.encoder.estimator import EntityEncoder


def test_same_seed_same_table() -> None:
    one, again, other = demo_table(3, 200, 10), demo_table(3, 200, 10), demo_table(4, 200, 10)
    assert one.frame.equals(again.frame)
    assert (one.places == again.places).all()
    assert not one.frame.equals(other.frame)


def test_sales_follow_the_hidden_map_as_stated() -> None:
    demo = demo_table(0, 20_000, 12)
    frame = demo.frame.assign(logarithm=np.log(demo.frame[TARGET]))
    assert sorted(frame["Shop"].unique()) == sorted(demo.shops)
    january, july = (frame[frame["Month"] == month].groupby("Shop")["logarithm"].mean() for month in (1, 7))
    season = (january - july).loc[list(demo.shops)]
    assert np.corrcoef(season, demo.places[:, 1])[0, 1] > 0.98
    promoted = frame.groupby("Promotion")["logarithm"].mean()
    assert promoted[True] - promoted[False] == pytest.approx(0.2, abs=0.02)


def test_procrustes_correlation_is_one_for_a_turned_map_and_low_for_a_random_one() -> None:
    demo = demo_table(1, 200, 40)
    angle = 0.7
    turned = 5 * demo.places @ np.array([[np.cos(angle), -np.sin(angle)], [-np.sin(angle), -np.cos(angle)]]) + 3
    found, laid = map_found(EmbeddingTable(demo.shops, turned.astype(np.float32)), demo)
    assert found == pytest.approx(1, abs=1e-6)
    assert laid == pytest.approx(demo.places, abs=1e-5)
    noise = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    assert map_found(EmbeddingTable(demo.shops, noise), demo)[0] < 0.6


def test_procrustes_agrees_with_scipy() -> None:
    spatial = pytest.importorskip("scipy.spatial")
    demo = demo_table(2, 200, 15)
    vectors = np.random.default_rng(1).normal(size=(15, 2)).astype(np.float32)
    table = EmbeddingTable(demo.shops, vectors)
    *_, disparity = spatial.procrustes(demo.places, table.pca(2).coordinates)
    assert map_found(table, demo)[0] == pytest.approx(np.sqrt(1 - disparity))


def test_vectors_learned_from_sales_find_the_map_again() -> None:
    demo = demo_table(0, 4000, 40)
    encoder = EntityEncoder(n_networks=1, random_state=0, n_jobs=1)
    encoder.fit(demo.frame.drop(columns=[TARGET]), demo.frame[TARGET])
    assert map_found(encoder.table("Shop"), demo)[0] >= 0.9


def test_too_small_a_map_is_refused() -> None:
    with pytest.raises(InputError, match="3 shops"):
        demo_table(0, 100, 3)
    with pytest.raises(InputError, match="5 rows"):
        demo_table(0, 5, 10)
