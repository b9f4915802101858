"""A text with the background of every character coloured by a number: in the terminal, or as one HTML page.

Left out: where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrolled.html import html_page

if TYPE_CHECKING:
    from rich.text import Text

LOW, MIDDLE, HIGH = (94, 160, 214), (255, 255, 255), (241, 154, 80)
"""Blue, white, orange: light enough for black letters, distinct to colour-blind readers."""
STEPS = 8
"""Shades on either side of white."""
PAGE_STYLE = """
body { font: 16px/1.5 sans-serif; color: #1a1a1a; background: #fff; max-width: 60em; margin: 2em auto; padding: 0 1em }
pre { font: 15px/1.7 monospace; white-space: pre-wrap; overflow-wrap: anywhere } .key span { padding: .2em .6em }
"""
PAGE_BODY = """<h1>{title}</h1>
<p>{note}</p>
<p class="key"><span class="s0">{low:.2f}</span><span class="s{middle}">0</span>
<span class="s{top}">{high:.2f}</span></p>
<pre>{text}</pre>"""


def limit_of(values: NDArray[np.floating]) -> float:
    """The value with the full colour: the 99th percentile of the magnitudes, so that outliers do not fade the rest."""
    return float(np.quantile(np.abs(values), 0.99, method="higher")) or 1.0 if values.size else 1.0


def shades(values: NDArray[np.floating], limit: float) -> NDArray[np.int64]:
    """The shade of each value, 0 (at `-limit`) to 2 STEPS (at `limit`); STEPS is white."""
    scaled = np.clip(values.astype(np.float64) / limit, -1, 1)
    return np.rint(scaled * STEPS).astype(np.int64) + STEPS


def colour_of(shade: int) -> str:
    """The colour of a shade, as `#rrggbb`."""
    end, part = (HIGH if shade > STEPS else LOW), abs(shade - STEPS) / STEPS
    return "#" + "".join(f"{round(m + (e - m) * part):02x}" for m, e in zip(MIDDLE, end, strict=True))


def painted_text(text: str, values: NDArray[np.floating], limit: float | None = None) -> Text:
    """`text` for rich to print: black letters on the colours of `values` (characters,)."""
    from rich.text import Text

    painted = Text()
    for shade, run in _runs(text, shades(values, limit or limit_of(values))):
        painted.append(run, f"black on {colour_of(shade)}")
    return painted


def painted_page(text: str, values: NDArray[np.floating], title: str, note: str) -> str:
    """One HTML page, without scripts and without external resources."""
    limit = limit_of(values)
    rules = "\n".join(f".s{shade} {{ background: {colour_of(shade)} }}" for shade in range(2 * STEPS + 1))
    runs = _runs(text, shades(values, limit))
    shown = ((shade, escape(run.replace("\n", "⏎\n"))) for shade, run in runs)
    spans = "".join(f'<span class="s{shade}">{run}</span>' for shade, run in shown)
    body = PAGE_BODY.format(
        title=escape(title), note=escape(note), text=spans, low=-limit, high=limit, middle=STEPS, top=2 * STEPS
    )
    return html_page(title, body, PAGE_STYLE + rules)


def _runs(text: str, shade: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
    for value, run in groupby(zip(shade.tolist(), text, strict=True), key=lambda pair: pair[0]):
        yield value, "".join(c for _, c in run)
