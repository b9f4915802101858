"""Measuring a comparison: every encoding fitted inside each training fold, every model judged on the rows held out.

A signal to stop ends it between two models; what whole folds have shown is kept. Left out: what the figures mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.learn.signals import Interrupt
from unrolled.progress import OnProgress
from unrolled.tables.comparison.effects import OWN_NETWORKS, ComparisonCell, is_settled
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS, EncodedFold, Fold
from unrolled.tables.comparison.models import MODELS, fit_predict
from unrolled.tables.comparison.tuning import Tuning
from unrolled.tables.data.metrics import METRICS
from unrolled.tables.data.target import TargetColumn

Pair = tuple[str, str]
"""A model and an encoding."""


@dataclass
class FoldRun:
    """One fold under one seed, every encoding of it made once; `judged` is the target of the rows held out."""

    fold: Fold
    judged: TargetColumn
    log: bool
    """Whether the target of `fold` is the logarithm."""
    tries: int = 0
    """Settings that are tried for each model, beside the fixed ones."""
    _encoded: dict[tuple[str, int | None], tuple[EncodedFold | None, float]] = field(default_factory=dict)

    def errors(self, model: str, encoding: str, metrics: Sequence[str]) -> tuple[list[float] | None, float]:
        """The errors of a model with an encoding, None where the table does not fit them; and the seconds.

        A metric that cannot judge these rows gives NaN.
        """
        predicted, seconds = self._predict(model, encoding, metrics[0])
        if predicted is None:
            return None, seconds
        return [self._error(metric, predicted, self.judged.values) for metric in metrics], seconds

    def _error(self, metric: str, predicted: NDArray[np.float64], true: NDArray[Any]) -> float:
        """Of what a model predicts, a logarithm where it learns one, and the target as it is."""
        if METRICS[metric].ranks and len(np.unique(true)) < 2:
            return float("nan")
        return METRICS[metric].error(np.exp(predicted) if self.log else predicted, true)

    def _tuning(self, metric: str) -> Tuning | None:
        """By the error of the comparison, of the target as it is."""
        if not self.tries:
            return None
        return Tuning(self.tries, lambda p, true: self._error(metric, p, np.exp(true) if self.log else true))

    def _predict(self, model: str, encoding: str, metric: str) -> tuple[NDArray[np.float64] | None, float]:
        described = MODELS[model]
        if (model, encoding) == OWN_NETWORKS:
            own, seconds = self._encode(WITH_EMBEDDINGS, None)
            return None if own is None else own.predicted, seconds
        encoded, seconds = self._encode(encoding, described.levels if ENCODINGS[encoding].native else None)
        if encoded is None:
            return None, seconds
        started = time.perf_counter()
        target, seed = self.fold.target, self.fold.seed
        tuning, described = self._tuning(metric), described.told(encoded.predictions)
        found = fit_predict(described, encoding, encoded.train, encoded.test, target, seed, tuning)
        return found, seconds + time.perf_counter() - started

    def _encode(self, encoding: str, levels: int | None) -> tuple[EncodedFold | None, float]:
        key = (encoding, levels)
        if key not in self._encoded:
            started = time.perf_counter()
            encoded = ENCODINGS[encoding].encode(replace(self.fold, levels=levels))
            self._encoded[key] = encoded, time.perf_counter() - started
        return self._encoded[key]


@dataclass(frozen=True)
class Measured:
    """The cells, remarks, how many folds are done in all, and how many seeds the verdict took if it came early."""

    cells: list[ComparisonCell]
    notes: list[str]
    done: int
    settled_after: int | None


def measure(
    runs: Sequence[Callable[[], FoldRun]],
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    folds: int,
    progress: OnProgress | None = None,
) -> Measured:
    """The cells of `pairs`, judged by the first of the `metrics`, another one beside it; `folds` belong to each seed.

    One fold after the other, so that only one fold's encodings are in memory. From the second seed on it ends with a
    seed after which the verdict is clear. Ctrl-C, SIGTERM and SIGHUP end it after the model at work: folds that are
    whole count, of the first one every finished cell. Raises KeyboardInterrupt where there is none.
    """
    answers = _Answers(folds)
    done, settled_after = 0, None
    try:
        with Interrupt() as interrupt:
            for number, run in enumerate(runs):
                fold = run()
                for place, pair in enumerate(pairs):
                    if interrupt:
                        raise KeyboardInterrupt
                    if progress:
                        progress(f"{pair[0]}, {pair[1]}", (number + place / len(pairs)) / len(runs))
                    answers.add(pair, *fold.errors(*pair, metrics))
                done = number + 1
                seeds = done // folds
                if done % folds == 0 and 2 <= seeds < len(runs) // folds and is_settled(answers.cells(done)):
                    settled_after = seeds
                    break
    except KeyboardInterrupt:
        if not answers.errors:
            raise
    return Measured(answers.cells(max(done, 1)), list(answers.unfit.values()), done, settled_after)


@dataclass
class _Answers:
    """By model and encoding the errors (metric,) and the seconds of each fold, as far as they are done."""

    folds: int
    errors: dict[Pair, list[list[float]]] = field(default_factory=dict)
    seconds: dict[Pair, list[float]] = field(default_factory=dict)
    unfit: dict[Pair, str] = field(default_factory=dict)

    def add(self, pair: Pair, errors: list[float] | None, seconds: float) -> None:
        """One fold's errors of a pair; None where the table does not fit it, which leaves it out."""
        if errors is None:
            reason = ENCODINGS[pair[1]].unfit or "the table is too wide for it"
            self.unfit[pair] = f"{pair[0]} with {ENCODINGS[pair[1]].title} was left out: {reason}"
        else:
            self.errors.setdefault(pair, []).append(errors)
            self.seconds.setdefault(pair, []).append(seconds)

    def cells(self, done: int) -> list[ComparisonCell]:
        """The cells, of the first `done` folds."""
        return [self._cell(pair, np.array(own[:done])) for pair, own in self.errors.items() if pair not in self.unfit]

    def _cell(self, pair: Pair, errors: NDArray[np.float64]) -> ComparisonCell:
        by_fold = errors[:, 0].tolist()
        by_seed = [float(np.mean(by_fold[start : start + self.folds])) for start in range(0, len(by_fold), self.folds)]
        known = errors[~np.isnan(errors[:, -1]), -1]
        beside = float(known.mean()) if errors.shape[1] > 1 and len(known) else None
        return ComparisonCell(*pair, tuple(by_seed), tuple(by_fold), float(np.mean(self.seconds[pair])), beside)
