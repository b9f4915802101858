"""Dropout: masks are a function of the seed, act in training only and keep the mean."""

import copy

import pytest
import torch

from unrolled.errors import InputError
from unrolled.learn.networks.dropout import Dropout, Masks
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelConfig

IDS = torch.arange(1, 9).repeat(4, 3)
KINDS = {
    "embedding": Dropout(embedding=0.5),
    "between": Dropout(between=0.5),
    "output": Dropout(output=0.5),
    "all at once": Dropout(0.2, 0.3, 0.4),
}
every_kind = pytest.mark.parametrize("dropout", KINDS.values(), ids=KINDS)


def network_with(dropout):
    return CharNetwork(ModelConfig("gru", 10, 6, 8, 2), dropout=dropout)


def logits(network, seed=None):
    if seed is not None:
        network.reseed(seed)
    return network(IDS, network.initial_state(len(IDS)))[0]


@every_kind
def test_masks_are_a_function_of_the_seed(dropout):
    network = network_with(dropout)
    first = logits(network, 7)
    following = logits(network)
    torch.manual_seed(1)  # ambient randomness must not matter
    assert torch.equal(logits(network, 7), first)
    assert torch.equal(logits(network), following)
    assert not torch.equal(first, following)
    assert not torch.equal(logits(network, 8), first)


@every_kind
def test_a_copy_draws_the_same_masks(dropout):
    network = network_with(dropout)
    logits(network, 7)
    other = copy.deepcopy(network)
    assert torch.equal(logits(network), logits(other))


@every_kind
def test_no_dropout_outside_of_training(dropout):
    network, plain = network_with(dropout).eval(), network_with(None)
    assert torch.equal(logits(network), logits(plain))
    assert torch.equal(logits(plain.train()), logits(plain.eval()))


def test_ambient_randomness_is_left_alone():
    before = torch.get_rng_state()
    logits(network_with(KINDS["output"]), 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_share_and_scale_of_masks():
    masks = Masks()
    masks.reseed(0)
    dropped = masks.drop(torch.ones(50, 40, 30), 0.25)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    # 60,000 draws: 0.25 ± 0.01 is missed by chance once in 10^8 runs, and the seed is fixed
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.01


def test_off_is_the_very_tensor():
    x = torch.ones(2)
    assert Masks().drop(x, None) is x


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_shares_out_of_bounds_are_refused(share):
    with pytest.raises(InputError, match="dropout output is"):
        Dropout(output=share)
