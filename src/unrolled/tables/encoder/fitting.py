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
from unrolled.tables.data.splits import Rows, folds, validation_rows
from unrolled.tables.data.target import fit_target, read_target
from unrolled.tables.encoder.coding import SPECIAL, UNKNOWN, Coding
from unrolled.tables.encoder.config import FitSettings, is_auto
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.networks import Batch, Networks, Shape
from unrolled.tables.encoder.reading import Readings, columns_to_read, read_names
from unrolled.tables.encoder.row_split import (
    FOLDS,
    MIN_ROWS_TO_HOLD_OUT,
    RowSplit,
    balanced_folds,
    by_fold,
    same_for_all,
)
from unrolled.tables.encoder.schema import Encoded, fit_schema
from unrolled.tables.encoder.spelling import blend
from unrolled.tables.encoder.training import RowsInMemory, Source, Training
from unrolled.tables.encoder.vectors import (
    Counts,
    Vectors,
    combine,
    counts_of,
    fill_untrained,
    means_of,
    network_tables,
)
from unrolled.tables.encoder.weights import NetworkWeights
from unrolled.terminal import shown_on

MIN_ROWS_PER_CATEGORY = 100
SHOWN_AS_NEW = 0.2
"""Share of the rows that `fit_transform` shows by the spelling of their names alone."""


