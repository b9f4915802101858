"""The inside of a cell: how the new hidden state is computed from the old one and the input, with all gates.

Each rung is a `CellDiagram`: nodes on a grid and wires between them. A coloured wire is a matrix product, in the colour
that the matrix has in the other diagrams; a dark wire passes numbers on unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unrolled import plotting as style
from unrolled.look.diagram.anatomy import Anatomy, anatomy
from unrolled.look.diagram.shapes import Circle, Drawing, Item, Point, Text, arrow, lines, rectangle
from unrolled.model.folder import ModelConfig

NodeKind = Literal["state", "input", "gate", "operation"]
_X, _Y = 74.0, 58.0  # points from one grid point to the next
_REACH: dict[NodeKind, Point] = {"state": (25, 25), "input": (22, 18), "gate": (32, 19), "operation": (14, 14)}


@dataclass(frozen=True)
class Node:
    """A node at a grid point (column, row downwards), with one or two lines of text."""

    kind: NodeKind
    at: Point
    text: str
    second: str = ""


@dataclass(frozen=True)
class Wire:
    """From one node to another, through the grid points `via`; `matrix` is "input" or "memory" for a matrix product."""

    start: str
    end: str
    matrix: Literal["input", "memory"] | None = None
    via: tuple[Point, ...] = ()
    leave: Point | None = None
    """The grid point where the wire branches off another wire, instead of at the border of its first node."""


@dataclass(frozen=True)
class CellDiagram:
    """The diagram of one rung: nodes by name, wires, positions of the matrix labels, and the equations."""

    nodes: Mapping[str, Node]
    wires: tuple[Wire, ...]
    labels: Mapping[Literal["input", "memory"], Point]
    equations: tuple[str, ...]
    note: str


def cell(config: ModelConfig) -> Drawing:
    """The inside of the cell of the first layer, with its equations."""
    parts = anatomy(config)
    plan = _CELLS.get(config.rung, _GENERIC)
    items: list[Item] = []
    for wire in plan.wires:
        items += _wire(plan, wire, _stroke(parts, wire))
    for node in plan.nodes.values():
        items += _node(node, config)
    for matrix, place in plan.labels.items():
        items += _label(parts, matrix, place)
    left, _, _, bottom = Drawing(tuple(items)).box()
    said = [line.replace("ƒ", config.nonlinearity or "tanh") for line in plan.equations]
    items += lines(said, (left, bottom + 30), 12, math=True)
    top = Drawing(tuple(items)).box()[1]
    items += [Text("Inside the cell", (left, top - 46), 15, "start", bold=True)]
    items += [Text(plan.note, (left, top - 28), 11, "start", colour=style.FAINT)]
    return Drawing(tuple(items))


def equations(config: ModelConfig) -> list[str]:
    """The equations of the cell, one per line."""
    said = "      ".join(_CELLS.get(config.rung, _GENERIC).equations).replace("ƒ", config.nonlinearity or "tanh")
    return said.split("      ")


def _wire(plan: CellDiagram, wire: Wire, stroke: str) -> list[Item]:
    start, end = plan.nodes[wire.start], plan.nodes[wire.end]
    places = [wire.leave or start.at, *(place for place in wire.via if place != start.at), end.at]
    points = [(x * _X, y * _Y) for x, y in places]
    if wire.leave is None:
        points[0] = _border(start, points[1])
    points[-1] = _border(end, points[-2])
    items = arrow(tuple(points), stroke, 2.4 if wire.matrix else 1.5)
    if wire.leave:
        items.append(Circle(points[0], 2.2, style.INK))
    return items


def _border(node: Node, other: Point) -> Point:
    """Where a wire from `other`, straight along a row or column, meets the border of `node`."""
    (x, y), (w, h) = (node.at[0] * _X, node.at[1] * _Y), _REACH[node.kind]
    if abs(other[1] - y) < 1:
        return x + (w if other[0] > x else -w), y
    if node.kind == "gate":  # two wires reach a gate from below, side by side
        return other[0], y + (h if other[1] > y else -h)
    return x, y + (h if other[1] > y else -h)


def _node(node: Node, config: ModelConfig) -> list[Item]:
    x, y = node.at[0] * _X, node.at[1] * _Y
    w, h = _REACH[node.kind]
    text = node.text.replace("ƒ", config.nonlinearity or "tanh")
    if node.kind == "state":
        return [Circle((x, y), w, "#fdf3e7"), Text(text, (x, y + 4), 12)]
    if node.kind == "input":
        return [rectangle((x, y), 2 * w, 2 * h, "#eef3fa"), Text(text, (x, y + 4), 12)]
    if node.kind == "operation":
        return [Circle((x, y), w), Text(text, (x, y + 4), 13 if len(text) == 1 else 9)]
    shape = rectangle((x, y), 2 * w, 2 * h, "#f1eef7")
    if not node.second:
        return [shape, Text(text, (x, y + 4), 12)]
    return [shape, Text(text, (x, y - 3), 12, bold=True), Text(node.second, (x, y + 12), 10)]


def _label(parts: Anatomy, matrix: Literal["input", "memory"], place: Point) -> list[Item]:
    layer = parts.layers[0]
    step = layer.input if matrix == "input" else layer.recurrent
    shapes = f"{step.shape_in} → {step.shape_out}"
    return lines((f"{step.matrix}: matrix product", shapes), (place[0] * _X, place[1] * _Y), 9, "start", 1)


def _stroke(parts: Anatomy, wire: Wire) -> str:
    layer = parts.layers[0]
    arrows = {"input": layer.input, "memory": layer.recurrent}
    return parts.colour(arrows[wire.matrix]) if wire.matrix else style.INK


def _states(after: Point, before: Point = (0, 0.3), name: str = "h") -> dict[str, Node]:
    return {
        f"{name}0": Node("state", before, f"{name}ₜ₋₁"),
        f"{name}1": Node("state", after, f"{name}ₜ"),
    }


def _gated(gate: str, x: float, memory: bool = True, height: float = 4.2) -> tuple[Wire, ...]:
    """The wires of a gate at column `x`, from the old hidden state and from the input, which run below."""
    of_input = Wire("x", gate, "input", ((x + 0.2, height + 1),) if memory else ((x, height),))
    return (Wire("h0", gate, "memory", ((0, height), (x - 0.2, height))), of_input) if memory else (of_input,)


_ADDITIVE = CellDiagram(
    {
        **_states((7.6, 0.3)),
        "add": Node("operation", (2.6, 0.3), "+"),
        "tanh": Node("operation", (6, 0.3), "tanh"),
        "relu": Node("operation", (2.6, 1.5), "relu"),
        "x": Node("input", (2.6, 3.2), "xₜ"),
    },
    (
        Wire("h0", "add"),
        Wire("x", "relu", "input"),
        Wire("relu", "add"),
        Wire("add", "tanh", "memory"),
        Wire("tanh", "h1"),
    ),
    {"input": (2.8, 2.3), "memory": (3.05, 0.75)},
    ("u = relu(W_in xₜ + b_in)", "hₜ = tanh(W_h (hₜ₋₁ + u) + b_h)"),
    "the character is added to the hidden state, and W_h multiplies the sum",
)

_CONCAT = CellDiagram(
    {
        **_states((8.8, 0.3)),
        "join": Node("gate", (1.9, 0.3), "[h; x]", "side by side"),
        "relu": Node("operation", (4.9, 0.3), "relu"),
        "tanh": Node("operation", (7.5, 0.3), "tanh"),
        "x": Node("input", (1.9, 2.2), "xₜ"),
    },
    (
        Wire("h0", "join"),
        Wire("x", "join"),
        Wire("join", "relu", "input"),
        Wire("relu", "tanh", "memory"),
        Wire("tanh", "h1"),
    ),
    {"input": (2.5, 1.0), "memory": (5.25, 1.0)},
    ("r = relu(W_in [hₜ₋₁; xₜ] + b_in)", "hₜ = tanh(W_h r + b_h)"),
    "hidden state and character are concatenated before W_in",
)

_ELMAN = CellDiagram(
    {
        **_states((7, 0.3)),
        "add": Node("operation", (3.8, 0.3), "+"),
        "f": Node("operation", (5.4, 0.3), "ƒ"),
        "x": Node("input", (3.8, 2.4), "xₜ"),
    },
    (Wire("h0", "add", "memory"), Wire("x", "add", "input"), Wire("add", "f"), Wire("f", "h1")),
    {"memory": (0.55, 0.75), "input": (4.0, 1.35)},
    ("hₜ = ƒ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)",),
    "one matrix for the character, one for the hidden state",
)

_GRU = CellDiagram(
    {
        **_states((9.5, 0.3)),
        "keep": Node("operation", (2, 0.3), "×"),
        "sum": Node("operation", (8, 0.3), "+"),
        "one": Node("operation", (4.2, 1.7), "1 −"),
        "new": Node("operation", (8, 1.7), "×"),
        "z": Node("gate", (2, 3), "σ", "keep z"),
        "r": Node("gate", (4.2, 3), "σ", "reset r"),
        "part": Node("operation", (6.1, 3), "×"),
        "n": Node("gate", (8, 3), "tanh", "new n"),
        "x": Node("input", (0, 5.2), "xₜ"),
    },
    (
        *_gated("z", 2),
        *_gated("r", 4.2),
        Wire("h0", "part", "memory", ((0, 4.2), (6.1, 4.2))),
        Wire("x", "n", "input", ((8, 5.2),)),
        Wire("h0", "keep"),
        Wire("z", "keep"),
        Wire("z", "one", leave=(2, 1.7)),
        Wire("one", "new"),
        Wire("r", "part"),
        Wire("part", "n"),
        Wire("n", "new"),
        Wire("new", "sum"),
        Wire("keep", "sum"),
        Wire("sum", "h1"),
    ),
    {"memory": (4.6, 4.55), "input": (8.2, 5.1)},
    (
        "r = σ(W_ir xₜ + b_ir + W_hr hₜ₋₁ + b_hr)      z = σ(W_iz xₜ + b_iz + W_hz hₜ₋₁ + b_hz)",
        "n = tanh(W_in xₜ + b_in + r ⊙ (W_hn hₜ₋₁ + b_hn))      hₜ = (1 − z) ⊙ n + z ⊙ hₜ₋₁",
    ),
    "z is the fraction kept; r is how much of the old state enters the candidate",
)

_LSTM = CellDiagram(
    {
        **_states((10, 0.3), (0, 0.3), "c"),
        **_states((10, 1.9), (0, 4.2)),
        "drop": Node("operation", (2, 0.3), "×"),
        "sum": Node("operation", (5, 0.3), "+"),
        "new": Node("operation", (5, 1.8), "×"),
        "tanh": Node("operation", (8, 1.05), "tanh"),
        "show": Node("operation", (8, 1.9), "×"),
        "f": Node("gate", (2, 3), "σ", "forget f"),
        "i": Node("gate", (4, 3), "σ", "input i"),
        "g": Node("gate", (6, 3), "tanh", "new g"),
        "o": Node("gate", (8, 3), "σ", "output o"),
        "x": Node("input", (0, 5.2), "xₜ"),
    },
    (
        *_gated("f", 2),
        *_gated("i", 4),
        *_gated("g", 6),
        *_gated("o", 8),
        Wire("c0", "drop"),
        Wire("drop", "sum"),
        Wire("sum", "c1"),
        Wire("f", "drop"),
        Wire("i", "new", via=((4, 1.8),)),
        Wire("g", "new", via=((6, 1.8),)),
        Wire("new", "sum"),
        Wire("sum", "tanh", leave=(8, 0.3)),
        Wire("tanh", "show"),
        Wire("o", "show"),
        Wire("show", "h1"),
    ),
    {"memory": (8.45, 4.15), "input": (8.45, 5.1)},
    (
        "f = σ(W_if xₜ + W_hf hₜ₋₁ + b_f)      i = σ(W_ii xₜ + W_hi hₜ₋₁ + b_i)",
        "g = tanh(W_ig xₜ + W_hg hₜ₋₁ + b_g)      o = σ(W_io xₜ + W_ho hₜ₋₁ + b_o)",
        "cₜ = f ⊙ cₜ₋₁ + i ⊙ g      hₜ = o ⊙ tanh(cₜ)",
    ),
    "no matrix multiplies c: what the forget gate passes is kept unchanged",
)

_MINGRU = CellDiagram(
    {
        **_states((8.3, 0.3)),
        "keep": Node("operation", (2.4, 0.3), "×"),
        "one": Node("operation", (2.4, 1.2), "1 −"),
        "sum": Node("operation", (6.2, 0.3), "+"),
        "new": Node("operation", (6.2, 2.0), "×"),
        "z": Node("gate", (2.4, 3), "σ", "gate z"),
        "c": Node("gate", (6.2, 3), "g", "new c"),
        "x": Node("input", (0, 4.2), "xₜ"),
    },
    (
        *_gated("z", 2.4, memory=False),
        *_gated("c", 6.2, memory=False),
        Wire("h0", "keep"),
        Wire("keep", "sum"),
        Wire("sum", "h1"),
        Wire("z", "one"),
        Wire("one", "keep"),
        Wire("z", "new", leave=(2.4, 2.0)),
        Wire("c", "new"),
        Wire("new", "sum"),
    ),
    {"input": (6.45, 4.1)},
    (
        "z = σ(W_z xₜ + b_z)      c = g(W_c xₜ + b_c)      hₜ = (1 − z) ⊙ hₜ₋₁ + z ⊙ c",
        "g(v) = v + ½ for v ≥ 0, else σ(v)",
    ),
    "the gates depend on the input only, so those of a whole text can be computed at once",
)

_GENERIC = CellDiagram(
    {
        **_states((5.2, 0.3)),
        "step": Node("gate", (2.6, 0.3), "step"),
        "x": Node("input", (2.6, 2.2), "xₜ"),
    },
    (Wire("h0", "step"), Wire("x", "step", "input"), Wire("step", "h1")),
    {"input": (2.8, 1.3)},
    ("hₜ = step(xₜ, hₜ₋₁)",),
    "no diagram of this cell yet: its equations are in its file",
)

_CELLS = {
    "three-char": _ADDITIVE,
    "loop": _ADDITIVE,
    "concat": _CONCAT,
    "rnn": _ELMAN,
    "irnn": _ELMAN,
    "gru": _GRU,
    "lstm": _LSTM,
    "mingru": _MINGRU,
}
