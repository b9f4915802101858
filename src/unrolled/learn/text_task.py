"""What the two protocols on a text share: memory that runs out, measuring, and the parts of the text.

Left out: which characters a step reads (`stream_task`, `record_task`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import TrainingError
from unrolled.learn.distributed import World
from unrolled.learn.evaluate import Loss
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.networks.recurrence import State
from unrolled.learn.sampled_softmax import SampledSoftmax
from unrolled.notices import Notice, Notify, warn
from unrolled.text.sample import Sample
from unrolled.text.vocabulary import Ids
from unrolled.text.windows import Split

IGNORED = -100
"""The target of a position that is not counted."""
Autocast = Callable[[], AbstractContextManager[object]]
"""The context of the forward pass: bfloat16 or nothing."""


@dataclass(kw_only=True)
class TextTask(ABC):
    """A network with a text, as `fit` wants it."""

    network: CharNetwork
    ids: Ids
    """The whole text, (character,)."""
    split: Split
    length: int
    """BPTT length"""
    seed: int
    world: World = field(default_factory=World)
    autocast: Autocast = nullcontext
    micro_batches: int = 1
    """Of a step; grows when memory runs out."""
    carried: State | None = None
    notify: Notify = warn
    release: Callable[[], None] = field(default=lambda: None)
    """Gives back the memory of a text that is mapped from a file."""
    on_chunk: Callable[[float], None] = field(default=lambda share: None)
    """Told the share of a measurement that is done, again and again; may raise to end it."""
    sampled: SampledSoftmax | None = None
    """Estimates the loss of a step where the vocabulary is large."""
    measured: int = 1_000_000
    """Characters of the validation part that are measured while training, at most."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Steps in which every character of the training part is read once."""

    @property
    @abstractmethod
    def warm_up(self) -> int:
        """Characters that a measurement reads beside those that it judges."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Rows that the batches of all processes have at least."""

    @property
    @abstractmethod
    def own_rows(self) -> slice:
        """The rows of the carried state that are this process's."""

    def gathered(self) -> list[Tensor]:
        """The carried states of all processes, row by row, as a checkpoint holds them."""
        return [self.world.gather(part) for part in self.carried or ()]

    @abstractmethod
    def characters_seen(self, step: int) -> int:
        """Predictions made in the first `step` steps, over all processes."""

    @abstractmethod
    def alone(self) -> Self:
        """The same with the rows of this process only, as if there were no other, and reporting nothing."""

    @abstractmethod
    def loss(self, sample: Sample) -> Loss:
        """The loss on a sample of the text, in the precision of the weights."""

    @abstractmethod
    def gradients(self, step: int) -> tuple[float, State | None]:
        """Adds gradients, micro-batch by micro-batch; the mean nats of this process's rows, and their states."""

    def nats(self, inputs: Tensor, targets: Tensor, state: State, seed: int) -> tuple[Tensor, State]:
        """The nats of all targets that are counted, in training, and the states after the inputs.

        `inputs` and `targets` are (batch, time); `seed` decides what a large vocabulary draws.
        """
        with self.autocast():
            if self.sampled is None:
                logits, end = self.network(inputs, state)
                return summed(logits, targets), end
            features, end = self.network.features(inputs, state)
            counted = targets != IGNORED
            each = self.sampled.nats(self.network.head, features[counted], targets[counted], seed)
            return each.sum(), end

    def backward(self, step: int) -> float:
        """Gradients of the mean nats of batch `step`; when memory runs out, the same in smaller micro-batches.

        Raises TrainingError when not even one row fits into memory.
        """
        while True:
            try:
                loss, self.carried = self.gradients(step)
                self.world.average_([each.grad for each in self.network.parameters() if each.grad is not None])
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

        Of a long part, `measured` characters.
        """
        with self.autocast():
            return self.loss(self.sample("validation", self.measured)).nats

    def sample(self, part: str, limit: int | None = None) -> Sample:
        """What is judged of a part, `limit` characters at most."""
        return self.split.sample(self.ids, part, limit)

    def halve(self) -> None:
        """Make steps in twice as many micro-batches from here on."""
        if 2 * self.micro_batches > self.rows // self.world.size:
            raise TrainingError(
                "memory ran out, even with one stream at a time: choose a smaller --hidden, --layers or --length"
            )
        self.micro_batches *= 2
        self.network.zero_grad()
        sentence = f"memory ran out: each step is now made in {self.micro_batches} micro-batches, with the same update"
        self.notify(Notice(sentence))

    def _fits(self, step: int) -> bool:
        try:
            self.gradients(step)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            return False
        finally:
            self.network.zero_grad()
        return True


def summed(logits: Tensor, targets: Tensor) -> Tensor:
    """The nats of all targets (batch, time) that are counted."""
    kept = logits if logits.dtype == torch.float64 else logits.float()
    return nn.functional.cross_entropy(kept.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: PyTorch has a class of error for GPUs, but on a CPU only a sentence."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in f"{error}" or "ALLOC_FAILED" in f"{error}"


def seed_of(seed: int, step: int) -> int:
    """One 63-bit number for the dropout masks of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def divided(count: int, pieces: int) -> list[slice]:
    """`count` rows in `pieces` runs of nearly equal length."""
    return [slice(first, end) for first, end in pairwise(count * i // pieces for i in range(pieces + 1))]
