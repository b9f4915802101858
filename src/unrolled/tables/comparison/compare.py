"""Did entity embeddings help? Every encoding under many models, on the same folds, in one table.

`compare_encodings` checks its arguments, lets `measure` fit and judge, and returns a `Comparison`, which renders
itself. Left out: stacking models.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_whole
from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.progress import OnProgress
from unrolled.tables.comparison.encodings import (
    ENCODINGS,
    Encoding,
    Fold,
    Roles,
    assign_roles,
    installed,
    without_empty,
)
from unrolled.tables.comparison.measure import FoldRun, Measured, Pair, measure
from unrolled.tables.comparison.models import MODELS, THREADS, Model
from unrolled.tables.comparison.result import Comparison
from unrolled.tables.data.metrics import METRICS, check_judged, choose_metric, metric_beside
from unrolled.tables.data.splits import Rows, check_seed, judging_folds
from unrolled.tables.data.table import Table, read_checked
from unrolled.tables.data.target import TargetColumn, TargetType, split_target


def compare_encodings(
    table: Any,
    target: str,
    *,
    metric: str | None = None,
    cv: Any = 3,
    groups: str | None = None,
    order: str | None = None,
    seeds: int = 3,
    max_rows: int = 10_000,
    models: Sequence[str] | None = None,
    encodings: Sequence[str] | None = None,
    networks: int | None = None,
    tune: int = 0,
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
    target_type: TargetType | None = None,
    seed: int = 0,
    progress: OnProgress | None = None,
) -> Comparison:
    """Compare encodings of the categories of a table for predicting one of its columns.

    Parameters
    ----------
    table
        A pandas, polars or other data frame, (row, column).
    target
        The column to predict.
    metric
        A name in `metrics.METRICS`, lower being better: "rmse", "mae", "mape" or "rmspe" for a number, "log-loss",
        "error" or "1-auc" for classes. None is the first of them.
    cv
        A number of folds, a scikit-learn splitter, or pairs of training and held-out rows.
    groups, order
        Columns: rows of one value of `groups` stay in one fold, and rows are sorted by `order` before they are split.
    seeds
        How often everything is repeated at most, with other folds and other starts: from the second time on it ends
        once the best result with embeddings and the best without differ clearly.
    max_rows
        Rows used at most, drawn at random.
    models, encodings
        Names in `models.MODELS` and `encodings.ENCODINGS`; None is every one whose library is installed, but for the
        slow models TabM and RealMLP (pytabkit), which run where they are named.
    networks
        Networks of the encoder; None is its own number.
    tune
        Settings tried for each model with each encoding beside its fixed ones, drawn from its grid in `models.MODELS`
        and judged by `metric` on a fifth of the training rows. The encoder and the slow models are not tuned.
    categories, ignore
        Columns of whole numbers that are categories, beside those that the encoder's rule finds, and columns to leave
        out.
    target_type
        "continuous", "binary" or "multiclass"; None applies the rule of `target.kind_by_rule`.
    seed
        The first seed. The same table, settings and seed give the same errors, bit by bit.
    progress
        Called with what is being done and the share done.

    Ctrl-C or SIGTERM ends it after the model at work; the result then holds the folds that were done, `interrupted` is
    set and a RuntimeWarning given. Raises InputError, naming column and value, for what cannot be compared, and
    KeyboardInterrupt where nothing was done yet.

    >>> from unrolled import compare_encodings
    >>> from unrolled.tables.data.demo import demo_table
    >>> sales = demo_table(rows=400, shops=8).frame
    >>> result = compare_encodings(sales, "Sales", models=["linear"], encodings=["codes", "one-hot"], cv=2, seeds=1)
    >>> result.best("linear").encoding
    'one-hot'
    """
    started = time.perf_counter()
    read = read_checked(table, target, groups, order, categories, ignore)
    check_seed(seed)
    if seeds < 1 or max_rows < 1:
        raise InputError("seeds and max_rows must be positive")
    check_whole("tune", tune, 0)
    pairs = _pairs(models, encodings)
    drawn = np.random.default_rng(seed).permutation(read.rows)[:max_rows]
    used = read if isinstance(cv, list | tuple) else read.take(np.sort(drawn))
    features, outcome = split_target(used.without(ignore), target, target_type)
    chosen = choose_metric(metric, outcome)
    log = _learns_logarithm(outcome, chosen)
    roles, notes = _roles(features, categories)
    members = None if groups is None else used[groups].values
    splits = _splits(outcome, cv, members, range(seed, seed + seeds), chosen)
    folds = len(splits) // seeds
    runs = [partial(_run, roles, outcome, log, networks, tune, s, split) for s, split in splits]
    beside = metric_beside(chosen, outcome)
    with import_extra("threadpoolctl").threadpool_limits(THREADS):
        found = measure(runs, pairs, [chosen, *([beside] if beside else [])], folds, progress)
    ending = _ending(found, len(splits), seeds)
    if found.done < len(splits) and not found.settled_after:
        warnings.warn(f"the comparison was {ending[0]}", RuntimeWarning, stacklevel=2)
    return Comparison(
        target=target,
        target_type=outcome.kind,
        metric=chosen,
        log_target=log,
        cells=tuple(found.cells),
        notes=(*notes, *found.notes, *_tuned(tune), *ending),
        rows_total=read.rows,
        rows_used=used.rows,
        folds=folds,
        seeds=found.settled_after or seeds,
        folds_done=found.done,
        seconds=time.perf_counter() - started,
        beside=beside,
    )


def _splits(
    outcome: TargetColumn, cv: Any, members: NDArray[Any] | None, seeds: Iterable[int], metric: str
) -> list[tuple[int, tuple[Rows, Rows]]]:
    """Every fold of every seed. Raises InputError for one that `metric` cannot judge."""
    splits = []
    for seed in seeds:
        for number, (train, test) in enumerate(judging_folds(outcome, cv, members, seed), 1):
            check_judged(metric, outcome.take(test), number)
            splits.append((seed, (train, test)))
    return splits


def _ending(found: Measured, planned: int, seeds: int) -> list[str]:
    """Why fewer folds were run than planned, in words."""
    if found.settled_after:
        return [f"the verdict was clear after {found.settled_after} of {seeds} seeds, so the others were not run"]
    if found.done == planned:
        return []
    figures = "these" if found.done else "the models that were ready in the first fold"
    return [f"stopped early, after {found.done} of {planned} folds: the figures are of {figures}"]


def _pairs(models: Sequence[str] | None, encodings: Sequence[str] | None) -> list[Pair]:
    """The requested models and encodings. Raises InputError for an unknown name or a missing library."""
    _check_names("model", models or (), MODELS)
    _check_names("encoding", encodings or (), ENCODINGS)
    wanted = installed(ENCODINGS) if encodings is None else encodings
    chosen = models or [name for name in installed(MODELS) if not MODELS[name].slow]
    return [(model, e) for model in chosen for e in MODELS[model].encodings if e in wanted]


def _check_names(noun: str, names: Sequence[str], options: Mapping[str, Model | Encoding]) -> None:
    for name in names:
        if name not in options:
            raise unknown_name(noun, name, options)
        if name not in installed(options):
            raise InputError(f"the {noun} {name!r} needs {options[name].library}, which is not installed")


def _learns_logarithm(outcome: TargetColumn, metric: str) -> bool:
    """Whether models learn the logarithm: of a positive number, where the metric is relative or it takes the skew."""
    if outcome.is_classification or (outcome.values <= 0).any():
        return False
    return METRICS[metric].relative or outcome.target.log


def _roles(features: Table, categories: Sequence[str]) -> tuple[Roles, list[str]]:
    idle = [column.name for column in features.columns if _is_constant(column.values, column.missing)]
    notes = [f"{name} is the same in every row used and was left out" for name in idle]
    if len(idle) == len(features.columns):
        raise InputError("every column is the same in every row: there is nothing to encode")
    roles = assign_roles(features.without(idle), categories)
    if not roles.categories:
        raise InputError(
            "no column holds categories (texts, booleans, dates, or whole numbers that recur), so there is nothing "
            "to encode: name columns of whole numbers as categories"
        )
    return roles, notes


def _is_constant(values: NDArray[Any], missing: NDArray[np.bool_]) -> bool:
    present = values[~missing]
    return bool(missing.all() or (not missing.any() and (present == present[0]).all()))


def _run(
    roles: Roles, outcome: TargetColumn, log: bool, networks: int | None, tune: int, seed: int, split: tuple[Rows, Rows]
) -> FoldRun:
    train, test = split
    learned = outcome.take(train)
    if log:
        learned = replace(learned, values=np.log(learned.values))
    fold = Fold(*without_empty(roles.take(train), roles.take(test)), learned, seed, networks)
    return FoldRun(fold, outcome.take(test), log, tune)


def _tuned(tries: int) -> list[str]:
    """What was tuned, in words."""
    if not tries:
        return []
    best = f"each model has the best of its fixed settings and {tries} others on a fifth of the training rows"
    return [f"{best}; the encoder, TabM and RealMLP have their defaults"]
