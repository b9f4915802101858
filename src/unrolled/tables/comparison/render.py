"""The comparison as a page: Markdown, self-contained HTML, JSON, and the paper's figure (with and without, per model).

Left out: any fitting, and the words of the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled import plotting as style
from unrolled.errors import import_extra
from unrolled.files import check_out, to_json, write_file
from unrolled.html import cell as html_cell
from unrolled.html import html_page, html_table, markdown_table, ticks
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS
from unrolled.tables.comparison.result import OWN_NETWORKS, ComparisonCell, ComparisonResult, Effect
from unrolled.tables.comparison.verdict import change_text, decimals, interval_text, verdict
from unrolled.tables.data.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".html", ".md", ".json", ".png")
WITHOUT_COLOUR, WITH_COLOUR = "#b9c3d3", style.colour(0)
AXIS_TICKS = 6


def save_comparison(result: ComparisonResult, path: Path) -> None:
    """Write the comparison in the format of the path's ending; raises InputError for another than `ENDINGS`."""
    makers = {
        ".html": lambda: comparison_html(result).encode(),
        ".md": lambda: comparison_markdown(result).encode(),
        ".json": lambda: to_json(plain_values(result)),
        ".png": lambda: style.rendered(figure(result), ".png"),
    }
    check_ending(path)
    write_file(path, makers[path.suffix.lower()]())


def check_ending(path: Path | None) -> None:
    """Refuse a file before anything is computed.

    Raises InputError for another ending than `ENDINGS` or no such folder, MissingExtraError for a figure without
    matplotlib.
    """
    if path is not None and check_out(path, ENDINGS, "a comparison") == ".png":
        import_extra("matplotlib.figure")


def plain_values(result: ComparisonResult) -> dict[str, Any]:
    """The whole comparison as plain values."""
    facts = {name: value for name, value in vars(result).items() if name != "cells"}
    cells = [{**vars(c), "mean": c.mean, "spread": None if np.isnan(c.spread) else c.spread} for c in result.cells]
    return facts | {"cells": cells, "effects": [vars(e) for e in result.effects()], "verdict": verdict(result)}


def _method(result: ComparisonResult) -> str:
    used = "all" if result.rows_used == result.rows_total else f"{result.rows_used:,} of"
    log = ", models learn its logarithm" if result.log_target else ""
    return (
        f"Target {result.target} ({result.target_type}{log}); {METRICS[result.metric].title}, lower is "
        f"better; mean ± standard deviation over {result.seeds} seed{'s' * (result.seeds != 1)} of {result.folds} "
        f"fold{'s' * (result.folds != 1)} on {used} {result.rows_total:,} rows; every encoding is fitted "
        f"inside each training fold. The best of each row is marked. {result.seconds:.0f} seconds."
    )


def _error(cell: ComparisonCell, digits: int) -> str:
    spread = "" if np.isnan(cell.spread) else f" ± {cell.spread:,.{digits}f}"
    return f"{cell.mean:,.{digits}f}{spread}"


def comparison_markdown(result: ComparisonResult) -> str:
    """The comparison as Markdown: the verdict, the table, notes."""
    encodings, digits = result.encodings, decimals(result)

    def text(model: str, encoding: str) -> str:
        cell = result.cell(model, encoding)
        if cell is None:
            return ""
        error = _error(cell, digits)
        error = f"**{error}**" if cell is result.best(model) else error
        return f"{error} ({', '.join([*_beside(result, cell), f'{cell.seconds:.1f} s'])})"

    rows = [[model, *(text(model, encoding) for encoding in encodings)] for model in result.models]
    head = ["model", *(ENCODINGS[e].title for e in encodings)]
    table = markdown_table(head, rows, numeric=range(1, len(encodings) + 1))
    notes = "".join(f"- {note}\n" for note in _notes(result))
    return f"# {_title(result)}\n\n{verdict(result)}\n\n{_method(result)}\n\n{table}\n{notes}"


def _title(result: ComparisonResult) -> str:
    return f"Did embeddings help to predict {result.target}?"


def _notes(result: ComparisonResult) -> list[str]:
    notes = list(result.notes)
    if result.cell(*OWN_NETWORKS) is not None:
        notes.append("network, native: the networks that the vectors come from, averaged")
    return notes


