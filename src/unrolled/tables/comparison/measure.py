"""Measuring a comparison: every encoding fitted inside each training fold, every model judged on the rows held out.

A signal to stop ends it between two models; what whole folds have shown is kept. Left out: what the figures mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from unrolled.learn.signals import interruptions
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS, EncodedFold, Fold
from unrolled.tables.comparison.models import MODELS, fit_predict
from unrolled.tables.comparison.result import OWN_NETWORKS, ComparisonCell
from unrolled.tables.data.metrics import Metric
from unrolled.tables.data.target import TargetColumn
from unrolled.tables.progress import OnProgress

Pair = tuple[str, str]
"""A model and an encoding."""


@dataclass
class FoldRun:
    """One fold under one seed, every encoding of it made once; `judged` is the target of the rows held out."""

    fold: Fold
    judged: TargetColumn
    log: bool
    """Whether the target of `fold` is the logarithm."""
    _encoded: dict[tuple[str, int | None], tuple[EncodedFold, float]] = field(default_factory=dict)

    def error(self, model: str, encoding: str, metric: Metric) -> tuple[float | None, float]:
        """The error of a model with an encoding, None where the table is too wide for the model; and the seconds."""
        predicted, seconds = self._predict(model, encoding)
        if predicted is None:
            return None, seconds
        return metric.error(np.exp(predicted) if self.log else predicted, self.judged.values), seconds

    def clear(self) -> None:
        """Drop what was encoded."""
        self._encoded.clear()

    def _predict(self, model: str, encoding: str) -> tuple[NDArray[np.float64] | None, float]:
        described = MODELS[model]
        if (model, encoding) == OWN_NETWORKS:
            own, seconds = self._encode(WITH_EMBEDDINGS, None)
            return own.predicted, seconds
        encoded, seconds = self._encode(encoding, described.levels if ENCODINGS[encoding].native else None)
        started = time.perf_counter()
        target, seed = self.fold.target, self.fold.seed
        found = fit_predict(described, encoding, encoded.train, encoded.test, target, seed)
        return found, seconds + time.perf_counter() - started

    def _encode(self, encoding: str, levels: int | None) -> tuple[EncodedFold, float]:
        key = (encoding, levels)
        if key not in self._encoded:
            started = time.perf_counter()
            encoded = ENCODINGS[encoding].encode(replace(self.fold, levels=levels))
            self._encoded[key] = encoded, time.perf_counter() - started
        return self._encoded[key]


def measure(
    runs: Sequence[Callable[[], FoldRun]],
    pairs: Sequence[Pair],
    metric: Metric,
    folds: int,
    progress: OnProgress | None = None,
) -> tuple[list[ComparisonCell], list[str], int]:
    """The cells of `pairs`, notes, and how many folds were done; `folds` belong to each seed.

    One fold after the other, so that only one fold's encodings are in memory. Ctrl-C, SIGTERM and SIGHUP end it after
    the model at work: folds that are whole count, of the first one every finished cell. Raises KeyboardInterrupt where
    there is none.
    """
    errors: dict[Pair, list[float]] = {pair: [] for pair in pairs}
    seconds: dict[Pair, list[float]] = {pair: [] for pair in pairs}
    too_wide: dict[Pair, str] = {}
    done = 0
    try:
        with interruptions() as interrupt:
            for number, run in enumerate(runs):
                fold = run()
                for place, pair in enumerate(pairs):
                    if interrupt:
                        raise KeyboardInterrupt
                    if progress:
                        progress(f"{pair[0]}, {pair[1]}", (number + place / len(pairs)) / len(runs))
                    error, taken = fold.error(*pair, metric)
                    if error is None:
                        too_wide[pair] = f"{pair[0]} was not given the {pair[1]} table, which is too wide for it"
                        continue
                    errors[pair].append(error)
                    seconds[pair].append(taken)
                fold.clear()
                done = number + 1
    except KeyboardInterrupt:
        if not any(errors.values()):
            raise
    kept = max(done, 1)
    shown = [pair for pair in pairs if errors[pair] and pair not in too_wide]
    cells = [_cell(pair, errors[pair][:kept], seconds[pair], folds) for pair in shown]
    return cells, list(too_wide.values()), done


def _cell(pair: Pair, errors: list[float], seconds: list[float], folds: int) -> ComparisonCell:
    by_seed = [float(np.mean(errors[start : start + folds])) for start in range(0, len(errors), folds)]
    return ComparisonCell(*pair, tuple(by_seed), tuple(errors), float(np.mean(seconds)))
