"""Pictures of vectors on their main components: images by matplotlib, pages by `interactive`.

An image has letters or dots, labels that never overlap, and a legend. What is shown of each name is in `plot_data`,
where labels are put in `label_placement`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.embedding import EmbeddingTable
from unrolled.errors import import_extra
from unrolled.files import check_out, write_file
from unrolled.look.vectors.interactive import interactive_page
from unrolled.look.vectors.label_placement import place_labels
from unrolled.look.vectors.plot_data import COLOURS, MARKS, PlotData, plot_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 60
GREY, PALE = "#d9d9d9", "#efe8d4"
_ALL_RINGS, _FEW_RINGS = 60, 20
_PANEL = 7.6  # inches


def plot_embedding(
    table: EmbeddingTable, path: str | Path, *, components: int | None = None, title: str | None = None
) -> None:
    """Draw `table` on its 2 or 3 main components as .png, .svg or .html, by the suffix of `path`.

    Characters are drawn as letters coloured by kind; categories as dots coloured by `target_mean`, with distinct marks
    for unknown, missing and rare. Size shows `count`. An .html page can be rotated and shows 3 components by default;
    an image shows 2, or 3 as two panels. Raises InputError for an empty table and another suffix.
    """
    path = Path(path)
    if check_out(path, (*style.STILL, style.PAGE)) == style.PAGE:
        dimensions = components or (3 if min(table.vectors.shape) >= 3 else 2)
        page = interactive_page(plot_data(table, dimensions), title)
        write_file(path, page.encode())
    else:
        style.save(figure_of(table, components or 2, title), path)


def figure_of(table: EmbeddingTable, components: int = 2, title: str | None = None) -> Figure:
    """The image of `plot_embedding` as a matplotlib figure: a panel for each plane of two components."""
    data = plot_data(table, components)
    planes = [(0, 1)] if components == 2 else [(0, 1), (2, 1)]
    figure, axes = style.figure(_PANEL * len(planes), _PANEL, columns=len(planes))
    canvas = import_extra("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    for axis, plane in zip(axes, planes, strict=True):
        at = data.coordinates[:, plane]
        axis.set(xlabel=data.axis_label(plane[0]), ylabel=data.axis_label(plane[1]))
        axis.scatter(at[:, 0], at[:, 1], s=0)
        if not data.are_characters:
            _draw_dots(axis, data, at, last=axis is axes[-1])
        axis.margins(0.08)
        axis.set_aspect("equal", adjustable="datalim")
    _legend(figure, data, title)
    notes = [_caption(data), style.drawable(data.labels)[1]]
    caption = figure.supxlabel("\n".join([*filter(None, notes), " "]), x=0.01, ha="left", fontsize=8, color=style.FAINT)
    figure.draw_without_rendering()  # settles the layout, which places depend on
    figure.set_layout_engine("none")
    left_out = [
        _draw_labels(axis, data, data.coordinates[:, plane], canvas.get_renderer())
        for axis, plane in zip(axes, planes, strict=True)
    ]
    if any(left_out):
        unnamed = f"{max(left_out):,} of {len(data.labels):,} labels did not fit and are left out"
        caption.set_text(caption.get_text().rstrip() + "\n" + unnamed)
    return figure


def _draw_dots(axis: Axes, data: PlotData, at: NDArray[np.float64], last: bool) -> None:
    values = data.values if data.values is not None else np.full(len(at), np.nan)
    known, areas = np.isfinite(values), _areas(data)
    for mark, shape in MARKS.items():
        own = np.array([group == mark for group in data.groups])
        look: dict[str, Any] = {"edgecolors": style.INK, "linewidths": 0.5 if mark == "category" else 1.8}
        if (grey := own & ~known).any():
            axis.scatter(at[grey, 0], at[grey, 1], s=areas[grey], color=GREY, marker=shape, zorder=3, **look)
        if (chosen := own & known).any():
            scale: dict[str, Any] = {"vmin": values[known].min(), "vmax": values[known].max(), "cmap": style.SCALE}
            shades, place = values[chosen], at[chosen].T
            drawn = axis.scatter(*place, s=areas[chosen], c=shades, marker=shape, zorder=3, **scale, **look)  # type: ignore[misc]
    if known.any() and last:
        bar = axis.figure.colorbar(drawn, ax=axis, fraction=0.035, pad=0.02)
        bar.set_label("mean target", color=style.INK)
        bar.outline.set_visible(False)


def _areas(data: PlotData) -> NDArray[np.float64]:
    """Areas of the dots in square points, smaller if there are many."""
    largest = float(np.clip(24000 / len(data.labels), 60, 420))
    return 14 + largest * data.sizes**2


def _draw_labels(axis: Axes, data: PlotData, at: NDArray[np.float64], renderer: Any) -> int:
    """Write the labels that fit, the most frequent first; returns how many do not."""
    per_point = axis.figure.dpi / 72
    shown, _ = style.drawable(data.labels)
    looks = [_look(data, i, shown[i]) for i in range(len(shown))]
    sizes = np.array([_extent(axis, text, look, renderer) for text, look in zip(shown, looks, strict=True)])
    pixels = axis.transData.transform(at)
    radii = None if data.are_characters else np.sqrt(_areas(data) / np.pi) * per_point
    box = axis.get_window_extent(renderer)
    most = None if data.are_characters else MOST_LABELS
    reach = 1.25 if data.are_characters else 1.0
    places = place_labels(pixels, sizes, _order(data), tuple(box.extents), radii=radii, reach=reach, most=most)  # type: ignore[arg-type]
    back = axis.transData.inverted()
    for i, place in places.items():
        x, y = back.transform(place)
        if _needs_leader(place, pixels[i], sizes[i], None if radii is None else float(radii[i])):
            axis.plot([at[i, 0], x], [at[i, 1], y], color=style.FAINT, linewidth=0.6, zorder=2)
        axis.text(x, y, shown[i], **looks[i], zorder=4)
    if data.are_characters:
        moved = [i for i in range(len(shown)) if i not in places or math.dist(places[i], pixels[i]) > 1]
        look: dict[str, Any] = {"s": 5, "alpha": 0.9 if len(moved) < 300 else 0.4, "linewidths": 0, "zorder": 2}
        axis.scatter(at[moved, 0], at[moved, 1], color=[COLOURS[data.groups[i]] for i in moved], **look)
        small = np.array([[*back.transform(places[i])] for i in places if data.groups[i] == "punctuation"])
        if len(small):  # a full stop alone would be taken for a dot, or for dirt
            axis.scatter(small[:, 0], small[:, 1], s=110, color=PALE, linewidths=0, zorder=1)
    elif data.rings is not None:
        _draw_rings(axis, data, at)
    return len(shown) - len(places)


def _order(data: PlotData) -> list[int]:
    special = np.array([group in MARKS and group != "category" for group in data.groups])
    return [int(i) for i in np.lexsort((-data.sizes, ~special))]


def _look(data: PlotData, i: int, text: str) -> dict[str, Any]:
    """The style of a label: size of a character by frequency, vowels in bold so that they show in grey too."""
    group = data.groups[i]
    if data.are_characters:
        size, bold, shade = 8.5 + 15 * float(data.sizes[i]), group == "vowel", COLOURS[group]
    else:
        size, bold, shade = 8.0, group != "category", style.INK
    font = style.font(size, bold=bold, text=text)
    return {"fontproperties": font, "color": shade, "ha": "center", "va": "center", "parse_math": False}


def _extent(axis: Axes, text: str, look: dict[str, Any], renderer: Any) -> tuple[float, float]:
    trial = axis.text(0, 0, text, **look)
    box = trial.get_window_extent(renderer)
    trial.remove()
    return box.width + 1, box.height * 0.9


def _needs_leader(
    place: tuple[float, float], point: NDArray[np.float64], size: NDArray[np.float64], radius: float | None
) -> bool:
    """Whether a label is so far from its point that a line should connect them."""
    if radius is None:
        return math.dist(place, point) > 1
    return bool((np.abs(np.array(place) - point) - size / 2 - radius > 4).any())


def _draw_rings(axis: Axes, data: PlotData, at: NDArray[np.float64]) -> None:
    assert data.rings is not None
    patches = import_extra("matplotlib.patches")
    axis.set_autoscale_on(False)
    for i in _order(data)[: len(at) if len(at) <= _ALL_RINGS else _FEW_RINGS]:
        look = {"fill": False, "edgecolor": style.FAINT, "linewidth": 0.7, "alpha": 0.7, "zorder": 1}
        axis.add_patch(patches.Circle(at[i], data.rings[i], **look))


def _legend(figure: Figure, data: PlotData, title: str | None) -> None:
    """The title and the legend of colours and marks, above all panels."""
    line = import_extra("matplotlib.lines").Line2D
    handles = []
    for group in (group for group in (*COLOURS, *MARKS) if group in data.groups):
        mark, shade, edge = ("o", COLOURS[group], None) if data.are_characters else (MARKS[group], GREY, style.INK)
        look = {"marker": mark, "color": shade, "markeredgecolor": edge, "markersize": 7}
        handles.append(line([], [], linestyle="none", label=group, **look))
    made = figure.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=9, alignment="left",
        title=title, title_fontproperties=style.font(13, text=title or ""), handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    made.get_title().set_parse_math(False)


def _caption(data: PlotData) -> str:
    """What size and rings mean."""
    size = "size: how frequent" if data.are_characters else "size: number of rows"
    if data.rings is None:
        return size
    whose = "" if len(data.labels) <= _ALL_RINGS else f" (the {_FEW_RINGS} largest)"
    return f"{size}; ring{whose}: disagreement of the networks, in the units of the axes"
