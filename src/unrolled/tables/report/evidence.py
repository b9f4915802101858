"""From answers to evidence: what was measured about each column, gathered, and which columns may be idle.

Left out: asking the model (see `measures`), and the verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.target import TargetColumn
from unrolled.tables.report.features import ColumnData
from unrolled.tables.report.measures import Measures, outcome_like
from unrolled.tables.report.model import Round
from unrolled.tables.report.relations import REPLACED, drift, twins
from unrolled.tables.report.verdicts import (
    ENOUGH_ROWS,
    TOO_GOOD_SHARE,
    Context,
    Evidence,
    least_valued,
    left_unexplained,
    too_good,
)

SHOWN_RELATIONS = 3
MIN_ALONE_FOR_LEAK = 0.2


def companions(columns: Sequence[ColumnData], predicted: NDArray[np.float64]) -> dict[str, tuple[str, ...]]:
    """By column: itself and all that determine it completely. Only with all of them gone is its information gone."""
    names = [column.name for column in columns]
    return {
        name: tuple(sorted(n for i, n in enumerate(names) if i == j or predicted[i, j] >= REPLACED))
        for j, name in enumerate(names)
    }


def evidence_of(
    columns: Sequence[ColumnData], predicted: NDArray[np.float64], measures: Measures, used: int, seed: int
) -> list[Evidence]:
    """The evidence on each column, in their order.

    `predicted` is (i, j) how well column i predicts column j, of those that vary; `used` rows were measured on.
    """
    varying = [column for column in columns if column.useful]
    groups = companions(varying, predicted)
    places = {column.name: place for place, column in enumerate(varying)}
    found = []
    for column in columns:
        evidence = _described(column, used, seed)
        if column.name in places:
            evidence = _measured(evidence, places, predicted, groups[column.name], measures)
        found.append(evidence)
    return found


def _described(column: ColumnData, used: int, seed: int) -> Evidence:
    """What the column shows without a model."""
    total, cardinality = len(column.codes), len(column.levels)
    drifting = drift(column, np.arange(total), seed)
    few = column.kind == "category" and used < ENOUGH_ROWS * cardinality <= total
    return Evidence(
        column.name,
        column.kind,
        cardinality,
        float(column.missing.mean()),
        unseen=drifting.unseen,
        drift=drifting.distance,
        rows_per_value=used / cardinality if few else None,
    )


def _measured(
    evidence: Evidence,
    places: dict[str, int],
    predicted: NDArray[np.float64],
    group: tuple[str, ...],
    measures: Measures,
) -> Evidence:
    name, names = evidence.name, list(places)
    place = places[name]
    cost = measures.cost(measures.without.get(name, []))
    alike = next((g for g in twins(predicted) if place in g), [])
    with_twins = measures.without_group.get(group)
    return replace(
        evidence,
        alone=mean(measures.alone.get(name, [])),
        alone_spread=spread(measures.alone.get(name, [])),
        drop_cost=mean(cost),
        drop_cost_spread=spread(cost),
        rounds=len(cost),
        twins=tuple(names[i] for i in alike if i != place),
        drop_cost_with_twins=None if with_twins is None else mean(measures.cost(with_twins)),
        replaced_by=_best(names, predicted[:, place], name),
        replaces=_best(names, predicted[place], name),
        missing_alone=mean(measures.missing_alone.get(name, [])),
    )


def _best(names: list[str], predicted: NDArray[np.float64], own: str) -> tuple[tuple[str, float], ...]:
    ranked = sorted(((name, float(share)) for name, share in zip(names, predicted, strict=True) if name != own),
                    key=lambda item: (-round(item[1], 6), item[0]))  # fmt: skip
    return tuple((name, share) for name, share in ranked[:SHOWN_RELATIONS] if share >= 0.01)


def with_leaks(
    evidence: list[Evidence],
    full: float,
    columns: Sequence[ColumnData],
    outcome: TargetColumn,
    max_rows: int,
    seed: int,
) -> list[Evidence]:
    """The evidence with `outcome_like` of the numbers that explain much of what the others leave open.

    Two fits a column, on as many rows as are allowed at all: few rows hide how well the others predict a column.
    """
    suspicious = [e.name for e in evidence if _is_suspicious(e, full) and len(outcome.labels) <= 2]
    if not suspicious:
        return evidence
    rows = np.random.default_rng(seed).permutation(len(outcome.values))[:max_rows]
    wide = {column.name: column.take(rows) for column in columns}
    places = np.arange(len(rows))
    round_ = Round(wide, outcome.take(rows), places[len(rows) // 4 :], places[: len(rows) // 4], seed)
    found = {name: outcome_like(round_, [e.name for e in evidence if e.varies], name) for name in suspicious}
    return [replace(e, outcome_like=found.get(e.name)) for e in evidence]


def _is_suspicious(evidence: Evidence, full: float) -> bool:
    number = evidence.kind in ("number", "integer")
    return number and evidence.alone >= MIN_ALONE_FOR_LEAK and left_unexplained(evidence, full) >= TOO_GOOD_SHARE


def candidates(evidence: list[Evidence], context: Context) -> list[str]:
    """The columns whose dropping alone stays in the noise and is unlikely to cost much, least valued first.

    Left out: twins that count, categories with too few rows, and beside a suspect all that explain anything alone. None
    where folds or rows are too few to call a column safe.
    """
    if not context.is_enough:
        return []
    high = context.noise[1]
    idle = [e for e in evidence if e.varies and e.drop_cost <= high and not too_good(e, context)]
    idle = [e for e in idle if e.highest_cost <= context.largest_cost]
    idle = [e for e in idle if e.rows_per_value is None and (not context.suspects or e.alone <= high)]
    merged = {e.name for e in idle if e.twins and (e.drop_cost_with_twins or 0.0) > high}
    return [e.name for e in least_valued(idle) if e.name not in merged]


def mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """The mean, 0 of nothing."""
    return float(np.mean(values)) if len(values) else 0.0


def spread(values: Sequence[float] | NDArray[np.float64]) -> float:
    """The standard deviation, 0 of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
