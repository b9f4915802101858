"""Optimizers: Muon's direction against the singular value decomposition, steps against PyTorch's own, states kept."""

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unrolled.learn.distributed import World
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.optimizers import AdamW, Muon, build_optimizer, orthogonal_factor
from unrolled.learn.packing import pack, unpack
from unrolled.learn.recipe import Recipe
from unrolled.model.folder import ModelConfig

SIDES = st.integers(1, 12)


def matrix_with(values, rows, columns, seed):
    """A matrix (rows, columns) with these singular values, and its singular vectors."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(n, len(values), generator=generator, dtype=torch.float64) for n in (rows, columns)]
    u, v = (torch.linalg.qr(each)[0] for each in drawn)
    return u @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ v.mT, u, v


@given(SIDES, SIDES, st.data())
def test_singular_vectors_stay_and_values_become_one(rows, columns, data):
    count = min(rows, columns)
    values = data.draw(st.lists(st.floats(0.2, 1.0), min_size=count, max_size=count))
    matrix, u, v = matrix_with(values, rows, columns, data.draw(st.integers(0, 99)))
    factor = orthogonal_factor(matrix)
    inside = u.mT @ factor @ v
    assert factor.shape == matrix.shape
    torch.testing.assert_close(u @ inside @ v.mT, factor, rtol=0, atol=1e-9)  # nothing beside the singular vectors
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), rtol=0, atol=1e-9)
    assert ((inside.diagonal() - 1).abs() < 0.05).all()


def test_it_is_near_the_factor_of_the_decomposition_and_the_matrix_is_not():
    matrix = torch.randn(40, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    distances = [torch.linalg.matrix_norm(x - u @ v, 2).item() for x in (orthogonal_factor(matrix), matrix)]
    assert distances[0] < 0.05
    assert distances[1] > 1


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_scale_does_not_matter_and_transposing_does_what_it_should(scale):
    matrix = torch.randn(9, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    factor = orthogonal_factor(matrix)
    torch.testing.assert_close(orthogonal_factor(scale * matrix), factor, rtol=0, atol=1e-5)
    torch.testing.assert_close(orthogonal_factor(matrix.mT), factor.mT, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_matrix_of_zeros_or_of_one_direction_gives_finite_numbers(dtype):
    assert not orthogonal_factor(torch.zeros(4, 3, dtype=dtype)).any()
    one = torch.outer(torch.ones(5), torch.ones(3)).to(dtype)
    assert torch.linalg.matrix_norm(orthogonal_factor(one).float(), 2).item() == pytest.approx(1, abs=0.06)


def parameters(seed=0, shapes=((6, 4), (3, 5), (7,))):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in shapes]


def give_gradients(weights, seed):
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator, dtype=torch.float64)


def test_a_step_of_muon_is_that_of_its_description():
    """Momentum, looked ahead (Nesterov), its orthogonal factor, scaled by the shape; decay apart from all that."""
    (weight,), momentum = parameters(shapes=((6, 4),)), torch.zeros(6, 4, dtype=torch.float64)
    expected = weight.detach().clone()
    muon = Muon([weight], 0.1, torch.float64, World(), weight_decay=0.2)
    for seed, factor in enumerate((1.0, 0.5, 0.25)):
        give_gradients([weight], seed)
        muon.step(factor)
        momentum = 0.95 * momentum + 0.05 * weight.grad
        direction = orthogonal_factor(0.05 * weight.grad + 0.95 * momentum)
        expected = (1 - 0.1 * factor * 0.2) * expected - 0.1 * factor * (6 / 4) ** 0.5 * direction
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("decoupled", [True, False])
def test_adamw_is_that_of_pytorch_with_a_factor(decoupled):
    ours, theirs = parameters(), parameters()
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    mine = AdamW(ours, 0.1, 0.01, decoupled=decoupled)
    other = kind(theirs, 0.1, betas=(0.9, 0.99), weight_decay=0.01)
    for seed, factor in enumerate((1.0, 0.3, 0.01)):
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        other.param_groups[0]["lr"] = 0.1 * factor
        mine.step(factor)
        other.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_training_does_not_import_the_compiler_of_pytorch():
    """It takes two seconds, before a user sees the first step."""
    program = """
import sys
from unrolled import train
train(text="a man said that he read the notes. " * 60, hidden=4, epochs=0.1, threads=1, precision="float32")
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def network_of(rung="lstm", layers=2):
    return CharNetwork(ModelConfig(rung, 9, 5, 6, layers)).double()


@pytest.mark.parametrize("name", ["muon", "adamw"])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_state_that_was_stored_goes_on_to_the_same_bits(name, steps):
    recipe = Recipe(optimizer=name, weight_decay=0.01)
    network = network_of()
    optimizer = build_optimizer(network, recipe, World(), torch.float64)
    for seed in range(steps):
        give_gradients(list(network.parameters()), seed)
        optimizer.step(1.0)
    other = copy.deepcopy(network)
    again = build_optimizer(other, recipe, World(), torch.float64)
    again.load_state_dict(unpack(pack({"optimizer": optimizer.state_dict()}))["optimizer"])
    for seed in range(steps, steps + 3):
        for each, its in ((network, optimizer), (other, again)):
            give_gradients(list(each.parameters()), seed)
            its.step(0.5)
            its.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_a_state_that_was_not_loaded_shows():
    """The test above could fail."""
    weights, others = parameters(shapes=((6, 4),)), parameters(shapes=((6, 4),))
    one, fresh = (Muon(each, 0.1, torch.float64, World()) for each in (weights, others))
    give_gradients(weights, 0)
    one.step(0.0)
    for each, its in ((weights, one), (others, fresh)):
        give_gradients(each, 1)
        its.step(1.0)
    assert not torch.equal(weights[0], others[0])


@pytest.mark.parametrize("rung", ["rnn", "lstm", "mingru"])
def test_muon_takes_the_matrices_of_the_recurrences_and_adamw_all_else(rung):
    network = network_of(rung)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    optimizer = build_optimizer(network, Recipe(optimizer="muon"), World(), torch.float64)
    muon = [names[id(matrix)] for matrix in optimizer.optimizers["muon"].matrices]
    adamw = [names[id(each)] for each in optimizer.optimizers["adamw"].parameters]
    assert sorted(muon + adamw) == sorted(names.values())
    assert muon == [name for name, each in network.named_parameters() if name[:6] == "layers" and each.ndim == 2]
    assert "muon" not in build_optimizer(network, Recipe(optimizer="adamw"), World(), torch.float64).optimizers
