"""The protocol for records: each is read from a state of its own, in an order that changes every epoch.

Batch k is a function of (seed, k): records of similar length side by side, so that little is padding and none of it
enters the loss. Records longer than the BPTT length are read in several steps, the state carried from one to the next;
those that end earlier leave the batch. Of several processes each takes every so many-th record of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unrolled.learn.distributed import World
from unrolled.learn.evaluate import Loss, measuring
from unrolled.learn.networks.recurrence import State
from unrolled.learn.text_task import IGNORED, TextTask, divided, seed_of, summed
from unrolled.text.records import Places, Records, batches
from unrolled.text.sample import Sample

MEASURED_AT_ONCE = 1 << 14
"""Positions of a batch of records that are measured, not trained on."""


@dataclass(frozen=True)
class Step:
    """One step: some records from position `first` of each on; `is_last` if none of them goes on after it."""

    records: Places
    first: int
    is_last: bool


@dataclass(kw_only=True)
class RecordTask(TextTask):
    """A network with a text of records, sorted into parts by `unrolled.text.records.cut_text`."""

    boundary: int
    """The id on each side of a record."""
    streams: int
    """With `length`, the positions of a batch; also the least number of records in it."""
    _last_plan: tuple[int, list[Step]] = field(default=(-1, []), init=False, repr=False)
    """The number of an epoch, and its steps: the only ones that are kept."""
    _sizes: list[int] = field(default_factory=list, init=False, repr=False)
    """The number of steps of each epoch so far."""

    @cached_property
    def records(self) -> Records:
        """All records of the text."""
        return Records.of(self.ids, self.boundary)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the first epoch; those of others differ by a few."""
        return self._size(0)

    @property
    def warm_up(self) -> int:
        return 0

    @property
    def rows(self) -> int:
        return self.streams

    @property
    def own_rows(self) -> slice:
        return slice(self.world.rank, None, self.world.size)

    def gathered(self) -> list[Tensor]:
        return [self._interleaved(part) for part in self.carried or ()]

    def _interleaved(self, part: Tensor) -> Tensor:
        """The rows of all processes in the order of the batch; some processes have one more than others."""
        count, size = int(self.world.sum(len(part))), self.world.size
        padded = torch.cat([part, part.new_zeros(-(-count // size) - len(part), *part.shape[1:])])
        gathered = self.world.gather(padded).reshape(size, -1, *part.shape[1:])
        return gathered.transpose(0, 1).flatten(0, 1)[:count]

    def characters_seen(self, step: int) -> int:
        """Predictions made in the first `step` steps, the ends of records included."""
        epoch, rest = self._place(step)
        every = int(self.records.predictions[self._train].sum())
        return epoch * every + sum(int(self._counts(each).sum()) for each in self._plan(epoch)[:rest])

    def alone(self) -> Self:
        streams = max(1, self.streams // self.world.size)
        return replace(self, world=World(), streams=streams, notify=lambda notice: None)

    def sample(self, part: str, limit: int | None = None) -> Sample:
        return self.split.sample(self.ids, part, limit, self.boundary)

    def loss(self, sample: Sample) -> Loss:
        """The loss on the records that begin in the sample, each read from the start."""
        records = np.concatenate([self._within(start, end) for start, end in sample])
        total, groups, rank, size = 0.0, list(self._measured_together(records)), self.world.rank, self.world.size
        with measuring(self.network):
            for first in range(0, len(groups), size):
                total += sum(map(self._total, groups[first : first + size][rank : rank + 1]))
                self.on_chunk(min(1.0, (first + size) / len(groups)))
        return Loss(self.world.sum(total), int(self.records.predictions[records].sum()))

    def gradients(self, step: int) -> tuple[float, State | None]:
        now, rank, size = self._step(step), self.world.rank, self.world.size
        is_idle = rank >= len(now.records)  # it reads a record that is not counted: all must come to the same messages
        first = 0 if is_idle else rank
        inputs, targets = self._read(replace(now, records=now.records[first::size]), int(self._counts(now).max()))
        if is_idle:
            targets.fill_(IGNORED)
        state = self._continued(None if now.first == 0 else self.carried, len(inputs))
        masks, count = seed_of(self.seed, step), int(self._counts(now).sum())
        total, ends = 0.0, []
        for rows in divided(len(inputs), min(self.micro_batches, max(1, len(now.records) // size))):
            self.network.reseed(masks, first + size * rows.start, len(now.records), size)
            own = tuple(part[rows] for part in state)
            nats, end = self.nats(inputs[rows], targets[rows], own, masks)
            loss = size * nats / count  # of which the processes take the mean
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            ends.append(end)
        after = tuple(torch.cat(tensors).detach()[: 0 if is_idle else None] for tensors in zip(*ends, strict=True))
        return total, None if now.is_last else after

    @cached_property
    def _train(self) -> Places:
        """The numbers of the training records."""
        return self._within(*self.split.bounds("train"))

    def _within(self, start: int, end: int) -> Places:
        first, last = np.searchsorted(self.records.starts, [start, end])
        return np.arange(first, max(last, first + 1))

    def _measured_together(self, records: Places) -> Iterator[Places]:
        """The records in groups of similar length, the longest first."""
        order = records[np.argsort(-self.records.lengths[records], kind="stable")]
        first = 0
        while first < len(order):
            end = first + max(1, MEASURED_AT_ONCE // int(min(self.records.predictions[order[first]], self.length)))
            yield order[first:end]
            first = end

    def _total(self, group: Places) -> float:
        total, state = 0.0, None
        for step in self._cut(group):
            inputs, targets = self._read(step)
            logits, state = self.network(inputs, self._continued(state, len(inputs)))
            total += float(summed(logits, targets))
        return total

    def _plan(self, epoch: int) -> list[Step]:
        """All steps of an epoch: a function of (seed, epoch)."""
        if epoch != self._last_plan[0]:
            rng = np.random.default_rng([self.seed, epoch])
            groups = batches(self.records.lengths[self._train], self.streams, self.streams * self.length, rng)
            self._last_plan = epoch, [step for group in groups for step in self._cut(self._train[group])]
        return self._last_plan[1]

    def _size(self, epoch: int) -> int:
        """The number of steps of an epoch."""
        while len(self._sizes) <= epoch:
            self._sizes.append(len(self._plan(len(self._sizes))))
        return self._sizes[epoch]

    def _place(self, step: int) -> tuple[int, int]:
        """The epoch of a step, and its number within the epoch."""
        epoch = 0
        while step >= self._size(epoch):
            step, epoch = step - self._size(epoch), epoch + 1
        return epoch, step

    def _cut(self, group: Places) -> list[Step]:
        """A batch in steps of the BPTT length, its longest records first: those that end leave it at the end."""
        predictions = self.records.predictions[group]
        group = group[np.argsort(-predictions, kind="stable")]
        firsts = range(0, int(predictions.max()), self.length)
        counts = [int((predictions > first).sum()) for first in firsts]
        return [Step(group[:count], first, first == firsts[-1]) for first, count in zip(firsts, counts, strict=True)]

    def _step(self, step: int) -> Step:
        epoch, place = self._place(step)
        return self._plan(epoch)[place]

    def _counts(self, step: Step) -> Places:
        """(record,) the predictions of a step."""
        counts: Places = np.minimum(self.records.predictions[step.records] - step.first, self.length)
        return counts

    def _read(self, step: Step, length: int = 0) -> tuple[Tensor, Tensor]:
        """Inputs and targets (record, time), at least `length` long; before the first character stands the boundary."""
        counts = self._counts(step)
        time = np.arange(max(length, int(counts.max())))
        inside = time < counts[:, None]
        at = self.records.starts[step.records][:, None] + step.first + np.where(inside, time, counts[:, None] - 1)
        device = self.network.head.weight.device
        inputs, targets = (torch.from_numpy(self.ids[places].astype(np.int64)) for places in (at - 1, at))
        targets[torch.from_numpy(~inside)] = IGNORED
        return inputs.to(device), targets.to(device)

    def _continued(self, state: State | None, rows: int) -> State:
        """The state of the first `rows` records, which alone go on; or the state before the first character."""
        if state is None or len(state[0]) < rows:  # a process that had no record
            return self.network.initial_state(rows)
        return tuple(part[:rows] for part in state)
