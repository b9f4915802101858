"""Did entity embeddings help? Every encoding under many models, on the same folds, in one honest table.

`compare_encodings` fits every encoding inside each training fold and judges every model on the rows kept back. Left
out: rendering (`comparison_page`), tuning, and stacking models.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.tables.comparison.encodings import (
    ENCODINGS,
    WITH_EMBEDDINGS,
    EncodedFold,
    Roles,
    assign_roles,
    embed,
    encode,
    native_codes,
    without_empty,
)
from unrolled.tables.comparison.models import MODELS, THREADS, available_models, fit_predict
from unrolled.tables.data.files import TargetColumn, as_frame, check_chosen, check_columns, split_target
from unrolled.tables.data.metrics import METRICS, check_judged, choose_metric
from unrolled.tables.data.splits import check_seed
from unrolled.tables.data.target import TargetType, log_pays
from unrolled.tables.report.measures import Progress
from unrolled.tables.report.model import splits

CLEAR = 2.0  # standard errors of the paired differences from which a difference is called one


@dataclass(frozen=True)
class Cell:
    """One model with one encoding: its error in each seed (mean over the folds) and in each fold, and its seconds.

    `seconds` is for one fold, encoding included.
    """

    model: str
    encoding: str
    by_seed: tuple[float, ...]
    by_fold: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """The mean error."""
        return float(np.mean(self.by_seed))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds, NaN for one seed."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else float("nan")


@dataclass(frozen=True)
class Effect:
    """What embeddings changed for one model, against the best other encoding of that model.

    `change` is that of `relative_change`; `clear` if it is beyond chance over the folds.
    """

    model: str
    other: str
    change: float | None
    clear: bool

    @property
    def helped(self) -> bool:
        """Whether there is clearly less error with embeddings."""
        return self.clear and self.change is not None and self.change < 0

    @property
    def harmed(self) -> bool:
        """Whether there is clearly more error with embeddings."""
        return self.clear and (self.change is None or self.change > 0)


@dataclass(frozen=True)
class Comparison:
    """The table of cells, and how it was measured; lower is better in every metric."""

    target: str
    target_type: TargetType
    metric: str
    log_target: bool
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    rows_total: int
    rows_used: int
    folds: int
    seeds: int
    seconds: float

    @property
    def models(self) -> list[str]:
        """The models in the order of the table."""
        return list(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def encodings(self) -> list[str]:
        """The encodings in the order of the table."""
        present = {cell.encoding for cell in self.cells}
        return [name for name in ENCODINGS if name in present]

    def cell(self, model: str, encoding: str) -> Cell | None:
        """The cell, or None where that model is not given that encoding."""
        return next((c for c in self.cells if (c.model, c.encoding) == (model, encoding)), None)

    def best(self, model: str) -> Cell:
        """The best cell in the row of `model`."""
        return min((c for c in self.cells if c.model == model), key=lambda c: c.mean)

    def effects(self) -> list[Effect]:
        """What embeddings changed, model by model, wherever there is something to compare with."""
        pairs = [(model, self.cell(model, WITH_EMBEDDINGS), self._others(model)) for model in self.models]
        return [_effect(model, cell, others) for model, cell, others in pairs if cell and others]

    def _others(self, model: str) -> list[Cell]:
        return [c for c in self.cells if c.model == model and not uses_vectors(c)]

    def verdict(self) -> str:
        """A plain sentence or two on whether embeddings helped here."""
        from unrolled.tables.comparison.render import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole comparison as plain values."""
        facts = {name: value for name, value in vars(self).items() if name != "cells"}
        cells = [{**vars(c), "mean": c.mean, "spread": None if np.isnan(c.spread) else c.spread} for c in self.cells]
        return facts | {"cells": cells, "effects": [vars(e) for e in self.effects()], "verdict": self.verdict()}

    def to_markdown(self) -> str:
        """The comparison as Markdown."""
        from unrolled.tables.comparison.render import comparison_markdown

        return comparison_markdown(self)

    def to_html(self) -> str:
        """The comparison as one self-contained HTML page."""
        from unrolled.tables.comparison.render import comparison_html

        return comparison_html(self)

    def save(self, path: str | Path) -> None:
        """Write the comparison as its ending says: .html, .md, .json, or the figure as .png."""
        from unrolled.tables.comparison.render import save_comparison

        save_comparison(self, Path(path))


