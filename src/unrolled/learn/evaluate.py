"""The loss on a sample of a text: total nats over total characters, divided once.

Its pieces are read side by side, each warmed up on the characters before it, so that every character is predicted
once, from a carried state. Left out: which characters are judged (`unrolled.text.sample`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.learn.distributed import World
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.networks.recurrence import State
from unrolled.text.sample import Places, Sample
from unrolled.text.vocabulary import Ids

WARMUP, CHUNK = 256, 256
RELEASE = 64  # chunks after which the memory of what was read may go
LOGITS = 1 << 24
"""Numbers that the head computes at once, at most: a large vocabulary is read in shorter chunks, in bounded memory."""


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

    def to_json(self) -> dict[str, float]:
        """`{"nats", "bits"}`, per character."""
        return {"nats": self.nats, "bits": self.nats / math.log(2)}


def evaluate(
    network: CharNetwork,
    ids: Ids,
    sample: Sample,
    *,
    world: World = World(),  # noqa: B008 - frozen
    release: Callable[[], None] = lambda: None,
    on_chunk: Callable[[float], None] = lambda share: None,
) -> Loss:
    """The loss of `network` on a `sample` of the text `ids`, (character,).

    Each piece is warmed up on the 256 characters before it. The pieces are divided among the processes of `world`; all
    get the sum. `release` is called now and then, so that a text mapped from a file need not stay in memory. `on_chunk`
    is told the share that was read, after each chunk of up to 256 characters of every piece and equally often in all
    processes; an exception that it raises ends the reading.
    """
    warmup = min(WARMUP, int(sample.starts[0]) - 1)
    starts, ends = (places[world.rank :: world.size] for places in (sample.starts, sample.ends))
    size = min(CHUNK, max(1, LOGITS // (len(sample.starts) * network.config.vocabulary)))
    offsets = range(-warmup, int((sample.ends - sample.starts).max()), size)
    state, total = network.initial_state(len(starts)), 0.0
    with measuring(network):
        for i, offset in enumerate(offsets, start=1):
            if len(starts):  # not where there are more processes than pieces
                chunk = range(offset, min(offset + size, offsets.stop))
                nats, state = _read_chunk(network, ids, starts, ends, chunk, state)
                total += nats
            if i % RELEASE == 1:
                release()
            on_chunk(i / len(offsets))
    return Loss(world.sum(total), len(sample))


@contextmanager
def measuring(network: nn.Module) -> Iterator[None]:
    """Within this block no gradients are kept and nothing is dropped."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


def _read_chunk(
    network: CharNetwork, ids: Ids, starts: Places, ends: Places, chunk: range, state: State
) -> tuple[float, State]:
    """The nats of one chunk of every piece, its places counted from the starts of the pieces; and the states after."""
    device = network.head.weight.device
    positions = starts[:, None] + np.arange(chunk.start, chunk.stop)
    if chunk.stop <= 0:  # all of it warms up, and needs no logits
        inputs = torch.from_numpy(ids[positions - 1].astype(np.int64)).to(device)
        return 0.0, network.features(inputs, state)[1]
    counted = torch.from_numpy((positions >= starts[:, None]) & (positions < ends[:, None]))
    positions = np.minimum(positions, len(ids) - 1)  # a piece that has ended is read on uncounted
    inputs = torch.from_numpy(ids[positions - 1].astype(np.int64)).to(device)
    targets = torch.from_numpy(ids[positions].astype(np.int64)).to(device)
    logits, state = network(inputs, state)
    return float(_nats(logits, targets)[counted.to(device)].sum(dtype=torch.float64)), state


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """(batch, time); computed in the order in which the head has left the logits in memory, time first."""
    kept = logits if logits.dtype == torch.float64 else logits.float()
    nats = nn.functional.cross_entropy(kept.transpose(0, 1).flatten(0, 1), targets.t().flatten(), reduction="none")
    return nats.view(targets.t().shape).t()
