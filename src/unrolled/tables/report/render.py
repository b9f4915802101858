"""The column report as a page: Markdown for a terminal or a repository, HTML with small plots for eyes, JSON, CSV.

Nothing is greyed out: a column that can go is shown as plainly as one that must stay. Left out: any judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.files import to_json, write_file
from unrolled.html import cell, check_out, column_title, figure, html_page, html_table, markdown_table
from unrolled.tables.report.profiles import Profile
from unrolled.tables.report.verdicts import Evidence, cost_text

if TYPE_CHECKING:
    from unrolled.tables.report.columns import ColumnReport, ColumnRow

ENDINGS = (".html", ".md", ".json", ".csv")
LISTED = 20  # names in a sentence; the table has them all
BAR_WIDTH, PLOT_HEIGHT, COST_WIDTH = 10, 46, 150
UNITS = {"continuous": "variance", "binary": "log loss", "multiclass": "log loss"}
HEAD = ("Column", "Verdict", "Drop cost", "Values and target", "Alone", "With others", "Other columns", "Tomorrow")


def save_report(report: ColumnReport, path: Path) -> None:
    """Write the report to `path`, in the format of its ending; raises InputError for another ending than `ENDINGS`."""
    makers: dict[str, Callable[[], bytes]] = {
        ".html": lambda: report.to_html().encode(),
        ".md": lambda: report.to_markdown().encode(),
        ".json": lambda: to_json(report.to_dict()),
        ".csv": lambda: str(report.to_frame().to_csv(index=False)).encode(),
    }
    check_ending(path)
    write_file(path, makers[path.suffix]())


def check_ending(path: Path | None) -> None:
    """Raise InputError for a file of another ending than `ENDINGS`, or in no folder, before anything is computed."""
    check_out(path, ENDINGS, "a report")


def summary(report: ColumnReport) -> list[str]:
    """What the whole report says, in sentences."""
    used = "all" if report.rows_used == report.rows_total else f"{report.rows_used:,} of"
    rounds = f"{report.rounds} fold{'s' * (report.rounds != 1)}"
    if report.rounds < report.rounds_asked:
        rounds += f" (of {report.rounds_asked}: the budget ended)"
    low, high = map(figure, report.noise)
    lines = [
        _together(report),
        f"A column that tells nothing shows a drop cost between {low} and {high} here.",
    ]
    if report.safe:
        named = ", ".join(map(column_title, report.safe[:LISTED]))
        named += f" and {len(report.safe) - LISTED:,} more" if len(report.safe) > LISTED else ""
        price = f"for {figure(report.safe_price)}" if report.safe_price > 0 else "and nothing is lost"
        lines.append(f"Together these can go {price}: {named}.")
    unasked = sum(row.evidence.varies and not row.evidence.rounds for row in report.rows)
    if unasked:
        lines.append(f"The budget ended before each column could be dropped alone: {unasked:,} were not.")
    lines.append(
        f"Measured with boosted trees on {used} {report.rows_total:,} rows, {rounds}, in {report.seconds:.0f} seconds."
    )
    return lines


def _together(report: ColumnReport) -> str:
    share = f"share of its {UNITS[report.target_type]}, judged on rows kept back"
    full = figure(report.full, 3) + (f" ± {report.full_spread:.3f}" if report.rounds > 1 else "")
    if report.full > 0:
        return f"All columns together explain {full} of {report.target} (1 is everything; {share})."
    return (
        f"All columns together explain nothing of {report.target}: the model does no better than a guess ({full}, "
        f"where 0 is a guess and 1 everything; {share}). More rows or other columns are needed before a verdict counts."
    )


def column_markdown(report: ColumnReport) -> str:
    """The report as Markdown: the summary, a table of figures, a list of reasons."""
    head = ("column", "verdict", "drop cost", "±", "alone", "with twins", "gain", "kind", "values", "missing",
            "empty alone", "unseen", "drift", "told by")  # fmt: skip
    table = markdown_table(head, [_markdown_row(row) for row in report.rows], numeric=(2, 3, 4, 5, 6, 8, 9, 10, 11, 12))
    reasons = "\n".join(f"- **{column_title(row.name)}**: {row.verdict}. {row.reason}" for row in report.rows)
    lines = "\n".join(summary(report))
    return f"# Columns that predict {report.target}\n\n{lines}\n\n{table}\n{reasons}\n"


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


def column_html(report: ColumnReport) -> str:
    """The report as one self-contained HTML page."""
    reach = max([abs(bound) for bound in report.noise] + [_reach(row) for row in report.rows] + [1e-6])
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in summary(report))
    title = f"Columns that predict {report.target}"
    rows = [_html_row(row, report, reach) for row in report.rows]
    return html_page(title, f"<h1>{escape(title)}</h1>{paragraphs}{html_table(HEAD, rows, numeric=(4, 5))}{_legend()}")


def _reach(row: ColumnRow) -> float:
    return abs(row.evidence.drop_cost) + row.evidence.drop_cost_spread


def _html_row(row: ColumnRow, report: ColumnReport, reach: float) -> str:
    e = row.evidence
    facts = f"{e.kind}, {e.cardinality:,} value{'s' * (e.cardinality != 1)}, {e.missing:.1%} missing"
    flag = "<small>too good to be true?</small>" if row.too_good else ""
    kind = "safe" if row.verdict == "safe to drop" else row.verdict
    cells = [
        cell(f"{escape(column_title(row.name))}<small>{escape(facts)}</small>", "name"),
        cell(f'<span class="verdict {kind}">{row.verdict}</span>{flag}<small>{escape(row.reason)}</small>', "reason"),
        cell(_cost_svg(row, report.noise, reach) + cost_text(e)),
        cell(_profile_svg(row.profile)),
        cell(f"{figure(e.alone, 3)}{_spread(e)}{_missing_alone(row)}", "number"),
        cell(_company(row), "number"),
        cell(_relations(row)),
        cell(f"{e.unseen:.1%} unseen<small>drift {e.drift:.2f}</small>"),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _spread(evidence: Evidence) -> str:
    return f"<small>± {evidence.alone_spread:.3f}</small>" if evidence.rounds > 1 else ""


def _missing_alone(row: ColumnRow) -> str:
    return f"<small>empty or not: {figure(row.evidence.missing_alone, 3)}</small>" if row.evidence.missing else ""


def _company(row: ColumnRow) -> str:
    e = row.evidence
    twins = e.drop_cost_with_twins
    below = "" if twins is None else f"<small>all that tell it: {figure(twins, 3)}</small>"
    return ("+" if round(e.interaction_gain, 3) > 0 else "") + figure(e.interaction_gain, 3) + below


def _relations(row: ColumnRow) -> str:
    def listed(relations: tuple[tuple[str, float], ...]) -> str:
        return ", ".join(f"{escape(column_title(name))} {share:.0%}" for name, share in relations[:2]) or "none"

    return f"told by {listed(row.evidence.replaced_by)}<small>tells {listed(row.evidence.replaces)}</small>"


def _profile_svg(profile: Profile) -> str:
    """Bars for the share of the rows, dots for the mean target, each on its own scale."""
    top = max(profile.shares, default=1) or 1
    known = [mean for mean in profile.means if mean is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    parts = []
    for i, (label, share, mean) in enumerate(zip(profile.labels, profile.shares, profile.means, strict=True)):
        tip = f"{column_title(label)}: {share:.1%} of the rows" + ("" if mean is None else f", mean target {mean:.4g}")
        height = share / top * PLOT_HEIGHT
        drawn = _bar(i * BAR_WIDTH, PLOT_HEIGHT + 4 - height, BAR_WIDTH - 2, height, "bar")
        if mean is not None:
            y = 4 + PLOT_HEIGHT * (1 - ((mean - low) / (high - low) if high > low else 0.5))
            drawn += f'<circle cx="{i * BAR_WIDTH + BAR_WIDTH / 2 - 1}" cy="{y:.1f}" r="3" fill="var(--dot)"/>'
        parts.append(f"<g><title>{escape(tip)}</title>{drawn}</g>")
    width = max(len(profile.labels), 1) * BAR_WIDTH
    return f'<svg width="{width}" height="{PLOT_HEIGHT + 8}" role="img" aria-label="values">{"".join(parts)}</svg>'


def _cost_svg(row: ColumnRow, noise: tuple[float, float], reach: float) -> str:
    """The drop cost as a bar from zero, its spread as a line, the noise band behind it."""
    cost, spread = row.evidence.drop_cost, row.evidence.drop_cost_spread
    floor = min(noise[0], cost - spread, -0.05 * reach)

    def place(value: float) -> float:
        return (max(value, floor) - floor) / (reach - floor) * COST_WIDTH

    left, right = sorted((place(0.0), place(cost)))
    band = _bar(place(noise[0]), 0, max(place(noise[1]) - place(noise[0]), 1), 24, "band")
    bar = _bar(left, 6, max(right - left, 1), 12, "bar")
    line = f'<path d="M{place(cost - spread):.1f} 12H{place(cost + spread):.1f}" stroke="var(--dot)" stroke-width="2"/>'
    return f'<svg width="{COST_WIDTH}" height="24" role="img" aria-label="drop cost">{band}{bar}{line}</svg>'


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="var(--{colour})"/>'


def _legend() -> str:
    return (
        '<p class="soft">Values and target: bars are shares of the rows, dots the mean target. Drop cost: the share of '
        "the target that is no longer explained without the column, with its spread over folds and seeds; the shaded "
        "band is noise, measured with shuffled copies. Alone: what the column explains by itself, missing values kept "
        "as information. With others: what it is worth in company beyond what it is worth alone. Told by: how well one "
        "other column predicts this one. Tomorrow: values of the last tenth of the rows that were not there before, "
        "and the distance between the two distributions.</p>"
    )