@dataclass(frozen=True)
class CompareSettings:
    """How encodings are compared."""

    metric: str | None = None
    """None chooses: root mean squared error for a number, log loss for classes."""
    cv: Any = 3
    """Folds, or any scikit-learn splitter."""
    groups: str | None = None
    order: str | None = None
    """Columns for the splitter, as in the column report."""
    seeds: int = 3
    max_rows: int = 10_000
    models: tuple[str, ...] | None = None
    """None is every model that is installed."""
    encodings: tuple[str, ...] = ENCODINGS
    networks: int | None = None
    """Networks of the encoder; None is its own number."""
    categories: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    target_type: TargetType | None = None
    seed: int = 0


@dataclass
class _Fold:
    """One fold under one seed, and every encoding of it, made once."""

    roles: Roles
    target: TargetColumn
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int
    networks: int | None
    made: dict[tuple[str, int | None], EncodedFold] = field(default_factory=dict)

    def encoded(self, encoding: str, levels: int | None) -> EncodedFold:
        """The fold in that encoding; `levels` bounds native categories."""
        key = (encoding, levels if encoding == "native" else None)
        if key not in self.made:
            self.made[key] = self._make(encoding, levels)
        return self.made[key]

    def _make(self, encoding: str, levels: int | None) -> EncodedFold:
        started = time.perf_counter()
        parts = without_empty(self.roles.take(self.train), self.roles.take(self.test))
        target = self.target.rows(self.train)
        predicted = None
        if encoding == WITH_EMBEDDINGS:
            train, test, predicted = embed(*parts, target, self.seed, self.networks)
        elif encoding == "native":
            train, test = native_codes(*parts, levels)
        else:
            train, test = encode(encoding, *parts, target, self.seed)
        return EncodedFold(train, test, time.perf_counter() - started, predicted)

    def predict(self, model: str, encoding: str) -> tuple[NDArray[np.float64] | None, float]:
        """What `model` says for the rows kept back, or None where it is not given that encoding; and the seconds."""
        described = MODELS[model]
        if encoding not in described.encodings:
            return None, 0.0
        if (model, encoding) == ("network", "native"):  # the network that the vectors come from
            own = self.encoded(WITH_EMBEDDINGS, None)
            return own.predicted, own.seconds
        encoded = self.encoded(encoding, described.levels)
        started = time.perf_counter()
        found = fit_predict(described, encoding, encoded.train, encoded.test, self.target.rows(self.train), self.seed)
        return found, encoded.seconds + time.perf_counter() - started


def compare_encodings(
    table: Any, target: str, settings: CompareSettings | None = None, progress: Progress | None = None, **changes: Any
) -> Comparison:
    """Compare encodings of the categories of `table` (pandas or polars) for predicting its column `target`.

    `changes` are fields of `CompareSettings`. Raises InputError, naming column and value, for what cannot be compared.
    """
    settings = replace(settings or CompareSettings(), **changes)
    started = time.perf_counter()
    frame = as_frame(table)
    check_columns(frame, [n for n in (target, settings.groups, settings.order) if n is not None])
    check_chosen(frame, target, settings.categories, settings.ignore)
    if settings.order is not None:
        frame = frame.sort_values(settings.order, kind="stable").reset_index(drop=True)
    total, frame = len(frame), _sampled(frame, settings)
    features, outcome = split_target(frame.drop(columns=list(settings.ignore)), target, settings.target_type)
    metric = choose_metric(settings.metric, outcome)
    log = (
        outcome.type == "continuous"
        and bool((outcome.values > 0).all())
        and (METRICS[metric].relative or log_pays(outcome.values[:, None]))
    )
    roles, notes = _roles(features, settings)
    folds = _folds(roles, outcome, log, frame, settings)
    per_seed = len(folds) // settings.seeds
    for number, fold in enumerate(folds):
        check_judged(metric, outcome.rows(fold.test), number % per_seed + 1)
    with import_extra("threadpoolctl", "tables").threadpool_limits(THREADS):
        cells, more = _cells(folds, outcome, metric, log, settings, progress)
    return Comparison(
        target=target,
        target_type=outcome.type,
        metric=metric,
        log_target=log,
        cells=tuple(cells),
        notes=(*notes, *more),
        rows_total=total,
        rows_used=len(frame),
        folds=per_seed,
        seeds=settings.seeds,
        seconds=time.perf_counter() - started,
    )


def relative_change(error: float, other: float) -> float | None:
    """By what share `error` differs from `other`: -0.1 is a tenth less. None where only the other is 0: no share."""
    if other == 0:
        return 0.0 if error == 0 else None
    return error / other - 1


