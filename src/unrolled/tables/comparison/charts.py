"""The charts of a comparison: SVG for its page, and the paper's figure (with and without, per model).

Left out: the page around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled import plotting as style
from unrolled.errors import import_extra
from unrolled.html import ticks
from unrolled.tables.comparison.effects import (
    ComparisonCell,
    Effect,
    change_text,
    decimals,
    effects,
    interval_text,
)
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITHOUT_COLOUR, WITH_COLOUR = "#b9c3d3", style.colour(0)
AXIS_TICKS = 6
Place = Callable[[float], str]


def effect_plot(cells: Sequence[ComparisonCell]) -> str:
    """A line a model: the change with embeddings against its best other encoding, and the interval of that."""
    shown = [e for e in effects(cells) if e.change is not None and e.interval is not None]
    if not shown:
        return ""
    bounds = [bound for e in shown for bound in (*(e.interval or ()), 0.0)]

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
    lines = {effect.model: partial(drawn, effect) for effect in shown}
    return key + _lines_on_axis(lines, min(bounds), max(bounds), "change of the error (less is better)", "{:.0%}")


def dot_plot(cells: Sequence[ComparisonCell], title: str) -> str:
    """A line a model on one axis, that of the metric `title`: a dot for each encoding, filled for embeddings."""
    if not cells:
        return ""
    low = min(c.mean - np.nan_to_num(c.spread) for c in cells)
    high = max(c.mean + np.nan_to_num(c.spread) for c in cells)
    digits = decimals(cells)

    def drawn(model: str, place: Place) -> str:
        return "".join(_dot(c, place, digits) for c in cells if c.model == model)

    key = (
        f'<p class="key">Every encoding: {_circle("with", "with embeddings")} {_circle("without", "without")}; lines '
        "are the standard deviation over seeds; point at a dot for its encoding</p>"
    )
    lines = {model: partial(drawn, model) for model in dict.fromkeys(c.model for c in cells)}
    return key + _lines_on_axis(lines, low, high, f"{title} (lower is better)", "{:,g}")


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
    tip = f"{ENCODINGS[cell.encoding].title}: {cell.text(digits)}"
    kind = "with" if cell.uses_vectors else "without"
    spread = float(np.nan_to_num(cell.spread))
    line = (
        f'<line x1="{place(cell.mean - spread)}" x2="{place(cell.mean + spread)}" y1="15" y2="15" class="{kind}"/>'
        if spread
        else ""
    )
    dot = f'<circle cx="{place(cell.mean)}" cy="15" r="{6 if cell.uses_vectors else 5}" class="{kind}"/>'
    return f"<g><title>{escape(tip)}</title>{line}{dot}</g>"


def figure(cells: Sequence[ComparisonCell], title: str) -> Figure:
    """The paper's figure: per model, the best without embeddings beside the one with, with spreads over seeds."""
    cell_of = {(c.model, c.encoding): c for c in cells}
    pairs = [(e, cell_of[e.model, e.other], cell_of[e.model, WITH_EMBEDDINGS]) for e in effects(cells)]
    drawn, (axes,) = style.figure(1.8 + 1.35 * max(len(pairs), 2), 4.4)
    axes.grid(visible=False, axis="x")
    for place, (effect, without, with_them) in enumerate(pairs):
        _bar(axes, place - 0.2, without, WITHOUT_COLOUR)
        _bar(axes, place + 0.2, with_them, WITH_COLOUR)
        axes.text(place - 0.2, 0.02, ENCODINGS[effect.other].title, transform=axes.get_xaxis_transform(), rotation=90,
                  fontsize=8, ha="center", va="bottom")  # fmt: skip
        top = with_them.mean + np.nan_to_num(with_them.spread)
        axes.annotate(change_text(effect.change).replace("%", " %"), (place + 0.2, top), (0, 3),
                      textcoords="offset points", ha="center", fontsize=9, color=WITH_COLOUR)  # fmt: skip
    axes.set_xticks(range(len(pairs)), [_broken(effect.model) for effect, *_ in pairs])
    axes.set_ylabel(f"{title}\n(lower is better)")
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
