"""The loss on a part of a text: total nats over total characters, divided once.

The part is read in several streams side by side, each warmed up on the characters before it, so that every character
is predicted once, from a carried state. Left out: choosing anything by the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.learn.networks.network import CharNetwork

STREAMS, WARMUP, CHUNK = 32, 256, 256


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


def evaluate(network: CharNetwork, ids: NDArray[np.unsignedinteger], start: int, end: int) -> Loss:
    """The loss of `network` on `ids[start:end]`, in up to 32 streams, each warmed up on the 256 characters before it.

    `ids` is (characters,), the whole text. The first character of all has none before it and is not counted.
    """
    first = max(start, 1)
    starts = _starts(first, end)
    longest = int(np.diff([*starts, end]).max())
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            total = _read(network, ids, starts, longest, end)
    finally:
        network.train(was_training)
    return Loss(total, end - first)


def _starts(first: int, end: int) -> NDArray[np.int64]:
    count = max(1, min(STREAMS, (end - first) // WARMUP))
    return first + np.arange(count, dtype=np.int64) * (end - first) // count


def _read(
    network: CharNetwork, ids: NDArray[np.unsignedinteger], starts: NDArray[np.int64], longest: int, end: int
) -> float:
    """Nats of the characters at starts[i] ... starts[i + 1] - 1 of every stream i, summed in the order of reading."""
    device = network.head.weight.device
    ends = np.append(starts[1:], end)
    warmup = min(WARMUP, int(starts[0]) - 1)
    state = network.initial_state(len(starts))
    total = 0.0
    for offset in range(-warmup, longest, CHUNK):
        positions = starts[:, None] + np.arange(offset, min(offset + CHUNK, longest))
        counted = torch.from_numpy((positions >= starts[:, None]) & (positions < ends[:, None]))
        positions = np.minimum(positions, len(ids) - 1)  # a stream that has ended reads on uncounted
        inputs = torch.from_numpy(ids[positions - 1].astype(np.int64)).to(device)
        targets = torch.from_numpy(ids[positions].astype(np.int64)).to(device)
        logits, state = network(inputs, state)
        total += float(_nats(logits, targets)[counted.to(device)].sum(dtype=torch.float64))
    return total


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """(batch, time)"""
    return nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
