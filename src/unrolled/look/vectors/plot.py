"""Pictures of vectors: an embedding on its main components, its path through training, distance against target.

Files end in .png or .svg (`static`, matplotlib) or .html (`interactive`, plotly). Left out: what is shown of each name
(`plot_data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError
from unrolled.look.vectors.interactive import animated_page, interactive_page
from unrolled.look.vectors.plot_data import plot_data, plot_data_at, shared_projections
from unrolled.look.vectors.static import draw_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_embedding(
    table: EmbeddingTable, path: str | Path, *, components: int | None = None, title: str | None = None
) -> None:
    """Draw `table` on its 2 or 3 main components as .png, .svg or .html, by the suffix of `path`.

    Characters are drawn as letters coloured by kind; categories as dots coloured by `target_mean`, with distinct marks
    for unknown, missing and rare. Size shows `count`. An .html page can be rotated and shows 3 components by default;
    an image shows 2, or 3 as two panels. Raises InputError for an empty table and another suffix.
    """
    path = Path(path)
    if style.check_type(path, (*style.STILL, style.PAGE)) == style.PAGE:
        page = interactive_page(plot_data(table, components or _dimensions(table)), title)
        style.write_picture(path, page.encode())
    else:
        style.save(figure_of(table, components or 2, title), path)


def figure_of(table: EmbeddingTable, components: int = 2, title: str | None = None) -> Figure:
    """The image of `plot_embedding` as a matplotlib figure."""
    data = plot_data(table, components)
    planes = [(0, 1)] if components == 2 else [(0, 1), (2, 1)]
    return draw_panels([(data, plane, "") for plane in planes], title)


def plot_side_by_side(tables: dict[str, EmbeddingTable], path: str | Path) -> None:
    """Draw tables by title side by side, each aligned to the last one (Procrustes) and on its axes; .png or .svg."""
    style.check_type(Path(path), style.STILL)
    projections = shared_projections(list(tables.values()), 2)
    panels = [
        (plot_data_at(table, projection, 2), (0, 1), name)
        for (name, table), projection in zip(tables.items(), projections, strict=True)
    ]
    figure = draw_panels(panels, None)
    style.save(figure, path)


def plot_path(tables: Sequence[EmbeddingTable], path: str | Path, *, title: str | None = None) -> None:
    """Draw how the vectors moved in training: `tables` are snapshots in order, the last one the result.

    Each snapshot is aligned to the last one (Procrustes) and shown on the last one's main components. An image has a
    line for each name that ends at its letter; an .html page is an animation, in 3 dimensions if there are that many.
    Raises InputError for fewer than 2 snapshots.
    """
    path = Path(path)
    suffix = style.check_type(path, (*style.STILL, style.PAGE))
    if len(tables) < 2:
        raise InputError(f"{len(tables)} snapshots of the vectors show no movement: at least 2 are needed")
    components = _dimensions(tables[-1]) if suffix == style.PAGE else 2
    projections = shared_projections(tables, components)
    frames = [plot_data_at(t, p, components) for t, p in zip(tables, projections, strict=True)]
    if suffix == style.PAGE:
        style.write_picture(path, animated_page(frames, title).encode())
        return
    paths = np.stack([frame.coordinates for frame in frames])
    style.save(draw_panels([(frames[-1], (0, 1), "")], title, paths), path)


def plot_distances(
    distance: NDArray[np.floating],
    difference: NDArray[np.floating],
    rank_correlation: float,
    path: str | Path,
    *,
    target: str = "target",
    title: str | None = None,
) -> None:
    """Draw the check of Guo and Berkhahn (2016, Fig. 2): do categories with similar targets have similar vectors?

    `distance` (pair,) between two vectors against `difference` (pair,) of their mean targets; .png or .svg. The line
    is the median difference in each tenth of the pairs, ordered by distance.
    """
    figure, (axis,) = style.figure(7, 5)
    faint = min(1.0, max(0.06, 400 / len(distance)))
    axis.scatter(distance, difference, s=7, color=style.colour(0), alpha=faint, linewidths=0)
    x, y = np.stack([np.median(part, axis=1) for part in _tenths(np.stack([distance, difference]))]).T
    axis.plot(x, y, color=style.colour(1), linewidth=2.5, marker="s", label="median of each tenth of the pairs")
    axis.set_xlabel("distance between the vectors of two categories", color=style.INK)
    axis.set_ylabel(f"difference of their mean {target}", color=style.INK)
    axis.set_title(f"rank correlation {rank_correlation:.2f} over {len(distance):,} pairs", fontsize=10, loc="left")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    style.add_title(figure, title)
    style.save(figure, path)


def _tenths(pairs: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    ordered = pairs[:, np.argsort(pairs[0], kind="stable")]
    return [part for part in np.array_split(ordered, 10, axis=1) if part.size]


def _dimensions(table: EmbeddingTable) -> int:
    return 3 if min(table.vectors.shape) >= 3 else 2
