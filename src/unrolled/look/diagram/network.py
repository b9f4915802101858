"""Diagrams of a whole network in the lesson's notation: unrolled over a text, and rolled up with its loop.

Rectangles are inputs, circles hidden states, triangles outputs. Each weight matrix has one colour, so that shared
weights are visible; every arrow is labelled with its operation and shapes. Left out: probabilities (they are passed
in), the inside of a cell (`cell`), the form for the terminal (`terminal`).
"""

from __future__ import annotations

from collections.abc import Sequence

from unrolled import plotting as style
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.look.diagram.anatomy import Anatomy, Arrow, Layer, anatomy
from unrolled.look.diagram.cell import cell
from unrolled.look.diagram.shapes import (
    Anchor,
    Circle,
    Drawing,
    Item,
    Point,
    Polygon,
    Text,
    arrow,
    below,
    beside,
    lines,
    rectangle,
    text_width,
    triangle,
)
from unrolled.model.folder import ModelConfig

MOST_STEPS = 16
Predictions = Sequence[Sequence[tuple[str, float]]]
"""For each character of the text, the next characters and their probabilities, most likely first."""

_Step = tuple[str, Sequence[tuple[str, float]], str | None]

_SMALL, _LEADING = 9.0, 11.7  # points: text of labels, from base line to base line
_RADIUS, _SHAPE, _HALF_VECTOR, _AIR = 27.0, 22.0, 13.0, 11.0
_INNER = 9.0  # radius of the circle between the two products of a layer with an inner one
_APART = 11.0  # the two arrows of a state with two parts are this far above and below the middle
_CLOSE, _CLOSE_LIVE = 96.0, 126.0  # between columns without labels; with predictions above them
_LABELLED, _PER_LINE = 4, 8  # columns that all have labels; columns on a line
_LISTED = 5
_FILLS = {"input": "#eef3fa", "hidden": "#fdf3e7", "output": "#eaf5ee"}


class _Rows:
    """The y coordinates of the rows, from the character (0) upwards, far enough apart that no labels overlap."""

    def __init__(self, parts: Anatomy) -> None:
        self.vector = -_SHAPE - _HALF_VECTOR - 2 * _AIR - _height(parts.lookup)
        self.hidden: list[float] = []
        self.joined: list[float] = []
        """Where the previous state enters each layer: its hidden state, or below it where there is an inner product."""
        free = self.vector - _HALF_VECTOR
        for layer in parts.layers:
            above, under = _memory_extent(layer.memory)
            if layer.inner:
                self.joined.append(free - 3 * _AIR - _HALF_VECTOR)
                free = self.joined[-1] - _HALF_VECTOR - _height(layer.input) - 2 * _AIR - 2 * _INNER
            self.hidden.append(free - _height(layer.inner or layer.input) - 2 * _AIR - max(_RADIUS, under))
            if not layer.inner:
                self.joined.append(self.hidden[-1])
            free = self.hidden[-1] - max(_RADIUS, above)
        self.output = free - _height(parts.head) - 2 * _AIR - _SHAPE


def whole(config: ModelConfig, text: str, predictions: Predictions | None = None) -> Drawing:
    """All views on one sheet: unrolled over `text`, rolled up, the inside of the cell, the weight matrices."""
    top = unrolled(config, text, predictions)
    details = [cell(config), legend(config)]
    if config.rung != "three-char":
        details.insert(0, rolled(config))
    return below(top, beside(*details, gap=80), gap=60)


def unrolled(
    config: ModelConfig, text: str, predictions: Predictions | None = None, *, start: str = "zeros"
) -> Drawing:
    """The network drawn once for every character of `text`, with the most likely next characters if they are given.

    `start` labels the state before the text: "zeros", or for example "carried" if other text was read before. A text of
    more than 4 characters has labels at its first character only, and lines of 8 characters. `three-char` is drawn over
    the last three characters, with its single output. Raises InputError for a text that is empty or longer than 16
    characters.
    """
    parts, columns = anatomy(config), steps(config, text, predictions)
    starts = range(0, len(columns), _PER_LINE)
    drawn = [_line(parts, columns, range(i, min(i + _PER_LINE, len(columns))), start) for i in starts]
    heading = f"Unrolled over the text “{''.join(visible(character) for character, *_ in columns)}”"
    note = "the same colour is the same matrix, used again at every step"
    return _headed(below(*drawn, gap=44), heading, note + "; labels at the first step" * (len(columns) > _LABELLED))


