"""Diagrams: no text meets another or leaves its estimate, shared weights share a colour, what is shown is true."""

import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.image import imread
from rich.cells import cell_len

from unrolled import plotting as style
from unrolled.errors import InputError
from unrolled.look.diagram import network as diagram
from unrolled.look.diagram.anatomy import anatomy
from unrolled.look.diagram.cell import cell
from unrolled.look.diagram.shapes import Circle, Drawing, Line, Polygon, Text, text_width
from unrolled.look.diagram.terminal import diagram_text
from unrolled.model.cells import CELLS
from unrolled.model.folder import ModelConfig

RUNGS = sorted(CELLS)
TEXT = "the man "


def config(rung: str, layers: int = 1) -> ModelConfig:
    return ModelConfig(rung, vocabulary=85, embedding=42, hidden=256, layers=layers)


def expected(text: str) -> list[list[tuple[str, float]]]:
    """Five next characters for each character of `text`, among them the one that follows."""
    ranked = [0.912, 0.05, 0.02, 0.01, 0.001]
    return [list(zip(dict.fromkeys(f"{text[i + 1 : i + 2]}mW\n 中x"), ranked, strict=False)) for i in range(len(text))]


@cache
def drawn_width(text: str, size: float, bold: bool) -> float:
    """The width of a text in points, measured with the font's own figures."""
    font = FT2Font(findfont(FontProperties(family=style.FONT, weight="bold" if bold else "normal")))
    font.set_size(size * 10, 72)  # ten times as large, so that rounding to whole pixels does not matter
    font.set_text(text)
    return font.get_width_height()[0] / 64 / 10


def overlapping(drawing: Drawing) -> list[tuple[str, str]]:
    """Pairs of texts whose rectangles meet."""
    texts = drawing.texts()
    boxes = [text.box() for text in texts]
    return [(texts[i].text, texts[j].text) for i, j in zip(*meetings(boxes, boxes), strict=True) if i < j]


def crossed(drawing: Drawing) -> list[str]:
    """Texts that a straight line runs through."""
    lines = [item for item in drawing.items if isinstance(item, Line) and not item.curved]
    pieces = [
        (min(x0, x1), min(y0, y1), max(x0, x1) + 0.1, max(y0, y1) + 0.1)
        for line in lines
        for (x0, y0), (x1, y1) in itertools.pairwise(line.points)
    ]
    texts = drawing.texts()
    return [texts[i].text for i in meetings([text.box() for text in texts], pieces)[0]]


