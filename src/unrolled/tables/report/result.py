"""The result of the column report: a row per column, dearest first, and its pages.

Markdown for a terminal or a repository, HTML with small plots for eyes, JSON, CSV. Nothing is greyed out: a column that
can go is shown as plainly as one that must stay. Left out: measuring and judging.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from unrolled.embedding import inert
from unrolled.errors import import_extra, unknown_name
from unrolled.files import check_out, to_json, write_file
from unrolled.html import (
    SCRIPT,
    cell,
    column_title,
    figure,
    html_page,
    html_table,
    markdown_table,
    notebook_frame,
    search_box,
)
from unrolled.tables.data.target import LOSS_NAMES, TargetType
from unrolled.tables.report.profiles import Profile, bar_svg, profile_svg
from unrolled.tables.report.verdicts import Evidence, Verdict, cost_text, missing_for_safe

ENDINGS = (".html", ".md", ".json", ".csv")
LISTED = 20  # names in a sentence; the table has them all
COST_WIDTH = 132
HEAD = ("Column", "Verdict", "Drop cost", "Distribution and target", "Alone", "Other columns", "Last tenth")


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
class ColumnReport:
    """The result of `examine_columns`: one row per column, dearest first, and how it was measured.

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

    def summary(self) -> list[str]:
        """What the whole report says, in sentences."""
        used = "all" if self.rows_used == self.rows_total else f"{self.rows_used:,} of"
        rounds = f"{self.rounds} fold{'s' * (self.rounds != 1)}"
        if self.rounds < self.rounds_asked:
            ended = "it was stopped" if self.interrupted else "the budget ended"
            rounds += f" (of {self.rounds_asked}: {ended} before the others)"
        low, high = map(figure, self.noise)
        lines = [self._together(), f"A column without information shows a drop cost between {low} and {high} here."]
        if self.safe:
            named = ", ".join(map(column_title, self.safe[:LISTED]))
            named += f" and {len(self.safe) - LISTED:,} more" if len(self.safe) > LISTED else ""
            price = f"for {figure(self.safe_price)}" if self.safe_price > 0 else "and nothing is lost"
            lines.append(f"Together these can go {price}: {named}.")
        unasked = sum(row.evidence.varies and not row.evidence.rounds for row in self.rows)
        if unasked:
            lines.append(
                f"The budget ended before each column could be dropped alone: {unasked:,} were not. Allow more "
                "seconds, or leave out columns that are not wanted anyway."
            )
        if wanted := missing_for_safe(self.rounds, self.rows_used, self.rows_total):
            lines.append(
                f"Too little was measured to call a column that varies safe to drop: that takes at least {wanted}. "
                "Allow more seconds, rows or folds."
            )
        lines.append(
            f"Measured with boosted trees on {used} {self.rows_total:,} rows, {rounds}, in {self.seconds:.0f} seconds."
        )
        return lines

    def to_markdown(self) -> str:
        """The report as Markdown: the summary, a table of figures, a list of reasons."""
        head = ("column", "verdict", "drop cost", "±", "alone", "with twins", "gain", "kind", "values", "missing",
                "empty alone", "unseen", "drift", "predicted by")  # fmt: skip
        words = ("column", "verdict", "kind", "predicted by")
        numeric = [place for place, name in enumerate(head) if name not in words]
        table = markdown_table(head, [_markdown_row(row) for row in self.rows], numeric)
        reasons = "\n".join(f"- **{column_title(row.name)}**: {row.verdict}. {row.reason}" for row in self.rows)
        lines = "\n".join(self.summary())
        return f"# Columns that predict {self.target}\n\n{lines}\n\n{table}\n{reasons}\n"

    def to_html(self) -> str:
        """The report as one self-contained HTML page: the summary, and a table that can be searched and sorted."""
        costs = [abs(row.evidence.drop_cost) + row.evidence.drop_cost_spread for row in self.rows]
        reach = max(*map(abs, self.noise), *costs, 1e-6)
        lead, *paragraphs = self.summary()
        title = f"Columns that predict {self.target}"
        table = html_table(HEAD, [_html_row(row, self, reach) for row in self.rows], numeric=(4,), sortable=True)
        body = (
            f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>'
            + "".join(f"<p>{escape(line)}</p>" for line in paragraphs)
            + search_box(len(self.rows), "columns", HEAD)
            + table
            + _legend(self.outcome)
        )
        return html_page(title, body, script=SCRIPT)

    def __repr__(self) -> str:
        return (
            f"ColumnReport({self.target!r}, {len(self.rows)} columns explain {self.full:.3f}, {len(self.safe)} can go)"
        )

    def _repr_html_(self) -> str:
        return notebook_frame(self.to_html())

    def save(self, path: str | Path) -> None:
        """Write the report in the format of the path's ending: .html, .md, .json or .csv."""
        makers = {
            ".html": lambda: self.to_html().encode(),
            ".md": lambda: self.to_markdown().encode(),
            ".json": lambda: to_json(self.to_dict()),
            ".csv": self._inert_csv,
        }
        write_file(Path(path), makers[check_out(Path(path), ENDINGS, "a report")]())

    def _inert_csv(self) -> bytes:
        frame = self.to_frame().map(lambda value: inert(value) if isinstance(value, str) else value)
        return str(frame.to_csv(index=False)).encode()

    def _together(self) -> str:
        share = f"share of its {LOSS_NAMES[self.target_type]}, measured on held-out rows"
        full = figure(self.full, 3) + (f" ± {self.full_spread:.3f}" if self.rounds > 1 else "")
        if self.full > 0:
            return f"All columns together explain {full} of {self.target} (1 is everything; {share})."
        return (
            f"All columns together explain nothing of {self.target}: the model does no better than a guess ({full}, "
            f"where 0 is a guess and 1 everything; {share}). More rows or other columns are needed before a verdict "
            "counts."
        )


