"""The column report: look at every column before you drop one.

`examine_columns` measures, on the caller's own folds and within a budget of seconds, what each column is worth alone,
in company and beside its twins, and gives a verdict with a price and a reason. Left out: rendering (`column_page`), and
dropping anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.tables.data.splits import check_seed, judging_folds
from unrolled.tables.data.table import Table, check_chosen, check_columns
from unrolled.tables.data.target import TargetColumn, TargetType, split_target
from unrolled.tables.progress import OnProgress
from unrolled.tables.report.features import ColumnData, read_columns
from unrolled.tables.report.measures import Measures, affordable_rows, measure, outcome_like, recheck
from unrolled.tables.report.model import Deadline, Round
from unrolled.tables.report.profiles import Profile, profile
from unrolled.tables.report.relations import REPLACED, drift, replacements, twins
from unrolled.tables.report.verdicts import (
    ENOUGH_ROWS,
    TOO_GOOD_SHARE,
    Evidence,
    Surroundings,
    Verdict,
    decide,
    least_valued,
    left_unexplained,
    too_good,
)

SHOWN_RELATIONS = 3
MIN_ALONE_FOR_LEAK = 0.2


@dataclass(frozen=True)
class ColumnRow:
    """One column of the report: the evidence, the flag, the verdict, its reason, and data for its small plot."""

    evidence: Evidence
    too_good: bool
    verdict: Verdict
    reason: str
    profile: Profile

    @property
    def name(self) -> str:
        """The column's name."""
        return self.evidence.name


