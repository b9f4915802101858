"""A text with every character on the colour of a number: in the terminal, or as a page that needs nothing else.

Left out: where the numbers come from.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.text import Text

LOW, MIDDLE, HIGH = (94, 160, 214), (255, 255, 255), (241, 154, 80)
"""Blue, white, orange: light enough for black letters, told apart by colour-blind readers."""
STEPS = 8
"""Shades on either side of white."""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; color: #1a1a1a; background: #fff; max-width: 60em; margin: 2em auto }}
pre {{ font: 15px/1.7 monospace; white-space: pre-wrap; overflow-wrap: anywhere }}
.key span {{ padding: .2em .6em }}
{rules}
</style>
<h1>{title}</h1>
<p>{note}</p>
<p class="key"><span class="s0">{low:.2f}</span><span class="s{middle}">0</span>
<span class="s{top}">{high:.2f}</span></p>
<pre>{text}</pre>
</html>
"""


def limit_of(values: NDArray[np.floating]) -> float:
    """The number that gets the full colour: the 99th percentile of the sizes, so that one outlier does not pale all."""
    return float(np.quantile(np.abs(values), 0.99, method="higher")) or 1.0 if values.size else 1.0


def shades(values: NDArray[np.floating], limit: float) -> NDArray[np.int64]:
    """The shade of each value, 0 (at `-limit`) to 2 STEPS (at `limit`); STEPS is white."""
    scaled = np.clip(values.astype(np.float64) / limit, -1, 1)
    result: NDArray[np.int64] = np.rint(scaled * STEPS).astype(np.int64) + STEPS
    return result


def colour_of(shade: int) -> str:
    """The colour of a shade, as `#rrggbb`."""
    end, part = (HIGH if shade > STEPS else LOW), abs(shade - STEPS) / STEPS
    return "#" + "".join(f"{round(m + (e - m) * part):02x}" for m, e in zip(MIDDLE, end, strict=True))


def in_terminal(text: str, values: NDArray[np.floating], limit: float | None = None) -> Text:
    """`text` as rich prints it, black letters on the colours of `values` (characters,)."""
    from rich.text import Text

    painted = Text()
    for shade, run in _runs(text, shades(values, limit or limit_of(values))):
        painted.append(run, f"black on {colour_of(shade)}")
    return painted


def page(text: str, values: NDArray[np.floating], title: str, note: str, limit: float | None = None) -> str:
    """A whole HTML page, without scripts and without anything from elsewhere."""
    limit = limit or limit_of(values)
    rules = "\n".join(f".s{shade} {{ background: {colour_of(shade)} }}" for shade in range(2 * STEPS + 1))
    runs = _runs(text, shades(values, limit))
    spans = "".join(f'<span class="s{shade}">{html.escape(_line_ends(run))}</span>' for shade, run in runs)
    return PAGE.format(
        title=html.escape(title), note=html.escape(note), rules=rules, text=spans,
        low=-limit, high=limit, middle=STEPS, top=2 * STEPS,
    )  # fmt: skip


def _runs(text: str, shade: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
    for value, run in groupby(zip(shade.tolist(), text, strict=True), key=lambda pair: pair[0]):
        yield value, "".join(c for _, c in run)


def _line_ends(run: str) -> str:
    return run.replace("\n", "⏎\n")
