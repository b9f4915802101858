"""The protocol for records: each is read from a state of its own, in an order that changes every epoch.

Batch k is a function of (seed, k): records of similar length side by side, so that little is padding and none of it
enters the loss. Records longer than the BPTT length are read in several steps, the state carried from one to the next;
those that end earlier leave the batch. Left out: several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import InputError, TrainingError
from unrolled.learn.distributed import World
from unrolled.learn.evaluate import Loss
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.stream_task import MEASURED, Autocast, State, is_out_of_memory, seed_of
from unrolled.notices import Notice, Notify, warn
from unrolled.text.records import Places, Records, batches

EVALUATED = 1 << 14
"""Positions of a batch of records that are measured, not trained on."""
IGNORED = -100
"""The target of a position that is no part of a record."""


@dataclass(frozen=True)
class Step:
    """One step: some records from position `first` of each on; `last` if none of them goes on after it."""

    records: Places
    first: int
    last: bool


@dataclass
class RecordTask:
    """A network with records, as `fit` wants it; the counterpart of `StreamTask`."""

    network: CharNetwork
    records: Records
    parts: dict[str, Places]
    """The numbers of the records of `train`, `validation` and `test`."""
    streams: int
    """With `length`, the positions of a batch; also the least number of records in it."""
    length: int
    """BPTT length"""
    seed: int
    world: World = field(default_factory=World)
    autocast: Autocast = nullcontext
    forward: nn.Module | None = None
    micro_batches: int = 1
    carried: State | None = None
    notify: Notify = warn
    release: Callable[[], None] = field(default=lambda: None)

    def __post_init__(self) -> None:
        if self.world.size > 1:
            raise InputError("records are trained by one process: leave torchrun out")
        self._steps_of = lru_cache(maxsize=2)(self._plan)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the first epoch; those of others differ by a few."""
        return len(self._steps_of(0))

    def characters_seen(self, step: int) -> int:
        """Predictions made in the first `step` steps, ends included."""
        seen, epoch = 0, 0
        while step > 0:
            steps = self._steps_of(epoch)[:step]
            seen += sum(int(self._counts(each).sum()) for each in steps)
            step, epoch = step - len(steps), epoch + 1
        return seen

    def backward(self, step: int) -> float:
        """Gradients of the mean nats of batch `step`; when memory runs out, the same in smaller micro-batches."""
        while True:
            try:
                loss, self.carried = self._gradients(step)
                return loss
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve()

    def evaluate(self) -> float:
        """Nats per character on the validation part, ends included, in the precision of training.

        Of a very large part, about the first million characters.
        """
        records = self.parts["validation"]
        some = np.searchsorted(np.cumsum(self.records.predictions[records]), MEASURED)
        with self.autocast():
            return self.loss(records[: int(some) + 1]).nats

    def loss(self, records: Places) -> Loss:
        """The loss on the records of these numbers, each from the start, in the precision of the weights."""
        was_training = self.network.training
        self.network.eval()
        total, order = 0.0, records[np.argsort(self.records.lengths[records], kind="stable")]
        try:
            with torch.no_grad():
                for group in self._measured(order):
                    total += self._total(group)
        finally:
            self.network.train(was_training)
        return Loss(total, int(self.records.predictions[records].sum()))

    def _measured(self, order: Places) -> Iterator[Places]:
        first = 0
        while first < len(order):
            end = first + max(self.streams, EVALUATED // int(self.records.predictions[order[first]]))
            yield order[first:end]
            first = end

    def _total(self, group: Places) -> float:
        total, state = 0.0, None
        for step in self._cut(group):
            inputs, targets = self._read(step)
            state = self._continued(state, len(inputs))
            logits, state = self.network(inputs, state)
            total += float(_summed(logits, targets))
        return total

    def _plan(self, epoch: int) -> list[Step]:
        """All steps of an epoch: a function of (seed, epoch)."""
        rng = np.random.default_rng([self.seed, epoch])
        train = self.parts["train"]
        groups = batches(self.records.lengths[train], self.streams, self.streams * self.length, rng)
        return [step for group in groups for step in self._cut(train[group])]

    def _cut(self, group: Places) -> list[Step]:
        """A batch in steps of the BPTT length, its longest records first: those that end leave it at the end."""
        predictions = self.records.predictions[group]
        order = np.argsort(-predictions, kind="stable")
        group, longest = group[order], int(predictions.max())
        counts = [int((predictions > first).sum()) for first in range(0, longest, self.length)]
        return [
            Step(group[:count], i * self.length, i + 1 == len(counts)) for i, count in enumerate(counts)
        ]

    def _step(self, step: int) -> Step:
        epoch = 0
        while step >= len(self._steps_of(epoch)):
            step, epoch = step - len(self._steps_of(epoch)), epoch + 1
        return self._steps_of(epoch)[step]

    def _counts(self, step: Step) -> Places:
        """(record,) the predictions of a step."""
        return np.minimum(self.records.predictions[step.records] - step.first, self.length)

    def _read(self, step: Step) -> tuple[Tensor, Tensor]:
        """Inputs and targets (record, time); the input before the first character is the boundary."""
        counts = self._counts(step)
        time = np.arange(int(counts.max()))
        inside = time < counts[:, None]
        at = self.records.starts[step.records][:, None] + step.first + np.where(inside, time, counts[:, None] - 1)
        device = self.network.head.weight.device
        inputs, targets = (torch.from_numpy(self.records.ids[places].astype(np.int64)) for places in (at - 1, at))
        targets[torch.from_numpy(~inside)] = IGNORED
        return inputs.to(device), targets.to(device)

    def _gradients(self, number: int) -> tuple[float, State | None]:
        step = self._step(number)
        inputs, targets = self._read(step)
        state = self._continued(None if step.first == 0 else self.carried, len(inputs))
        masks, count = seed_of(self.seed, number), int((targets != IGNORED).sum())
        total, ends = 0.0, []
        for rows in _divided(len(inputs), self.micro_batches):
            self.network.reseed(masks, rows.start, len(inputs))
            with self.autocast():
                logits, end = self.network(inputs[rows], tuple(part[rows] for part in state))
            loss = _summed(logits, targets[rows]) / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            ends.append(end)
        after = tuple(torch.cat(tensors).detach() for tensors in zip(*ends, strict=True))
        return total, None if step.last else after

    def _continued(self, state: State | None, rows: int) -> State:
        """The state of the first `rows` records, which alone go on; or the state before the first character."""
        return self.network.initial_state(rows) if state is None else tuple(part[:rows] for part in state)

    def _halve(self) -> None:
        if 2 * self.micro_batches > self.streams:
            raise TrainingError("memory ran out, even with one record at a time: choose a smaller --hidden or --length")
        self.micro_batches *= 2
        self.network.zero_grad()
        sentence = f"memory ran out: each step is now made in {self.micro_batches} micro-batches, with the same update"
        self.notify(Notice(sentence))


def _summed(logits: Tensor, targets: Tensor) -> Tensor:
    """The nats of all targets that are part of a record."""
    kept = logits if logits.dtype == torch.float64 else logits.float()
    return nn.functional.cross_entropy(
        kept.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def _divided(count: int, pieces: int) -> list[slice]:
    pieces = min(pieces, count)
    return [slice(count * i // pieces, count * (i + 1) // pieces) for i in range(pieces)]
