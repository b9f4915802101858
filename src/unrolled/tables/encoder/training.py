"""Training the networks of a table: where rows come from, the optimizer, and the task that the shared loop runs.

The loop itself is `unrolled.learn.loop.fit`, the same as for texts. Left out: what a network is (`networks`), and what
is reported while training (`fitting`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unrolled.learn.loop import FitState, Plan, Record, fit
from unrolled.learn.optimizers import AdamW, Optimizers
from unrolled.tables.data.target import TargetType
from unrolled.tables.encoder.coding import UNKNOWN
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.networks import Batch, Networks, losses
from unrolled.tables.encoder.schema import Encoded

PATIENCE = 3
MIN_STEPS_PER_EPOCH = 16
SMALLEST_BATCH = 32
MEASURED_BATCHES, MEASURED_ROWS = 8, 4096
NUMBERS_PER_ROW = 1000
"""Numbers in the vectors of a network, all updated in each step, for which a batch has a row."""
LUCK = 0.2
"""Gain that luck makes of the loss of one validation row; of n rows, a share of LUCK / sqrt(n)."""
WARM = 0.05
"""Share of the steps in which the learning rate rises."""


class Source(Protocol):
    """Rows to train on, drawn again for every epoch."""

    @property
    def rows(self) -> int:
        """Rows of an epoch."""

    def epoch(self, networks: int, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """The rows once, in batches of `size`."""

    def goals(self) -> tuple[Tensor, Tensor]:
        """The encoded targets of all rows that have any, and their weights."""


class RowsInMemory:
    """A source over an encoded table; every network gets its own order of rows.

    `parts` holds the rows that each network is trained on; without it, all train on all.
    """

    def __init__(self, table: Encoded, target: NDArray[Any], weight: NDArray[np.float32],
                 parts: Sequence[NDArray[np.int64]] | None = None) -> None:  # fmt: skip
        self._codes, self._numbers = torch.from_numpy(table.codes), torch.from_numpy(table.numbers)
        self._target, self._weight = torch.from_numpy(target), torch.from_numpy(weight)
        self._parts = None if parts is None else [torch.from_numpy(part) for part in parts]

    @property
    def rows(self) -> int:
        """Rows of an epoch: those of the smallest part."""
        return len(self._target) if self._parts is None else min(map(len, self._parts))

    def epoch(self, networks: int, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Whole batches only, except where there is but one: the rows left over differ from epoch to epoch."""
        rows = self.rows
        parts = self._parts or [torch.arange(rows)] * networks
        orders = torch.stack([part[torch.randperm(len(part), generator=generator)][:rows] for part in parts])
        for start in range(0, max(rows - size, 0) + 1, size):
            yield self.batch(orders[:, start : start + size])

    def held_out(self, rows: Sequence[NDArray[np.int64]]) -> Batch:
        """The rows of each network side by side, those of a shorter list filled up with rows of weight 0."""
        most = max(map(len, rows))
        batch = self.batch(torch.from_numpy(np.stack([np.resize(own, most) for own in rows])))
        filled = torch.arange(most) < torch.tensor([[len(own)] for own in rows])
        return replace(batch, weight=batch.weight * filled)

    def goals(self) -> tuple[Tensor, Tensor]:
        """The encoded targets, and the weights."""
        return self._target, self._weight

    def batch(self, rows: Tensor) -> Batch:
        """The batch of `rows`, int64 (network, row)."""
        return Batch(self._codes[rows], self._numbers[rows], self._target[rows], self._weight[rows])


