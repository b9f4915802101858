"""The loss on a part of a text: total nats over total characters, divided once.

The part is read in several streams side by side, each warmed up on the characters before it, so that every character
is predicted once, from a carried state. Left out: choosing anything by the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.learn.distributed import World
from unrolled.learn.networks.network import CharNetwork
from unrolled.text.vocabulary import Ids

STREAMS, WARMUP, CHUNK = 32, 256, 256
RELEASE = 64  # chunks after which the memory of what was read may go


@dataclass(frozen=True)
class Loss:
    """A loss as a sum and a count, so that losses of parts can be added."""

    total: float
    """nats"""
    characters: int

    @property
    def nats(self) -> float:
        """nats per character"""
        return self.total / self.characters

    @property
    def bits(self) -> float:
        """bits per character"""
        return self.nats / math.log(2)

    def to_json(self) -> dict[str, float]:
        """`{"nats", "bits"}`, per character."""
        return {"nats": self.nats, "bits": self.bits}


def evaluate(
    network: CharNetwork,
    ids: Ids,
    start: int,
    end: int,
    *,
    world: World = World(),  # noqa: B008 - frozen
    release: Callable[[], None] = lambda: None,
) -> Loss:
    """The loss of `network` on `ids[start:end]`, in up to 32 streams, each warmed up on the 256 characters before it.

    `ids` is (characters,), the whole text. The first character of all has none before it and is not counted. The
    streams are divided among the processes of `world`; all get the sum. `release` is called now and then, so that a
    text mapped from a file need not stay in memory.
    """
    first = max(start, 1)
    borders = _borders(first, end)
    warmup = min(WARMUP, first - 1)
    own = slice(world.rank, None, world.size)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            total = _read(network, ids, borders[:-1][own], borders[1:][own], warmup, release)
    finally:
        network.train(was_training)
    return Loss(world.sum(total), end - first)


def _borders(first: int, end: int) -> NDArray[np.int64]:
    count = max(1, min(STREAMS, (end - first) // WARMUP))
    return first + np.arange(count + 1, dtype=np.int64) * (end - first) // count


def _read(
    network: CharNetwork,
    ids: Ids,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    warmup: int,
    release: Callable[[], None],
) -> float:
    """Nats of the characters at starts[i] ... ends[i] - 1 of every stream i, summed in the order of reading."""
    if not len(starts):  # more processes than streams
        return 0.0
    device = network.head.weight.device
    state = network.initial_state(len(starts))
    total, longest = 0.0, int((ends - starts).max())
    for i, offset in enumerate(range(-warmup, longest, CHUNK)):
        positions = starts[:, None] + np.arange(offset, min(offset + CHUNK, longest))
        counted = torch.from_numpy((positions >= starts[:, None]) & (positions < ends[:, None]))
        positions = np.minimum(positions, len(ids) - 1)  # a stream that has ended reads on uncounted
        inputs = torch.from_numpy(ids[positions - 1].astype(np.int64)).to(device)
        targets = torch.from_numpy(ids[positions].astype(np.int64)).to(device)
        logits, state = network(inputs, state)
        total += float(_nats(logits, targets)[counted.to(device)].sum(dtype=torch.float64))
        if i % RELEASE == 0:
            release()
    return total


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """(batch, time)"""
    kept = logits if logits.dtype == torch.float64 else logits.float()
    return nn.functional.cross_entropy(kept.transpose(1, 2), targets, reduction="none")