def uses_vectors(cell: Cell) -> bool:
    """Whether learned vectors are in that cell: as an encoding, or inside the network they come from."""
    return cell.encoding == WITH_EMBEDDINGS or (cell.model, cell.encoding) == ("network", "native")


def chosen_models(names: Sequence[str] | None) -> list[str]:
    """The models asked for, or all that are installed. Raises InputError for an unknown name or a missing library."""
    available = available_models()
    for name in names or ():
        if name not in MODELS:
            raise unknown_name("model", name, MODELS)
        if name not in available:
            raise InputError(f"the model {name!r} needs {MODELS[name].library}, which is not installed")
    return list(names) if names else available


def _sampled(frame: Any, settings: CompareSettings) -> Any:
    check_seed(settings.seed)
    if settings.seeds < 1 or settings.max_rows < 1:
        raise InputError("seeds and max_rows must be positive")
    if len(frame) <= settings.max_rows or isinstance(settings.cv, list | tuple):
        return frame
    rows = np.sort(np.random.default_rng(settings.seed).permutation(len(frame))[: settings.max_rows])
    return frame.iloc[rows].reset_index(drop=True)


def _roles(features: Any, settings: CompareSettings) -> tuple[Roles, list[str]]:
    idle = [name for name in features.columns if features[name].nunique(dropna=False) < 2]
    notes = [f"{name} is the same in every row used and was left out" for name in idle]
    if len(idle) == features.shape[1]:
        raise InputError("every column is the same in every row: there is nothing to encode")
    roles = assign_roles(features.drop(columns=idle), settings.categories)
    if not roles.categories:
        raise InputError(
            "no column holds categories (texts, truth values, dates, or whole numbers that recur), so there is nothing "
            "to encode: name columns of whole numbers as categories"
        )
    return roles, notes


def _folds(roles: Roles, outcome: TargetColumn, log: bool, frame: Any, settings: CompareSettings) -> list[_Fold]:
    groups = None if settings.groups is None else frame[settings.groups].to_numpy()
    learned = replace(outcome, values=np.log(outcome.values)) if log else outcome
    return [
        _Fold(roles, learned, train, test, settings.seed + s, settings.networks)
        for s in range(settings.seeds)
        for train, test in splits(outcome, settings.cv, groups, settings.seed + s)
    ]


def _cells(
    folds: list[_Fold],
    outcome: TargetColumn,
    metric: str,
    log: bool,
    settings: CompareSettings,
    progress: Progress | None,
) -> tuple[list[Cell], list[str]]:
    """Every cell, fold by fold, so that only one fold's encodings are in memory."""
    for name in settings.encodings:
        if name not in ENCODINGS:
            raise unknown_name("encoding", name, ENCODINGS)
    wanted = [e for e in ENCODINGS if e in settings.encodings]
    pairs = [(m, e) for m in chosen_models(settings.models) for e in wanted if e in MODELS[m].encodings]
    errors: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    seconds: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    notes: list[str] = []
    for number, fold in enumerate(folds):
        for place, pair in enumerate(pairs):
            if progress:
                progress(f"{pair[0]}, {pair[1]}", (number + place / len(pairs)) / len(folds))
            predicted, taken = fold.predict(*pair)
            if predicted is None:
                if number == 0:
                    notes.append(f"{pair[0]} was not given the {pair[1]} table, which is too wide for it")
                continue
            errors[pair].append(
                METRICS[metric].error(np.exp(predicted) if log else predicted, outcome.values[fold.test])
            )
            seconds[pair].append(taken)
        fold.made.clear()
    per_seed = len(folds) // settings.seeds
    made = [_cell(pair, errors[pair], seconds[pair], per_seed) for pair in pairs if errors[pair]]
    return made, notes


def _cell(pair: tuple[str, str], errors: list[float], seconds: list[float], per_seed: int) -> Cell:
    by_seed = np.reshape(errors, (-1, per_seed)).mean(axis=1)
    return Cell(*pair, tuple(by_seed.tolist()), tuple(errors), float(np.mean(seconds)))


def _effect(model: str, cell: Cell, others: list[Cell]) -> Effect:
    other = min(others, key=lambda c: c.mean)
    paired = np.array(cell.by_fold) - np.array(other.by_fold)
    error = paired.std(ddof=1) / np.sqrt(len(paired)) if len(paired) > 1 else np.inf
    clear = bool(abs(paired.mean()) > CLEAR * error)
    return Effect(model, other.encoding, relative_change(cell.mean, other.mean), clear)