class Training:
    """One training run: iterate `records()`; `network` then holds the best parameters seen. Meets `loop.Task`."""

    def __init__(self, network: Networks, kind: TargetType, config: EncoderConfig, source: Source,
                 generator: torch.Generator, validation: Batch | None = None) -> None:  # fmt: skip
        self.network, self.kind, self.config, self.source = network, kind, config, source
        self._generator, self._validation = generator, validation
        vectors = sum(table.numel() for table in network.embeddings) // network.count
        self._size = batch_size(source.rows, config, vectors)
        self._best: list[Tensor] | None = None
        self._best_loss = torch.full((network.count,), math.inf)
        self._batches = self._endless()

    @property
    def plan(self) -> Plan:
        """Steps and schedule; validation rows are measured after each epoch."""
        assert self.config.epochs is not None  # `for_table` comes first
        epoch = max(self.source.rows // self._size, 1)
        steps = max(self.config.epochs * epoch, self.config.min_steps)
        every = None if self._validation is None else max(epoch, steps // 20)  # tiny epochs are not worth measuring
        if not self.config.decay_to_zero:
            return Plan(steps, evaluate_every=every, shape="constant")
        return Plan(steps, warmup=round(WARM * steps), evaluate_every=every)

    def records(self) -> Iterator[Record]:
        """Train, yielding a record a step; ends early if no network got better in three measurements."""
        waited = 0
        self._measure_start()
        for record in fit(self, build_optimizer(self.network, self.config), self.plan, FitState()):
            yield record
            if record.validation is not None:
                waited = 0 if record.is_best else waited + 1
            if waited == PATIENCE:
                break
        self.restore_best()

    def _measure_start(self) -> None:
        """Let a network whose vectors are all alike be the first candidate: it stays if nothing learned beats it.

        The best of many measurements of noise is a little better by luck: by more than that it must be beaten.
        """
        if self._validation is None:
            return
        with torch.no_grad():
            first = [table.clone() for table in self.network.embeddings]
            for table in self.network.embeddings:
                table.zero_()
            self.evaluate()
            for table, values in zip(self.network.embeddings, first, strict=True):
                table.copy_(values)
            self._best_loss *= 1 - LUCK / math.sqrt(max(float((self._validation.weight[0] > 0).sum()), 1.0))

    def backward(self, step: int) -> float:
        """Gradients of the next batch; the mean loss of the networks."""
        batch = next(self._batches)
        batch = replace(batch, codes=with_unknown(batch.codes, self.config.unknown_fraction, self._generator))
        batch = with_masked(batch, self.config.masked_fraction, self.network.shape.rows, self._generator)
        loss = self._losses(batch).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()) / self.network.count

    def evaluate(self) -> float:
        """The mean over networks of their best loss on the validation rows so far; keeps what did best."""
        if self._validation is None:
            return 0.0
        parts = [self._losses(part) * part.codes.shape[1] for part in self._validation.parts(MEASURED_ROWS)]
        loss = torch.stack(parts).sum(0) / self._validation.codes.shape[1]
        better = loss < self._best_loss
        self._best_loss = torch.where(better, loss, self._best_loss)
        now = [parameter.detach().clone() for parameter in self.network.parameters()]
        self._best = [_choose(better, new, old) for new, old in zip(now, self._best or now, strict=True)]
        return float(self._best_loss.mean())

    def sensitivity(self) -> Tensor | None:
        """The networks' sensitivity to each input on a few batches, (column,); None if the config does not use it."""
        if not self.config.scale_by_sensitivity:
            return None
        batches = [next(self._batches) for _ in range(MEASURED_BATCHES)]
        return torch.stack([self.network.sensitivity(batch).square() for batch in batches]).mean(0).sqrt()

    def restore_best(self) -> None:
        """Put back the parameters that did best on the validation rows, each network its own."""
        if self._best is None:
            return
        with torch.no_grad():
            for parameter, best in zip(self.network.parameters(), self._best, strict=True):
                parameter.copy_(best)

    def _losses(self, batch: Batch) -> Tensor:
        return losses(self.network(batch.codes, batch.numbers), batch, self.kind, self.config)

    def _endless(self) -> Iterator[Batch]:
        while True:
            yield from self.source.epoch(self.network.count, self._size, self._generator)


def build_optimizer(network: Networks, config: EncoderConfig) -> Optimizers:
    """AdamW with a learning rate of its own for embeddings, which do not decay."""
    embeddings = list(network.embeddings)
    known = {id(parameter) for parameter in embeddings}
    layers = [parameter for parameter in network.parameters() if id(parameter) not in known]
    betas, rate = (0.9, config.beta2), config.learning_rate
    parts = {"layers": AdamW(layers, rate, config.weight_decay, betas, fused=True)}
    if embeddings:
        parts["embeddings"] = AdamW(embeddings, rate * config.embedding_rate, betas=betas, fused=True)
    return Optimizers(network, parts)


def batch_size(rows: int, config: EncoderConfig, vectors: int = 0) -> int:
    """The configured batch, smaller (a power of two) where an epoch would be fewer than 16 steps.

    It is larger where the `vectors` of a network are so many numbers that updating them, which each step does, would
    take longer than learning from the rows.
    """
    wanted = max(rows // MIN_STEPS_PER_EPOCH, 1)
    large = max(config.batch, _power_of_two(vectors // NUMBERS_PER_ROW))
    return min(large, max(SMALLEST_BATCH, _power_of_two(wanted)), rows)


def _power_of_two(most: int) -> int:
    return 1 << max(most, 1).bit_length() - 1


def with_unknown(codes: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """`codes` with a `fraction` of them replaced by the unknown row."""
    if fraction == 0 or codes.shape[-1] == 0:
        return codes
    return codes.masked_fill(torch.rand(codes.shape, generator=generator) < fraction, UNKNOWN)


def with_masked(batch: Batch, fraction: float, rows: Sequence[int], generator: torch.Generator) -> Batch:
    """`batch` with a `fraction` of its rows repeated, one category of each masked as unknown.

    So the layers learn two answers: one for a shop they know, and one for a shop they do not, where its state counts
    for more. A field is drawn in proportion to its embedding's `rows`: large columns are the ones that get new
    categories.
    """
    count = round(fraction * batch.codes.shape[1])
    if count == 0 or not rows:
        return batch
    shape = batch.codes[:, :count].shape
    field = torch.multinomial(torch.tensor(rows, dtype=torch.float32), shape[0] * shape[1], True, generator=generator)
    masked = batch.codes[:, :count].scatter(-1, field.view(*shape[:2], 1), UNKNOWN)
    again = Batch(masked, batch.numbers[:, :count], batch.target[:, :count], batch.weight[:, :count])
    return Batch(*(torch.cat([vars(batch)[name], vars(again)[name]], dim=1) for name in vars(batch)))


def _choose(better: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Network by network the new or the old parameter; embeddings have networks and rows on one axis."""
    chosen = better.repeat_interleave(len(new) // len(better))
    return torch.where(chosen.view(-1, *[1] * (new.dim() - 1)), new, old)
