"""Agreement as a picture: the probabilities of each line's choices, or of many lines the effect by distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled import plotting as style
from unrolled.embedding import visible
from unrolled.look.agreement.cues import CueEffect, DistanceBand
from unrolled.look.agreement.pairs import Agreement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 24
"""Forms of lines that are drawn one by one; of more the effects are drawn by distance."""
SHOWN = 36


def draw_agreement(
    found: Sequence[Agreement], effects: Sequence[CueEffect], bands: Sequence[DistanceBand], title: str | None = None
) -> Figure:
    """A bar of probabilities for each line, or from 25 lines on the effect of every cue by its distance.

    Lines without a cue are always bars, of which the first 24 are drawn.
    """
    if len(found) > MOST_BARS and effects:
        return _by_distance(effects, bands, title)
    return _bars(found[:MOST_BARS], title)


def _bars(found: Sequence[Agreement], title: str | None) -> Figure:
    picture, (axis,) = style.figure(9, 1.4 + 0.36 * len(found))
    axis.grid(visible=False, axis="y")
    names, note = style.drawable([_name(one) for one in found])
    for row, one in enumerate(found):
        ends = np.cumsum(one.shares)
        for i, (choice, share) in enumerate(zip(one.pair.choices, one.shares, strict=True)):
            axis.barh(row, share, 0.72, left=ends[i] - share, color=style.colour(i), edgecolor=style.PAPER)
            if share > 0.012 * (len(choice) + 4):
                _write(axis, f"{visible(choice)} {share:.0%}", (ends[i] - share / 2, row), i)
    axis.set_yticks(range(len(found)), names, fontproperties=style.font(9, text="".join(names)), parse_math=False)
    axis.set(xlim=(0, 1), ylim=(len(found) - 0.5, -0.5))
    axis.set_xlabel("\n".join(filter(None, ["probability of each choice, scaled to 1 in all", note])), color=style.INK)
    style.add_title(picture, title)
    return picture


def _name(one: Agreement) -> str:
    text = one.pair.context[-SHOWN:]
    return ("…" if len(one.pair.context) > SHOWN else "") + visible(text).replace("␣", " ").rstrip()


def _write(axis: Axes, text: str, at: tuple[float, float], i: int) -> None:
    (text,), _ = style.drawable([text])
    colour = style.INK if style.colour(i) in style.LIGHT else style.PAPER
    axis.text(*at, text, color=colour, ha="center", va="center", fontproperties=style.font(8, text=text),
              parse_math=False)  # fmt: skip


def _by_distance(effects: Sequence[CueEffect], bands: Sequence[DistanceBand], title: str | None) -> Figure:
    picture, (axis,) = style.figure(8, 5)
    shade = style.colour(0)
    axis.axhline(0, color=style.INK, linewidth=1)
    axis.plot(
        [e.distance for e in effects], [e.nats for e in effects], ".", color=style.FAINT, alpha=0.35, label="line"
    )
    if bands:
        middles = [(band.near * band.far) ** 0.5 for band in bands]
        means, lows, highs = np.array([(band.nats, band.low, band.high) for band in bands]).T
        spread = [means - lows, highs - means]
        widths = [[m - b.near for m, b in zip(middles, bands, strict=True)],
                  [b.far - m for m, b in zip(middles, bands, strict=True)]]  # fmt: skip
        axis.errorbar(middles, means, spread, widths, "o", color=shade, linewidth=1.8, label="mean and 95 % interval")
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xticks([0, 1, 2, 5, 10, 20, 50, 100, 200], ["0", "1", "2", "5", "10", "20", "50", "100", "200"])
    axis.set_xlim(min(e.distance for e in effects) * 0.8 - 0.1, max(e.distance for e in effects) * 1.25 + 0.5)
    axis.set_xlabel("characters from the cue to the choice", color=style.INK)
    axis.set_ylabel("effect on the log odds of the matching choice (nats)", color=style.INK)
    axis.legend(fontsize=9, **style.LEGEND)
    style.add_title(picture, title)
    return picture
