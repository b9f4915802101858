"""One fit: statistics of a table, then networks trained on all rows or on those of a fold.

Imports PyTorch, so it is itself imported only while fitting. Left out: what a network is (`networks`), how one is
trained (`training`), and tables larger than memory (`parquet`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from unrolled.tables.encoder.free_text import fit_free_text, is_free_text
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
from unrolled.tables.encoder.schema import Encoded, Schema, fit_schema
from unrolled.tables.encoder.spelling import blend
from unrolled.tables.encoder.target_means import cross_fitted_means, tested_means
from unrolled.tables.encoder.training import RowsInMemory, Source, Training
from unrolled.tables.encoder.vectors import (
    Counts,
    Vectors,
    combine,
    counts_of,
    fill_untrained,
    main_axes,
    means_of,
    network_tables,
)
from unrolled.tables.encoder.weights import NetworkWeights
from unrolled.terminal import shown_on

FEWEST_JUDGED, MOST_JUDGED = 1000, 10_000
"""Rows on which a column is judged to be useful; with fewer, every column is taken to be."""
ERRORS = 2.0
MIN_ROWS_PER_CATEGORY = 100
MAX_SCARCE_AXES = 2
"""Main axes handed on of a vector that was learned from few rows: boosted trees pay for every column of noise."""
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
        """Whether each network holds out a fold of its own."""
        return self.settings.holds_out

    @property
    def cross_fits(self) -> bool:
        """Whether each row is to have networks that were not trained on it."""
        scarce = any(map(is_scarce, self.statistics.schema.codings))
        return self.holds_out and is_auto(self.settings.cv) and scarce

    @property
    def predicts(self) -> bool:
        """Whether predictions are handed on: there are some of networks that were not trained on the row."""
        settings, statistics = self.settings, self.statistics
        wanted = settings.prediction and self.holds_out and is_auto(settings.cv) and statistics.schema.codings
        enough = self.cross_fits or settings.networks >= FOLDS
        return bool(wanted and enough and statistics.rows >= MIN_ROWS_TO_HOLD_OUT)

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
                networks.start_from(source.constant(kind, networks.shape.outputs, config.loss == "absolute"))
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

    def complete(
        self, unread: Fitted, counts: list[Counts], useful: Sequence[bool] | None = None
    ) -> tuple[Fitted, Readings]:
        """`unread` with its names read, the main axes of its vectors found, and the readings.

        Of fields that are not `useful` no axis is handed on.
        """
        fitted, readings = read_names(unread, counts, self.settings.spelling)
        if fitted.config.handed_on < 1 and is_auto(self.settings.dimensions):
            fields = zip(fitted.vectors.tables, fitted.schema.codings, strict=True)
            alone = {field.coding.name for field in fitted.schema.fields if not field.handed_on}
            wanted = useful or [True] * len(fitted.schema.codings)
            most = [
                0 if c.name in alone or not (w or i in readings) else MAX_SCARCE_AXES if is_scarce(c) else c.rows
                for i, (c, w) in enumerate(zip(fitted.schema.codings, wanted, strict=True))
            ]
            axes = (main_axes(t, c.counts, fitted.config.handed_on, m) for (t, c), m in zip(fields, most, strict=True))
            fitted = replace(fitted, vectors=replace(fitted.vectors, axes=tuple(axes)))
        return replace(fitted, predicts=self.predicts), readings

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
        return self.trainer.complete(unread, counts)[0]

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
        fitted, readings = self.trainer.complete(unread, counts, self._useful(unread, split))
        shown = self.table.codes.copy()
        if self.trainer.settings.cv is not None:
            self._show_as_new(vectors, readings, fitted.vectors, shown)
        vectors.read(readings, self.table.codes)
        prediction = self._predict(fitted, split, replace(self.table, codes=shown), readings)
        means = self._means_of_rows(fitted, split, splits, shown)
        out = fitted.assemble(vectors.tables, self.table, means, prediction)
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
        fitted = self.trainer.fitted(trained, counts)
        return replace(fitted, means=self._means(fitted.schema, split)), split, counts

    def _means(self, schema: Schema, split: RowSplit) -> dict[int, NDArray[np.float32]]:
        """By field the shrunk mean target of each category, (row, output), where it is handed on."""
        if not self.trainer.settings.config.target_means:
            return {}
        order = self._order
        place = np.argsort(order)
        pairs = [(np.sort(place[train]), place[held]) for train, held in self._fold_pairs(split)]
        codes, target, weight = self.table.codes[order], self.indicators[order], self._weight_of(split)[order]
        return {i: tested_means(codes[:, i], schema.codings[i].rows, target, weight, pairs)
                for i in schema.without_numbers}  # fmt: skip

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

    def _predict(
        self, fitted: Fitted, split: RowSplit, shown: Encoded, readings: Readings
    ) -> NDArray[np.float32] | None:
        """(row, output) the raw prediction of the networks that held each row out, None where it is not handed on."""
        if not fitted.predicts or split.fold is None:
            return None
        table = replace(shown, spelled={i: reading.held_out for i, reading in readings.items()})
        return self._held_out(fitted, split, table).astype(np.float32)

    def _held_out(self, fitted: Fitted, split: RowSplit, table: Encoded) -> NDArray[np.floating]:
        """(row, output) the raw prediction of the networks that held each row out; of all networks for other rows."""
        assert split.fold is not None
        out = np.empty((len(table.codes), fitted.target.outputs))
        for fold in range(-1, split.folds):
            rows = np.flatnonzero(split.fold == fold)
            if len(rows):
                networks = slice(None) if fold < 0 else slice(fold, None, split.folds)
                out[rows] = fitted.raw_prediction(table.take(rows), networks).mean(axis=0)
        return out

    def _useful(self, fitted: Fitted, split: RowSplit) -> list[bool]:
        """For each category field, whether the networks predict rows that they held out worse without it.

        Its category is taken for unknown; the loss must rise by more than two standard errors. All are useful where too
        few rows are held out to tell.
        """
        fold = np.full(len(self.target), -1) if split.fold is None else split.fold
        rows = np.flatnonzero((fold >= 0) & (fold < self.trainer.networks))  # those that some network has held out
        if split.fold is None or len(rows) < FEWEST_JUDGED:
            return [True] * len(fitted.schema.codings)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        rows = rows[:: -(-len(rows) // MOST_JUDGED)]
        some, judged = self.table.take(rows), replace(split, fold=split.fold[rows])
        full = self._losses(self._held_out(fitted, judged, some), rows)
        useful = []
        for i in range(len(fitted.schema.codings)):
            codes = some.codes.copy()
            codes[:, i] = UNKNOWN
            rise = self._losses(self._held_out(fitted, judged, replace(some, codes=codes)), rows) - full
            useful.append(bool(rise.mean() > ERRORS * rise.std() / np.sqrt(len(rise))))
        return useful

    def _losses(self, raw: NDArray[np.floating], rows: Rows) -> NDArray[np.float64]:
        """(row,) squared error, or log loss of classes."""
        target, goal = self.trainer.statistics.target, self.target[rows]
        if target.kind == "continuous":
            squares: NDArray[np.float64] = ((raw - goal) ** 2).sum(axis=1)
            return squares
        chances = target.decode(raw)
        place = goal if target.kind == "multiclass" else goal[:, 0].astype(np.int64)
        losses: NDArray[np.float64] = -np.log(
            np.maximum(chances[np.arange(len(place)), place], np.finfo(np.float32).tiny)
        )
        return losses

    def _means_of_rows(
        self, fitted: Fitted, split: RowSplit, splits: list[tuple[Rows, Rows]], shown: NDArray[np.int32]
    ) -> dict[int, NDArray[np.float32]]:
        """By field the mean target that each row is shown, (row, output): of other rows where categories are scarce."""
        codes = np.where(shown < [coding.rows for coding in fitted.schema.codings], shown, UNKNOWN)
        means = {i: table[codes[:, i]] for i, table in fitted.means.items()}
        if self.trainer.settings.cv is None:
            return means
        order = np.argsort(self._order)
        pairs = [(train[np.argsort(order[train])], held) for train, held in splits or self._fold_pairs(split)]
        weight = self._weight_of(split)
        for i, table in fitted.means.items():
            if splits or is_scarce(fitted.schema.codings[i]):
                own = self.table.codes[:, i]
                means[i] = cross_fitted_means(own, codes[:, i], self.indicators, weight, table, pairs)
        return means

    def _weight_of(self, split: RowSplit) -> NDArray[np.float32]:
        """(row,) the weight of the rows that any network is trained on, 0 for others."""
        trained = np.zeros(len(self.weight), dtype=bool)
        trained[np.concatenate(split.trained)] = True
        return np.where(trained, self.weight, np.float32(0))

    def _fold_pairs(self, split: RowSplit) -> list[tuple[Rows, Rows]]:
        """Rows of the other folds, and of each fold: those of the networks where they held rows out."""
        fold = split.fold
        if fold is None:
            rows = self._order
            groups = None if self.groups is None else self.groups[rows]
            fold = np.empty(len(rows), dtype=np.int64)
            fold[rows] = balanced_folds(self.target[rows], FOLDS, self.trainer.settings.seed, groups)
        numbers = range(int(fold.max()) + 1)
        return [(np.flatnonzero((fold >= 0) & (fold != k)), np.flatnonzero(fold == k)) for k in numbers]

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """The canonical order of all rows."""
        return canonical_order(self.table, self.target, self.weight)

    @property
    def indicators(self) -> NDArray[np.float64]:
        """(row, output) the encoded target as numbers: of several classes, whether it is each."""
        if self.target.ndim == 1:
            of_classes: NDArray[np.float64] = np.eye(self.trainer.statistics.target.outputs)[self.target]
            return of_classes
        return self.target.astype(np.float64)

    def _show_as_new(self, vectors: RowVectors, readings: Readings, full: Vectors, shown: NDArray[np.int32]) -> None:
        """Show names that are read by their spelling in a share of the rows, and others as unknown in some.

        `shown` are the codes of the rows, in which that is noted.

        The content of the rows and the seed decide in which. Of the columns that are not read, one with many categories
        is chosen more often.
        """
        order = self._order
        rng = np.random.default_rng(self.trainer.settings.seed)
        for i in readings:
            new = order[rng.random(len(order)) < SHOWN_AS_NEW]
            vectors.seen[new, i] = 0
            new = new[shown[new, i] >= len(SPECIAL)]
            shown[new, i] += self.trainer.statistics.schema.codings[i].rows - len(SPECIAL)
        sizes = np.array([0 if i in readings else len(table) for i, table in enumerate(full.tables)], dtype=float)
        rows = order[rng.permutation(len(order))[: round(self.trainer.settings.config.shown_masked * len(order))]]
        if sizes.any() and len(rows):
            field = rng.choice(len(sizes), size=len(rows), p=sizes / sizes.sum())
            for i, table in enumerate(full.tables):
                vectors.tables[i][rows[field == i]] = table[UNKNOWN]
                shown[rows[field == i], i] = UNKNOWN

    def _split(self, rows: Rows, validation: Rows | None) -> RowSplit:
        """The rows of each network among those of `rows` that have a weight, in an order of their own."""
        rows = rows[self.weight[rows] > 0]
        rows = rows if validation is None else np.setdiff1d(rows, validation)
        rows = rows[canonical_order(self.table.take(rows), self.target[rows], self.weight[rows])]
        trainer = self.trainer
        if validation is not None or not trainer.holds_out or len(rows) < MIN_ROWS_TO_HOLD_OUT:
            return same_for_all(rows, validation, trainer.networks)
        count = FOLDS if trainer.cross_fits or trainer.predicts else 2 * FOLDS
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
    settings, numeric = settings.for_target(target.log), target.numeric(values)
    evidence = target.indicators(values)
    texts = {c.name: fit_free_text(c, evidence) for c in columns if is_read(c, settings.spelling)}
    codings = {name: coding for name, (coding, _) in texts.items()}
    schema = fit_schema(
        columns, numeric, settings.categorical_features, settings.min_frequency, settings.dimensions, evidence, codings
    )
    columns_to_read(schema, settings.spelling)
    table = schema.with_texts(schema.encode(columns), {name: numbers for name, (_, numbers) in texts.items()})
    means = means_of(table.codes, schema.codings, numeric)
    statistics = Statistics(schema, target, means, len(columns), feature_names, rows)
    trainer = Trainer(statistics, settings)
    of_rows = None if groups is None else np.asarray(groups)
    return Fit(trainer, table, target.encode(values), scaled_weights(weight, rows), of_rows)


def is_read(column: Column, spelling: Any) -> bool:
    """Whether a column is free text whose spelling is read."""
    wanted = is_auto(spelling) or (spelling is not None and column.name in spelling)
    return bool(wanted and not column.missing.all() and is_free_text(column))


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
