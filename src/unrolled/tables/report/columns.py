"""The column report: look at every column before you drop one.

`examine_columns` measures, on folds of the caller's choice and within a budget, what each column is worth alone, beside
the others and beside its twins, and gives a verdict with a price and a reason. Three steps: `measures` asks the model,
`evidence` and `verdicts` sum up, `result` shows it. Left out: dropping anything.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.progress import OnProgress
from unrolled.tables.data.splits import check_seed, judging_folds
from unrolled.tables.data.table import read_checked
from unrolled.tables.data.target import TargetColumn, TargetType, split_target
from unrolled.tables.report.budget import TRIAL_ROWS, FitCost, timed
from unrolled.tables.report.evidence import candidates, companions, evidence_of, mean, spread, with_leaks
from unrolled.tables.report.features import ColumnData, read_columns
from unrolled.tables.report.measures import Measures, measure, recheck
from unrolled.tables.report.model import Round
from unrolled.tables.report.profiles import profile
from unrolled.tables.report.relations import replacements
from unrolled.tables.report.result import ColumnReport, ColumnRow
from unrolled.tables.report.verdicts import Context, Evidence, decide, too_good


def examine_columns(
    table: Any,
    target: str,
    *,
    cv: Any = 5,
    groups: str | None = None,
    order: str | None = None,
    seeds: int = 2,
    budget: float = 120.0,
    max_rows: int = 20_000,
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
    target_type: TargetType | None = None,
    seed: int = 0,
    progress: OnProgress | None = None,
) -> ColumnReport:
    """Examine every column of a table for predicting one of them.

    Parameters
    ----------
    table
        A pandas, polars or other data frame, (row, column).
    target
        The column to predict.
    cv
        A number of folds, a scikit-learn splitter, or pairs of training and held-out rows.
    groups, order
        Columns: rows of one value of `groups` stay in one fold, and rows are sorted by `order` before anything else,
        which also decides what "the last tenth" is.
    seeds
        How often new folds are drawn.
    budget
        Seconds, kept roughly: a few fits are timed at the beginning, and rows and folds settled once from that.
    max_rows
        Rows used at most, drawn at random.
    categories, ignore
        Columns of whole numbers that are categories, and columns to leave out.
    target_type
        "continuous", "binary" or "multiclass"; None applies the rule of `target.kind_by_rule`.
    seed
        Of the draws. The same table, settings and seed give the same report as long as the budget allows the same work.
    progress
        Called with what is being done and the share done.

    Ctrl-C or SIGTERM ends it after the fit at work; the report then holds the folds that were done, no column is called
    safe to drop, and a RuntimeWarning is given. Raises InputError, naming column and value, for a table or target that
    cannot be measured, and KeyboardInterrupt where no fold was done yet.

    >>> from unrolled import examine_columns
    >>> from unrolled.tables.data.demo import demo_table
    >>> report = examine_columns(demo_table(rows=400, shops=8).frame, "Sales", cv=2, seeds=1)
    >>> report["Shop"].verdict
    'keep'
    """
    started = time.perf_counter()
    check_seed(seed)
    if seeds < 1 or budget <= 0 or max_rows < 1:
        raise InputError("seeds, budget and max_rows must be positive")
    read = read_checked(table, target, groups, order, categories, ignore)
    features, outcome = split_target(read.without(ignore), target, target_type)
    columns = read_columns(features, categories)
    varying = [column for column in columns if column.useful]
    predicted = replacements(varying, seed) if varying else np.eye(0)
    grouped = sorted({group for group in companions(varying, predicted).values() if len(group) > 1})

    cost = _fit_cost(columns, outcome, len(grouped), seed)
    most = min(read.rows, max_rows)
    rows = read.rows if isinstance(cv, list | tuple) else cost.affordable_rows(most, budget)
    taken, judged, chosen = _drawn(columns, outcome, rows, seed)
    members = None if groups is None else read[groups].values[chosen]
    rounds = [
        Round(taken, judged, train, test, s)
        for s in range(seed, seed + seeds)
        for train, test in judging_folds(judged, cv, members, s)
    ]
    work = cost.work(rows, len(rounds), budget)
    measures = measure(rounds, [c.name for c in varying], grouped, work, progress)

    evidence = evidence_of(columns, predicted, measures, rows, seed)
    evidence = with_leaks(evidence, mean(measures.full), columns, outcome, max_rows, seed)
    context = Context(
        mean(measures.full), measures.noise, len(varying), len(measures.full), rows_used=rows, rows_total=read.rows
    )
    context = _rechecked(context, evidence, measures, rounds, [column.name for column in varying], work.trials)
    report = _report(evidence, context, columns, outcome, measures, len(rounds), time.perf_counter() - started)
    if measures.interrupted:
        warnings.warn(f"the report was stopped early, after {report.rounds} folds", RuntimeWarning, stacklevel=2)
    return report


def _rechecked(
    context: Context,
    evidence: list[Evidence],
    measures: Measures,
    rounds: Sequence[Round],
    names: Sequence[str],
    trials: int,
) -> Context:
    """`context` with what looks too good to be true, and with what dropping the idle columns together costs."""
    context = replace(context, suspects=tuple(e.name for e in evidence if too_good(e, context)))
    idle = [] if measures.interrupted else candidates(evidence, context)
    return replace(context, recheck=recheck(rounds, names, idle, measures, context.largest_cost, trials))


def _drawn(
    columns: Sequence[ColumnData], target: TargetColumn, rows: int, seed: int
) -> tuple[dict[str, ColumnData], TargetColumn, NDArray[np.intp]]:
    """Columns and target on so many rows, drawn at random, and which these are, in their order: that may be time."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(target.values))[:rows])
    return {column.name: column.take(chosen) for column in columns}, target.take(chosen), chosen


def _fit_cost(columns: Sequence[ColumnData], outcome: TargetColumn, groups: int, seed: int) -> FitCost:
    """What a fit of all columns costs, tried on a few rows."""
    taken, target, rows = _drawn(columns, outcome, TRIAL_ROWS, seed)
    everything = np.arange(len(rows))
    trial = Round(taken, target, everything, everything[: len(rows) // 5 + 1], seed)
    names = [column.name for column in columns if column.useful]
    return FitCost(timed(lambda: trial.explained(names)), len(rows), len(names), groups)


def _report(
    evidence: list[Evidence],
    context: Context,
    columns: Sequence[ColumnData],
    outcome: TargetColumn,
    measures: Measures,
    planned: int,
    seconds: float,
) -> ColumnReport:
    found = context.recheck
    evidence = [replace(e, drop_cost_after_safe=found.needed.get(e.name)) for e in evidence]
    ordered = sorted(evidence, key=lambda e: (-e.drop_cost, -(e.drop_cost_with_twins or 0.0), -e.alone, e.name))
    data = {column.name: column for column in columns}
    rows = tuple(
        ColumnRow(e, too_good(e, context), *decide(e, context), profile(data[e.name], outcome)) for e in ordered
    )
    return ColumnReport(
        target=outcome.name,
        target_type=outcome.kind,
        rows=rows,
        full=context.full,
        full_spread=spread(measures.full),
        noise=context.noise,
        safe=tuple(row.name for row in rows if row.verdict == "safe to drop"),
        safe_price=found.price,
        rows_total=context.rows_total,
        rows_used=context.rows_used,
        rounds=context.rounds,
        rounds_asked=planned,
        seconds=seconds,
        outcome=outcome.indicator_name(),
        interrupted=measures.interrupted,
    )
