"""Line charts in the common style, as matplotlib figures, of numbers over time or distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.errors import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Scale = Literal["linear", "log"]
FEW = 1000
"""A logarithmic axis whose ends differ by less than this factor is labelled with plain numbers, at 1, 2 and 5."""


@dataclass(frozen=True)
class Curve:
    """A line through points `x`, `y` (n,), with a band from `low` to `high` (n,) where they are given.

    In the same colour: `threshold` is a dotted line (x, y), `mark` a vertical line at one x.
    """

    x: Sequence[float] | NDArray[Any]
    y: Sequence[float] | NDArray[Any]
    low: Sequence[float] | NDArray[Any] | None = None
    high: Sequence[float] | NDArray[Any] | None = None
    threshold: tuple[NDArray[Any], NDArray[Any]] | None = None
    mark: float | None = None


def curves(
    series: Mapping[str, Curve] | Mapping[str, Mapping[str, Curve]],
    *,
    x_label: str,
    y_label: str,
    title: str | None = None,
    note: str | None = None,
    x_scale: Scale = "linear",
    y_scale: Scale = "linear",
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """A line chart of `series`: curves by name in one panel, or panels by title, side by side with one y axis.

    A name has the same colour in all panels. `levels` are horizontal reference lines by name, for example a baseline,
    `note` is written below.
    """
    panels: Any = {"": series} if any(isinstance(value, Curve) for value in series.values()) else series
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    picture, axes = style.figure(7.5 * max(1.0, 0.62 * len(panels)), 4.5, columns=len(panels))
    for axis in axes[1:]:
        axis.sharey(axes[0])
        axis.tick_params(labelleft=False)
    for axis, (heading, panel) in zip(axes, panels.items(), strict=True):
        for name, curve in panel.items():
            _draw(axis, name, curve, names.index(name))
        for name, level in (levels or {}).items():
            _draw_level(axis, name if axis is axes[-1] else "", level)
        axis.set_xscale(x_scale)
        axis.set_yscale(y_scale)
        if x_scale == "log":
            _mark_powers(axis.xaxis, axis.get_xlim())
        if y_scale == "log":
            _mark_powers(axis.yaxis, axis.get_ylim())
        axis.set_xlabel(x_label, color=style.INK)
        axis.set_title(heading, color=style.INK, fontsize=10, loc="left")
    axes[0].set_ylabel(y_label, color=style.INK)
    if names != [""]:
        handles = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        axes[-1].legend(handles.values(), handles.keys(), fontsize=9, handlelength=3.2, **style.LEGEND)
    if note:
        picture.supxlabel(note, fontsize=9, color=style.FAINT, parse_math=False)
    style.add_title(picture, title)
    return picture


def _draw(axis: Axes, name: str, curve: Curve, i: int) -> None:
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    shade, dash = style.colour(i), style.DASHES[i % len(style.DASHES)]
    marks: dict[str, Any] = {
        "marker": style.MARKERS[i % len(style.MARKERS)],
        "markersize": 4.5,
        "markevery": max(1, len(x) // 12),
    }
    axis.plot(x, y, color=shade, linestyle=dash, linewidth=1.8, label=name, **marks)
    if curve.low is not None and curve.high is not None:
        axis.fill_between(x, curve.low, curve.high, color=shade, alpha=0.15, linewidth=0)
    if curve.threshold is not None:
        axis.plot(*curve.threshold, color=shade, linestyle=(0, (1, 2)), linewidth=1.3)
    if curve.mark is not None:
        axis.axvline(curve.mark, color=shade, linestyle=dash, linewidth=0.8, alpha=0.8)


def _draw_level(axis: Axes, name: str, level: float) -> None:
    axis.axhline(level, color=style.INK, linewidth=1, linestyle=(0, (1, 2)))
    axis.annotate(name, (1, level), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                  ha="left", va="center", fontsize=8, color=style.INK, annotation_clip=False)  # fmt: skip


def _mark_powers(axis: Axis, limits: tuple[float, float]) -> None:
    """Label the major ticks of a logarithmic axis only: the minor labels that matplotlib adds overlap."""
    ticker = import_extra("matplotlib.ticker")
    axis.set_minor_formatter(ticker.NullFormatter())
    if limits[1] < FEW * limits[0]:
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