def rolled(config: ModelConfig) -> Drawing:
    """The network drawn once, its recurrence as a loop; raises InputError for `three-char`, which has none."""
    if config.rung == "three-char":
        raise InputError("three-char has no loop to draw rolled up: draw it unrolled, or draw the rung 'loop'")
    parts = anatomy(config)
    rows = _Rows(parts)
    items = _tower(parts, rows, 0.0, "", "any character")
    for layer, described in enumerate(parts.layers):
        ends = rows.hidden[layer], rows.joined[layer]
        for side, memory in zip((1, -1), reversed(described.memory), strict=False):
            items += _loop(ends, memory, parts.colour(memory), -side if described.inner else side)
    return _headed(Drawing(tuple(items)), f"{config.rung}, rolled up", "the loop is taken once for every character")


def legend(config: ModelConfig) -> Drawing:
    """Every weight matrix with its colour, tensor name, shape and number of weights; and the notation."""
    parts = anatomy(config)
    items: list[Item] = []
    for i, matrix in enumerate(parts.matrices):
        y = 20.0 * i
        items += arrow(((0, y), (46, y)), matrix.colour, 3)
        items += [Text(matrix.symbol, (58, y + 4), 11, "start", bold=True, math=True)]
        items += [Text(matrix.name, (122, y + 4), 10, "start")]
        items += [Text(f"{matrix.rows:,} × {matrix.columns:,}", (350, y + 4), 10, "end")]
        items += [Text(f"{matrix.rows * matrix.columns:,} weights", (465, y + 4), 10, "end")]
    y = 20.0 * len(parts.matrices)
    items += [*arrow(((0, y), (46, y))), Text("no matrix (elementwise)", (58, y + 4), 10, "start")]
    items += _notation(y + 44)
    total = sum(matrix.rows * matrix.columns for matrix in parts.matrices)
    return _headed(Drawing(tuple(items)), "The weight matrices", f"{total:,} weights, and the biases beside them")


def steps(config: ModelConfig, text: str, predictions: Predictions | None = None) -> list[_Step]:
    """The columns to draw: the character, the predictions after it, and the character that follows.

    Raises InputError for a text that is too short or too long, or if there is not one prediction for each character.
    """
    needed = 3 if config.rung == "three-char" else 1
    if len(text) < needed:
        raise InputError(
            f"the text {text!r} is too short to draw {config.rung} over it: give {needed} or more characters"
        )
    if len(text) > MOST_STEPS:
        raise InputError(f"a text of {len(text)} characters does not fit a diagram: give at most {MOST_STEPS}")
    if predictions is not None and len(predictions) != len(text):
        raise InputError(f"{len(predictions)} predictions were given for {len(text)} characters: give one for each")
    drawn = text[-3:] if config.rung == "three-char" else text
    expected = [*(predictions or [()] * len(text))][-len(drawn) :]
    return list(zip(drawn, expected, [*drawn[1:], None], strict=True))


def _pitch(parts: Anatomy) -> float:
    """The distance between columns with labels: no label is wider than the space between two circles."""
    inside = (arrow for layer in parts.layers for arrow in (layer.input, *layer.memory, layer.inner) if arrow)
    widest = max(text_width(line, _SMALL) for one in (parts.lookup, parts.head, *inside) for line in one.label())
    return widest + 2 * _RADIUS + 24


def _line(parts: Anatomy, columns: Sequence[_Step], shown: range, start: str) -> Drawing:
    """The columns in `shown` side by side, after the state before them."""
    rows, wide = _Rows(parts), _pitch(parts)
    live = any(expected for _, expected, _ in columns)
    labelled = [len(columns) <= _LABELLED or t == 0 for t in range(len(columns))]
    items: list[Item] = []
    x = 0.0
    for t in shown:
        gap = wide if labelled[t] or (t and labelled[t - 1]) else _CLOSE_LIVE if live else _CLOSE
        if t == shown.start:
            items += _captions(rows, -_RADIUS - 24, live)
            for y in rows.hidden:  # the state before the first character
                items += [Circle((x, y), _RADIUS, dashed=True), Text("carried" if t else start, (x, y + 3), _SMALL)]
        x += gap
        character, expected, follows = columns[t]
        with_output = parts.config.rung != "three-char" or t == len(columns) - 1
        items += _tower(parts, rows, x, _subscript(t + 1), visible(character), with_output, labelled[t])
        for layer, described in enumerate(parts.layers):
            ends = (x - gap, rows.hidden[layer]), (x, rows.joined[layer])
            items += _memories(parts, described, *ends, labelled[t])
        if with_output and expected:
            items += _expected(expected, follows, (x, rows.output - _SHAPE - 14))
    return Drawing(tuple(items))