def _markdown_row(row: ColumnRow) -> list[str]:
    e = row.evidence
    return [
        column_title(row.name),
        row.verdict + (" (too good)" if row.too_good else ""),
        figure(e.drop_cost) if e.rounds or not e.varies else "not tried",
        f"{e.drop_cost_spread:.4f}" if e.rounds > 1 else "",
        figure(e.alone, 3),
        "" if e.drop_cost_with_twins is None else figure(e.drop_cost_with_twins),
        figure(e.interaction_gain, 3),
        e.kind,
        f"{e.cardinality:,}",
        f"{e.missing:.1%}",
        figure(e.missing_alone, 3),
        f"{e.unseen:.1%}",
        f"{e.drift:.2f}",
        ", ".join(f"{column_title(name)} {share:.0%}" for name, share in e.replaced_by[:1]),
    ]


def _html_row(row: ColumnRow, report: ColumnReport, reach: float) -> str:
    e = row.evidence
    facts = f"{e.kind}, {e.cardinality:,} value{'s' * (e.cardinality != 1)}, {e.missing:.1%} missing"
    flag = "<small>too good to be true?</small>" if row.too_good else ""
    kind = "safe" if row.verdict == "safe to drop" else row.verdict
    verdict = f'<span class="verdict {kind}">{row.verdict}</span>{flag}<small>{escape(row.reason)}</small>'
    cells = [
        cell(f"{escape(column_title(row.name))}<small>{escape(facts)}</small>", "name", sort=row.name),
        cell(verdict, "reason", sort=row.verdict),
        cell(_cost(row, report, reach), "", HEAD[2], sort=e.drop_cost_after_safe or e.drop_cost),
        cell(_distribution(row.profile, report), "", HEAD[3], sort=e.cardinality),
        cell(_alone(row), "number", HEAD[4], sort=e.alone),
        cell(_relations(row), "others", HEAD[5], sort=e.replaced_by[0][1] if e.replaced_by else 0),
        cell(f"<nobr>{e.unseen:.1%} unseen</nobr><small>drift {e.drift:.2f}</small>", "", HEAD[6], sort=e.drift),
    ]
    search = escape(f"{row.name} {row.verdict} {e.kind}".lower())
    return f'<tr data-search="{search}">{"".join(cells)}</tr>'


