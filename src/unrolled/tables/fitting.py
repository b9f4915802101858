"""One fit of an encoder: its table, target and settings together, trained on all rows or on the rows of a fold.

Imports PyTorch, so it is itself imported only while fitting. Left out: what a network is (`network`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unrolled.learn.loop import Record
from unrolled.tables.network import Batch, Networks, Shape
from unrolled.tables.recipe import Recipe
from unrolled.tables.schema import Encoded, Schema
from unrolled.tables.splitting import Rows
from unrolled.tables.target import Target
from unrolled.tables.trained import Trained
from unrolled.tables.training import RowsInMemory, Training
from unrolled.tables.vectors import Vectors, combine, counts_of, settle


@dataclass
class Job:
    """Everything that a training needs: encoded rows, encoded target, weights (row,), and the settings."""

    table: Encoded
    target: NDArray[Any]
    weight: NDArray[np.float32]
    schema: Schema
    coding: Target
    dimensions: tuple[int, ...]
    recipe: Recipe
    networks: int
    seed: int
    n_jobs: int | None = None
    verbose: int = 0
    _told: bool = field(default=False, init=False)

    def all_rows(self) -> Rows:
        """Every row that has a weight."""
        return np.flatnonzero(self.weight)

    def train(self, rows: Rows, validation: Rows | None, seed: int, label: str = "fit") -> tuple[Trained, bool]:
        """Train on `rows` but not on `validation`; returns the networks, and whether Ctrl-C ended it early."""
        if validation is not None:
            rows = np.setdiff1d(rows, validation)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        with _threads(self.n_jobs):
            training = self._training(rows, validation, seed)
            interrupted = self._run(training, label)
        return training.network.trained(), interrupted

    def out_of_fold(
        self, splits: list[tuple[Rows, Rows]], full: Vectors, tables: list[NDArray[np.float32]]
    ) -> NDArray[np.bool_]:
        """Overwrite `tables` (row, dimension) with vectors of networks that have not met the row; tells which rows.

        Each fold is aligned onto the full fit, so that all rows share one coordinate system.
        """
        done = np.zeros(len(self.target), dtype=bool)
        seeds = np.random.SeedSequence(self.seed).generate_state(len(splits))
        for number, ((train, held), seed) in enumerate(zip(splits, seeds, strict=True), 1):
            rows = np.intersect1d(train, self.all_rows())
            trained, interrupted = self.train(rows, None, int(seed), f"fold {number} of {len(splits)}")
            counts = counts_of(self.table.codes[rows], self.schema.codings)
            vectors = combine(settle(trained, counts, self.recipe.dropout > 0), counts, self.recipe.smooth, full)
            for i, own in enumerate(vectors.tables):
                tables[i][held] = own[self.table.codes[held, i]]
            done[held] = True
            if interrupted:
                break
        return done

    def tell(self, *lines: str) -> None:
        """Say something on stderr."""
        print(*lines, sep="\n", file=sys.stderr, flush=True)

    def _training(self, rows: Rows, validation: Rows | None, seed: int) -> Training:
        generator = torch.Generator().manual_seed(seed)
        shape = Shape(tuple(coding.rows for coding in self.schema.codings), self.dimensions,
                      self.table.numbers.shape[1], self.coding.outputs)  # fmt: skip
        networks = Networks(shape, self.recipe, self.networks, generator)
        held = None if validation is None else self._batch(validation)
        return Training(networks, self.coding.kind, self.recipe, self._source(rows), generator, held)

    def _source(self, rows: Rows) -> RowsInMemory:
        return RowsInMemory(self.table.take(rows), self.target[rows], self.weight[rows])

    def _batch(self, rows: Rows) -> Batch:
        return self._source(rows).batch(torch.arange(len(rows)).expand(self.networks, -1))

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
            self.tell(f"{label}: about {left:,.0f} s for {steps:,} steps of {self.networks} networks")
        if record.validation is not None or record.step % max(steps // 10, 1) == 0 or record.step == steps:
            held = "" if not record.validation else f", validation {record.validation:.4f}"
            self.tell(f"{label}: {record.step / steps:4.0%}, loss {record.smoothed:.4f}{held}, {left:,.0f} s left")
        if record.remark is not None:
            self.tell(f"{label}: {record.remark}")


def canonical_order(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order of the rows that their content alone decides, so that shuffling a table changes nothing learned."""
    keys = [weight, *np.atleast_2d(target.T), *table.numbers.T, *table.codes.T]
    return np.lexsort(keys)


@contextmanager
def _threads(n_jobs: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if n_jobs is not None:
        torch.set_num_threads(n_jobs if n_jobs > 0 else max(1, (torch.get_num_threads() if n_jobs == -1 else 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
