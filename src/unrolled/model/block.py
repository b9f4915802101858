"""The block in which a recurrence stands in today's networks: norms, ways around it, and a gated MLP behind it.

    x' = skip(x) + recurrence(norm(x));  h = x' + W_down (SiLU(a) ⊙ b), where a and b are the halves of W_up norm(x')

A recurrence that is linear in its state can do little alone; what is missing, a nonlinearity between one layer and the
next, is here. skip is the identity, or a matrix where input and output differ in size; norm divides by the root mean
square. Different from most papers: no convolution, and no matrix between the recurrence and the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from unrolled.model.cell import Array, Cell, CellState, Shapes, columns, halves, rms_norm, sigmoid

WIDTH = 2
"""Numbers inside the MLP for each hidden unit."""
INNER = "inner."
"""What the parameters of the recurrence are called by, within those of the block."""


class Block(Cell):
    """A cell in a block; made by `in_block`."""

    inner: ClassVar[type[Cell]]

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        own = {name.removeprefix(INNER): array for name, array in weights.items() if name.startswith(INNER)}
        self.cell = self.inner(own, nonlinearity)
        self.skip = columns(weights["weight_skip"]) if "weight_skip" in weights else None
        self.norm_in, self.norm_out = weights["norm_in"], weights["norm_out"]
        self.up, self.down = columns(weights["weight_up"]), columns(weights["weight_down"])
        self.hidden = len(self.norm_out)

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        return dict(zip(cls.parts, cls.inner.state_shapes(hidden).values(), strict=True))

    @classmethod
    def shapes(cls, inputs: int, hidden: int) -> Shapes:
        return {
            **{INNER + name: shape for name, shape in cls.inner.shapes(inputs, hidden).items()},
            **({"weight_skip": (hidden, inputs)} if inputs != hidden else {}),
            "norm_in": (inputs,),
            "norm_out": (hidden,),
            "weight_up": (2 * WIDTH * hidden, hidden),
            "weight_down": (hidden, WIDTH * hidden),
        }

    def project(self, x: Array) -> Array:
        skip = x if self.skip is None else x @ self.skip
        return np.concatenate([skip, self.cell.project(rms_norm(x, self.norm_in))], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        h, after = self.cell.step(p[..., self.hidden :], state)
        x = p[..., : self.hidden] + h
        a, b = halves(rms_norm(x, self.norm_out) @ self.up)
        return x + (a * sigmoid(a) * b) @ self.down, after


@cache
def in_block(cell: type[Cell]) -> type[Block]:
    """The block around `cell`. Its state is that of the cell."""
    parts = tuple(f"{INNER}{part}" for part in cell.parts)
    facts = {"inner": cell, "parts": parts, "nonlinearities": cell.nonlinearities, "__doc__": cell.__doc__}
    return type(f"{cell.__name__}Block", (Block,), facts)