def _tower(
    parts: Anatomy, rows: _Rows, x: float, mark: str, character: str, with_output: bool = True, labelled: bool = True
) -> list[Item]:
    """One column from the character up to the output."""
    size = 20.0 if len(character) < 3 else 10.0
    width = max(44.0, text_width(character, size) + 16)
    items: list[Item] = [rectangle((x, 0), width, 2 * _SHAPE, _FILLS["input"]), Text(character, (x, size * 0.35), size)]
    items += _rise(parts, parts.lookup, (x, -_SHAPE), rows.vector + _HALF_VECTOR, labelled)
    items += _box(f"e{mark}", (x, rows.vector))
    top = free = rows.vector - _HALF_VECTOR
    for layer, described in enumerate(parts.layers):
        y = rows.hidden[layer]
        if described.inner:
            items += _joined(parts, described, (x, top), rows.joined[layer], labelled)
            top = free = rows.joined[layer] - _HALF_VECTOR - _height(described.input) - 2 * _AIR - 2 * _INNER
        items += _rise(parts, described.inner or described.input, (x, top), y + _RADIUS, labelled, free)
        state = f"h{mark}, c{mark}" if len(described.memory) == 2 else f"h{mark}"
        items += [Circle((x, y), _RADIUS, _FILLS["hidden"]), Text(state, (x, y + 4), 11)]
        top, free = y - _RADIUS, y - max(_RADIUS, _memory_extent(described.memory)[0])
    if with_output:
        items += _rise(parts, parts.head, (x, top), rows.output + _SHAPE, labelled, free)
        items += [triangle((x, rows.output), 54, 2 * _SHAPE, _FILLS["output"])]
        items += [Text(f"p{mark}", (x, rows.output + 15), 12)]
    return items


def _joined(parts: Anatomy, layer: Layer, start: Point, y: float, labelled: bool) -> list[Item]:
    """From `start` into the box at `y` where the previous state is joined, and the first product up to a circle."""
    x, top = start[0], y - _HALF_VECTOR - _height(layer.input) - 2 * _AIR
    items = [*arrow((start, (x, y + _HALF_VECTOR)), width=2.4), *_box("[h; e]", (x, y))]
    items += _rise(parts, layer.input, (x, y - _HALF_VECTOR), top, labelled)
    return [*items, Circle((x, top - _INNER), _INNER, _FILLS["hidden"])]


def _box(text: str, at: Point) -> list[Item]:
    return [rectangle(at, 54, 2 * _HALF_VECTOR, _FILLS["input"]), Text(text, (at[0], at[1] + 4), 12)]


def _rise(
    parts: Anatomy, step: Arrow, start: Point, y: float, labelled: bool = True, free: float | None = None
) -> list[Item]:
    """An arrow up from `start` to height `y`, with its label to the right, above the height `free`."""
    shaft = arrow((start, (start[0], y)), parts.colour(step), 2.4)
    if not labelled:
        return shaft
    texts = step.label()
    last = (start[1] if free is None else free) - _AIR - 0.24 * _SMALL
    first = last - _LEADING * (len(texts) - 1)
    return [*shaft, *lines(texts, (start[0] + 9, first), _SMALL, "start", 1 if step.matrix else 0)]


def _height(step: Arrow) -> float:
    return _LEADING * len(step.label())


def _memories(parts: Anatomy, layer: Layer, start: Point, end: Point, labelled: bool) -> list[Item]:
    """The arrows from one step to the next: one in the middle, or two, above and below the middle."""
    items: list[Item] = []
    memory, y = layer.memory, start[1]
    for step, offset in zip(memory, (0.0,) if len(memory) == 1 else (-_APART, _APART), strict=True):
        reach = (_RADIUS**2 - offset**2) ** 0.5
        turn = end[0] - _RADIUS - 20
        route = ((turn, y), (turn, end[1])) if layer.inner else ()
        points = ((start[0] + reach, y + offset), *route, (end[0] - reach, end[1] + offset))
        items += arrow(points, parts.colour(step), 2.4)
    if not labelled:
        return items
    middle = (start[0] + end[0]) / 2 - (14 if layer.inner else 0)
    over, under = _memory_labels(memory)
    above, _ = _memory_extent(memory)
    items += lines(over, (middle, y - above + 0.78 * _SMALL), _SMALL, "middle", 1 if memory[0].matrix else 0)
    return items + lines(under, (middle, y + _under(memory)), _SMALL, "middle", len(memory) - 1)


