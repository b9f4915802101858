"""The networks against an independent reading of them in NumPy, and their training."""

import dataclasses

import numpy as np
import pytest
import torch

from unrolled.errors import TrainingError
from unrolled.tables.encoder.coding import UNKNOWN
from unrolled.tables.encoder.config import PRESETS, EncoderConfig
from unrolled.tables.encoder.networks import Batch, Networks, Shape, losses
from unrolled.tables.encoder.schema import Encoded
from unrolled.tables.encoder.training import RowsInMemory, Training, batch_size, with_masked

SHAPE = Shape(rows=(7, 5), dimensions=(3, 2), numbers=2, outputs=1)
QUICK = dataclasses.replace(PRESETS["quick"], hidden=(8, 4))


def rows_of(count, seed=0, kind="continuous"):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, (7, 5), (count, 2)).astype(np.int32)
    numbers = rng.normal(size=(count, 2)).astype(np.float32)
    if kind == "multiclass":
        return Encoded(codes, numbers), rng.integers(0, 3, count)
    target = rng.normal(size=(count, 1)).astype(np.float32)
    return Encoded(codes, numbers), (target > 0).astype(np.float32) if kind == "binary" else target


def training_of(count=64, kind="continuous", recipe=QUICK, seed=0, held=None, weight=None):
    table, target = rows_of(count, kind=kind)
    weight = np.ones(count, np.float32) if weight is None else weight
    generator = torch.Generator().manual_seed(seed)
    shape = dataclasses.replace(SHAPE, outputs=3 if kind == "multiclass" else 1)
    source = RowsInMemory(table, target, weight)
    validation = None if held is None else source.batch(torch.arange(held).expand(2, -1))
    return Training(Networks(shape, recipe, 2, generator), kind, recipe, source, generator, validation)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_numpy_reads_the_networks_as_pytorch_does(sigmoid):
    table, _ = rows_of(20)
    shape, recipe = dataclasses.replace(SHAPE, sigmoid=sigmoid), dataclasses.replace(QUICK, skip=not sigmoid)
    networks = Networks(shape, recipe, 3, torch.Generator().manual_seed(0))
    codes, numbers = (torch.from_numpy(a).expand(3, *a.shape) for a in (table.codes, table.numbers))
    expected = networks(codes, numbers).detach().numpy()
    assert np.allclose(networks.to_numpy().outputs(table, chunk=7), expected, atol=1e-5)
    assert not np.allclose(expected[0], expected[1])


