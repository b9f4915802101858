"""The comparison as a page: Markdown, self-contained HTML, JSON, and the paper's figure (with and without, per model).

Left out: any fitting.
"""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled import plotting as style
from unrolled.errors import MissingExtraError, import_extra
from unrolled.files import to_json, write_file
from unrolled.html import cell as html_cell
from unrolled.html import check_out, html_page, html_table, markdown_table
from unrolled.tables.comparison.compare import CLEAR, Cell, Comparison, relative_change, uses_vectors
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS
from unrolled.tables.data.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".html", ".md", ".json", ".png")
TITLES = dict(zip(ENCODINGS, ("raw codes", "one-hot", "target encoding", "embeddings", "native"), strict=True))
WITHOUT_COLOUR, WITH_COLOUR = "#b9c3d3", style.colour(0)


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Write the comparison in the format of the path's ending; raises InputError for another than `ENDINGS`."""
    makers = {
        ".html": lambda: comparison.to_html().encode(),
        ".md": lambda: comparison.to_markdown().encode(),
        ".json": lambda: to_json(comparison.to_dict()),
        ".png": lambda: figure_png(comparison),
    }
    check_ending(path)
    write_file(path, makers[path.suffix]())


def check_ending(path: Path | None) -> None:
    """Refuse a file before anything is computed.

    Raises InputError for another ending than `ENDINGS` or no such folder, MissingExtraError for a figure without
    matplotlib.
    """
    check_out(path, ENDINGS, "a comparison")
    if path is not None and path.suffix == ".png":
        import_extra("matplotlib.figure", "plot")


def verdict(comparison: Comparison) -> str:
    """Whether embeddings helped here: the best cell with them against the best without, then model by model."""
    vectors = [c for c in comparison.cells if uses_vectors(c)]
    others = [c for c in comparison.cells if not uses_vectors(c)]
    if not vectors or not others:
        return "There is nothing to compare: one of the two sides, with and without embeddings, is missing."
    ours, theirs = (min(cells, key=lambda c: c.mean) for cells in (vectors, others))
    change = relative_change(ours.mean, theirs.mean)
    digits = _decimals(comparison)
    said = f"{_named(ours)} reaches {ours.mean:,.{digits}f}, {_named(theirs)} {theirs.mean:,.{digits}f}"
    if not _is_clear(ours, theirs):
        lead = f"Embeddings made no clear difference here: {said}, which is within chance"
    elif change is not None and change < 0:
        lead = f"Embeddings helped here: {said}, {-change:.1%} less error for the best of either side"
    else:
        more = "some" if change is None else f"{change:.1%} more"
        lead = f"Embeddings did not help here: {said}, {more} error for the best of either side"
    return f"{lead}. {_model_by_model(comparison)}"


def _model_by_model(comparison: Comparison) -> str:
    effects = comparison.effects()
    if not effects:
        return "No model was given both."
    helped, hurt = [e for e in effects if e.helped], [e for e in effects if e.harmed]
    parts = [f"against the best other encoding of the same model they helped {len(helped)} of {len(effects)} models"]
    if helped:
        most = min(helped, key=lambda e: e.change or 0.0)
        parts[0] += f" (most: {most.model}, {_change(most.change, 1)})"
    worst = f" ({', '.join(f'{e.model} {_change(e.change, 1)}' for e in hurt)})" if hurt else ""
    parts.append(f"did harm to {len(hurt)}{worst}")
    sentence = " and ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def _named(cell: Cell) -> str:
    if (cell.model, cell.encoding) == ("network", "native"):
        return "the network with embeddings inside"
    return f"{cell.model} with {TITLES[cell.encoding]}{' categories' if cell.encoding == 'native' else ''}"


def _is_clear(one: Cell, other: Cell) -> bool:
    paired = np.array(one.by_fold) - np.array(other.by_fold)
    return len(paired) > 1 and abs(paired.mean()) > CLEAR * paired.std(ddof=1) / np.sqrt(len(paired))


def _decimals(comparison: Comparison) -> int:
    """Decimals of every figure of a table: four digits for the smallest error that is not 0."""
    least = min((cell.mean for cell in comparison.cells if cell.mean > 0), default=1.0)
    return int(np.clip(3 - np.floor(np.log10(least)), 0, 4))


def _method(comparison: Comparison) -> str:
    used = "all" if comparison.rows_used == comparison.rows_total else f"{comparison.rows_used:,} of"
    log = ", models learn its logarithm" if comparison.log_target else ""
    return (
        f"Target {comparison.target} ({comparison.target_type}{log}); {METRICS[comparison.metric].title}, lower is "
        f"better; mean ± spread over {comparison.seeds} seed{'s' * (comparison.seeds != 1)} of {comparison.folds} "
        f"fold{'s' * (comparison.folds != 1)} on {used} {comparison.rows_total:,} rows; every encoding is fitted "
        f"inside each training fold. The best of each row is marked. {comparison.seconds:.0f} seconds."
    )


