"""The honest protocol on a text: streams read side by side, the state carried on, every output in the loss.

Batch k is a function of k alone: all streams start the text at fixed places and read on, `length` characters a step;
dropout masks are a function of (seed, step), however the streams are divided. So a checkpoint needs the carried state
and no generator.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import TrainingError
from unrolled.learn.distributed import World
from unrolled.learn.evaluate import Loss, evaluate
from unrolled.learn.networks.network import CharNetwork
from unrolled.notices import Notice, Notify, warn
from unrolled.text.vocabulary import Ids
from unrolled.text.windows import Split

State = tuple[Tensor, ...]
Autocast = Callable[[], AbstractContextManager[object]]
"""The context of the forward pass: bfloat16 or nothing."""


@dataclass
class StreamTask:
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
    micro_batches: int = 1
    """Of a step; grows when memory runs out."""
    carried: State | None = None
    notify: Notify = warn
    release: Callable[[], None] = field(default=lambda: None)
    """Gives back the memory of a text that is mapped from a file."""
    on_chunk: Callable[[float], None] = field(default=lambda share: None)
    """Told the share of a measurement that is done, again and again; may raise to end it."""
    measured: int = 1_000_000
    """Characters of the validation part that are measured while training, at most."""

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
        """Gradients of the mean nats of batch `step`; when memory runs out, the same in smaller micro-batches.

        Raises TrainingError when not even one stream fits into memory.
        """
        while True:
            try:
                loss, self.carried = self._gradients(step, self.forward or self.network)
                return self.world.mean(loss)
            except (RuntimeError, MemoryError) as error:
                if self.world.size > 1 or not _is_out_of_memory(error):
                    raise  # several processes cannot begin a step anew: see `rehearse`
                self.halve()

    def rehearse(self, step: int) -> None:
        """Find out with the other processes how many micro-batches a step needs: all must make equally many."""
        while self.world.any(not self._fits(step)):
            self.halve()

    def evaluate(self) -> float:
        """Nats per character on the validation part, in the precision of training: quick, and good enough to choose.

        Of a long part, the first `measured` characters.
        """
        start, end = self.bounds("validation")
        with self.autocast():
            return self.loss(start, min(end, start + self.measured)).nats

    def loss(self, start: int, end: int) -> Loss:
        """The loss on `ids[start:end]`, in the precision of the weights."""
        return evaluate(
            self.network, self.ids, start, end, world=self.world, release=self.release, on_chunk=self.on_chunk
        )

    def bounds(self, part: str) -> tuple[int, int]:
        """Where the part `train`, `mixing`, `validation` or `test` begins and ends in the text."""
        lengths = {name: len(getattr(self.split, name)) for name in ("train", "mixing", "validation", "test")}
        start = sum(list(lengths.values())[: list(lengths).index(part)])
        return start, start + lengths[part]

    def halve(self) -> None:
        """Make steps in twice as many micro-batches from here on."""
        if 2 * self.micro_batches > len(self.streams) // self.world.size:
            raise TrainingError(
                "memory ran out, even with one stream at a time: choose a smaller --hidden, --layers or --length"
            )
        self.micro_batches *= 2
        self.network.zero_grad()
        sentence = f"memory ran out: each step is now made in {self.micro_batches} micro-batches, with the same update"
        self.notify(Notice(sentence))

    def _fits(self, step: int) -> bool:
        try:
            self._gradients(step, self.network)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            return False
        finally:
            self.network.zero_grad()
        return True

    def _gradients(self, step: int, forward: nn.Module) -> tuple[float, State]:
        """Adds gradients, micro-batch by micro-batch; the mean nats over this process's streams, and their states."""
        device = self.network.head.weight.device
        offset = step % self.steps_per_epoch * self.length
        read = self.streams[self.own_streams, offset : offset + self.length + 1].astype(np.int64)
        inputs, targets = torch.from_numpy(read[:, :-1]).to(device), torch.from_numpy(read[:, 1:]).to(device)
        state = self._state(offset, len(inputs))
        masks = _mixed(self.seed, step)
        total, ends = 0.0, []
        for rows in _divided(len(inputs), self.micro_batches):
            self.network.reseed(masks, self.own_streams.start + rows.start, len(self.streams))
            loss, end = self._micro_batch(forward, inputs[rows], targets[rows], tuple(tensor[rows] for tensor in state))
            share = (rows.stop - rows.start) / len(inputs)
            (loss * share).backward()
            total += float(loss.detach()) * share
            ends.append(end)
        return total, tuple(torch.cat(tensors).detach() for tensors in zip(*ends, strict=True))

    def _micro_batch(self, forward: nn.Module, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        with self.autocast():
            logits, end = forward(inputs, state)
        kept = logits if logits.dtype == torch.float64 else logits.float()
        return nn.functional.cross_entropy(kept.flatten(0, 1), targets.flatten()), end

    def _state(self, offset: int, batch: int) -> State:
        if offset == 0 or self.carried is None:
            return self.network.initial_state(batch)
        return self.carried


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: PyTorch has a class of error for GPUs, but on a CPU only a sentence."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in f"{error}" or "ALLOC_FAILED" in f"{error}"


def _mixed(seed: int, step: int) -> int:
    """One 63-bit number for the dropout masks of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _divided(count: int, pieces: int) -> list[slice]:
    """`count` rows in `pieces` runs of nearly equal length."""
    return [slice(first, end) for first, end in pairwise(count * i // pieces for i in range(pieces + 1))]
