"""Training the networks of one fit: how many, on what, and what is told of it; then their vectors.

Imports PyTorch, so it is itself imported only while fitting. Left out: what a network is (`networks`), one step
(`training`), and where the rows come from (`fitting`, `parquet`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from unrolled.errors import InputError
from unrolled.learn.hardware import Choice, cores, running
from unrolled.learn.loop import Record
from unrolled.tables.encoder.config import FitSettings, is_auto
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.networks import Batch, Networks, Shape, constant_output
from unrolled.tables.encoder.reading import Readings, read_names
from unrolled.tables.encoder.row_split import FOLDS, MIN_ROWS_TO_HOLD_OUT
from unrolled.tables.encoder.training import Source, Training
from unrolled.tables.encoder.vectors import Counts, Vectors, combine, fill_untrained, main_axes
from unrolled.tables.encoder.weights import NetworkWeights
from unrolled.terminal import shown_on

MAX_SCARCE_AXES = 2
"""Main axes handed on of a vector that was learned from few rows: boosted trees pay for every column of noise."""


@dataclass
class Trainer:
    """Trains the networks of one fit on any source of rows, and reports progress where `settings.verbose`."""

    statistics: Statistics
    settings: FitSettings

    @property
    def cross_fits(self) -> bool:
        """Whether each row is to have networks that were not trained on it."""
        return self.settings.holds_out and is_auto(self.settings.cv) and self.statistics.schema.is_scarce

    @property
    def predicts(self) -> bool:
        """Whether predictions are handed on: there are some of networks that were not trained on the row."""
        settings, statistics = self.settings, self.statistics
        wanted = settings.prediction and settings.holds_out and is_auto(settings.cv) and statistics.schema.codings
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
                is_absolute = config.loss == "absolute"
                networks.start_from(constant_output(*source.goals(), kind, networks.shape.outputs, is_absolute))
            training = Training(networks, kind, config, source, generator, held)
            interrupted = self._run(training, label)
            return networks.to_numpy(training.sensitivity()), interrupted

    def fitted(
        self, trained: tuple[NetworkWeights, bool], counts: list[Counts], reference: Vectors | None = None
    ) -> Fitted:
        """What `train` returned, with its vectors, in the coordinates and scales of `reference` where given.

        `counts` are those of the rows trained on.
        """
        weights, interrupted = trained
        config = self.settings.config
        filled = fill_untrained(weights, counts, config.unknown_fraction > 0)
        vectors = combine(filled, counts, config.smoothing, reference)
        return Fitted(self.statistics, config, filled, vectors, interrupted)

    def complete(
        self, unread: Fitted, counts: list[Counts], useful: Sequence[bool] | None = None
    ) -> tuple[Fitted, Readings]:
        """`unread` with its names read, the main axes of its vectors found, and the readings.

        Of fields that are not `useful` no axis is handed on.
        """
        fitted, readings = read_names(unread, counts, self.settings.spelling)
        if fitted.config.handed_on < 1 and is_auto(self.settings.dimensions):
            alone = {field.coding.name for field in fitted.schema.fields if not field.handed_on}
            axes = []
            for i, (coding, table) in enumerate(zip(fitted.schema.codings, fitted.vectors.tables, strict=True)):
                wanted = coding.name not in alone and (useful is None or useful[i] or i in readings)
                most = 0 if not wanted else MAX_SCARCE_AXES if coding.is_scarce else coding.rows
                axes.append(main_axes(table, coding.counts, fitted.config.handed_on, most))
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
        """About ten lines per training, each with an estimate of the time left, and measurements."""
        left = record.seconds / record.step * (steps - record.step)
        if record.validation is not None or record.step % max(steps // 10, 1) == 0 or record.step == steps:
            held = "" if not record.validation else f", validation {record.validation:.4f}"
            self.report(f"{label}: {record.step / steps:4.0%}, loss {record.smoothed:.4f}{held}, {left:,.0f} s left")
        if record.remark is not None:
            self.report(f"{label}: {record.remark}")