def meetings(first: list[tuple[float, ...]], second: list[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of rectangles (left, top, right, bottom) that have a common point inside, by their places."""
    a, b = np.array(first)[:, None], np.array(second)[None]
    inside = (a[..., 0] < b[..., 2]) & (b[..., 0] < a[..., 2]) & (a[..., 1] < b[..., 3]) & (b[..., 1] < a[..., 3])
    i, j = np.nonzero(inside)
    return i, j


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("rung", RUNGS)
def test_no_text_meets_another_text_or_a_line(rung: str, layers: int) -> None:
    for text in ("abc", "W" * diagram.MOST_STEPS):
        drawing = diagram.whole(config(rung, layers), text, expected(text))
        assert overlapping(drawing) == []
        assert crossed(drawing) == []


def test_the_overlap_checks_can_fail() -> None:
    a, b = Text("matrix product", (0, 0)), Text("tanh", (20, 5))
    assert overlapping(Drawing((a, b))) == [("matrix product", "tanh")]
    assert crossed(Drawing((a, Line(((-100, -2), (100, -2)))))) == ["matrix product"]


@pytest.mark.parametrize("rung", RUNGS)
def test_text_stays_inside_the_width_that_layout_reserves_for_it(rung: str) -> None:
    for text in diagram.whole(config(rung), TEXT, expected("the man ")).texts():
        if not any(ord(c) > 0x2E80 for c in text.text):  # drawn in another font, a square a character
            shown = (text.text, text.size, text.bold)
            assert drawn_width(*shown) <= text_width(*shown) + 0.5, text.text


@pytest.mark.parametrize("rung", RUNGS)
def test_one_colour_is_one_matrix(rung: str) -> None:
    parts = anatomy(config(rung, layers=2))
    drawn = [matrix.colour for matrix in parts.matrices if matrix.colour != style.INK]  # the others act within a cell
    assert len(set(drawn)) == len(drawn) >= 4
    drawing = diagram.unrolled(config(rung), "abcd")
    shafts = [item for item in drawing.items if isinstance(item, Line)]
    steps = 3 if rung == "three-char" else 4
    one = {matrix.symbol: matrix.colour for matrix in anatomy(config(rung)).matrices}
    assert {line.stroke for line in shafts} | {style.INK} == set(one.values()) | {style.INK}
    assert sum(line.stroke == one["E"] for line in shafts) == steps
    assert sum(line.stroke == one["W_out"] for line in shafts) == (1 if rung == "three-char" else steps)


@pytest.mark.parametrize("rung", RUNGS)
def test_matrices_are_those_of_the_model_file(rung: str) -> None:
    """The legend names and sizes what a model folder of this rung really holds."""
    sizes = replace(config(rung), hidden=6, embedding=4, vocabulary=9, layers=2)
    matrices = {matrix.name: (matrix.rows, matrix.columns) for matrix in anatomy(sizes).matrices}
    assert matrices == {name: shape for name, shape in sizes.shapes().items() if len(shape) == 2}


def test_shapes_are_the_ones_of_the_network() -> None:
    parts = anatomy(config("rnn"))
    assert parts.layers[0].input.label() == ("W_ih", "matrix product", "batch × 42", "→ batch × 256")
    assert parts.layers[0].memory[0].operation_lines() == ("matrix product;", "add;", "tanh")
    assert anatomy(replace(config("irnn"), nonlinearity="relu")).layers[0].memory[0].operation.endswith("relu")
    assert anatomy(config("lstm", layers=2)).layers[1].input.label()[-2:] == ("batch × 256", "→ batch × 4·256")


def test_live_numbers_stand_over_their_own_character() -> None:
    drawing = diagram.unrolled(config("gru"), "ab", [[("b", 0.75), ("\n", 0.25)], [("c", 1.0)]])
    texts = {text.text: text for text in drawing.texts()}
    inputs = sorted(t.at[0] for t in drawing.texts() if t.size == 20)
    assert abs(texts["75%"].at[0] - inputs[0]) < 80
    assert abs(texts["100%"].at[0] - inputs[1]) < 80
    assert "⏎" in texts
    assert (texts["75%"].bold, texts["25%"].bold) == (True, False)  # b follows a
    bars = [
        item for item in drawing.items if isinstance(item, Polygon) and item.stroke is None and len(item.points) == 4
    ]
    lengths = [bar.points[1][0] - bar.points[0][0] for bar in bars]
    assert lengths == pytest.approx([lengths[2] * 0.75, lengths[2] * 0.25, lengths[2]])


@pytest.mark.parametrize("layers", [1, 2])
def test_the_state_of_concat_enters_below_its_first_matrix(layers: int) -> None:
    """As in its cell: the previous state and the vector are joined, then multiplied by W_in, then by W_h."""
    parts = anatomy(config("concat", layers))
    for drawing in (diagram.rolled(config("concat", layers)), diagram.unrolled(config("concat", layers), "a")):
        shafts = [item for item in drawing.items if isinstance(item, Line)]
        for layer in parts.layers:
            assert layer.inner is not None
            first, second = (
                next(shaft for shaft in shafts if shaft.stroke == parts.colour(arrow))
                for arrow in (layer.input, layer.inner)
            )
            joined = first.points[0][1] + 13  # the middle of the box that W_in starts from
            entering = [s for s in shafts if s.stroke == style.INK and abs(s.points[-1][1] - joined) < 1]
            assert [s.points[0][1] < second.points[-1][1] for s in entering] == [True]  # from the hidden state above


def test_a_matrix_has_the_same_colour_in_every_rung() -> None:
    names = {"weight_in": "weight_ih", "weight_h": "weight_hh"}
    colours: dict[str, set[str]] = {}
    for rung in RUNGS:
        for matrix in anatomy(config(rung, 2)).matrices:
            *place, name = matrix.name.split(".")
            colours.setdefault(".".join([*place, names.get(name, name)]), set()).add(matrix.colour)
    assert all(len(found) == 1 for found in colours.values()), colours


def test_a_long_text_is_drawn_in_lines_of_bounded_width() -> None:
    for rung in RUNGS:
        left, _, right, _ = diagram.unrolled(config(rung, 2), "sixteen letters!", expected("sixteen letters!")).box()
        assert right - left < 1500
    words = [text.text for text in diagram.unrolled(config("rnn"), "sixteen letters!", start="carried").texts()]
    assert words.count("carried") == 2  # before the text, and before its second line
    assert "zeros" not in words


def test_three_characters_have_one_output_and_no_loop() -> None:
    drawing = diagram.unrolled(config("three-char"), "the man ")
    assert [t.text for t in drawing.texts() if t.size == 20] == ["a", "n", "␣"]
    with pytest.raises(InputError, match="three-char has no loop"):
        diagram.rolled(config("three-char"))
    with pytest.raises(InputError, match="too short to draw three-char over it: give 3"):
        diagram.unrolled(config("three-char"), "ab")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "too short"), ("x" * 17, "a text of 17 characters does not fit a diagram: give at most 16")],
)
def test_texts_that_do_not_fit_get_a_sentence(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        diagram.unrolled(config("rnn"), text)


def test_predictions_must_be_one_for_each_character() -> None:
    with pytest.raises(InputError, match="1 predictions were given for 2 characters"):
        diagram.unrolled(config("rnn"), "ab", [[("a", 1.0)]])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("like", ["mingru", "lstm"])
def test_a_new_rung_is_drawn_before_anybody_describes_it(
    monkeypatch: pytest.MonkeyPatch, like: str, layers: int
) -> None:
    monkeypatch.setitem(CELLS, "mine", CELLS[like])
    drawing = diagram.whole(config("mine", layers), "abc", expected("abc"))
    assert not overlapping(drawing)
    assert not crossed(drawing)
    written = {text.text for text in drawing.texts()}
    assert {matrix.name for matrix in anatomy(config("mine", layers)).matrices} <= written
    assert diagram_text(config("mine", layers), "abc")


def test_unknown_rung_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'lstm'"):
        anatomy(config("lsmt"))


@pytest.mark.parametrize("rung", ["three-char", "loop", "concat", "rnn", "irnn", "gru", "lstm", "mingru"])
def test_the_inside_of_a_cell_shows_its_gates(rung: str) -> None:
    words = " ".join(text.text for text in cell(config(rung)).texts())
    gates = {"lstm": ("forget f", "input i", "new g", "output o"), "gru": ("reset r", "keep z", "new n"),
             "mingru": ("gate z", "new c")}  # fmt: skip
    assert all(gate in words for gate in gates.get(rung, ("tanh",)))
    assert "hₜ =" in words


def test_svg_is_xml_with_every_text_in_it(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    hostile = '<&"]]>'
    drawing = diagram.whole(config("lstm"), hostile, expected(hostile))
    drawing.save(path)
    found = [
        "".join(element.itertext()) for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]
    written = [re.sub(r"\b([A-Zb])_(\w+)", "\\1\\2", text.text) if text.math else text.text for text in drawing.texts()]
    assert [text.replace("\u200b", "") for text in found] == written


def test_png_draws_what_the_svg_says(tmp_path: Path) -> None:
    drawing = diagram.unrolled(config("rnn"), "$a$", expected("$a$"))
    drawing.save(tmp_path / "picture.PNG")
    pixels = imread(tmp_path / "picture.PNG", format="png")
    left, top, right, _ = drawing.box()
    assert pixels.shape[1] == pytest.approx(2 * (right - left + 32), abs=2)
    circle = next(item for item in drawing.items if isinstance(item, Circle) and not item.dashed)
    x, y = int(2 * (circle.at[0] - left + 16 - circle.radius * 0.8)), int(2 * (circle.at[1] - top + 16))
    assert pixels[y, x, :3] == pytest.approx([0xFD / 255, 0xF3 / 255, 0xE7 / 255], abs=0.01)


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.html"])
def test_unknown_types_get_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a picture ends in \.png or \.svg"):
        diagram.rolled(config("rnn")).save(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        diagram.rolled(config("rnn")).save(tmp_path / "no" / "picture.svg")


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_form_for_the_terminal_fits_and_says_the_same(rung: str, width: int) -> None:
    text = diagram_text(config(rung), TEXT, expected(TEXT), width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    for matrix in anatomy(config(rung)).matrices:
        assert {matrix.symbol, f"{matrix.name},"} <= set(text.split())
    assert "91%" in text
    plain = diagram_text(config(rung), "abc", width=width, plain=True)
    assert plain.isascii()


def test_a_character_without_a_font_is_explained_in_the_picture(tmp_path: Path) -> None:
    heights = {}
    for name, text in (("known", "ab"), ("unknown", "a\U00010480")):
        diagram.unrolled(config("rnn"), text).save(tmp_path / f"{name}.png")
        heights[name] = imread(tmp_path / f"{name}.png").shape[0]
    assert heights["unknown"] > heights["known"] + 30  # two lines more
