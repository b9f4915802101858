"""Pictures of vectors: an embedding on its main components.

Files end in .png or .svg (`static`, matplotlib) or .html (`interactive`, plotly). Left out: what is shown of each name
(`plot_data`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