def _memory_labels(memory: tuple[Arrow, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The label lines above and below the arrows: operation and shapes of one arrow, or one label on each side."""
    if len(memory) == 2:
        return memory[0].label(), memory[1].label()
    texts = memory[0].label()
    return texts[:-2], texts[-2:]


def _under(memory: tuple[Arrow, ...]) -> float:
    return 14.0 + (_APART if len(memory) == 2 else 0.0)


def _memory_extent(memory: tuple[Arrow, ...]) -> tuple[float, float]:
    """How far the labels of recurrent arrows extend above and below the middle of the circles."""
    over, under = _memory_labels(memory)
    high = 7 + 0.24 * _SMALL + _LEADING * len(over) + (_APART if len(memory) == 2 else 0.0)
    return high, _under(memory) + _LEADING * (len(under) - 1) + 0.24 * _SMALL


def _loop(ends: tuple[float, float], step: Arrow, stroke: str, side: int) -> list[Item]:
    """The recurrence as an arrow from the circle at the first height to the second, on the right (1) or left (-1)."""
    edge, reach, rise = side * 0.86 * _RADIUS, side * 122, 0.5 * _RADIUS
    (y, back), far = ends, side * (108 if ends[0] == ends[1] else 104)
    goal = (edge, y + rise) if y == back else (side * _RADIUS, back)
    points = ((edge, y - rise), (reach, y - 74), (reach, back + (74 if y == back else 0)), goal)
    texts = step.label()
    first = (y + back) / 2 - _LEADING * (len(texts) - 1) / 2 + 3
    anchor: Anchor = "start" if side == 1 else "end"
    label = lines(texts, (far, first), _SMALL, anchor, 1 if step.matrix else 0)
    return [*arrow(points, stroke, 2.4, curved=True), *label]


def _captions(rows: _Rows, x: float, live: bool) -> list[Item]:
    """The name of each row, to its left."""
    captions = [
        ("input:", "the character", 0.0),
        ("its vector", "", rows.vector),
        ("output: probability of", "each next character", rows.output),
    ]
    captions += [
        ("hidden state", f"of layer {k + 1}" if len(rows.hidden) > 1 else "", rows.hidden[k])
        for k in range(len(rows.hidden))
    ]
    if live:
        captions += [("the five most likely next", "characters; dark: it follows", rows.output - 62)]
    return [
        Text(words, (x, y + (4 if not second else -2) + 13 * i), 10, "end")
        for first, second, y in captions
        for i, words in enumerate(filter(None, (first, second)))
    ]


def _expected(expected: Sequence[tuple[str, float]], follows: str | None, at: Point) -> list[Item]:
    """The most likely next characters as bars above the output; the one that follows is dark."""
    items: list[Item] = []
    for i, (character, chance) in enumerate(expected[:_LISTED]):
        y, length = at[1] - 14.0 * (_LISTED - 1 - i), 62 * chance
        right = character == follows
        items += [Text(visible(character), (at[0] - 46, y), 11, "middle", right)]
        items += [Polygon(_bar(at[0] - 34, y - 9, length), style.INK if right else "#b9c3d3", None)]
        items += [Text(f"{chance:.0%}" if chance >= 0.005 else "<1%", (at[0] + 60, y), _SMALL, "end", right)]
    return items


def _bar(x: float, y: float, length: float) -> tuple[Point, ...]:
    return (x, y), (x + length, y), (x + length, y + 10), (x, y + 10)


def _notation(y: float) -> list[Item]:
    items: list[Item] = [rectangle((12, y), 24, 20, _FILLS["input"]), Text("input", (30, y + 4), 10, "start")]
    items += [Circle((92, y), 12, _FILLS["hidden"]), Text("hidden state", (110, y + 4), 10, "start")]
    items += [triangle((210, y), 26, 22, _FILLS["output"]), Text("output", (228, y + 4), 10, "start")]
    items += [Circle((296, y), 12, dashed=True), Text("the state before the text", (314, y + 4), 10, "start")]
    return items


def _headed(drawing: Drawing, heading: str, line: str) -> Drawing:
    left, top, *_ = drawing.box()
    head = Text(heading, (left, top - 46), 15, "start", bold=True)
    return Drawing((head, Text(line, (left, top - 28), 11, "start", colour=style.FAINT), *drawing.items))


def _subscript(n: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(n))
