"""The column report as a page: Markdown for a terminal or a repository, HTML with small plots for eyes, JSON, CSV.

Nothing is greyed out: a column that can go is shown as plainly as one that must stay. Left out: any judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

from unrolled.embedding import inert
from unrolled.files import check_out, to_json, write_file
from unrolled.html import (
    SCRIPT,
    cell,
    column_title,
    figure,
    html_page,
    html_table,
    markdown_table,
    search_box,
)
from unrolled.tables.data.target import LOSS_NAMES
from unrolled.tables.report.profiles import Profile
from unrolled.tables.report.result import ColumnRow, ReportResult
from unrolled.tables.report.verdicts import cost_text, missing_for_safe

ENDINGS = (".html", ".md", ".json", ".csv")
LISTED = 20  # names in a sentence; the table has them all
PLOT_WIDTH, PLOT_HEIGHT, AXIS_WIDTH, COST_WIDTH = 132, 46, 46, 132
SHOWN_LABEL = 14  # characters of a value under a plot; the table of the distribution has them whole
HEAD = ("Column", "Verdict", "Drop cost", "Distribution and target", "Alone", "Other columns", "Last tenth")


def save_report(report: ReportResult, path: Path) -> None:
    """Write the report to `path`, in the format of its ending; raises InputError for another ending than `ENDINGS`."""
    makers: dict[str, Callable[[], bytes]] = {
        ".html": lambda: column_html(report).encode(),
        ".md": lambda: column_markdown(report).encode(),
        ".json": lambda: to_json(report.to_dict()),
        ".csv": lambda: _inert_csv(report),
    }
    check_ending(path)
    write_file(path, makers[path.suffix.lower()]())


def _inert_csv(report: ReportResult) -> bytes:
    frame = report.to_frame().map(lambda value: inert(value) if isinstance(value, str) else value)
    return str(frame.to_csv(index=False)).encode()


def check_ending(path: Path | None) -> None:
    """Raise InputError for a file of another ending than `ENDINGS`, or in no folder, before anything is computed."""
    if path is not None:
        check_out(path, ENDINGS, "a report")


def summary(report: ReportResult) -> list[str]:
    """What the whole report says, in sentences."""
    used = "all" if report.rows_used == report.rows_total else f"{report.rows_used:,} of"
    rounds = f"{report.rounds} fold{'s' * (report.rounds != 1)}"
    if report.rounds < report.rounds_asked:
        ended = "it was stopped" if report.interrupted else "the budget ended"
        rounds += f" (of {report.rounds_asked}: {ended} before the others)"
    low, high = map(figure, report.noise)
    lines = [
        _together(report),
        f"A column without information shows a drop cost between {low} and {high} here.",
    ]
    if report.safe:
        named = ", ".join(map(column_title, report.safe[:LISTED]))
        named += f" and {len(report.safe) - LISTED:,} more" if len(report.safe) > LISTED else ""
        price = f"for {figure(report.safe_price)}" if report.safe_price > 0 else "and nothing is lost"
        lines.append(f"Together these can go {price}: {named}.")
    unasked = sum(row.evidence.varies and not row.evidence.rounds for row in report.rows)
    if unasked:
        lines.append(
            f"The budget ended before each column could be dropped alone: {unasked:,} were not. Allow more seconds, or "
            "leave out columns that are not wanted anyway."
        )
    if wanted := missing_for_safe(report.rounds, report.rows_used, report.rows_total):
        lines.append(
            f"Too little was measured to call a column that varies safe to drop: that takes at least {wanted}. Allow "
            "more seconds, rows or folds."
        )
    lines.append(
        f"Measured with boosted trees on {used} {report.rows_total:,} rows, {rounds}, in {report.seconds:.0f} seconds."
    )
    return lines


def _together(report: ReportResult) -> str:
    share = f"share of its {LOSS_NAMES[report.target_type]}, measured on held-out rows"
    full = figure(report.full, 3) + (f" ± {report.full_spread:.3f}" if report.rounds > 1 else "")
    if report.full > 0:
        return f"All columns together explain {full} of {report.target} (1 is everything; {share})."
    return (
        f"All columns together explain nothing of {report.target}: the model does no better than a guess ({full}, "
        f"where 0 is a guess and 1 everything; {share}). More rows or other columns are needed before a verdict counts."
    )


def column_markdown(report: ReportResult) -> str:
    """The report as Markdown: the summary, a table of figures, a list of reasons."""
    head = ("column", "verdict", "drop cost", "±", "alone", "with twins", "gain", "kind", "values", "missing",
            "empty alone", "unseen", "drift", "predicted by")  # fmt: skip
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


def column_html(report: ReportResult) -> str:
    """The report as one self-contained HTML page: the summary, and a table that can be searched and sorted."""
    costs = [abs(row.evidence.drop_cost) + row.evidence.drop_cost_spread for row in report.rows]
    reach = max(*map(abs, report.noise), *costs, 1e-6)
    lead, *paragraphs = summary(report)
    title = f"Columns that predict {report.target}"
    table = html_table(HEAD, [_html_row(row, report, reach) for row in report.rows], numeric=(4,), sortable=True)
    body = (
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>'
        + "".join(f"<p>{escape(line)}</p>" for line in paragraphs)
        + search_box(len(report.rows), "columns", HEAD)
        + table
        + _legend(report)
    )
    return html_page(title, body, script=SCRIPT)


def _html_row(row: ColumnRow, report: ReportResult, reach: float) -> str:
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


def _cost(row: ColumnRow, report: ReportResult, reach: float) -> str:
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


def _distribution(profile: Profile, report: ReportResult) -> str:
    """The plot, and under it the same as a table with counts."""
    rows = [
        f"<tr><td>{escape(column_title(label))}</td><td class=number>{round(share * report.rows_total):,}</td>"
        f"<td class=number>{share:.1%}</td><td class=number>{'' if mean is None else f'{mean:,.4g}'}</td></tr>"
        for label, share, mean in zip(profile.labels, profile.shares, profile.means, strict=True)
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("value", "rows", "share", report.outcome))
    table = f'<table class="chart"><tr>{head}</tr>{"".join(rows)}</table>'
    return f"{_profile_svg(profile)}<details><summary>counts</summary>{table}</details>"


def _profile_svg(profile: Profile) -> str:
    """Bars for the share of the rows, dots for the mean target on the scale at the right."""
    top = max(profile.shares, default=1) or 1
    known = [mean for mean in profile.means if mean is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    width = PLOT_WIDTH / max(len(profile.labels), 1)
    parts = []
    for i, (label, share, mean) in enumerate(zip(profile.labels, profile.shares, profile.means, strict=True)):
        tip = f"{column_title(label)}: {share:.1%} of the rows" + ("" if mean is None else f", mean target {mean:.4g}")
        height = share / top * PLOT_HEIGHT
        drawn = _bar(i * width, PLOT_HEIGHT + 14 - height, max(width - 2, 1), height, "bar")
        if mean is not None:
            y = 14 + PLOT_HEIGHT * (1 - ((mean - low) / (high - low) if high > low else 0.5))
            drawn += f'<circle cx="{(i + 0.5) * width - 1:.1f}" cy="{y:.1f}" r="3" fill="var(--dot)"/>'
        parts.append(f"<g><title>{escape(tip)}</title>{drawn}</g>")
    return (
        f'<svg width="{PLOT_WIDTH + AXIS_WIDTH}" height="{PLOT_HEIGHT + 30}" role="img" '
        f'aria-label="distribution">{"".join(parts)}{_axes(profile, top, low, high, bool(known))}</svg>'
    )


def _axes(profile: Profile, top: float, low: float, high: float, has_means: bool) -> str:
    """The share of the highest bar, the first and last value, and the range of the dots."""
    base = PLOT_HEIGHT + 14
    texts = [(0.0, 9, "start", f"{top:.0%} of rows at most", "")]
    shown = [label for label in profile.labels if label != "(missing)"]
    if shown:
        first, last = (column_title(label).split(" to ")[i] for label, i in ((shown[0], 0), (shown[-1], -1)))
        texts.append((0.0, base + 13, "start", _short(first), ""))
        if len(shown) > 1:
            texts.append((PLOT_WIDTH - 2, base + 13, "end", _short(last), ""))
    if has_means:
        ends = {high: 14 + 4, low: base} if high > low else {high: 14 + PLOT_HEIGHT // 2 + 4}
        texts += [(PLOT_WIDTH + 2, y, "start", f"{value:.3g}", "var(--dot)") for value, y in ends.items()]
    line = f'<path d="M0 {base + 0.5}H{PLOT_WIDTH}" class="grid" fill="none"/>'
    return line + "".join(
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{f" style=fill:{colour}" if colour else ""}>'
        f"{escape(text)}</text>"
        for x, y, anchor, text, colour in texts
    )


def _short(text: str) -> str:
    if "e+" in text and text.replace("e+", "").replace(".", "").strip("-").isdigit():
        text = f"{float(text):,.0f}"  # the bounds of bins have four digits
    limit = SHOWN_LABEL - 4
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _cost_svg(row: ColumnRow, noise: tuple[float, float], reach: float) -> str:
    """The drop cost as a bar from zero, its spread as a line, the noise band behind it; all rows have one scale."""
    cost, spread = row.evidence.drop_cost, row.evidence.drop_cost_spread
    floor = -min(max(abs(noise[0]), 0.05 * reach), reach)

    def place(value: float) -> float:
        return (min(max(value, floor), reach) - floor) / (reach - floor) * COST_WIDTH

    left, right = sorted((place(0.0), place(cost)))
    band = _bar(place(noise[0]), 0, max(place(noise[1]) - place(noise[0]), 1), 24, "band")
    bar = _bar(left, 6, max(right - left, 1), 12, "bar")
    line = f'<path d="M{place(cost - spread):.1f} 12H{place(cost + spread):.1f}" stroke="var(--dot)" stroke-width="2"/>'
    zero = f'<path d="M{place(0.0):.1f} 0V24" class="grid"/>'
    ends = (
        f'<text x="{place(0.0):.0f}" y="36" text-anchor="{"start" if place(0.0) < 12 else "middle"}">0</text>'
        f'<text x="{COST_WIDTH}" y="36" text-anchor="end">{reach:.2g}</text>'
    )
    return (
        f'<svg width="{COST_WIDTH}" height="40" role="img" aria-label="drop cost">{band}{bar}{line}{zero}{ends}</svg>'
    )


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="var(--{colour})"/>'


def _legend(report: ReportResult) -> str:
    terms = {
        "Drop cost": "the share of the target that is no longer explained without the column, with its standard "
        "deviation over folds and seeds (line); the shaded band is noise, measured with shuffled copies of columns.",
        "Distribution and target": f"bars are shares of the rows, dots the {report.outcome}, scaled at the right.",
        "Alone": "what the column explains by itself, missing values counting as information; beside others: the drop "
        "cost minus that.",
        "Other columns": "how well single other columns predict this one, and this one them.",
        "Last tenth": "the share of the last tenth of the rows whose values do not occur before, and the distance "
        "between the two distributions: 0 if they are equal, 1 if they are disjoint.",
    }
    lines = "".join(f"<p><b>{name}</b>: {escape(text)}</p>" for name, text in terms.items())
    return f'<div class="soft">{lines}</div>'
