"""Scales, shrinkage by count, rows without data."""

from dataclasses import replace

import numpy as np

from unrolled.tables.data.columns import read_table
from unrolled.tables.encoder.coding import fit_coding
from unrolled.tables.encoder.vectors import (
    Scales,
    combine,
    counts_of,
    fill_untrained,
    means_of,
    shrink,
)
from unrolled.tables.encoder.weights import NetworkWeights

RNG = np.random.default_rng(0)
COUNTS = np.array([0, 0, 5, 1, 100, 10**6])


def trained(networks=2):
    tables = [RNG.normal(size=(networks, 6, 3)).astype(np.float32)]
    empty = np.zeros((networks, 3, 1), np.float32)
    return NetworkWeights(tables, [empty], [np.zeros((networks, 1, 1), np.float32)], None)


def test_vectors_with_few_rows_lie_near_the_unknown_one():
    vectors = RNG.normal(size=(6, 3))
    shrunk = shrink(vectors, COUNTS, 10.0)
    share = np.linalg.norm(shrunk - vectors[0], axis=1)[2:] / np.linalg.norm(vectors - vectors[0], axis=1)[2:]
    assert np.allclose(share, COUNTS[2:] / (COUNTS[2:] + 10))
    assert np.array_equal(shrunk[1], vectors[0])
    assert np.array_equal(shrink(vectors, COUNTS, 0.0), vectors)


def test_rows_without_data_become_the_unknown_one():
    own = trained()
    filled = fill_untrained(own, [COUNTS], unknown_is_trained=True).tables[0]
    assert np.array_equal(filled[:, 1], own.tables[0][:, 0])
    assert np.array_equal(filled[:, 2:], own.tables[0][:, 2:])
    mean = fill_untrained(own, [COUNTS], unknown_is_trained=False).tables[0][:, 0]
    assert np.allclose(mean, (own.tables[0] * (COUNTS / COUNTS.sum())[:, None]).sum(axis=1), atol=1e-6)


def test_one_network_keeps_its_distances():
    own = trained(1)
    table = combine(own, [np.ones(6, dtype=np.int64)], 0.0).tables[0]
    assert np.allclose(np.linalg.norm(table[2] - table[5]), np.linalg.norm(own.tables[0][0, 2] - own.tables[0][0, 5]))


def measured(sensitivity):
    """Two networks with a field of three columns and as many numbers as are left."""
    weights = [np.zeros((2, len(sensitivity), 1), np.float32)]
    return replace(trained(), weights=weights, sensitivity=np.array(sensitivity, np.float32))


def test_a_field_is_scaled_as_one_and_each_number_by_itself():
    scales = Scales.of(measured([3, 0, 0, 1, 0]))
    assert np.isclose(scales.fields[0] / scales.numbers[0], np.sqrt(3), atol=1e-5)
    assert np.isclose((3 * scales.fields[0] ** 2 + scales.numbers[0] ** 2) / 5, 1, atol=1e-5)
    assert 0 < scales.numbers[1] < 0.01  # a column that moves nothing is small, not nothing


def test_without_a_measure_nothing_is_scaled():
    for one in (measured([0, 0, 0, 0]), replace(measured([3, 0, 0, 1]), sensitivity=None)):
        scales = Scales.of(one)
        assert scales.fields == (1.0,)
        assert scales.numbers.tolist() == [1.0]


def test_a_scale_moves_no_vector_but_away_from_the_centre():
    counts, one = [np.array([9, 0, 5, 1, 100, 10])], measured([5, 1, 1, 1])
    plain = combine(replace(one, sensitivity=None), counts, 1.0)
    longer = combine(one, counts, 1.0)
    factor = Scales.of(one).fields[0]
    assert factor > 1.1
    assert np.allclose(longer.tables[0], plain.tables[0] * factor, atol=1e-5)
    assert np.allclose(longer.spreads[0], plain.spreads[0])


def test_out_of_fold_vectors_take_the_scale_of_the_full_fit():
    counts, full = [np.full(6, 9)], combine(measured([5, 1, 1, 1]), [np.full(6, 9)], 0.0)
    fold = replace(measured([1, 1, 1, 9]), tables=trained().tables)
    own = combine(fold, counts, 0.0, full)
    assert own.scales is full.scales
    again = combine(
        replace(fold, tables=[full.tables[0][None].repeat(2, 0) / full.scales.fields[0]]), counts, 0.0, full
    )
    assert np.allclose(again.tables[0], full.tables[0], atol=1e-5)


def test_counts_and_means():
    (column,) = read_table([["a"], ["b"], ["a"]], ["c"])
    codings = [fit_coding(column, np.zeros(3))]
    codes = codings[0].encode(column)[:, None]
    assert counts_of(codes, codings)[0].tolist() == [0, 0, 0, 2, 1]
    assert means_of(codes, codings, np.array([1.0, 7.0, 4.0]))[0].tolist() == [4, 4, 4, 2.5, 7]
