"""The inside of a cell: how the new state is computed from the old one and the input, with all gates.

A coloured wire is a matrix product, in the colour that the matrix has in the other diagrams; a dark wire passes numbers
on unchanged. Left out: which cell has which parts (`plans`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from unrolled import plotting as style
from unrolled.look.diagram.anatomy import Anatomy, anatomy
from unrolled.look.diagram.notation import CellDiagram, Node, NodeKind, Wire
from unrolled.look.diagram.plans import GENERIC, PLANS
from unrolled.look.diagram.shapes import Circle, Drawing, Item, Point, Text, arrow, lines, rectangle
from unrolled.model.cells import alone
from unrolled.model.folder import ModelConfig

_X, _Y = 74.0, 58.0  # points from one grid point to the next
_REACH: dict[NodeKind, Point] = {"state": (25, 25), "input": (22, 18), "gate": (32, 19), "operation": (14, 14)}


def cell(config: ModelConfig) -> Drawing:
    """The inside of the cell of the first layer, with its equations."""
    parts = anatomy(config)
    plan = plan_of(config.rung)
    items: list[Item] = []
    for wire in plan.wires:
        items += _wire(plan, wire, _stroke(parts, wire))
    for node in plan.nodes.values():
        items += _node(node, config)
    for matrix, place in plan.labels.items():
        items += _label(parts, matrix, place)
    left, _, _, bottom = Drawing(tuple(items)).box()
    shown = [line.replace("ƒ", config.nonlinearity or "tanh") for line in plan.equations]
    items += lines(shown, (left, bottom + 30), 12, math=True)
    top = Drawing(tuple(items)).box()[1]
    items += [Text("Inside the cell", (left, top - 46), 15, "start", bold=True)]
    items += [Text(plan.note, (left, top - 28), 11, "start", colour=style.FAINT)]
    return Drawing(tuple(items))


def equations(config: ModelConfig) -> list[str]:
    """The equations of the cell, one per line."""
    joined = "      ".join(plan_of(config.rung).equations)
    return joined.replace("ƒ", config.nonlinearity or "tanh").split("      ")


def plan_of(rung: str) -> CellDiagram:
    """The plan of a rung; of one in a block, that of the cell within."""
    plan = PLANS.get(alone(rung), GENERIC)
    return plan if rung == alone(rung) else replace(plan, note=f"{plan.note}; the block is around it")


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