def test_networks_side_by_side_do_not_touch_each_other():
    networks = Networks(SHAPE, QUICK, 2, torch.Generator().manual_seed(0))
    table, _ = rows_of(20)
    codes, numbers = (torch.from_numpy(a).expand(2, *a.shape) for a in (table.codes, table.numbers))
    networks(codes, numbers)[0].sum().backward()
    for parameter in networks.parameters():
        second = parameter.grad[len(parameter) // 2 :]
        assert (second == 0).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_sensitivity_is_the_gradient_of_finite_differences(outputs):
    networks = Networks(
        dataclasses.replace(SHAPE, outputs=outputs), QUICK, 2, torch.Generator().manual_seed(0)
    ).double()
    table, target = rows_of(30)
    weight = np.linspace(0, 2, 30, dtype=np.float32)
    batch = RowsInMemory(table, target, weight).batch(torch.arange(30).expand(2, -1))
    inputs, step = networks.inputs(batch.codes, batch.numbers.double()), 1e-6
    moves = [networks.layers(inputs + step * column) - networks.layers(inputs - step * column)
             for column in torch.eye(inputs.shape[-1]).double()]  # fmt: skip
    square = torch.stack([(move / (2 * step)).square().sum(-1) for move in moves], -1)
    expected = (square * torch.from_numpy(weight)[:, None]).mean((0, 1)).sqrt()
    assert torch.allclose(networks.sensitivity(batch), expected.detach(), rtol=1e-4)
    assert expected.std() > 0.01


@pytest.mark.parametrize("kind", ["continuous", "binary", "multiclass"])
def test_a_small_table_is_learned_by_heart(kind):
    recipe = dataclasses.replace(QUICK, min_steps=400, hidden=(64,), unknown_fraction=0.0)
    training = training_of(24, kind, recipe)
    records = list(training.records())
    assert records[-1].smoothed < 0.35 * records[0].loss
    assert records[-1].step == training.plan.steps


def test_same_seed_same_bits_and_another_seed_others():
    first, again, other = (training_of(seed=seed) for seed in (3, 3, 4))
    for training in (first, again, other):
        list(training.records())
    bits = [t.network.to_numpy().tables[0].tobytes() for t in (first, again, other)]
    assert bits[0] == bits[1] != bits[2]


def test_rows_of_weight_zero_teach_nothing():
    weight = np.ones(64, np.float32)
    weight[32:] = 0
    training = training_of(64, weight=weight)
    batch = training.source.batch(torch.arange(64).expand(2, -1))
    output = training.network(batch.codes, batch.numbers)
    spoilt = dataclasses.replace(batch, target=batch.target + 100 * (batch.weight == 0)[..., None])
    assert torch.equal(losses(output, batch, "continuous", QUICK), losses(output, spoilt, "continuous", QUICK))


def test_the_unknown_row_is_trained():
    recipe = dataclasses.replace(QUICK, unknown_fraction=0.3)
    table, target = rows_of(64)
    codes = np.maximum(table.codes, 1)  # no row of the table is unknown
    generator = torch.Generator().manual_seed(0)
    networks = Networks(SHAPE, recipe, 1, generator)
    before = networks.embeddings[0][UNKNOWN].detach().clone()
    source = RowsInMemory(Encoded(codes, table.numbers), target, np.ones(64, np.float32))
    list(Training(networks, "continuous", recipe, source, generator).records())
    assert not torch.allclose(before, networks.embeddings[0][UNKNOWN], atol=1e-3)


def test_masked_rows_repeat_a_row_with_one_category_unknown_mostly_of_the_largest_column():
    generator = torch.Generator().manual_seed(0)
    codes = torch.full((2, 400, 3), 7, dtype=torch.int32)
    rows = torch.arange(400.0).expand(2, -1)
    batch = Batch(codes, rows[..., None], rows[..., None], rows + 1)
    both = with_masked(batch, 0.25, (1000, 20, 30), generator)
    assert torch.equal(both.codes[:, :400], codes)
    again = both.codes[:, 400:] == UNKNOWN
    assert again.shape == (2, 100, 3)
    assert (again.sum(-1) == 1).all()
    assert again[..., 0].float().mean() > 0.85
    for name in ("numbers", "target", "weight"):
        assert torch.equal(getattr(both, name)[:, 400:], getattr(batch, name)[:, :100])
    assert with_masked(batch, 0.0, (1000, 20, 30), generator) is batch


def test_masked_rows_teach_the_layers_what_a_state_says_of_a_shop_never_seen():
    """Shops lie in states; where shops are known the state is not needed, and where one is not it is all there is."""
    rng = np.random.default_rng(0)
    shop = rng.integers(0, 60, 4000)
    state, own = np.array([-2.0, 0.0, 2.0])[shop % 3], 0.3 * rng.normal(size=60)[shop]
    codes = np.stack([shop + 3, shop % 3 + 3], axis=1).astype(np.int32)
    numbers, target = np.zeros((4000, 0), np.float32), (state + own).astype(np.float32)[:, None]
    errors = []
    for fraction in (0.0, 0.25):
        recipe = dataclasses.replace(QUICK, min_steps=400, masked_fraction=fraction)
        networks = Networks(Shape((63, 6), (6, 2), 0, 1), recipe, 2, torch.Generator().manual_seed(0))
        source = RowsInMemory(Encoded(codes, numbers), target, np.ones(4000, np.float32))
        list(Training(networks, "continuous", recipe, source, torch.Generator().manual_seed(0)).records())
        unknown = Encoded(codes * np.array([0, 1], np.int32), numbers)
        errors.append(float(np.abs(networks.to_numpy().outputs(unknown).mean(0)[:, 0] - state).mean()))
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.3


def test_best_of_the_validation_rows_is_kept():
    training = training_of(64, held=16, recipe=dataclasses.replace(QUICK, epochs=60))
    validated = [record.validation for record in training.records() if record.validation is not None]
    assert validated == sorted(validated, reverse=True)
    held = training._validation
    final = losses(training.network(held.codes, held.numbers), held, "continuous", QUICK)
    assert float(final.detach().mean()) == pytest.approx(min(validated), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_training():
    recipe = dataclasses.replace(QUICK, learning_rate=1e30)
    with pytest.raises(TrainingError, match="smaller learning rate"):
        list(training_of(recipe=recipe).records())


@pytest.mark.parametrize("rows", [1, 2, 31, 500, 5000, 10**6])
def test_batches_fit_the_table(rows):
    assert 1 <= batch_size(rows, EncoderConfig()) <= min(rows, EncoderConfig().batch)