def comparison_html(result: ComparisonResult) -> str:
    """The comparison as one self-contained HTML page."""
    title = _title(result)
    head = ["Model", *(_capitalized(ENCODINGS[e].title) for e in result.encodings)]
    rows = [_html_row(result, model, head) for model in result.models]
    notes = "".join(f"<li>{escape(note)}</li>" for note in _notes(result))
    lead, _, rest = verdict(result).partition(": ")
    body = (
        f"<h1>{escape(title)}</h1><p class=lead>{escape(lead)}</p><p>{escape(_capitalized(rest))}</p>"
        f"{_effect_plot(result)}{_dot_plot(result)}{html_table(head, rows, range(1, len(head)))}"
        f'<ul class="soft">{notes}</ul><p class="soft">{escape(_method(result))}</p>'
    )
    return html_page(title, body)


def _capitalized(title: str) -> str:
    return title[:1].upper() + title[1:]


def _html_row(result: ComparisonResult, model: str, head: list[str]) -> str:
    cells, digits, best = [html_cell(escape(model), "name")], decimals(result), result.best(model)
    for name, encoding in zip(head[1:], result.encodings, strict=True):
        cell = result.cell(model, encoding)
        text = ""
        if cell is not None:
            small = ", ".join([*_beside(result, cell), f"{cell.seconds:.1f} s"])
            text = f"{_error(cell, digits)}<small>{small}</small>"
        cells.append(html_cell(text, "number best" if cell is best else "number", name))
    return f"<tr>{''.join(cells)}</tr>"


def _beside(result: ComparisonResult, cell: ComparisonCell) -> list[str]:
    """The second metric, if there is one; of the area that is missing the area, which people know."""
    if cell.beside is None:
        return []
    return [f"AUC {1 - cell.beside:.3f}" if result.beside == "1-auc" else f"{result.beside} {cell.beside:.3f}"]


Place = Callable[[float], str]


def _effect_plot(result: ComparisonResult) -> str:
    """A line a model: the change with embeddings against its best other encoding, and the interval of that."""
    effects = [e for e in result.effects() if e.change is not None and e.interval is not None]
    if not effects:
        return ""
    bounds = [bound for e in effects for bound in (*(e.interval or ()), 0.0)]

    def drawn(effect: Effect, place: Place) -> str:
        low, high = effect.interval or (0.0, 0.0)
        told = f"{change_text(effect.change, 1)}, 95% interval {interval_text((low, high))}, against "
        told += f"{ENCODINGS[effect.other].title}"
        line = f'<line x1="{place(low)}" x2="{place(high)}" y1="15" y2="15" class="with"/>'
        dot = f'<circle cx="{place(effect.change or 0.0)}" cy="15" r="6" class="{"with" if effect.clear else "open"}"/>'
        zero = f'<line x1="{place(0)}" x2="{place(0)}" y1="0" y2="100%" class="zero"/>'
        return f"{zero}<g><title>{escape(told)}</title>{line}{dot}</g>"

    key = (
        '<p class="key">Error with embeddings against the best other encoding of the same model: '
        f"{_circle('with', 'clear')} {_circle('open', 'within chance')}; lines are 95% intervals</p>"
    )
    lines = {effect.model: partial(drawn, effect) for effect in effects}
    return key + _lines_on_axis(lines, min(bounds), max(bounds), "change of the error (less is better)", "{:.0%}")


def _dot_plot(result: ComparisonResult) -> str:
    """A line a model on one axis of errors: a dot for each encoding, filled for those with embeddings."""
    if not result.cells:
        return ""
    low = min(c.mean - np.nan_to_num(c.spread) for c in result.cells)
    high = max(c.mean + np.nan_to_num(c.spread) for c in result.cells)
    digits = decimals(result)

    def drawn(model: str, place: Place) -> str:
        return "".join(_dot(c, place, digits) for c in result.cells if c.model == model)

    key = (
        f'<p class="key">Every encoding: {_circle("with", "with embeddings")} {_circle("without", "without")}; lines '
        "are the standard deviation over seeds; point at a dot for its encoding</p>"
    )
    lines = {model: partial(drawn, model) for model in result.models}
    return key + _lines_on_axis(lines, low, high, f"{METRICS[result.metric].title} (lower is better)", "{:,g}")


