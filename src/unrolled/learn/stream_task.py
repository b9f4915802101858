"""The protocol on one long text: streams read side by side, the state carried on, every output in the loss.

Batch k is a function of k alone: all streams start the text at fixed places and read on, `length` characters a step;
dropout masks are a function of (seed, step), however the streams are divided. So a checkpoint needs the carried state
and no generator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from unrolled.learn.distributed import World
from unrolled.learn.evaluate import WARMUP, Loss, evaluate
from unrolled.learn.networks.recurrence import State
from unrolled.learn.text_task import TextTask, divided, seed_of
from unrolled.text.sample import PIECES, Sample
from unrolled.text.vocabulary import Ids


@dataclass(kw_only=True)
class StreamTask(TextTask):
    """A network with a text that is read in its order."""

    streams: Ids
    """The training part cut into streams, (stream, character)."""

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.span // self.length)

    @property
    def warm_up(self) -> int:
        # Characters that warm up need no logits, and those of many symbols take most of the time.
        return PIECES * WARMUP if self.sampled is None else 0

    @property
    def span(self) -> int:
        """Predictions that a stream makes in an epoch."""
        return int(self.streams.shape[1]) - 1

    @property
    def rows(self) -> int:
        return len(self.streams)

    @property
    def own_rows(self) -> slice:
        share = len(self.streams) // self.world.size
        return slice(self.world.rank * share, (self.world.rank + 1) * share)

    def characters_seen(self, step: int) -> int:
        epochs, rest = divmod(step, self.steps_per_epoch)
        return len(self.streams) * (epochs * self.span + min(rest * self.length, self.span))

    def alone(self) -> Self:
        return replace(self, world=World(), streams=self.streams[self.own_rows], notify=lambda notice: None)

    def loss(self, sample: Sample) -> Loss:
        return evaluate(self.network, self.ids, sample, world=self.world, release=self.release, on_chunk=self.on_chunk)

    def gradients(self, step: int) -> tuple[float, State]:
        device = self.network.head.weight.device
        offset = step % self.steps_per_epoch * self.length
        read = self.streams[self.own_rows, offset : offset + self.length + 1].astype(np.int64)
        inputs, targets = torch.from_numpy(read[:, :-1]).to(device), torch.from_numpy(read[:, 1:]).to(device)
        state = self._state(offset, len(inputs))
        masks = seed_of(self.seed, step)
        total, ends = 0.0, []
        for rows in divided(len(inputs), self.micro_batches):
            self.network.reseed(masks, self.own_rows.start + rows.start, len(self.streams))
            own = tuple(tensor[rows] for tensor in state)
            nats, end = self.nats(inputs[rows], targets[rows], own, masks)
            loss = nats / targets.numel()
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            ends.append(end)
        return total, tuple(torch.cat(tensors).detach() for tensors in zip(*ends, strict=True))

    def _state(self, offset: int, batch: int) -> State:
        if offset == 0 or self.carried is None:
            return self.network.initial_state(batch)
        return self.carried
