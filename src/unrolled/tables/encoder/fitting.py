"""One fit of rows in memory: statistics of the table, networks trained on all rows, and what each row is handed on.

Imports PyTorch, so it is itself imported only while fitting. Left out: training the networks (`trainer`), and tables
larger than memory (`parquet`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.tables.data.columns import Column
from unrolled.tables.data.splits import Rows, folds, validation_rows
from unrolled.tables.data.target import fit_target, read_target
from unrolled.tables.encoder.coding import SPECIAL, UNKNOWN
from unrolled.tables.encoder.config import FitSettings, is_auto
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.free_text import fit_free_text, is_free_text
from unrolled.tables.encoder.reading import Readings, columns_to_read
from unrolled.tables.encoder.row_split import (
    FOLDS,
    MIN_ROWS_TO_HOLD_OUT,
    RowSplit,
    balanced_folds,
    by_fold,
    held_out_prediction,
    useful_fields,
)
from unrolled.tables.encoder.schema import Encoded, Schema, fit_fields, schema_of
from unrolled.tables.encoder.spelling import blend
from unrolled.tables.encoder.target_means import cross_fitted_means, tested_means
from unrolled.tables.encoder.trainer import Trainer
from unrolled.tables.encoder.training import RowsInMemory
from unrolled.tables.encoder.vectors import Counts, Vectors, counts_of, means_of, network_tables
from unrolled.tables.encoder.weights import NetworkWeights

SHOWN_AS_NEW = 0.2
"""Share of the rows that `fit_transform` shows by the spelling of their names alone."""


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
    """A fit of rows in memory: the encoded table, the encoded target, weights and groups (row,), and how to train.

    `indicators` (row, output) are the target as numbers: of several classes, whether it is each.
    """

    trainer: Trainer
    table: Encoded
    target: NDArray[Any]
    indicators: NDArray[np.float64]
    weight: NDArray[np.float32]
    groups: NDArray[Any] | None = None

    def run(self, validation: Rows | None) -> Fitted:
        """Train on all rows; those of `validation`, or a fold for each network, stop the training early."""
        return self._complete(*self._learn(validation))[0]

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
        fitted, readings = self._complete(unread, split, counts)
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

    def _complete(self, unread: Fitted, split: RowSplit, counts: list[Counts]) -> tuple[Fitted, Readings]:
        useful = useful_fields(unread, split, self.table, self.target, self._order)
        return self.trainer.complete(unread, counts, useful)

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
            for fold in range(split.folds if coding.is_scarce else 0):
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
            counts, trained = self._counts(split), self._train(split, int(seed), f"fold {number} of {len(splits)}")
            own = self.trainer.fitted(trained, counts, fitted.vectors)
            interrupted = own.interrupted
            for i, table in enumerate(own.vectors.tables):
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
        return held_out_prediction(fitted, split, table).astype(np.float32)

    def _means_of_rows(
        self, fitted: Fitted, split: RowSplit, splits: list[tuple[Rows, Rows]], shown: NDArray[np.int32]
    ) -> dict[int, NDArray[np.float32]]:
        """By field the mean target that each row is shown, (row, output): of other rows where categories are scarce."""
        codes = fitted.schema.with_rows(shown)
        means = {i: table[codes[:, i]] for i, table in fitted.means.items()}
        if self.trainer.settings.cv is None:
            return means
        order = np.argsort(self._order)
        pairs = [(train[np.argsort(order[train])], held) for train, held in splits or self._fold_pairs(split)]
        weight = self._weight_of(split)
        for i, table in fitted.means.items():
            if splits or fitted.schema.codings[i].is_scarce:
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
        if validation is not None or not trainer.settings.holds_out or len(rows) < MIN_ROWS_TO_HOLD_OUT:
            held = None if validation is None else [validation] * trainer.networks
            return RowSplit([rows] * trainer.networks, held)
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
    by_maximum = settings.config.output == "sigmoid"
    target = fit_target(values, single, settings.target_type, settings.log_target, by_maximum)
    numeric = target.numeric(values)
    indicators = target.indicators(values)
    read = [c for c in columns if is_auto(settings.spelling) or c.name in (settings.spelling or ())]
    texts = {c.name: fit_free_text(c, indicators) for c in read if is_free_text(c)}
    codings = {name: coding for name, (coding, _) in texts.items()}
    fields = fit_fields(columns, numeric, settings.categorical_features, settings.min_frequency, indicators, codings,
                        settings.config.normal_scores)  # fmt: skip
    schema = schema_of(fields, settings.dimensions)
    columns_to_read(schema, settings.spelling)
    settings = replace(settings, config=settings.config.for_table(rows, schema.is_scarce, target.log))
    table = schema.encode(columns)
    for name, (_, numbers) in texts.items():
        table.numbers[:, schema.places[name]] = numbers
    means = means_of(table.codes, schema.codings, numeric)
    statistics = Statistics(schema, target, means, len(columns), feature_names, rows)
    trainer = Trainer(statistics, settings)
    of_rows = None if groups is None else np.asarray(groups)
    return Fit(trainer, table, target.encode(values), indicators, scaled_weights(weight, rows), of_rows)


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


def canonical_order(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order of the rows that their content alone decides, so that shuffling a table changes nothing learned."""
    keys = [weight, *np.atleast_2d(target.T), *table.numbers.T, *table.codes.T]
    return np.lexsort(keys)