def _circle(kind: str, text: str) -> str:
    return f'<nobr><svg width="14" height="12"><circle cx="6" cy="6" r="4.5" class="{kind}"/></svg> {text}</nobr>'


def _lines_on_axis(lines: Mapping[str, Callable[[Place], str]], low: float, high: float, title: str, form: str) -> str:
    """A line for each label, drawn on a common axis with round ticks in the given form."""
    marks = ticks(low, high, AXIS_TICKS)
    low, high = min(low, marks[0]), max(high, marks[-1])

    def place(value: float) -> str:
        return f"{2 + 96 * ((value - low) / (high - low) if high > low else 0.5):.2f}%"

    grid = "".join(f'<line x1="{place(m)}" x2="{place(m)}" y1="0" y2="100%" class="grid"/>' for m in marks)
    rows = "".join(
        f'<span class="label">{escape(label)}</span><svg height="30" role="img" aria-label="{escape(label)}">{grid}'
        f"{drawn(place)}</svg>"
        for label, drawn in lines.items()
    )
    axis = "".join(f'<text x="{place(m)}" y="14" class="tick">{form.format(m)}</text>' for m in marks)
    return (
        f'<div class="dots">{rows}<span></span><svg height="20" aria-hidden="true">{axis}</svg>'
        f'<span></span><span class="axis">{escape(title)}</span></div>'
    )


def _dot(cell: ComparisonCell, place: Place, digits: int) -> str:
    tip = f"{ENCODINGS[cell.encoding].title}: {_error(cell, digits)}"
    kind = "with" if cell.uses_vectors else "without"
    spread = float(np.nan_to_num(cell.spread))
    line = (
        f'<line x1="{place(cell.mean - spread)}" x2="{place(cell.mean + spread)}" y1="15" y2="15" class="{kind}"/>'
        if spread
        else ""
    )
    dot = f'<circle cx="{place(cell.mean)}" cy="15" r="{6 if cell.uses_vectors else 5}" class="{kind}"/>'
    return f"<g><title>{escape(tip)}</title>{line}{dot}</g>"


def figure(result: ComparisonResult) -> Figure:
    """The paper's figure: per model, the best without embeddings beside the one with, with spreads over seeds."""
    pairs = [(e, result.cell(e.model, e.other), result.cell(e.model, WITH_EMBEDDINGS)) for e in result.effects()]
    drawn, (axes,) = style.figure(1.8 + 1.35 * max(len(pairs), 2), 4.4)
    axes.grid(visible=False, axis="x")
    for place, (effect, without, with_them) in enumerate(pairs):
        assert without is not None
        assert with_them is not None
        _bar(axes, place - 0.2, without, WITHOUT_COLOUR)
        _bar(axes, place + 0.2, with_them, WITH_COLOUR)
        axes.text(place - 0.2, 0.02, ENCODINGS[effect.other].title, transform=axes.get_xaxis_transform(), rotation=90,
                  fontsize=8, ha="center", va="bottom")  # fmt: skip
        top = with_them.mean + np.nan_to_num(with_them.spread)
        axes.annotate(change_text(effect.change).replace("%", " %"), (place + 0.2, top), (0, 3),
                      textcoords="offset points", ha="center", fontsize=9, color=WITH_COLOUR)  # fmt: skip
    axes.set_xticks(range(len(pairs)), [_broken(effect.model) for effect, *_ in pairs])
    axes.set_ylabel(f"{METRICS[result.metric].title}\n(lower is better)")
    patch = import_extra("matplotlib.patches").Patch
    handles = [patch(color=colour) for colour in (WITHOUT_COLOUR, WITH_COLOUR)]
    names = ["best without embeddings", "with embeddings"]
    drawn.legend(handles, names, frameon=False, loc="outside upper left", ncols=1 if len(pairs) < 3 else 2)
    return drawn


def _broken(name: str) -> str:
    """A name over several lines, at its blanks, or within a word before its capitals where it is long."""
    long = len(name) > 12 and " " not in name
    return "".join(f"\n{c}" if long and i and c.isupper() else c for i, c in enumerate(name)).replace(" ", "\n")


def _bar(axes: Any, place: float, cell: ComparisonCell, colour: str) -> None:
    spread = None if np.isnan(cell.spread) else cell.spread
    axes.bar(place, cell.mean, width=0.38, color=colour, yerr=spread, capsize=3, ecolor="#444")