def _cost(row: ColumnRow, report: ColumnReport, reach: float) -> str:
    """The drop cost drawn and in figures; where the verdict rests on what others leave, that cost as well."""
    e = row.evidence
    parts = [_cost_svg(row, report.noise, reach), cost_text(e)]
    if e.drop_cost_with_twins is not None:
        parts.append(f"<small>with all that determine it: {figure(e.drop_cost_with_twins, 3)}</small>")
    if e.drop_cost_after_safe is not None:
        parts.append(f"<small>once the safe ones are gone: {figure(e.drop_cost_after_safe)}</small>")
    return "".join(parts)


def _alone(row: ColumnRow) -> str:
    e = row.evidence
    gain = ("+" if round(e.interaction_gain, 3) > 0 else "") + figure(e.interaction_gain, 3)
    parts = [figure(e.alone, 3)]
    if e.rounds > 1:
        parts.append(f"<small>± {e.alone_spread:.3f}</small>")
    if e.missing:
        parts.append(f"<small>missing or not: {figure(e.missing_alone, 3)}</small>")
    return "".join([*parts, f"<small>beside others: {gain}</small>"])


def _relations(row: ColumnRow) -> str:
    def listed(relations: tuple[tuple[str, float], ...]) -> str:
        return ", ".join(f"{escape(column_title(name))} {share:.0%}" for name, share in relations[:2]) or "none"

    return f"predicted by {listed(row.evidence.replaced_by)}<small>predicts {listed(row.evidence.replaces)}</small>"


def _distribution(profile: Profile, report: ColumnReport) -> str:
    """The plot, and under it the same as a table with counts."""
    rows = [
        f"<tr><td>{escape(column_title(label))}</td><td class=number>{round(share * report.rows_total):,}</td>"
        f"<td class=number>{share:.1%}</td><td class=number>{'' if mean is None else f'{mean:,.4g}'}</td></tr>"
        for label, share, mean in zip(profile.labels, profile.shares, profile.means, strict=True)
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("value", "rows", "share", report.outcome))
    table = f'<table class="chart"><tr>{head}</tr>{"".join(rows)}</table>'
    return f"{profile_svg(profile)}<details><summary>counts</summary>{table}</details>"


def _cost_svg(row: ColumnRow, noise: tuple[float, float], reach: float) -> str:
    """The drop cost as a bar from zero, its spread as a line, the noise band behind it; all rows have one scale."""
    cost, spread = row.evidence.drop_cost, row.evidence.drop_cost_spread
    floor = -min(max(abs(noise[0]), 0.05 * reach), reach)

    def place(value: float) -> float:
        return (min(max(value, floor), reach) - floor) / (reach - floor) * COST_WIDTH

    left, right = sorted((place(0.0), place(cost)))
    band = bar_svg(place(noise[0]), 0, max(place(noise[1]) - place(noise[0]), 1), 24, "band")
    bar = bar_svg(left, 6, max(right - left, 1), 12, "bar")
    line = f'<path d="M{place(cost - spread):.1f} 12H{place(cost + spread):.1f}" stroke="var(--dot)" stroke-width="2"/>'
    zero = f'<path d="M{place(0.0):.1f} 0V24" class="grid"/>'
    ends = (
        f'<text x="{place(0.0):.0f}" y="36" text-anchor="{"start" if place(0.0) < 12 else "middle"}">0</text>'
        f'<text x="{COST_WIDTH}" y="36" text-anchor="end">{reach:.2g}</text>'
    )
    return (
        f'<svg width="{COST_WIDTH}" height="40" role="img" aria-label="drop cost">{band}{bar}{line}{zero}{ends}</svg>'
    )


def _legend(outcome: str) -> str:
    terms = {
        "Drop cost": "the share of the target that is no longer explained without the column, with its standard "
        "deviation over folds and seeds (line); the shaded band is noise, measured with shuffled copies of columns.",
        "Distribution and target": f"bars are shares of the rows, dots the {outcome}, scaled at the right.",
        "Alone": "what the column explains by itself, missing values counting as information; beside others: the drop "
        "cost minus that.",
        "Other columns": "how well single other columns predict this one, and this one them.",
        "Last tenth": "the share of the last tenth of the rows whose values do not occur before, and the distance "
        "between the two distributions: 0 if they are equal, 1 if they are disjoint.",
    }
    lines = "".join(f"<p><b>{name}</b>: {escape(text)}</p>" for name, text in terms.items())
    return f'<div class="soft">{lines}</div>'
