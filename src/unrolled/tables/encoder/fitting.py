"""One fit: statistics of a table, then networks trained on all rows or on those of a fold.

Imports PyTorch, so it is itself imported only while fitting. Left out: what a network is (`networks`), how one is
trained (`training`), and tables larger than memory (`parquet`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.learn.hardware import Choice, cores, running
from unrolled.learn.loop import Record
from unrolled.tables.data.columns import Column
from unrolled.tables.data.splits import Rows, folds
from unrolled.tables.data.target import fit_target, read_target
from unrolled.tables.encoder.coding import SPECIAL
from unrolled.tables.encoder.config import FitSettings
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.networks import Batch, Networks, Shape
from unrolled.tables.encoder.reading import Readings, columns_to_read, read_names
from unrolled.tables.encoder.schema import Encoded, Schema, fit_schema
from unrolled.tables.encoder.spelling import blend
from unrolled.tables.encoder.training import RowsInMemory, Source, Training
from unrolled.tables.encoder.vectors import Counts, Vectors, combine, counts_of, fill_untrained, means_of
from unrolled.tables.encoder.weights import NetworkWeights

FOLDS = 5
MIN_ROWS_PER_CATEGORY = 10
SHOWN_AS_NEW = 0.2
"""Share of the rows that `fit_transform` shows by the spelling of their names alone."""


@dataclass
class Trainer:
    """Trains the networks of one fit on any source of rows, and reports progress where `settings.verbose`."""

    statistics: Statistics
    settings: FitSettings
    _estimated: bool = field(default=False, init=False)

    def train(self, source: Source, held: Batch | None, seed: int, label: str = "fit") -> tuple[NetworkWeights, bool]:
        """The trained networks, and whether Ctrl-C ended it early (the best so far is kept then)."""
        if source.rows == 0:
            raise InputError("no row is left to train on: all have weight 0 or are held out for validation")
        config = self.settings.config
        with running(self._hardware()):
            generator = torch.Generator().manual_seed(seed)
            networks = Networks(self._shape(), config, self.settings.networks, generator)
            training = Training(networks, self.statistics.target.kind, config, source, generator, held)
            interrupted = self._run(training, label)
            return networks.to_numpy(training.sensitivity()), interrupted

    def fitted(self, trained: tuple[NetworkWeights, bool], counts: list[Counts]) -> Fitted:
        """What `train` returned, with the vectors; `counts` are those of the rows trained on."""
        weights, interrupted = trained
        config = self.settings.config
        filled = fill_untrained(weights, counts, config.unknown_fraction > 0)
        return Fitted(self.statistics, config, filled, combine(filled, counts, config.smoothing), interrupted)

    def vectors_onto(self, reference: Vectors, weights: NetworkWeights, counts: list[Counts]) -> Vectors:
        """The vectors of other networks in the coordinates and scales of `reference`."""
        config = self.settings.config
        filled = fill_untrained(weights, counts, config.unknown_fraction > 0)
        return combine(filled, counts, config.smoothing, reference)

    def report(self, *lines: str) -> None:
        """Print `lines` on stderr if verbose."""
        if self.settings.verbose:
            print(*lines, sep="\n", file=sys.stderr, flush=True)

    def _hardware(self) -> Choice:
        threads = self.settings.n_jobs or torch.get_num_threads()
        return Choice("cpu", "float32", threads if threads > 0 else cores())

    def _shape(self) -> Shape:
        schema, target = self.statistics.schema, self.statistics.target
        rows, numbers = tuple(c.rows for c in schema.codings), sum(s.width for s in schema.scalings)
        # of classes the loss takes logits: a sigmoid here would be the second
        sigmoid = self.settings.config.output == "sigmoid" and not target.is_classification
        return Shape(rows, schema.dimensions, numbers, target.outputs, sigmoid)

    def _run(self, training: Training, label: str) -> bool:
        try:
            steps = training.plan.steps
            for record in training.records():
                if self.settings.verbose:
                    self._show(record, steps, label)
        except KeyboardInterrupt:
            training.restore_best()
            warnings.warn("training was interrupted: the best parameters so far are kept", RuntimeWarning, stacklevel=2)
            return True
        return False

    def _show(self, record: Record, steps: int, label: str) -> None:
        """Once an estimate of the time, then about ten lines per training."""
        left = record.seconds / record.step * (steps - record.step)
        if not self._estimated and record.step == max(steps // 50, 5):  # the first steps are slower than the rest
            self._estimated = True
            count = self.settings.networks
            self.report(f"{label}: about {left:,.0f} s for {steps:,} steps of {count} network{'s' * (count > 1)}")
        if record.validation is not None or record.step % max(steps // 10, 1) == 0 or record.step == steps:
            held = "" if not record.validation else f", validation {record.validation:.4f}"
            self.report(f"{label}: {record.step / steps:4.0%}, loss {record.smoothed:.4f}{held}, {left:,.0f} s left")
        if record.remark is not None:
            self.report(f"{label}: {record.remark}")


@dataclass
class Fit:
    """A fit of rows in memory: the encoded table, the encoded target, and weights (row,), with how to train on them."""

    trainer: Trainer
    table: Encoded
    target: NDArray[Any]
    weight: NDArray[np.float32]

    def run(self, validation: Rows | None) -> Fitted:
        """Train on all rows but those of `validation`, which stop the training early."""
        unread, counts = self._trained(validation)
        return read_names(unread, counts, self.trainer.settings.spelling)[0]

    def run_out_of_fold(
        self, validation: Rows | None, splits: list[tuple[Rows, Rows]]
    ) -> tuple[Fitted, NDArray[np.float32], NDArray[np.bool_]]:
        """`run`, the output table with vectors of networks that were not trained on the row, and which rows have them.

        Names that are read by their spelling show a share of the rows as if they were new.
        """
        unread, counts = self._trained(validation)
        vectors, seen, done, interrupted = self._out_of_fold(splits, unread, counts)
        fitted, readings = read_names(unread, counts, self.trainer.settings.spelling)
        if self.trainer.settings.cv is not None:
            self._hide_names(seen, readings)
        for i, reading in readings.items():
            known = np.flatnonzero(self.table.codes[:, i] >= len(SPECIAL))
            spelled = reading.held_out[self.table.codes[known, i] - len(SPECIAL)]
            vectors[i][known] = blend(vectors[i][known], spelled, seen[known, i])
        return replace(fitted, interrupted=interrupted), fitted.assemble(vectors, self.table), done

    def _hide_names(self, seen: NDArray[np.float64], readings: Readings) -> None:
        """Set `seen` (row, field) to 0 in a share of the rows, which their content and the seed decide."""
        order = canonical_order(self.table, self.target, self.weight)
        rng = np.random.default_rng(self.trainer.settings.seed)
        for i in readings:
            share = 1 if self.trainer.statistics.schema.codings[i].is_free_text else SHOWN_AS_NEW
            seen[order[rng.random(len(order)) < share], i] = 0

    def _trained(self, validation: Rows | None) -> tuple[Fitted, list[Counts]]:
        """The networks and vectors before names are read, and how many rows each vector was learned from."""
        self.trainer.report(*self.trainer.statistics.describe())
        rows = np.arange(len(self.target))
        trained = self.train(rows, validation, self.trainer.settings.seed)
        counts = self._counts(self._used(rows, validation))
        return self.trainer.fitted(trained, counts), counts

    def splits(self, y: object, groups: object) -> list[tuple[Rows, Rows]]:
        """Train and held-out rows of each fold of `settings.cv`; none if there is no cross-fitting."""
        settings = self.trainer.settings
        automatic = isinstance(settings.cv, str) and settings.cv == "auto"
        cv = auto_folds(self.table.codes, self.trainer.statistics.schema) if automatic else settings.cv
        classes = self.trainer.statistics.target.is_classification
        return [] if cv is None else folds(cv, y, groups, classes, settings.seed)

    def _out_of_fold(
        self, splits: list[tuple[Rows, Rows]], fitted: Fitted, counts: list[Counts]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float64], NDArray[np.bool_], bool]:
        """Per category field the vectors of networks that were not trained on the row, (row, dimension).

        Rows that no split holds out, and those after Ctrl-C, have the vectors of `fitted`. Also returns how many rows
        each was learned from, (row, field), which rows are out-of-fold, (row,), and whether Ctrl-C ended it before the
        last fold. The vectors of each fold are aligned with those of `fitted`, so that all rows share one coordinate
        system.
        """
        full, codes = fitted.vectors, self.table.codes
        vectors = [table[codes[:, i]] for i, table in enumerate(full.tables)]
        seen = _per_row(counts, codes)
        done = np.zeros(len(self.target), dtype=bool)
        seeds = np.random.SeedSequence(self.trainer.settings.seed).generate_state(len(splits))
        interrupted = fitted.interrupted
        for number, ((train, held), seed) in enumerate(zip(splits, seeds, strict=True), 1):
            if interrupted:
                break
            weights, interrupted = self.train(train, None, int(seed), f"fold {number} of {len(splits)}")
            counts = self._counts(self._used(train))
            own = self.trainer.vectors_onto(full, weights, counts)
            for i, table in enumerate(own.tables):
                vectors[i][held] = table[codes[held, i]]
            seen[held] = _per_row(counts, codes[held])
            done[held] = True
        return vectors, seen, done, interrupted

    def train(self, rows: Rows, validation: Rows | None, seed: int, label: str = "fit") -> tuple[NetworkWeights, bool]:
        """Train on those of `rows` that have a weight and are not held out for `validation`."""
        rows = self._used(rows, validation)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        held = None if validation is None else self._batch(validation)
        return self.trainer.train(self._source(rows), held, seed, label)

    def _used(self, rows: Rows, validation: Rows | None = None) -> Rows:
        rows = rows[self.weight[rows] > 0]
        return rows if validation is None else np.setdiff1d(rows, validation)

    def _counts(self, rows: Rows) -> list[Counts]:
        """How many of `rows` each row of each embedding has."""
        return counts_of(self.table.codes[rows], self.trainer.statistics.schema.codings)

    def _source(self, rows: Rows) -> RowsInMemory:
        return RowsInMemory(self.table.take(rows), self.target[rows], self.weight[rows])

    def _batch(self, rows: Rows) -> Batch:
        return self._source(rows).batch(torch.arange(len(rows)).expand(self.trainer.settings.networks, -1))


def _per_row(counts: list[Counts], codes: NDArray[np.int32]) -> NDArray[np.float64]:
    """How many rows the vector of each row of `codes` (row, field) was learned from, of the same shape."""
    seen = np.zeros(codes.shape)
    for i, count in enumerate(counts):
        seen[:, i] = count[codes[:, i]]
    return seen


def prepare(columns: Sequence[Column], y: object, weight: object, settings: FitSettings,
            feature_names: tuple[str, ...] | None) -> Fit:  # fmt: skip
    """Everything about a fit but the training: the codings are learned, bad input is refused with InputError."""
    rows = len(columns[0])
    values, single = read_target(y, rows)
    if rows < 2:
        raise InputError("the table has 1 sample, but at least 2 rows are needed to learn anything")
    by_maximum = settings.config.output == "sigmoid"
    target = fit_target(values, single, settings.target_type, settings.log_target, by_maximum)
    numeric = target.numeric(values)
    schema = fit_schema(columns, numeric, settings.categorical_features, settings.min_frequency, settings.dimensions)
    columns_to_read(schema, settings.spelling)
    table = schema.encode(columns)
    means = means_of(table.codes, schema.codings, numeric)
    statistics = Statistics(schema, target, means, len(columns), feature_names)
    return Fit(Trainer(statistics, settings), table, target.encode(values), scaled_weights(weight, rows))


def scaled_weights(sample_weight: object, rows: int) -> NDArray[np.float32]:
    """Weights with mean 1 over the rows. Raises InputError for negative, missing or all-zero ones."""
    if sample_weight is None:
        return np.ones(rows, dtype=np.float32)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, float(weights))
    if weights.shape != (rows,):
        raise InputError(f"sample_weight has shape {weights.shape}, but ({rows},) was expected")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError("sample_weight must be finite, not negative, and not zero everywhere")
    scaled: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return scaled


def auto_folds(codes: NDArray[np.int32], schema: Schema) -> int | None:
    """Folds of cv="auto": 5 where a column has fewer than 10 rows per category on average, else none.

    Measured (docs/experiments.md): with 3 rows per category a vector remembers its own rows' targets, and a model that
    is given such vectors trusts them far too much; out-of-fold vectors cure that. With fifty they cost five more fits
    and gain nothing.
    """
    scarce = any(c.counts.sum() < MIN_ROWS_PER_CATEGORY * (c.rows - len(SPECIAL)) for c in schema.codings)
    return min(FOLDS, len(codes)) if scarce and len(codes) > 3 else None


def canonical_order(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order of the rows that their content alone decides, so that shuffling a table changes nothing learned."""
    keys = [weight, *np.atleast_2d(target.T), *table.numbers.T, *table.codes.T]
    return np.lexsort(keys)
