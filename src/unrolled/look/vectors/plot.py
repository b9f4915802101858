"""Pictures of vectors: an embedding on its main components, and distance against target.

Files end in .png or .svg (`static`, matplotlib) or .html (`interactive`, plotly). Left out: what is shown of each name
(`plot_data`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.embedding import EmbeddingTable
from unrolled.look.vectors.interactive import interactive_page
from unrolled.look.vectors.plot_data import plot_data
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
        dimensions = components or (3 if min(table.vectors.shape) >= 3 else 2)
        page = interactive_page(plot_data(table, dimensions), title)
        style.write_picture(path, page.encode())
    else:
        style.save(figure_of(table, components or 2, title), path)


def figure_of(table: EmbeddingTable, components: int = 2, title: str | None = None) -> Figure:
    """The image of `plot_embedding` as a matplotlib figure."""
    data = plot_data(table, components)
    planes = [(0, 1)] if components == 2 else [(0, 1), (2, 1)]
    return draw_panels(data, planes, title)


def plot_distances(
    distance: NDArray[np.floating],
    difference: NDArray[np.floating],
    rank_correlation: float,
    path: str | Path,
    *,
    title: str | None = None,
) -> None:
    """Draw the check of Guo and Berkhahn (2016, Fig. 2): do categories with similar targets have similar vectors?

    `distance` (pair,) between two vectors against `difference` (pair,) of their mean targets; .png or .svg. The line
    is the median difference in each tenth of the pairs, ordered by distance.
    """
    figure, (axis,) = style.figure(7, 5)
    faint = min(1.0, max(0.06, 400 / len(distance)))
    axis.scatter(distance, difference, s=7, color=style.colour(0), alpha=faint, linewidths=0)
    ordered = np.stack([distance, difference])[:, np.argsort(distance, kind="stable")]
    tenths = [part for part in np.array_split(ordered, 10, axis=1) if part.size]
    x, y = np.stack([np.median(part, axis=1) for part in tenths]).T
    axis.plot(x, y, color=style.colour(1), linewidth=2.5, marker="s", label="median of each tenth of the pairs")
    axis.set_xlabel("distance between the vectors of two categories", color=style.INK)
    axis.set_ylabel("difference of their mean target", color=style.INK)
    axis.set_title(f"rank correlation {rank_correlation:.2f} over {len(distance):,} pairs", fontsize=10, loc="left")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    style.add_title(figure, title)
    style.save(figure, path)
