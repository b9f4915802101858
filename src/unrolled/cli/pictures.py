"""`unrolled plot` and `unrolled look diagram`: vectors and networks as pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from unrolled.cli.options import Flag, Json, Picture, Words
from unrolled.cli.output import print_json, say
from unrolled.cli.showing import check_known, model_in, save_picture
from unrolled.errors import FolderError, InputError, unknown_name

if TYPE_CHECKING:
    from unrolled.embedding import EmbeddingTable
    from unrolled.look.diagram.network import Predictions
    from unrolled.look.diagram.shapes import Drawing
    from unrolled.model.char_model import CharModel
    from unrolled.model.folder import ModelConfig

View = Literal["whole", "unrolled", "rolled", "cell"]
TEXT = "the man "
LISTED = 5
SYMBOLS, EMBEDDING = 85, 42
"""Sizes of the published lesson, for the name of a rung."""


def plot(
    source: Path,
    *,
    out: Path,
    column: str | None = None,
    components: Literal[2, 3] | None = None,
    history: Annotated[bool, Flag] = False,
    json: Json = False,
) -> None:
    """Draw the vectors of a run's characters, or of a column's categories, on their main components.

    Parameters
    ----------
    source
        A run folder, a folder written by the command embed, or a CSV file of vectors.
    out
        The picture: an interactive page (.html, works offline) or an image (.png, .svg).
    column
        The column whose vectors to draw, if the source was written by embed and has several.
    components
        2 or 3; by default 3 on a page and 2 in an image.
    history
        Draw the losses of a run while it trained, instead of the vectors.
    """
    from unrolled.look.vectors.plot import plot_embedding

    if history:
        return _plot_history(source, out, json)
    table, name = _table(source, column)
    plot_embedding(table, out, components=components, title=f"The vectors of {name}")
    if not json:
        return say(f"written: {out}")
    explained = table.pca(min(3, *table.vectors.shape)).explained.tolist()
    found = {"out": str(out), "names": len(table), "dimension": table.vectors.shape[1], "explained": explained}
    return print_json(found)


def diagram(
    source: str,
    *,
    out: Picture = None,
    text: Words | None = None,
    view: View = "whole",
    hidden: int = 256,
    layers: int = 1,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Draw a network over a text: rectangles are inputs, circles hidden states, triangles outputs.

    Without --out the terminal shows its predictions, its matrices with every operation, and its equations.

    Parameters
    ----------
    source
        A run folder, drawn with its predictions after each character, or the name of a rung.
    text
        The text to draw the network over, up to 16 characters.
    view
        The whole sheet, or one part of it.
    hidden
        For the name of a rung: size of the hidden state.
    layers
        For the name of a rung: number of layers.
    json
        Print one JSON object: the weight matrices, and the predictions after each character.
    """
    from unrolled.look.diagram.network import steps
    from unrolled.model.folder import ModelConfig

    model = model_in(source) if Path(source).exists() else None
    config = model.config if model else ModelConfig(_rung(source), SYMBOLS, EMBEDDING, hidden, layers)
    text = _text(model) if text is None else text
    steps(config, text)  # an early check that the text fits
    if model:
        check_known(model, text)
    expected = _expected(model, text) if model else None
    if out:
        _drawn(view, config, text, expected).save(out)
        say(f"written: {out}")
    if json:
        _print_diagram(config, text, expected)
    elif not out:
        _show_diagram(config, text, expected)


def _table(source: Path, column: str | None) -> tuple[EmbeddingTable, str]:
    """The vectors in `source`, and what to call them."""
    from unrolled.embedding import EmbeddingTable

    if (source / "encoder.json").is_file():
        from unrolled.tables.encoder.estimator import EntityEncoder

        encoder = EntityEncoder.from_pretrained(source)
        names = [coding.name for coding in encoder.schema_.codings]
        if column is None and len(names) != 1:
            raise InputError(f"{source} has vectors of {len(names)} columns: give --column, one of {', '.join(names)}")
        column = names[0] if column is None else column
        return encoder.table(column), column
    if column is not None:
        raise InputError(f"--column {column} was given, but {source} is not a folder written by the command embed")
    if source.suffix == ".csv":
        return EmbeddingTable.from_csv(source), source.stem
    return model_in(source).embedding, source.resolve().name


def _plot_history(run: Path, out: Path, json: bool) -> None:
    from unrolled.learn.history import loss_curve, read_history

    history = read_history(run)
    save_picture(loss_curve(history, f"The losses of {run.name}"), out)
    if json:
        print_json({"out": str(out), "history": history})


def _rung(source: str) -> str:
    from unrolled.model.cells import CELLS, alone

    if alone(source) in CELLS:
        return source
    if set(source) & set("/\\."):
        raise FolderError(f"{source} does not exist: give a run folder, or one of {', '.join(CELLS)}")
    raise unknown_name("rung or run folder", source, CELLS)


def _text(model: CharModel | None) -> str:
    """The default text, or a generated one if the model does not know its characters."""
    if model is None or set(TEXT) <= set(model.vocabulary.characters):
        return TEXT
    return model.generate("", len(TEXT), seed=0)


def _expected(model: CharModel, text: str) -> Predictions:
    place, expected = model.read(""), []
    for character in text:
        place = place.read(character)
        expected.append(place.next()[:LISTED])
    return expected


def _drawn(view: View, config: ModelConfig, text: str, expected: Predictions | None) -> Drawing:
    from unrolled.look.diagram import cell, network

    if view == "rolled":
        return network.rolled(config)
    if view == "cell":
        return cell.cell(config)
    return (network.whole if view == "whole" else network.unrolled)(config, text, expected)


def _print_diagram(config: ModelConfig, text: str, expected: Predictions | None) -> None:
    from unrolled.look.diagram.anatomy import anatomy

    names = ("symbol", "name", "rows", "columns")
    matrices = [{name: getattr(matrix, name) for name in names} for matrix in anatomy(config).matrices]
    found = [
        {"after": text[: i + 1], "next": [{"character": c, "probability": p} for c, p in row]}
        for i, row in enumerate(expected or ())
    ]
    print_json({"rung": config.rung, "text": text, "matrices": matrices, "expected": found})


def _show_diagram(config: ModelConfig, text: str, expected: Predictions | None) -> None:
    import shutil

    from unrolled.look.diagram.terminal import diagram_text

    width = max(40, shutil.get_terminal_size((100, 24)).columns)
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(diagram_text(config, text, expected, width=width, plain=plain))
