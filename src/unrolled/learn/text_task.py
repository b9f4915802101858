"""The honest protocol on a text: streams read side by side, the state carried on, every output in the loss.

Batch k is a function of k alone: all streams start the text at fixed places and read on, `length` characters a step;
dropout masks are a function of (seed, step). So a checkpoint needs the carried state and no generator.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.learn.evaluate import Loss, evaluate
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.processes import World
from unrolled.text.vocabulary import Ids
from unrolled.text.windows import Split

State = tuple[Tensor, ...]
Autocast = Callable[[], AbstractContextManager[object]]
"""The context of the forward pass: bfloat16 or nothing."""


@dataclass
class TextTask:
    """A network with a text, as `fit` wants it."""

    network: CharNetwork
    ids: Ids
    """The whole text, (character,)."""
    split: Split
    streams: Ids
    """The training part cut into streams, (stream, character)."""
    length: int
    """BPTT length"""
    seed: int
    world: World = field(default_factory=World)
    autocast: Autocast = nullcontext
    forward: nn.Module | None = None
    """The network wrapped for several processes; without it, the network itself."""
    parts: int = 1
    """Micro-batches of a step; grows when memory runs out."""
    carried: State | None = None
    warn: Callable[[str], None] = field(default=lambda message: None)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every character of the training part is read once."""
        return -(-self.span // self.length)

    @property
    def span(self) -> int:
        """Predictions that a stream makes in an epoch."""
        return int(self.streams.shape[1]) - 1

    @property
    def own_streams(self) -> slice:
        """The streams of this process."""
        share = len(self.streams) // self.world.size
        return slice(self.world.rank * share, (self.world.rank + 1) * share)

    def characters_seen(self, step: int) -> int:
        """Predictions made in the first `step` steps, over all processes."""
        epochs, rest = divmod(step, self.steps_per_epoch)
        return len(self.streams) * (epochs * self.span + min(rest * self.length, self.span))

    def backward(self, step: int) -> float:
        """Gradients of the mean nats of batch `step`; when memory runs out, the same in smaller micro-batches."""
        while True:
            try:
                return self._backward(step)
            except (torch.OutOfMemoryError, MemoryError) as error:
                self._halve(error)

    def evaluate(self) -> float:
        """Nats per character on the validation part, in the precision of training: quick, and good enough to choose."""
        with self.autocast():
            return self.loss(*self.bounds("validation")).nats

    def loss(self, start: int, end: int) -> Loss:
        """The loss on `ids[start:end]`, in the precision of the weights."""
        return evaluate(self.network, self.ids, start, end)

    def bounds(self, part: str) -> tuple[int, int]:
        """Where the part `train`, `validation` or `test` begins and ends in the text."""
        lengths = {name: len(getattr(self.split, name)) for name in ("train", "validation", "test")}
        start = sum(list(lengths.values())[: list(lengths).index(part)])
        return start, start + lengths[part]

    def _backward(self, step: int) -> float:
        device = self.network.head.weight.device
        offset = step % self.steps_per_epoch * self.length
        read = self.streams[self.own_streams, offset : offset + self.length + 1].astype(np.int64)
        inputs, targets = torch.from_numpy(read[:, :-1]).to(device), torch.from_numpy(read[:, 1:]).to(device)
        state = self._state(offset, len(inputs))
        self.network.reseed(_mixed(self.seed, step, self.world.rank))
        total, ends = 0.0, []
        for rows in torch.arange(len(inputs), device=device).tensor_split(self.parts):
            loss, end = self._part(inputs[rows], targets[rows], tuple(part[rows] for part in state))
            share = len(rows) / len(inputs)
            (loss * share).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) * share
            ends.append(end)
        self.carried = tuple(torch.cat(parts).detach() for parts in zip(*ends, strict=True))
        return self.world.mean(total)

    def _part(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        with self.autocast():
            logits, end = (self.forward or self.network)(inputs, state)
        kept = logits if logits.dtype == torch.float64 else logits.float()
        return nn.functional.cross_entropy(kept.flatten(0, 1), targets.flatten()), end

    def _state(self, offset: int, batch: int) -> State:
        if offset == 0 or self.carried is None:
            return self.network.initial_state(batch)
        return self.carried

    def _halve(self, error: BaseException) -> None:
        if 2 * self.parts > len(self.streams) // self.world.size:
            raise error
        self.parts *= 2
        self.network.zero_grad()
        self.warn(f"memory ran out: each step is now made in {self.parts} parts, with the same update")


def _mixed(seed: int, step: int, rank: int) -> int:
    """One 63-bit number for the dropout masks of a step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