@dataclass
class Trainer:
    """Trains the networks of one fit on any source of rows, and reports progress where `settings.verbose`."""

    statistics: Statistics
    settings: FitSettings
    _estimated: bool = field(default=False, init=False)

    @property
    def holds_out(self) -> bool:
        """Whether each network holds out a fold of its own.

        With free text none does: a text of one row is unknown to the network that holds it out, and would keep it from
        learning the others.
        """
        free_text = any(coding.is_free_text for coding in self.statistics.schema.codings)
        return self.settings.holds_out and not free_text

    @property
    def cross_fits(self) -> bool:
        """Whether each row is to have networks that were not trained on it."""
        scarce = any(map(is_scarce, self.statistics.schema.codings))
        return self.holds_out and is_auto(self.settings.cv) and scarce

    @property
    def networks(self) -> int:
        """Networks to train, at least one per fold where the table is cross-fitted."""
        return max(self.settings.networks, FOLDS if self.cross_fits else 1)

    def train(self, source: Source, held: Batch | None, seed: int, label: str = "fit") -> tuple[NetworkWeights, bool]:
        """The trained networks, and whether Ctrl-C ended it early (the best so far is kept then)."""
        if source.rows == 0:
            raise InputError("no row is left to train on: all have weight 0 or are held out for validation")
        config = self.settings.config
        with running(self._hardware()):
            generator = torch.Generator().manual_seed(seed)
            networks, kind = Networks(self._shape(), config, self.networks, generator), self.statistics.target.kind
            if config.output == "linear":
                networks.start_from(source.constant(kind, networks.shape.outputs))
            training = Training(networks, kind, config, source, generator, held)
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
            print(*lines, sep="\n", file=shown_on(sys.stderr), flush=True)

    def _hardware(self) -> Choice:
        threads = self.settings.n_jobs or torch.get_num_threads()
        return Choice("cpu", "float32", threads if threads > 0 else cores())

    def _shape(self) -> Shape:
        schema, target = self.statistics.schema, self.statistics.target
        rows, numbers = tuple(c.rows for c in schema.codings), sum(s.width for s in schema.scalings)
        # of classes the loss takes logits: a sigmoid here would be the second
        sigmoid = self.settings.config.output == "sigmoid" and target.kind == "continuous"
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
            count = self.networks
            self.report(f"{label}: about {left:,.0f} s for {steps:,} steps of {count} network{'s' * (count > 1)}")
        if record.validation is not None or record.step % max(steps // 10, 1) == 0 or record.step == steps:
            held = "" if not record.validation else f", validation {record.validation:.4f}"
            self.report(f"{label}: {record.step / steps:4.0%}, loss {record.smoothed:.4f}{held}, {left:,.0f} s left")
        if record.remark is not None:
            self.report(f"{label}: {record.remark}")


@dataclass
class RowVectors:
    """The vectors of the rows of a fit: `tables` (row, dimension) per field, and what they were learned from.

    `seen` (row, field) is the number of rows that each was learned from, `out_of_fold` (row,) is set for rows whose
    vectors are of networks that were not trained on them.
    """

    tables: list[NDArray[np.float32]]
    seen: NDArray[np.float64]
    out_of_fold: NDArray[np.bool_]

    @classmethod
    def of(cls, vectors: Vectors, counts: list[Counts], codes: NDArray[np.int32]) -> RowVectors:
        """Those of the networks of a full fit."""
        seen = np.zeros(codes.shape)
        for i, count in enumerate(counts):
            seen[:, i] = count.mean(axis=0)[codes[:, i]]
        tables = [table[codes[:, i]] for i, table in enumerate(vectors.tables)]
        return cls(tables, seen, np.zeros(len(codes), dtype=bool))

    def put(self, i: int, rows: NDArray[Any], table: NDArray[np.float32], seen: NDArray[np.float64],
            codes: NDArray[np.int32]) -> None:  # fmt: skip
        """Take the vectors of field `i` in `rows` from `table` (code, dimension), learned from `seen` (code,) rows."""
        self.tables[i][rows] = table[codes[rows, i]]
        self.seen[rows, i] = seen[codes[rows, i]]

    def read(self, readings: Readings, codes: NDArray[np.int32]) -> None:
        """Blend the vectors of known names with those of their spelling."""
        for i, reading in readings.items():
            known = np.flatnonzero(codes[:, i] >= len(SPECIAL))
            spelled = reading.held_out[codes[known, i] - len(SPECIAL)]
            self.tables[i][known] = blend(self.tables[i][known], spelled, self.seen[known, i])


@dataclass
class Fit:
    """A fit of rows in memory: the encoded table, the encoded target, weights and groups (row,), and how to train."""

    trainer: Trainer
    table: Encoded
    target: NDArray[Any]
    weight: NDArray[np.float32]
    groups: NDArray[Any] | None = None

    def run(self, validation: Rows | None) -> Fitted:
        """Train on all rows; those of `validation`, or a fold for each network, stop the training early."""
        unread, _, counts = self._learn(validation)
        return read_names(unread, counts, self.trainer.settings.spelling)[0]

    def fit_transform(
        self, validation: Rows | None, splits: list[tuple[Rows, Rows]]
    ) -> tuple[Fitted, NDArray[np.float32], NDArray[np.bool_]]:
        """`run`, and the output table of the rows with the mask of those whose vectors are out-of-fold, (row,).

        With `splits`, networks are trained anew for each and aligned with the full fit. Without them, where categories
        are scarce, a row gets the vectors of the networks that held it out. Some rows then show a name as if it was
        new, by its spelling or as unknown, so that a model trained on the output learns what to make of new names.
        """
        unread, split, counts = self._learn(validation)
        vectors = RowVectors.of(unread.vectors, counts, self.table.codes)
        interrupted = unread.interrupted
        if splits:
            interrupted = self._refit(splits, unread, vectors)
        elif self.trainer.cross_fits and split.fold is not None:
            self._use_other_folds(unread, split, counts, vectors)
        fitted, readings = read_names(unread, counts, self.trainer.settings.spelling)
        if self.trainer.settings.cv is not None:
            self._show_as_new(vectors, readings, fitted.vectors)
        vectors.read(readings, self.table.codes)
        out = fitted.assemble(vectors.tables, self.table)
        return replace(fitted, interrupted=interrupted), out, vectors.out_of_fold

    def validation(self, y: object) -> Rows | None:
        """The rows that `settings.validation` names, if any."""
        wanted = self.trainer.settings.validation
        return None if is_auto(wanted) else validation_rows(wanted, y, self.groups, self.trainer.settings.seed)

    def splits(self, y: object) -> list[tuple[Rows, Rows]]:
        """Train and held-out rows of each split of `settings.cv`, if it was given."""
        settings = self.trainer.settings
        if settings.cv is None or is_auto(settings.cv):
            return []
        return folds(settings.cv, y, self.groups, self.trainer.statistics.target.is_classification, settings.seed)

    def _learn(self, validation: Rows | None) -> tuple[Fitted, RowSplit, list[Counts]]:
        self.trainer.report(*self.trainer.statistics.describe())
        split = self._split(np.arange(len(self.target)), validation)
        trained = self._train(split, self.trainer.settings.seed)
        counts = self._counts(split)
        return self.trainer.fitted(trained, counts), split, counts

    def _use_other_folds(self, fitted: Fitted, split: RowSplit, counts: list[Counts], vectors: RowVectors) -> None:
        """Give each row the mean of the networks that held it out, in the columns whose categories are scarce."""
        tables = network_tables(fitted.weights, counts, fitted.config.smoothing, fitted.vectors)
        assert split.fold is not None
        for i, coding in enumerate(fitted.schema.codings):
            for fold in range(split.folds if is_scarce(coding) else 0):
                own, seen = (a[fold :: split.folds].mean(axis=0) for a in (tables[i], counts[i]))
                vectors.put(i, split.fold == fold, own, seen, self.table.codes)
        vectors.out_of_fold[:] = split.fold >= 0

    def _refit(self, splits: list[tuple[Rows, Rows]], fitted: Fitted, vectors: RowVectors) -> bool:
        """Give each split's held-out rows vectors of other networks; whether Ctrl-C ended it before the last split."""
        seeds = np.random.SeedSequence(self.trainer.settings.seed).generate_state(len(splits))
        interrupted = fitted.interrupted
        for number, ((train, held), seed) in enumerate(zip(splits, seeds, strict=True), 1):
            if interrupted:
                break
            split = self._split(train, None)
            weights, interrupted = self._train(split, int(seed), f"fold {number} of {len(splits)}")
            counts = self._counts(split)
            own = self.trainer.vectors_onto(fitted.vectors, weights, counts)
            for i, table in enumerate(own.tables):
                vectors.put(i, held, table, counts[i].mean(axis=0), self.table.codes)
            vectors.out_of_fold[held] = True
        return interrupted

    def _show_as_new(self, vectors: RowVectors, readings: Readings, full: Vectors) -> None:
        """Show names that are read by their spelling in a share of the rows, and others as unknown in some.

        The content of the rows and the seed decide in which. Of the columns that are not read, one with many categories
        is chosen more often.
        """
        order = canonical_order(self.table, self.target, self.weight)
        rng = np.random.default_rng(self.trainer.settings.seed)
        for i in readings:
            share = 1 if self.trainer.statistics.schema.codings[i].is_free_text else SHOWN_AS_NEW
            vectors.seen[order[rng.random(len(order)) < share], i] = 0
        sizes = np.array([0 if i in readings else len(table) for i, table in enumerate(full.tables)], dtype=float)
        rows = order[rng.permutation(len(order))[: round(self.trainer.settings.config.shown_masked * len(order))]]
        if sizes.any() and len(rows):
            field = rng.choice(len(sizes), size=len(rows), p=sizes / sizes.sum())
            for i, table in enumerate(full.tables):
                vectors.tables[i][rows[field == i]] = table[UNKNOWN]

    def _split(self, rows: Rows, validation: Rows | None) -> RowSplit:
        """The rows of each network among those of `rows` that have a weight, in an order of their own."""
        rows = rows[self.weight[rows] > 0]
        rows = rows if validation is None else np.setdiff1d(rows, validation)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        trainer = self.trainer
        if validation is not None or not trainer.holds_out or len(rows) < MIN_ROWS_TO_HOLD_OUT:
            return same_for_all(rows, validation, trainer.networks)
        count = FOLDS if trainer.cross_fits else 2 * FOLDS
        groups = None if self.groups is None else self.groups[rows]
        fold = balanced_folds(self.target[rows], count, trainer.settings.seed, groups)
        return by_fold(rows, fold, len(self.target), trainer.networks)

    def _train(self, split: RowSplit, seed: int, label: str = "fit") -> tuple[NetworkWeights, bool]:
        source = RowsInMemory(self.table, self.target, self.weight, split.trained)
        held = None if split.held is None else source.held_out(split.held)
        return self.trainer.train(source, held, seed, label)

    def _counts(self, split: RowSplit) -> list[Counts]:
        """How many of its rows each row of each embedding has, (network, row) per field."""
        each = [counts_of(self.table.codes[rows], self.trainer.statistics.schema.codings) for rows in split.trained]
        return [np.stack(counts) for counts in zip(*each, strict=True)]


def prepare(columns: Sequence[Column], y: object, weight: object, groups: object, settings: FitSettings,
            feature_names: tuple[str, ...] | None) -> Fit:  # fmt: skip
    """Everything about a fit but the training: the codings are learned, bad input is refused with InputError."""
    rows = len(columns[0])
    values, single = read_target(y, rows)
    if rows < 2:
        raise InputError("the table has 1 sample, but at least 2 rows are needed to learn anything")
    settings = settings.for_rows(rows)
    by_maximum = settings.config.output == "sigmoid"
    target = fit_target(values, single, settings.target_type, settings.log_target, by_maximum)
    numeric = target.numeric(values)
    schema = fit_schema(columns, numeric, settings.categorical_features, settings.min_frequency, settings.dimensions)
    columns_to_read(schema, settings.spelling)
    table = schema.encode(columns)
    means = means_of(table.codes, schema.codings, numeric)
    statistics = Statistics(schema, target, means, len(columns), feature_names)
    trainer = Trainer(statistics, settings)
    of_rows = None if groups is None else np.asarray(groups)
    return Fit(trainer, table, target.encode(values), scaled_weights(weight, rows), of_rows)


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


def is_scarce(coding: Coding) -> bool:
    """Whether a column has fewer than 100 rows per category on average.

    A vector then remembers its own rows' targets, and a model that is given such vectors trusts them too much
    (docs/experiments.md, "Tables, second round").
    """
    return bool(coding.counts.sum() < MIN_ROWS_PER_CATEGORY * (coding.rows - len(SPECIAL)))


def canonical_order(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order of the rows that their content alone decides, so that shuffling a table changes nothing learned."""
    keys = [weight, *np.atleast_2d(target.T), *table.numbers.T, *table.codes.T]
    return np.lexsort(keys)
