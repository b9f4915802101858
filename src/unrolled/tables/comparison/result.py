"""The result of a comparison, and its pages: Markdown, self-contained HTML, JSON.

Left out: any fitting, the words of the verdict, and the charts.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import plotting as style
from unrolled.errors import import_extra
from unrolled.files import check_out, to_json, write_file
from unrolled.html import cell as html_cell
from unrolled.html import html_page, html_table, markdown_table, notebook_frame
from unrolled.tables.comparison.charts import dot_plot, effect_plot, figure
from unrolled.tables.comparison.effects import OWN_NETWORKS, ComparisonCell, Effect, best, decimals, effects, verdict
from unrolled.tables.comparison.encodings import ENCODINGS
from unrolled.tables.data.metrics import METRICS
from unrolled.tables.data.target import TargetType

ENDINGS = (".html", ".md", ".json", ".png")


@dataclass(frozen=True)
class Comparison:
    """The result of `compare_encodings`: the cells, and how they were measured; lower is better in every metric.

    `folds` of each of `seeds` were planned and `folds_done` in all finished: fewer where it was interrupted.
    """

    target: str
    target_type: TargetType
    metric: str
    log_target: bool
    cells: tuple[ComparisonCell, ...]
    notes: tuple[str, ...]
    rows_total: int
    rows_used: int
    folds: int
    seeds: int
    folds_done: int
    seconds: float
    beside: str | None = None
    """The metric of `ComparisonCell.beside`."""

    @property
    def interrupted(self) -> bool:
        """Whether it ended before all folds were done."""
        return self.folds_done < self.folds * self.seeds

    @property
    def models(self) -> list[str]:
        """The models in the order of the table."""
        return list(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def encodings(self) -> list[str]:
        """The encodings in the order of the table."""
        present = {cell.encoding for cell in self.cells}
        return [name for name in ENCODINGS if name in present]

    def cell(self, model: str, encoding: str) -> ComparisonCell | None:
        """The cell, or None where that model is not given that encoding."""
        return next((c for c in self.cells if (c.model, c.encoding) == (model, encoding)), None)

    def best(self, model: str) -> ComparisonCell:
        """The best cell in the row of `model`."""
        return best([c for c in self.cells if c.model == model])

    def effects(self) -> list[Effect]:
        """What embeddings changed, model by model, wherever there is something to compare with."""
        return effects(self.cells)

    def verdict(self) -> str:
        """A few plain sentences on whether embeddings helped here."""
        return verdict(self.cells)

    def to_dict(self) -> dict[str, Any]:
        """The whole comparison as plain values."""
        facts = {name: value for name, value in vars(self).items() if name != "cells"}
        cells = [{**vars(c), "mean": c.mean, "spread": None if np.isnan(c.spread) else c.spread} for c in self.cells]
        return facts | {"cells": cells, "effects": [vars(e) for e in self.effects()], "verdict": self.verdict()}

    def to_markdown(self) -> str:
        """The comparison as Markdown: the verdict, the table, notes."""
        rows = [[model, *(self._markdown(model, encoding) for encoding in self.encodings)] for model in self.models]
        head = ["model", *(ENCODINGS[e].title for e in self.encodings)]
        table = markdown_table(head, rows, numeric=range(1, len(head)))
        notes = "".join(f"- {note}\n" for note in self._notes())
        return f"# {self._title}\n\n{self.verdict()}\n\n{self._method()}\n\n{table}\n{notes}"

    def to_html(self) -> str:
        """The comparison as one self-contained HTML page."""
        head = ["Model", *(_capitalized(ENCODINGS[e].title) for e in self.encodings)]
        rows = [self._html_row(model, head) for model in self.models]
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        lead, _, rest = self.verdict().partition(": ")
        charts = effect_plot(self.cells) + dot_plot(self.cells, METRICS[self.metric].title)
        body = (
            f"<h1>{escape(self._title)}</h1><p class=lead>{escape(lead)}</p><p>{escape(_capitalized(rest))}</p>"
            f"{charts}{html_table(head, rows, range(1, len(head)))}"
            f'<ul class="soft">{notes}</ul><p class="soft">{escape(self._method())}</p>'
        )
        return html_page(self._title, body)

    def __repr__(self) -> str:
        sizes = f"{len(self.models)} models x {len(self.encodings)} encodings, {self.seeds} seeds of {self.folds} folds"
        return f"Comparison({self.target!r}, {self.metric}, {sizes})"

    def _repr_html_(self) -> str:
        return notebook_frame(self.to_html())

    def save(self, path: str | Path) -> None:
        """Write the comparison in the format of the path's ending: .html, .md, .json, or the figure as .png."""
        makers = {
            ".html": lambda: self.to_html().encode(),
            ".md": lambda: self.to_markdown().encode(),
            ".json": lambda: to_json(self.to_dict()),
            ".png": lambda: style.rendered(figure(self.cells, METRICS[self.metric].title), ".png"),
        }
        write_file(Path(path), makers[check_ending(Path(path))]())

    @property
    def _title(self) -> str:
        return f"Did embeddings help to predict {self.target}?"

    def _method(self) -> str:
        used = "all" if self.rows_used == self.rows_total else f"{self.rows_used:,} of"
        log = ", models learn its logarithm" if self.log_target else ""
        return (
            f"Target {self.target} ({self.target_type}{log}); {METRICS[self.metric].title}, lower is "
            f"better; mean ± standard deviation over {self.seeds} seed{'s' * (self.seeds != 1)} of {self.folds} "
            f"fold{'s' * (self.folds != 1)} on {used} {self.rows_total:,} rows; every encoding is fitted "
            f"inside each training fold. The best of each row is marked. {self.seconds:.0f} seconds."
        )

    def _notes(self) -> list[str]:
        if self.cell(*OWN_NETWORKS) is None:
            return list(self.notes)
        return [*self.notes, "network, native: the networks that the vectors come from, averaged"]

    def _markdown(self, model: str, encoding: str) -> str:
        cell = self.cell(model, encoding)
        if cell is None:
            return ""
        mark = "**" if cell is self.best(model) else ""
        return f"{mark}{cell.text(decimals(self.cells))}{mark} ({self._beside(cell)})"

    def _html_row(self, model: str, head: list[str]) -> str:
        cells, best_cell = [html_cell(escape(model), "name")], self.best(model)
        for name, encoding in zip(head[1:], self.encodings, strict=True):
            cell = self.cell(model, encoding)
            text = f"{cell.text(decimals(self.cells))}<small>{self._beside(cell)}</small>" if cell else ""
            cells.append(html_cell(text, "number best" if cell is best_cell else "number", name))
        return f"<tr>{''.join(cells)}</tr>"

    def _beside(self, cell: ComparisonCell) -> str:
        """The second metric, if there is one, and the seconds; for 1 - AUC the area itself, which people know."""
        seconds = f"{cell.seconds:.1f} s"
        if cell.beside is None:
            return seconds
        metric = f"AUC {1 - cell.beside:.3f}" if self.beside == "1-auc" else f"{self.beside} {cell.beside:.3f}"
        return f"{metric}, {seconds}"


def check_ending(path: Path) -> str:
    """The ending of `path`, lower case, so that a file is refused before anything is computed.

    Raises InputError for another ending than `ENDINGS` or no such folder, MissingExtraError for a figure without
    matplotlib.
    """
    ending = check_out(path, ENDINGS, "a comparison")
    if ending == ".png":
        import_extra("matplotlib.figure")
    return ending


def _capitalized(title: str) -> str:
    return title[:1].upper() + title[1:]
