"""Turned copies come back together, and disagreement is measured."""

import numpy as np
from scipy.stats import ortho_group

from unrolled.tables.encoder.alignment import align, spread

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(30, 4)) * [4, 2, 1, 0.5]
ALL = np.ones(30, dtype=bool)


def turned(count, noise=0.0):
    turns = ortho_group.rvs(4, count, random_state=1).reshape(count, 4, 4)
    moved = VECTORS @ turns + RNG.normal(size=(count, 1, 4))
    return moved + noise * RNG.normal(size=moved.shape)


def test_turned_and_moved_copies_become_one():
    tables = turned(4)
    aligned = align(tables, ALL).apply(tables)
    assert np.allclose(aligned, aligned[0])
    assert np.allclose(spread(aligned), 0, atol=1e-6)


def test_distances_are_kept():
    tables = turned(3)
    mean = align(tables, ALL).apply(tables).mean(axis=0)
    assert np.allclose(np.linalg.norm(mean[0] - mean[1]), np.linalg.norm(VECTORS[0] - VECTORS[1]))


def test_onto_a_reference():
    alignment = align(turned(2), ALL, VECTORS - VECTORS.mean(axis=0))
    assert np.allclose(alignment.rotations @ alignment.rotations.swapaxes(1, 2), np.eye(4))
    tables = turned(2)
    assert np.allclose(align(tables, ALL, VECTORS).apply(tables), VECTORS)
    some = np.arange(30) < 20
    assert np.allclose(align(tables, some, VECTORS).apply(tables), VECTORS)


def test_only_shared_rows_count():
    tables = turned(3)
    shared = ALL.copy()
    shared[:5] = False
    spoilt = tables.copy()
    spoilt[1, :5] += 100
    assert np.allclose(align(spoilt, shared).rotations, align(tables, shared).rotations)


def test_spread_notices_noise():
    calm, noisy = (align(t, ALL).apply(t) for t in (turned(5, 0.01), turned(5, 2.0)))
    assert spread(calm).max() < 0.05
    assert spread(noisy).mean() > 0.3
    assert np.isnan(spread(calm[:1])).all()
