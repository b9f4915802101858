"""The column report as plain data: a row per column, dearest first, and how it was measured.

Left out: measuring, judging, and pages.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from unrolled.errors import import_extra, unknown_name
from unrolled.tables.data.target import TargetType
from unrolled.tables.report.profiles import Profile
from unrolled.tables.report.verdicts import Evidence, Verdict


@dataclass(frozen=True)
class ColumnRow:
    """One column of the report: the evidence, the flag, the verdict, its reason, and its distribution."""

    evidence: Evidence
    too_good: bool
    verdict: Verdict
    reason: str
    profile: Profile

    @property
    def name(self) -> str:
        """The column's name."""
        return self.evidence.name

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        facts = asdict(self.evidence) | {"interaction_gain": self.evidence.interaction_gain}
        verdict = {"verdict": self.verdict, "reason": self.reason, "too_good": self.too_good}
        return {**verdict, **facts, "profile": asdict(self.profile)}


@dataclass(frozen=True)
class ReportResult:
    """One row per column, dearest first, and how it was measured.

    `full` and `full_spread` are the share of the target explained by all columns together (see `model`); `noise` bounds
    the drop cost of a column without information; `safe` can be dropped together for `safe_price`. Of `rounds_asked`
    folds the budget allowed `rounds`, on `rows_used` of `rows_total` rows. `outcome` says what the mean target of a
    `Profile` is.
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
    outcome: str
    interrupted: bool = False

    def __getitem__(self, name: str) -> ColumnRow:
        """The row of the column `name`. Raises InputError for an unknown name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown_name("column", name, [row.name for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain values, as the command line prints it with --json."""
        facts = {name: value for name, value in vars(self).items() if name not in ("rows", "outcome")}
        return facts | {"columns": [row.to_dict() for row in self.rows]}

    def to_frame(self) -> Any:
        """A pandas frame with one row per column, in the order of the report."""
        rows = [{name: value for name, value in row.to_dict().items() if name != "profile"} for row in self.rows]
        return import_extra("pandas").DataFrame(rows)
