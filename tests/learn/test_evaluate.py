"""The loss on a part of a text against a network that reads it in one stream, from the first character to the last."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from unrolled.learn.distributed import World
from unrolled.learn.evaluate import WARMUP, Loss, evaluate
from unrolled.learn.networks.dropout import Dropout
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelConfig
from unrolled.text.sample import PIECES, Sample

SYMBOLS = 7
IDS = np.random.default_rng(5).integers(0, SYMBOLS, size=12_000).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    """With weights large enough that it matters what was read before."""
    made = CharNetwork(ModelConfig("gru", SYMBOLS, 3, 4, 2), dropout=Dropout(output=0.5), seed=1).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made


def plainly(network, first, end, warmup):
    """Nats of `IDS[first:end]`, each character predicted after all from `first - warmup` on, in one stream."""
    network.eval()
    ids = torch.from_numpy(IDS[first - warmup - 1 : end].astype(np.int64))
    logits, _ = network(ids[None, :-1], network.initial_state(1))
    network.train()
    return float(nn.functional.cross_entropy(logits[0, warmup:], ids[1 + warmup :], reduction="sum"))


@pytest.mark.parametrize(
    ("start", "end"), [(0, 2), (0, 300), (1, 300), (100, 400), (11_900, 12_000), (700, 701), (0, 511)]
)
@torch.no_grad()
def test_a_short_part_is_read_in_one_go(network, start, end):
    """The first character of all has none before it and is not counted; others are warmed up on up to 256."""
    first = max(start, 1)
    loss = evaluate(network, IDS, Sample.of(start, end))
    assert loss.characters == end - first
    assert loss.total == pytest.approx(plainly(network, first, end, min(WARMUP, first - 1)), rel=1e-12)


@pytest.mark.parametrize(("start", "end"), [(0, 600), (1_000, 2_111), (3_000, 4_500)])
@torch.no_grad()
def test_a_long_part_is_read_in_pieces_that_are_warmed_up(network, start, end):
    first = max(start, 1)
    pieces = min(PIECES, (end - first) // WARMUP)
    borders = [first + (end - first) * i // pieces for i in range(pieces + 1)]
    warmup = min(WARMUP, first - 1)
    total = sum(plainly(network, *pair, warmup) for pair in pairwise(borders))
    loss = evaluate(network, IDS, Sample.of(start, end))
    assert loss.characters == end - first
    assert loss.total == pytest.approx(total, rel=1e-12)
    assert loss.total != pytest.approx(plainly(network, first, end, 0), rel=1e-9), "warming up should matter here"


@dataclass(frozen=True)
class Alone(World):
    """One of several processes whose sum is left to the test."""

    def sum(self, value):
        return value


@pytest.mark.parametrize("size", [2, 3, 40])
@torch.no_grad()
def test_processes_share_the_pieces(network, size):
    sample = Sample.of(500, 4_000, 3_000)
    whole = evaluate(network, IDS, sample)
    parts = [evaluate(network, IDS, sample, world=Alone(rank, size)) for rank in range(size)]
    assert sum(part.total for part in parts) == pytest.approx(whole.total, rel=1e-12)
    assert {part.characters for part in parts} == {whole.characters}


def test_the_network_is_left_as_it_was_and_memory_is_given_back(network):
    released = []
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {evaluate(network, IDS, Sample.of(0, 5_000), release=lambda: released.append(1)).total for _ in range(2)}
    assert network.training
    assert len(losses) == 1, "dropout is off while measuring"
    assert released
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_loss_is_a_sum_and_a_count():
    loss = Loss(np.log(2) * 30, 10)
    assert loss.to_json() == {"nats": loss.nats, "bits": pytest.approx(3)}
    assert loss.nats == pytest.approx(np.log(2) * 3)