@dataclass(frozen=True)
class ColumnReport:
    """One row per column, dearest first, and how it was measured.

    `full` and `full_spread` are the share of the target explained by all columns together (see `column_model`);
    `noise` bounds the drop cost of a column that tells nothing; `safe` can be dropped together for `safe_price`.
    """

    target: str
    target_type: TargetType
    rows: tuple[ColumnRow, ...]
    full: float
    full_spread: float
    noise: tuple[float, float]
    safe: tuple[str, ...]
    safe_price: float
    rows_total: int
    rows_used: int
    rounds: int
    rounds_asked: int
    seconds: float

    def __getitem__(self, name: str) -> ColumnRow:
        """The row of the column `name`."""
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown_name("column", name, [row.name for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain values, as `to_json` of the command line prints it."""
        facts = {name: value for name, value in vars(self).items() if name != "rows"}
        return facts | {"columns": [_plain_row(row) for row in self.rows]}

    def to_frame(self) -> Any:
        """A pandas frame with one row per column, in the order of the report."""
        rows = [{k: v for k, v in _plain_row(row).items() if k != "profile"} for row in self.rows]
        return import_extra("pandas", "tables").DataFrame(rows)

    def to_markdown(self) -> str:
        """The report as a Markdown page."""
        from unrolled.tables.report.render import column_markdown

        return column_markdown(self)

    def to_html(self) -> str:
        """The report as one self-contained HTML page with small plots."""
        from unrolled.tables.report.render import column_html

        return column_html(self)

    def save(self, path: str | Path) -> None:
        """Write the report as its ending says: .html, .md, .json or .csv."""
        from unrolled.tables.report.render import save_report

        save_report(self, Path(path))


@dataclass(frozen=True)
class ExamineSettings:
    """How columns are examined.

    `cv` is a number of folds or any scikit-learn splitter; `groups` and `order` name columns: rows of one group stay
    in one fold, and rows are taken in the order of `order` (for the splitter, and for what is "the last tenth").
    """

    cv: Any = 5
    groups: str | None = None
    order: str | None = None
    seeds: int = 2
    budget: float = 120.0
    """Seconds, kept by using fewer rows and fewer rounds."""
    max_rows: int = 20_000
    categories: tuple[str, ...] = ()
    """Columns of whole numbers that are names of things."""
    ignore: tuple[str, ...] = ()
    target_type: TargetType | None = None
    seed: int = 0


def examine_columns(
    table: Any, target: str, settings: ExamineSettings | None = None, progress: OnProgress | None = None, **changes: Any
) -> ColumnReport:
    """Examine every column of `table` (pandas or polars) for predicting its column `target`.

    `changes` are fields of `ExamineSettings`. Raises InputError, naming column and value, for a table or target that
    cannot be measured. The same table and seed give the same report as long as the budget suffices.
    """
    settings = replace(settings or ExamineSettings(), **changes)
    deadline = Deadline(settings.budget)
    read = _prepared(Table.read(table), target, settings)
    features, outcome = split_target(read.without(settings.ignore), target, settings.target_type)
    columns = read_columns(features, settings.categories)
    groups = None if settings.groups is None else read[settings.groups].values
    rounds = _rounds(columns, outcome, groups, settings)
    varying = [column for column in columns if column.useful]
    told = replacements(varying, settings.seed) if varying else np.eye(0)
    companions = _companions(varying, told)
    asked = sorted({group for group in companions.values() if len(group) > 1})
    measures = measure(rounds, [c.name for c in varying], asked, deadline, progress)
    places = {column.name: place for place, column in enumerate(varying)}
    evidence = [_evidence(c, places, told, companions, measures, settings) for c in columns]
    used = len(rounds[0].target.values)
    evidence = [replace(e, rows_per_value=_rows_per_value(e, used, read.rows)) for e in evidence]
    evidence = _with_leaks(evidence, measures, columns, outcome, settings)
    return _report(evidence, columns, outcome, measures, rounds, deadline, used)


def _prepared(table: Table, target: str, settings: ExamineSettings) -> Table:
    named = [n for n in (target, settings.groups, settings.order) if n is not None]
    check_columns(table, named)
    check_chosen(table, target, settings.categories, settings.ignore)
    check_seed(settings.seed)
    if settings.seeds < 1 or settings.budget <= 0 or settings.max_rows < 1:
        raise InputError("seeds, budget and max_rows must be positive")
    return table if settings.order is None else table.sorted_by(settings.order)


def _rounds(
    columns: list[ColumnData], outcome: TargetColumn, groups: NDArray[Any] | None, settings: ExamineSettings
) -> list[Round]:
    """Every fold of every seed, on as many rows as the budget allows."""
    by_name = {column.name: column for column in columns}
    total = len(outcome.values)
    random = np.random.default_rng(settings.seed)

    def first(rows: int) -> Round:
        chosen = np.sort(random.permutation(total)[:rows])
        part = {name: column.take(chosen) for name, column in by_name.items()}
        everything = np.arange(len(chosen))
        return Round(part, outcome.take(chosen), everything, everything[: len(chosen) // 5 + 1], settings.seed)

    most = min(total, settings.max_rows)
    rows = total if isinstance(settings.cv, list | tuple) else affordable_rows(by_name, first, most, settings.budget)
    chosen = np.sort(np.random.default_rng(settings.seed).permutation(total)[:rows])  # sorted: order may be time
    sampled = {name: column.take(chosen) for name, column in by_name.items()}
    target, members = outcome.take(chosen), None if groups is None else groups[chosen]
    found = [(s, judging_folds(target, settings.cv, members, settings.seed + s)) for s in range(settings.seeds)]
    return [Round(sampled, target, train, test, settings.seed + s) for s, folds in found for train, test in folds]


def _companions(columns: list[ColumnData], told: NDArray[np.float64]) -> dict[str, tuple[str, ...]]:
    """By column: itself and all that tell it completely. Only with all of them gone is its information gone."""
    names = [column.name for column in columns]
    return {
        name: tuple(sorted(n for i, n in enumerate(names) if i == j or told[i, j] >= REPLACED))
        for j, name in enumerate(names)
    }


def _evidence(
    column: ColumnData,
    places: dict[str, int],
    told: NDArray[np.float64],
    companions: dict[str, tuple[str, ...]],
    measures: Measures,
    settings: ExamineSettings,
) -> Evidence:
    name = column.name
    everything = np.arange(len(column.codes))
    drifting = drift(column, everything, settings.seed)
    evidence = Evidence(name, column.kind, len(column.levels), float(column.missing.mean()))
    evidence = replace(evidence, unseen=drifting.unseen, drift=drifting.distance)
    if name not in places:
        return evidence
    cost = measures.cost(measures.without.get(name, []))
    group = companions[name]
    alike = next((g for g in twins(told) if places[name] in g), [])
    in_order = list(places)
    return replace(
        evidence,
        alone=_mean(measures.alone.get(name, [])),
        alone_spread=_spread(measures.alone.get(name, [])),
        drop_cost=_mean(cost),
        drop_cost_spread=_spread(cost),
        rounds=len(cost),
        twins=tuple(in_order[i] for i in alike if i != places[name]),
        drop_cost_with_twins=_mean(measures.cost(measures.without_group[group]))
        if group in measures.without_group
        else None,
        replaced_by=_best(in_order, told[:, places[name]], name),
        replaces=_best(in_order, told[places[name]], name),
        missing_alone=_mean(measures.missing_alone.get(name, [])),
    )


def _best(names: list[str], told: NDArray[np.float64], own: str) -> tuple[tuple[str, float], ...]:
    ranked = sorted(((name, float(share)) for name, share in zip(names, told, strict=True) if name != own),
                    key=lambda item: (-round(item[1], 6), item[0]))  # fmt: skip
    return tuple((name, share) for name, share in ranked[:SHOWN_RELATIONS] if share >= 0.01)


def _report(
    evidence: list[Evidence],
    columns: list[ColumnData],
    outcome: TargetColumn,
    measures: Measures,
    rounds: list[Round],
    deadline: Deadline,
    used: int,
) -> ColumnReport:
    full = _mean(measures.full)
    names = [e.name for e in evidence if e.varies]
    around = Surroundings(full, measures.noise, len(names), (), 0.0)
    around = replace(around, suspects=tuple(e.name for e in evidence if too_good(e, around)))
    safe, price, untried = recheck(rounds, names, _candidates(evidence, around), measures, deadline)
    around = replace(around, safe=tuple(safe), price=price, untried=tuple(untried))
    ordered = sorted(evidence, key=lambda e: (-e.drop_cost, -(e.drop_cost_with_twins or 0.0), -e.alone, e.name))
    data = {column.name: column for column in columns}
    rows = tuple(ColumnRow(e, too_good(e, around), *decide(e, around), profile(data[e.name], outcome)) for e in ordered)
    return ColumnReport(
        target=outcome.name,
        target_type=outcome.kind,
        rows=rows,
        full=full,
        full_spread=_spread(measures.full),
        noise=measures.noise,
        safe=tuple(row.name for row in rows if row.verdict == "safe to drop"),
        safe_price=price,
        rows_total=len(outcome.values),
        rows_used=used,
        rounds=len(measures.full),
        rounds_asked=len(rounds),
        seconds=deadline.used,
    )


def _with_leaks(
    evidence: list[Evidence],
    measures: Measures,
    columns: list[ColumnData],
    outcome: TargetColumn,
    settings: ExamineSettings,
) -> list[Evidence]:
    """The evidence with `outcome_like` of the numbers that explain much of what the others leave open.

    Two fits a column, on as many rows as are allowed at all: few rows hide how well the others tell a column.
    """
    full = _mean(measures.full)
    suspicious = [e.name for e in evidence if _is_suspicious(e, full) and len(outcome.labels) <= 2]
    if not suspicious:
        return evidence
    rows = np.random.default_rng(settings.seed).permutation(len(outcome.values))[: settings.max_rows]
    wide = {column.name: column.take(rows) for column in columns}
    places = np.arange(len(rows))
    round_ = Round(wide, outcome.take(rows), places[len(rows) // 4 :], places[: len(rows) // 4], settings.seed)
    found = {name: outcome_like(round_, [e.name for e in evidence if e.varies], name) for name in suspicious}
    return [replace(e, outcome_like=found.get(e.name)) for e in evidence]


def _is_suspicious(evidence: Evidence, full: float) -> bool:
    number = evidence.kind in ("number", "integer")
    return number and evidence.alone >= MIN_ALONE_FOR_LEAK and left_unexplained(evidence, full) >= TOO_GOOD_SHARE


def _rows_per_value(evidence: Evidence, used: int, total: int) -> float | None:
    """Rows a value of a category, if it is for the budget that they are few."""
    few = evidence.kind == "category" and used < ENOUGH_ROWS * evidence.cardinality
    return used / evidence.cardinality if few and total >= ENOUGH_ROWS * evidence.cardinality else None


def _candidates(evidence: list[Evidence], around: Surroundings) -> list[str]:
    """The columns whose dropping alone stays in the noise, least valued first.

    Left out: twins that count, categories with too few rows, and beside a suspect all that tell anything alone.
    """
    high = around.noise[1]
    idle = [e for e in evidence if e.varies and e.drop_cost <= high and not too_good(e, around)]
    idle = [e for e in idle if e.rows_per_value is None and (not around.suspects or e.alone <= high)]
    merged = {e.name for e in idle if e.twins and (e.drop_cost_with_twins or 0.0) > high}
    return [e.name for e in least_valued(idle) if e.name not in merged]


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _spread(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _plain_row(row: ColumnRow) -> dict[str, Any]:
    facts = asdict(row.evidence)
    facts["interaction_gain"] = row.evidence.interaction_gain
    return {
        "verdict": row.verdict, "reason": row.reason, "too_good": row.too_good, **facts, "profile": asdict(row.profile)
    }  # fmt: skip