def _text(cell: Cell | None, best: bool, digits: int) -> str:
    if cell is None:
        return ""
    spread = "" if np.isnan(cell.spread) else f" ± {cell.spread:,.{digits}f}"
    figure = f"{cell.mean:,.{digits}f}{spread}"
    return f"**{figure}** ({cell.seconds:.1f} s)" if best else f"{figure} ({cell.seconds:.1f} s)"


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown: the verdict, the table, notes."""
    encodings, digits = comparison.encodings, _decimals(comparison)
    rows = [
        [
            model,
            *(_text(c, c is comparison.best(model), digits) for c in (comparison.cell(model, e) for e in encodings)),
        ]
        for model in comparison.models
    ]
    table = markdown_table(["model", *(TITLES[e] for e in encodings)], rows, numeric=range(1, len(encodings) + 1))
    notes = "".join(f"- {note}\n" for note in _notes(comparison))
    title = f"# Did embeddings help to predict {comparison.target}?"
    return f"{title}\n\n{comparison.verdict()}\n\n{_method(comparison)}\n\n{table}\n{notes}"


def _notes(comparison: Comparison) -> list[str]:
    notes = list(comparison.notes)
    if comparison.cell("network", "native") is not None:
        notes.append("network, native: the networks that the vectors come from, averaged")
    return notes


def comparison_html(comparison: Comparison) -> str:
    """The comparison as one self-contained HTML page, with the figure where matplotlib is installed."""
    title = f"Did embeddings help to predict {comparison.target}?"
    rows = [_html_row(comparison, model) for model in comparison.models]
    table = html_table(["Model", *(TITLES[e].capitalize() for e in comparison.encodings)], rows, range(1, 6))
    notes = "".join(f"<li>{escape(note)}</li>" for note in _notes(comparison))
    body = (
        f"<h1>{escape(title)}</h1><p>{escape(comparison.verdict())}</p>"
        f'<p class="soft">{escape(_method(comparison))}</p>{table}<ul class="soft">{notes}</ul>{_picture(comparison)}'
    )
    return html_page(title, body)


def _picture(comparison: Comparison) -> str:
    try:
        picture = base64.b64encode(figure_png(comparison)).decode()
    except MissingExtraError:
        return ""
    return f'<img alt="Error of each model with and without embeddings" src="data:image/png;base64,{picture}">'


def _html_row(comparison: Comparison, model: str) -> str:
    cells, digits = [html_cell(escape(model), "name")], _decimals(comparison)
    best = comparison.best(model)
    for encoding in comparison.encodings:
        cell = comparison.cell(model, encoding)
        if cell is None:
            cells.append(html_cell("", "number"))
            continue
        spread = "" if np.isnan(cell.spread) else f" ± {cell.spread:,.{digits}f}"
        text = f"{cell.mean:,.{digits}f}{spread}<small>{cell.seconds:.1f} s</small>"
        cells.append(html_cell(text, "number best" if cell is best else "number"))
    return f"<tr>{''.join(cells)}</tr>"


def figure(comparison: Comparison) -> Figure:
    """The paper's figure: per model, the best without embeddings beside the one with, with spreads over seeds."""
    pairs = [
        (e, comparison.cell(e.model, e.other), comparison.cell(e.model, WITH_EMBEDDINGS)) for e in comparison.effects()
    ]
    drawn, (axes,) = style.figure(1.6 + 1.35 * max(len(pairs), 2), 4.2)
    axes.grid(visible=False, axis="x")
    for place, (effect, without, with_them) in enumerate(pairs):
        assert without is not None
        assert with_them is not None
        _bar(axes, place - 0.2, without, WITHOUT_COLOUR)
        _bar(axes, place + 0.2, with_them, WITH_COLOUR)
        axes.text(place - 0.2, 0.02, TITLES[effect.other], transform=axes.get_xaxis_transform(), rotation=90,
                  fontsize=8, ha="center", va="bottom")  # fmt: skip
        top = with_them.mean + np.nan_to_num(with_them.spread)
        axes.annotate(_change(effect.change).replace("%", " %"), (place + 0.2, top), (0, 3), textcoords="offset points",
                      ha="center", fontsize=9, color=WITH_COLOUR)  # fmt: skip
    axes.set_xticks(range(len(pairs)), [_broken(effect.model) for effect, *_ in pairs])
    axes.set_ylabel(f"{METRICS[comparison.metric].title}\n(lower is better)")
    handles = [_patch(colour) for colour in (WITHOUT_COLOUR, WITH_COLOUR)]
    axes.legend(handles, ["best without embeddings", "with embeddings"], frameon=False, loc="upper left",
                bbox_to_anchor=(0, 1.12), ncols=2)  # fmt: skip
    return drawn


def _change(change: float | None, decimals: int = 0) -> str:
    """A `relative_change` in per cent, without a sign where nothing but zeros would follow."""
    if change is None:
        return "up from 0"
    return f"{change:+.{decimals}%}" if round(change, decimals + 2) else f"{0:.{decimals}%}"


def _broken(name: str) -> str:
    """A name over several lines, at its blanks, or within a word before its capitals where it is long."""
    long = len(name) > 12 and " " not in name
    return "".join(f"\n{c}" if long and i and c.isupper() else c for i, c in enumerate(name)).replace(" ", "\n")


def _patch(colour: str) -> Any:
    return import_extra("matplotlib.patches", "plot").Patch(color=colour)


def _bar(axes: Any, place: float, cell: Cell, colour: str) -> None:
    spread = None if np.isnan(cell.spread) else cell.spread
    axes.bar(place, cell.mean, width=0.38, color=colour, yerr=spread, capsize=3, ecolor="#444")


def figure_png(comparison: Comparison) -> bytes:
    """The figure as the bytes of a PNG file."""
    return style.rendered(figure(comparison), ".png")
