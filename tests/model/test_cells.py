"""The NumPy steps on their own: batch axes, purity, dtypes. That they equal the networks is tested in tests/learn."""

import subprocess
import sys

import numpy as np
import pytest

from unrolled.errors import InputError
from unrolled.model.cell import sigmoid
from unrolled.model.cells import CELLS, CellNetwork

INPUTS, HIDDEN, VOCABULARY = 4, 6, 9
every_rung = pytest.mark.parametrize("rung", CELLS)


def weights_of(rung, layers=2, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"embedding.weight": (VOCABULARY, INPUTS), "head.weight": (VOCABULARY, HIDDEN), "head.bias": (VOCABULARY,)}
    for layer in range(layers):
        for name, shape in CELLS[rung].shapes(HIDDEN if layer else INPUTS, HIDDEN).items():
            shapes[f"layers.{layer}.{name}"] = shape
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@every_rung
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_leading_axes_are_batch_axes(rung, dtype):
    network = CellNetwork(rung, weights_of(rung, dtype=dtype))
    rng = np.random.default_rng(1)
    ids = rng.integers(VOCABULARY, size=(2, 3))
    start = tuple(rng.normal(size=part.shape).astype(dtype) for part in network.initial_state(2, 3))
    logits, after = network.step(ids, start)
    assert logits.shape == (2, 3, VOCABULARY)
    assert logits.dtype == dtype
    one, one_after = network.step(int(ids[1, 2]), tuple(part[1, 2] for part in start))
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(one, logits[1, 2], rtol=tolerance, atol=tolerance)
    for single, part in zip(one_after, after, strict=True):
        assert part.dtype == dtype
        np.testing.assert_allclose(single, part[1, 2], rtol=tolerance, atol=tolerance)


@every_rung
def test_a_step_leaves_state_and_weights_as_they_were(rung):
    weights = weights_of(rung)
    kept = {name: array.copy() for name, array in weights.items()}
    network = CellNetwork(rung, weights)
    table = network.table.copy()
    _, state = network.step(3, network.initial_state())
    copies = [part.copy() for part in state]
    first, _ = network.step(5, state)
    network.step(6, state)
    again, _ = network.step(5, state)
    assert all(np.array_equal(part, copy) for part, copy in zip(state, copies, strict=True))
    assert np.array_equal(first, again)
    assert np.array_equal(network.table, table)
    assert all(np.array_equal(array, kept[name]) for name, array in weights.items())


@every_rung
def test_the_table_is_the_projection_of_each_character(rung):
    weights = weights_of(rung, layers=1)
    network = CellNetwork(rung, weights)
    cell = network.cells[0]
    assert len(network.table) == VOCABULARY
    np.testing.assert_allclose(cell.project(weights["embedding.weight"][4]), network.table[4], rtol=1e-12)


@every_rung
def test_extreme_weights_give_numbers_and_no_warnings(rung):
    layers = 1 if rung == "mamba" else 2  # it multiplies four numbers that are linear in its input: two layers overflow
    weights = {name: (200 * array).astype(np.float32) for name, array in weights_of(rung, layers).items()}
    network = CellNetwork(rung, weights)
    state = network.initial_state()
    for character in range(VOCABULARY):
        logits, state = network.step(character, state)
        assert np.isfinite(logits).all()


def test_one_lstm_step_by_hand():
    """One unit, all weights 1, biases 0: i = f = o = σ(x + h), g = tanh(x + h)."""
    weights = {
        "weight_ih": np.ones((4, 1)),
        "weight_hh": np.ones((4, 1)),
        "bias_ih": np.zeros(4),
        "bias_hh": np.zeros(4),
    }
    cell = CELLS["lstm"](weights)
    h, (same, c) = cell.step(cell.project(np.array([0.5])), (np.array([0.25]), np.array([2.0])))
    gate = 1 / (1 + np.exp(-0.75))
    assert c == pytest.approx(gate * 2.0 + gate * np.tanh(0.75))
    assert h == pytest.approx(gate * np.tanh(c))
    assert same is h


def test_sigmoid_is_exact_and_cannot_overflow():
    v = np.array([-1e30, -800.0, -2.0, 0.0, 2.0, 800.0, 1e30])
    np.testing.assert_allclose(sigmoid(v), [0, 0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1, 1], atol=1e-15)
    assert v[0] == -1e30


def test_unknown_rung_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'gru'"):
        CellNetwork("gruu", weights_of("gru"))


def test_cells_need_no_pytorch():
    code = "import sys, unrolled.model.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
