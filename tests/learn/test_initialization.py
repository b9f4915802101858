"""The start weights of training."""

import math

import pytest
import torch

from unrolled.learn.initialization import start_well
from unrolled.learn.networks import RUNGS
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelConfig

IDS = torch.arange(8).repeat(3, 2)


def started(rung, seed=3):
    network = CharNetwork(ModelConfig(rung, 9, 5, 16, 2))
    start_well(network, seed)
    return network


@pytest.mark.parametrize("rung", ["rnn", "gru", "lstm"])
def test_every_gate_is_orthogonal(rung):
    for layer in started(rung).layers:
        for gate in layer.weight_hh.detach().split(16):
            torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)


def test_only_the_forget_gate_starts_open():
    for layer in started("lstm").layers:
        assert (layer.bias_ih + layer.bias_hh).tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32


@pytest.mark.parametrize("rung", RUNGS)
def test_the_first_loss_is_that_of_equal_probabilities(rung):
    network = started(rung)
    logits, _ = network(IDS, network.initial_state(3))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), IDS.flatten())
    assert loss.item() == pytest.approx(math.log(9), abs=1e-6)
    loss.backward()
    assert network.head.weight.grad.any()


def test_the_seed_decides():
    first, again, other = started("lstm"), started("lstm"), started("lstm", seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.layers[0].weight_hh, other.layers[0].weight_hh)


def test_the_identity_start_stays():
    for layer in started("irnn").layers:
        assert torch.equal(layer.weight_hh, torch.eye(16))
