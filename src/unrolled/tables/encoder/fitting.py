"""One fit of an encoder: its table, target and settings together, trained on all rows or on the rows of a fold.

Imports PyTorch, so it is itself imported only while fitting. Left out: what a network is (`network`).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.learn.loop import Record
from unrolled.tables.data.splits import Rows
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.config import Recipe
from unrolled.tables.encoder.networks import Batch, Networks, Shape
from unrolled.tables.encoder.schema import Encoded, Schema
from unrolled.tables.encoder.training import RowsInMemory, Source, Training
from unrolled.tables.encoder.vectors import Counts, Vectors, combine, counts_of, settle
from unrolled.tables.encoder.weights import Trained


@dataclass
class Trainer:
    """The settings of one fit: trains networks on any source of rows, and says how it goes where `verbose`."""

    schema: Schema
    target: Target
    dimensions: tuple[int, ...]
    recipe: Recipe
    networks: int
    seed: int
    n_jobs: int | None = None
    verbose: int = 0
    _told: bool = field(default=False, init=False)

    def train(self, source: Source, held: Batch | None, seed: int, label: str = "fit") -> tuple[Trained, bool]:
        """The trained networks, and whether Ctrl-C ended it early (the best so far is kept then)."""
        if source.rows == 0:
            raise InputError("no row is left to train on: all have weight 0 or are kept for validation")
        with _threads(self.n_jobs):
            generator = torch.Generator().manual_seed(seed)
            networks = Networks(self._shape(), self.recipe, self.networks, generator)
            training = Training(networks, self.target.kind, self.recipe, source, generator, held)
            interrupted = self._run(training, label)
            return networks.trained(training.sensitivity()), interrupted

    def combine(
        self, trained: Trained, counts: list[Counts], reference: Vectors | None = None
    ) -> tuple[Trained, Vectors]:
        """The networks with untrained rows settled, and their vectors, onto those of `reference` where given."""
        settled = settle(trained, counts, self.recipe.dropout > 0)
        return settled, combine(settled, counts, self.recipe.smooth, reference)

    def tell(self, *lines: str) -> None:
        """Say something on stderr, if anything is to be said."""
        if self.verbose:
            print(*lines, sep="\n", file=sys.stderr, flush=True)

    def _shape(self) -> Shape:
        rows, numbers = tuple(c.rows for c in self.schema.codings), sum(s.width for s in self.schema.scalings)
        # of classes the loss takes logits: a sigmoid here would be the second
        sigmoid = self.recipe.output == "sigmoid" and self.target.kind == "continuous"
        return Shape(rows, self.dimensions, numbers, self.target.outputs, sigmoid)

    def _run(self, training: Training, label: str) -> bool:
        try:
            steps = training.plan.steps
            for record in training.records():
                if self.verbose:
                    self._show(record, steps, label)
        except KeyboardInterrupt:
            training.restore_best()
            warnings.warn("training was interrupted: the best parameters so far are kept", RuntimeWarning, stacklevel=2)
            return True
        return False

    def _show(self, record: Record, steps: int, label: str) -> None:
        """Once an estimate of the time, then about ten lines a training."""
        left = record.seconds / record.step * (steps - record.step)
        if not self._told and record.step == max(steps // 50, 5):  # the first steps are slower than the rest
            self._told = True
            networks = f"{self.networks} network{'s' * (self.networks > 1)}"
            self.tell(f"{label}: about {left:,.0f} s for {steps:,} steps of {networks}")
        if record.validation is not None or record.step % max(steps // 10, 1) == 0 or record.step == steps:
            held = "" if not record.validation else f", validation {record.validation:.4f}"
            self.tell(f"{label}: {record.step / steps:4.0%}, loss {record.smoothed:.4f}{held}, {left:,.0f} s left")
        if record.remark is not None:
            self.tell(f"{label}: {record.remark}")


@dataclass
class Job:
    """A fit of rows in memory: the encoded table, the encoded target, and weights (row,), with how to train on them."""

    trainer: Trainer
    table: Encoded
    target: NDArray[Any]
    weight: NDArray[np.float32]

    def train(self, rows: Rows, validation: Rows | None, seed: int, label: str = "fit") -> tuple[Trained, bool]:
        """Train on the `met` ones of `rows`."""
        rows = self.met(rows, validation)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        held = None if validation is None else self._batch(validation)
        return self.trainer.train(self._source(rows), held, seed, label)

    def met(self, rows: Rows, validation: Rows | None = None) -> Rows:
        """Those of `rows` that training meets: they have a weight, and are not kept for validation."""
        rows = rows[self.weight[rows] > 0]
        return rows if validation is None else np.setdiff1d(rows, validation)

    def counts(self, met: Rows) -> list[Counts]:
        """How many of the rows `met` each row of each embedding has."""
        return counts_of(self.table.codes[met], self.trainer.schema.codings)

    def out_of_fold(
        self, splits: list[tuple[Rows, Rows]], full: Vectors, tables: list[NDArray[np.float32]]
    ) -> tuple[NDArray[np.bool_], bool]:
        """Overwrite `tables` (row, dimension) with vectors of networks that have not met the row.

        Tells which rows, (row,), and whether Ctrl-C ended it before the last fold. Each fold is aligned onto the full
        fit, so that all rows share one coordinate system.
        """
        done = np.zeros(len(self.target), dtype=bool)
        seeds = np.random.SeedSequence(self.trainer.seed).generate_state(len(splits))
        for number, ((train, held), seed) in enumerate(zip(splits, seeds, strict=True), 1):
            trained, interrupted = self.train(train, None, int(seed), f"fold {number} of {len(splits)}")
            _, vectors = self.trainer.combine(trained, self.counts(self.met(train)), full)
            for i, own in enumerate(vectors.tables):
                tables[i][held] = own[self.table.codes[held, i]]
            done[held] = True
            if interrupted:
                return done, True
        return done, False

    def _source(self, rows: Rows) -> RowsInMemory:
        return RowsInMemory(self.table.take(rows), self.target[rows], self.weight[rows])

    def _batch(self, rows: Rows) -> Batch:
        return self._source(rows).batch(torch.arange(len(rows)).expand(self.trainer.networks, -1))


def canonical_order(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order of the rows that their content alone decides, so that shuffling a table changes nothing learned."""
    keys = [weight, *np.atleast_2d(target.T), *table.numbers.T, *table.codes.T]
    return np.lexsort(keys)


@contextmanager
def _threads(n_jobs: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if n_jobs is not None:
        torch.set_num_threads(n_jobs if n_jobs > 0 else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
