"""From measures to a verdict per column: keep, look, merge or safe to drop, with its price and a reason in a sentence.

    keep          dropping it costs more than noise
    look          a person should decide: too good to be true, values that will not exist tomorrow, or folds disagree
    merge         another column carries the same information: one of them is needed, not both
    safe to drop  it can go, together with all others of this verdict, at the price given

Left out: the measuring.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from unrolled.html import column_title, figure
from unrolled.tables.report.features import ReportKind
from unrolled.tables.report.measures import Recheck
from unrolled.tables.report.relations import REPLACED

Verdict = Literal["keep", "look", "merge", "safe to drop"]

TOO_GOOD_ALONE = 0.97  # of the target explained by one column, out of sample: rare in honest data
TOO_GOOD_SHARE = 0.2  # of what the other columns leave unexplained, explained by one more column ...
TOO_GOOD_PREDICTED = 0.5  # ... that the others predict as they predict the target ...
TOO_GOOD_TOGETHER = 0.5  # ... and that moves with the target where the others do not
ENOUGH_ROWS = 10  # of each category, before its measures are believed to be small
SAFE_ROUNDS = 2  # folds, from which on a column may be called safe to drop ...
SAFE_ROWS = 5000  # ... on so many rows, or on all of a smaller table ...
SAFE_COST = 0.05  # ... if it is unlikely to cost more than this share of what all columns explain ...
LEAST_EXPLAINED = (
    0.1  # ... taken for at least so much: where nothing is explained, costs have to be small by themselves
)
GONE_TOMORROW = 0.5  # unseen share of the last tenth from which a category will not do for new rows


@dataclass(frozen=True)
class Evidence:
    """Everything measured about one column; shares are of the target's uncertainty, 1 is all of it.

    `replaced_by` and `replaces` list other columns and how well they predict this one, or it predicts them, best first.
    `outcome_like` is (predicted by the others, moving with the target), see `measures.outcome_like`.
    """

    name: str
    kind: ReportKind
    cardinality: int
    missing: float
    alone: float = 0.0
    alone_spread: float = 0.0
    drop_cost: float = 0.0
    drop_cost_spread: float = 0.0
    rounds: int = 0
    twins: tuple[str, ...] = ()
    drop_cost_with_twins: float | None = None
    drop_cost_after_safe: float | None = None
    """What dropping it costs once the columns that are safe to drop are gone, where that is more than noise."""
    replaced_by: tuple[tuple[str, float], ...] = ()
    replaces: tuple[tuple[str, float], ...] = ()
    missing_alone: float = 0.0
    unseen: float = 0.0
    drift: float = 0.0
    outcome_like: tuple[float, float] | None = None
    rows_per_value: float | None = None
    """Of a category that the budget left with fewer than `ENOUGH_ROWS` rows a value, though the table has more."""

    @property
    def varies(self) -> bool:
        """Whether the rows differ in it at all."""
        return self.kind not in ("constant", "empty")

    @property
    def highest_cost(self) -> float:
        """The drop cost and two standard errors."""
        return self.drop_cost + 2 * self.drop_cost_spread / float(np.sqrt(max(self.rounds, 1)))

    @property
    def interaction_gain(self) -> float:
        """What it is worth beside the others beyond what it is worth alone; negative where others carry the same."""
        return self.drop_cost - max(self.alone, 0.0)


@dataclass(frozen=True)
class Context:
    """What a verdict needs beside the column: the full model, the noise band, what was measured, and the re-check."""

    full: float
    noise: tuple[float, float]
    columns: int
    """How many columns differ between rows at all."""
    rounds: int
    rows_used: int
    rows_total: int
    recheck: Recheck = field(default_factory=Recheck)
    suspects: tuple[str, ...] = ()
    """Columns that look too good to be true: as long as they are in, others look idle that are not."""

    @property
    def is_enough(self) -> bool:
        """Whether folds and rows are enough to call a column safe to drop."""
        return not missing_for_safe(self.rounds, self.rows_used, self.rows_total)

    @property
    def largest_cost(self) -> float:
        """What dropping a column that is called safe may cost at most, its uncertainty included."""
        return SAFE_COST * max(self.full, LEAST_EXPLAINED)

    @property
    def measured_on(self) -> str:
        """The folds and rows of the measurement, for people."""
        rows = f"{self.rows_used:,}" + (f" of {self.rows_total:,}" if self.rows_used < self.rows_total else "")
        return f"{self.rounds} fold{'s' * (self.rounds != 1)} of {rows} rows"


def missing_for_safe(rounds: int, rows_used: int, rows_total: int) -> str:
    """The folds and rows that it takes to call a column safe to drop, for people; empty if there are enough."""
    rows = min(SAFE_ROWS, rows_total)
    return "" if rounds >= SAFE_ROUNDS and rows_used >= rows else f"{SAFE_ROUNDS} folds of {rows:,} rows"


def too_good(evidence: Evidence, context: Context) -> bool:
    """Whether the column looks known only after the event, by the thresholds at the top of this file."""
    if evidence.alone >= TOO_GOOD_ALONE and context.columns > 1:
        return True
    if evidence.outcome_like is None:
        return False
    predicted, together = evidence.outcome_like
    return predicted >= TOO_GOOD_PREDICTED and together >= TOO_GOOD_TOGETHER


def left_unexplained(evidence: Evidence, full: float) -> float:
    """The part of what the other columns leave unexplained that this one explains."""
    rest = 1 - (full - evidence.drop_cost)
    return evidence.drop_cost / rest if rest > 0 else 0.0


def decide(evidence: Evidence, context: Context) -> tuple[Verdict, str]:
    """The verdict on a column and its reason."""
    if evidence.kind == "constant":
        return "safe to drop", "It has the same value in every row, so it carries no information: dropping it costs 0."
    if evidence.kind == "empty":
        return "safe to drop", "It is empty in every row, so it carries no information: dropping it costs 0."
    if too_good(evidence, context):
        return "look", _why_too_good(evidence)
    if evidence.drop_cost > context.noise[1]:
        return _counts(evidence, context) if context.full > 0 else ("look", _why_nothing(evidence, context))
    if evidence.twins and (evidence.drop_cost_with_twins or 0.0) > context.noise[1]:
        return "merge", _why_merge(evidence)
    if context.suspects and evidence.alone > context.noise[1]:
        return "look", _why_hidden(evidence, context)
    if evidence.name in context.recheck.safe and context.is_enough:
        return "safe to drop", _why_safe(evidence, context)
    if evidence.drop_cost_after_safe is not None:
        return "keep", _why_needed(evidence, context)
    return "look", _why_open(evidence, context)


def least_valued(evidence: list[Evidence]) -> list[Evidence]:
    """In the order in which columns are tried for dropping: those that explain least alone first, ties by name."""
    return sorted(evidence, key=lambda e: (round(max(e.alone, 0.0), 3), e.name))


def _counts(evidence: Evidence, context: Context) -> tuple[Verdict, str]:
    explained = f"of the {context.full:.3f} explained"
    if evidence.drop_cost > context.full:
        explained = f"where all columns explain {context.full:.3f}: without it they do worse than a guess"
    cost = f"Dropping it costs {_cost(evidence)} {explained}; noise reaches {context.noise[1]:.4f}"
    error = evidence.drop_cost_spread / np.sqrt(max(evidence.rounds, 1))
    if evidence.drop_cost < 2 * error:
        return "look", f"{cost}, but the folds disagree: more rows or a longer budget would tell."
    if evidence.kind == "id":
        return "look", f"{cost}: an id without repeats that helps carries the order of the rows; find out what that is."
    recurs = 2 * evidence.cardinality < context.rows_used  # else the folds judge by new names as well
    if evidence.kind == "category" and evidence.unseen >= GONE_TOMORROW and recurs:
        return (
            "look",
            f"{cost}, but {evidence.unseen:.0%} of the values in the last tenth of the rows were never seen before.",
        )
    return "keep", cost + _remark(evidence) + "."


def _remark(evidence: Evidence) -> str:
    if evidence.missing_alone > 0.5 * max(evidence.alone, 1e-9) and evidence.missing_alone > 0.01:
        return f"; whether it is empty explains {evidence.missing_alone:.3f} by itself, so do not fill it blindly"
    if evidence.missing > 0.5:
        return f"; it counts although {evidence.missing:.0%} of it is empty"
    if evidence.interaction_gain > max(0.01, 0.5 * evidence.drop_cost):
        return f"; alone it explains {figure(evidence.alone, 3)}, so it works through other columns"
    return ""


def _why_too_good(evidence: Evidence) -> str:
    if evidence.alone >= TOO_GOOD_ALONE:
        return (
            f"It explains {evidence.alone:.3f} of the target all alone, which is too good to be true: "
            "make sure that it is known before the event, and is not the target under another name."
        )
    predicted, together = evidence.outcome_like or (0.0, 0.0)
    return (
        f"It behaves like a second outcome: the other columns predict {predicted:.0%} of it, as they predict the "
        f"target, and what they leave open moves with the target (correlation {together:.2f}); make sure that it is "
        f"known before the event. Dropping it costs {_cost(evidence)}."
    )


def _why_nothing(evidence: Evidence, context: Context) -> str:
    return (
        f"Dropping it costs {_cost(evidence)}, but all columns together predict no better than a guess "
        f"({figure(context.full, 3)}), so that this says little: more rows or other columns are needed."
    )


def _why_merge(evidence: Evidence) -> str:
    return (
        f"It carries the same information as {_listed(evidence.twins)}: one can go for {_cost(evidence)}, all of them "
        f"together cost {evidence.drop_cost_with_twins:.3f}; keep one."
    )


def _why_safe(evidence: Evidence, context: Context) -> str:
    alone = figure(evidence.alone, 3)
    reason = f"Dropping it costs {_cost(evidence)}, inside the noise ({_band(context)})"
    if not evidence.rounds:
        reason = f"Within the budget it was not dropped alone, but together with others; alone it explains {alone}"
    determining = [
        name for name, share in evidence.replaced_by if share >= REPLACED and name not in context.recheck.safe
    ]
    if determining and max(evidence.alone, evidence.drop_cost_with_twins or 0.0) > context.noise[1]:
        reason += f", as long as {column_title(determining[0])} stays, which determines it completely"
    elif evidence.kind == "id":
        reason += "; it is different in every row, so nothing learned of one value serves another"
    elif evidence.rounds and evidence.alone > 0.01:
        reason += f"; alone it explains {alone}, but the other columns together say that too"
    others = [name for name in context.recheck.safe if name != evidence.name]
    reason += f"; measured in {context.measured_on}"
    if others:
        price = figure(context.recheck.price) if context.recheck.price > 0 else "nothing is lost"
        reason += f"; with {_listed(tuple(others))} gone too, {price}"
    return reason + "."


def _why_hidden(evidence: Evidence, context: Context) -> str:
    return (
        f"Dropping it costs {_cost(evidence)}, inside the noise ({_band(context)}), but only as long as "
        f"{_listed(context.suspects)} is in the table, which looks too good to be true; alone it explains "
        f"{evidence.alone:.3f}: leave {column_title(context.suspects[0])} out and look again."
    )


def _why_needed(evidence: Evidence, context: Context) -> str:
    safe = context.recheck.safe
    gone = tuple(name for name, share in evidence.replaced_by if share >= REPLACED and name in safe) or safe
    needed = f"once {_listed(gone)} {'is' if len(gone) == 1 else 'are'} gone it is needed"
    if evidence.drop_cost_with_twins is not None:
        needed += f": without it and all that determine it {evidence.drop_cost_with_twins:.3f} are lost"
    else:
        needed += f": dropping it then costs {figure(evidence.drop_cost_after_safe or 0.0)}"
    return f"Dropping it alone costs {_cost(evidence)}, inside the noise ({_band(context)}), but {needed}."


def _why_open(evidence: Evidence, context: Context) -> str:
    """Why a column that costs nothing to drop is not called safe: the evidence that is missing, and how to get it."""
    if not evidence.rounds:
        return f"The budget ended before dropping it was tried; alone it explains {figure(evidence.alone, 3)}."
    costs = f"Dropping it alone costs {_cost(evidence)}, inside the noise ({_band(context)}), but"
    if evidence.rows_per_value is not None:
        return (
            f"{costs} within the budget only {evidence.rows_per_value:.1f} rows of each of its values could be used: "
            "allow more seconds or rows."
        )
    if not context.is_enough:
        return f"{costs} too little was measured to call it safe to drop."
    if evidence.highest_cost > context.largest_cost:
        share = f", {SAFE_COST:.0%} of what all columns explain," if context.full >= LEAST_EXPLAINED else ""
        return (
            f"{costs} measured in {context.measured_on} it may be as much as {evidence.highest_cost:.4f}; above "
            f"{context.largest_cost:.4f}{share} a column is not called safe to drop: more rows or folds would tell."
        )
    return f"{costs} the budget ended before it could be tried together with the others: allow more seconds."


def cost_text(evidence: Evidence) -> str:
    """The drop cost with its spread, as far as there is one."""
    if evidence.varies and not evidence.rounds:
        return "not tried"
    return figure(evidence.drop_cost) + (f" ± {evidence.drop_cost_spread:.4f}" if evidence.rounds > 1 else "")


def _cost(evidence: Evidence) -> str:
    return cost_text(evidence) + (" (in one fold)" if evidence.rounds == 1 else "")


def _band(context: Context) -> str:
    return f"{figure(context.noise[0])} to {figure(context.noise[1])}"


def _listed(names: tuple[str, ...]) -> str:
    shown = [column_title(name) for name in names[:3]] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
