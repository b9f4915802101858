"""The small plot of a column: how its values spread, and the mean target beside each of them; as numbers and drawn.

Left out: the page around it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from unrolled.html import column_title
from unrolled.tables.data.target import TargetColumn
from unrolled.tables.report.features import ColumnData

BARS = 10
PLOT_WIDTH, PLOT_HEIGHT, AXIS_WIDTH = 132, 46, 46
SHOWN_LABEL = 14  # characters of a value under a plot; the table of the distribution has them whole


@dataclass(frozen=True)
class Profile:
    """Up to `BARS` bars and one for missing: label, share of the rows, mean target (None where no row is).

    For two classes the mean target is the share of the second class, for more the share of the commonest.
    """

    labels: tuple[str, ...]
    shares: tuple[float, ...]
    means: tuple[float | None, ...]


def profile(column: ColumnData, target: TargetColumn) -> Profile:
    """The profile of `column`: numbers and dates in bins of equal width, categories with the commonest first."""
    outcome = target.indicators()[:, 0]
    if column.numbers.shape[1] and len(column.levels) > BARS:
        bars, names = _bins(column)
    else:
        bars, names = _common(column)
    if column.missing.any():
        names = [*names, "(missing)"]
    bars = np.where(column.missing, len(names) - 1, bars)
    count = np.bincount(bars, minlength=len(names))
    total = np.bincount(bars, outcome, len(names))
    means = tuple(float(t / c) if c else None for t, c in zip(total, count, strict=True))
    return Profile(tuple(names), tuple((count / len(bars)).tolist()), means)


def _bins(column: ColumnData) -> tuple[NDArray[np.intp], list[str]]:
    values = column.numbers[:, 0]
    present = values[~column.missing]
    low, high = np.quantile(present, [0.01, 0.99])  # the outermost bins are open: one outlier hides nothing
    if low == high:
        low, high = present.min(), present.max()
    edges = np.linspace(low, high, BARS + 1)
    bars = np.searchsorted(edges[1:-1], np.where(column.missing, low, values), side="right")
    is_date = column.kind == "date"
    shown = [str(np.datetime64(int(edge), "D")) if is_date else f"{edge:.4g}" for edge in edges]
    return bars, [f"{a} to {b}" for a, b in itertools.pairwise(shown)]


def _common(column: ColumnData) -> tuple[NDArray[np.intp], list[str]]:
    count = np.bincount(column.codes[~column.missing], minlength=len(column.levels))
    if len(count) <= BARS and column.kind in ("integer", "boolean", "number", "date"):
        return np.maximum(column.codes, 0), list(column.levels)  # few values keep their natural order
    order = np.argsort(-count, kind="stable")
    shown = order[: BARS if len(order) <= BARS else BARS - 1]
    place = np.full(len(count) + 1, len(shown))
    place[shown] = np.arange(len(shown))
    names = [column.levels[i] for i in shown]
    rest = len(order) - len(shown)
    return place[column.codes], [*names, f"({rest:,} others)"] if rest else names


def profile_svg(profile: Profile) -> str:
    """Bars for the share of the rows, dots for the mean target on the scale at the right."""
    top = max(profile.shares, default=1) or 1
    known = [mean for mean in profile.means if mean is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    width = PLOT_WIDTH / max(len(profile.labels), 1)
    parts = []
    for i, (label, share, mean) in enumerate(zip(profile.labels, profile.shares, profile.means, strict=True)):
        tip = f"{column_title(label)}: {share:.1%} of the rows" + ("" if mean is None else f", mean target {mean:.4g}")
        height = share / top * PLOT_HEIGHT
        drawn = bar_svg(i * width, PLOT_HEIGHT + 14 - height, max(width - 2, 1), height, "bar")
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


def bar_svg(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A filled rectangle in a colour of the page's style."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="var(--{colour})"/>'
