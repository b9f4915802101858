"""The diagram of one cell: nodes on a grid, wires between them, equations; and the notation in which it is written.

Columns count to the right, rows downwards; the state passes from left to right in the upper rows, and what the input
brings rises from below. Left out: the diagrams themselves (`plans`), and drawing them (`cell`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

Point = tuple[float, float]
NodeKind = Literal["state", "input", "gate", "operation"]
Matrix = Literal["input", "memory"]


@dataclass(frozen=True)
class Node:
    """A node at a grid point (column, row downwards), with one or two lines of text."""

    kind: NodeKind
    at: Point
    text: str
    second: str = ""


@dataclass(frozen=True)
class Wire:
    """From one node to another, through the grid points `via`; `matrix` names the factor of a matrix product."""

    start: str
    end: str
    matrix: Matrix | None = None
    via: tuple[Point, ...] = ()
    leave: Point | None = None
    """The grid point where the wire branches off another wire, instead of at the border of its first node."""


@dataclass(frozen=True)
class CellDiagram:
    """The diagram of one rung: nodes by name, wires, positions of the matrix labels, and the equations."""

    nodes: Mapping[str, Node]
    wires: tuple[Wire, ...]
    labels: Mapping[Matrix, Point]
    equations: tuple[str, ...]
    note: str


def plan(
    *,
    x: str,
    states: str,
    wires: str,
    labels: str,
    equations: tuple[str, ...],
    note: str,
    operations: str = "",
    gates: str = "",
    from_x: str = "",
    from_both: str = "",
) -> CellDiagram:
    """The diagram that strings describe: parts stand between bars, a point is `column,row`.

    `x` is the point of the input. A state is its name and the points where it comes in and goes out, or the latter
    alone; its nodes are called h0 and h1. A node is its name, its point and its text, with a second line after a colon.
    A wire is a row of nodes and of the points on its way: `i 4,1.8 new sum` are two wires, the first one bent, and
    `z @2,1.7 one` branches off at that point. A matrix product begins with the name of its factor, as in `input: x n`.
    The gates `from_x` have a wire straight down to the level of the input, those `from_both` one from h0 besides.
    """
    nodes = {"x": Node("input", _point(x), "xₜ")}
    for name, *points in map(str.split, _parts(states)):
        sides = zip(("0", "1")[-len(points) :], ("ₜ₋₁", "ₜ")[-len(points) :], points, strict=True)
        nodes |= {f"{name}{side}": Node("state", _point(point), f"{name}{mark}") for side, mark, point in sides}
    for kind, described in (("operation", operations), ("gate", gates)):
        for name, point, text in (part.split(" ", 2) for part in _parts(described)):
            first, _, second = text.partition(": ")
            nodes[name] = Node(cast(NodeKind, kind), _point(point), first, second)
    places = (part.split(" ") for part in _parts(labels))
    return CellDiagram(
        nodes,
        (*_rising(nodes, from_x.split(), from_both.split()), *(w for part in _parts(wires) for w in _wires(part))),
        {cast(Matrix, matrix): _point(point) for matrix, point in places},
        equations,
        note,
    )


def _rising(nodes: Mapping[str, Node], from_x: list[str], from_both: list[str]) -> Iterator[Wire]:
    """The wires of gates from the input, and from the old hidden state, which run along below them."""
    level = nodes["x"].at[1]
    for gate in from_both:
        column = nodes[gate].at[0]
        yield Wire("h0", gate, "memory", ((0, level - 1), (column - 0.2, level - 1)))
        yield Wire("x", gate, "input", ((column + 0.2, level),))
    for gate in from_x:
        yield Wire("x", gate, "input", ((nodes[gate].at[0], level),))


def _wires(row: str) -> Iterator[Wire]:
    """The wires of one row: from each of its nodes to the next."""
    matrix, _, path = row.rpartition(": ")
    start, *places = path.split(" ")
    via: list[Point] = []
    leave = None
    for place in places:
        if place.startswith("@"):
            leave = _point(place[1:])
        elif "," in place:
            via.append(_point(place))
        else:
            yield Wire(start, place, cast(Matrix, matrix) if matrix else None, tuple(via), leave)
            start, via, leave = place, [], None


def _parts(described: str) -> list[str]:
    return described.split(" | ") if described else []


def _point(text: str) -> Point:
    column, row = map(float, text.split(","))
    return column, row
