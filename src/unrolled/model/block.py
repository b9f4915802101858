"""The block around a recurrence in today's networks: norms, residual connections, and a gated MLP after it.

    x' = skip(x) + recurrence(norm(x));  h = x' + W_down (SiLU(a) ⊙ b), where a and b are the halves of W_up norm(x')

A recurrence that is linear in its state can do little alone; what is missing, a nonlinearity between one layer and the
next, is here. skip is the identity, or a matrix where input and output differ in size; norm divides by the root mean
square. Different from most papers: no matrix between the recurrence and the sum.

With a short convolution, as in Mamba (2312.00752) and Griffin (2402.19427), the recurrence reads four inputs at a time,
so that gates that cannot see the state see the last characters: in place of norm(x_t) it reads

    u_t = Σ_k taps_k ⊙ norm(skip(x_{t-k})), k = 0 .. 3, each unit by itself
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from unrolled.model.cell import Array, Cell, CellState, Shapes, chunk, columns, rms_norm, sigmoid

WIDTH = 2
"""Numbers inside the MLP for each hidden unit."""
TAPS = 4
"""Characters that the convolution reads."""
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
        return {INNER + name: shape for name, shape in cls.inner.state_shapes(hidden).items()}

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
        a, b = chunk(rms_norm(x, self.norm_out) @ self.up, 2)
        return x + (a * sigmoid(a) * b) @ self.down, after


class ConvolutionBlock(Block):
    """A cell in a block with a short convolution; what it still has to read of earlier characters is `past`."""

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        super().__init__(weights, nonlinearity)
        self.taps = weights["taps"]

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        return {"past": (TAPS - 1, hidden), **super().state_shapes(hidden)}

    @classmethod
    def shapes(cls, inputs: int, hidden: int) -> Shapes:
        skip = {"weight_skip": (hidden, inputs)} if inputs != hidden else {}
        return {**super().shapes(hidden, hidden), **skip, "taps": (TAPS, hidden)}

    def project(self, x: Array) -> Array:
        return x if self.skip is None else x @ self.skip

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        seen = np.concatenate([state[0], rms_norm(p, self.norm_in)[..., None, :]], axis=-2)
        own = self.cell.project((seen * self.taps).sum(-2))
        h, after = super().step(np.concatenate([p, own], axis=-1), state[1:])
        return h, (seen[..., 1:, :], *after)


@cache
def in_block(cell: type[Cell], *, convolution: bool = False) -> type[Block]:
    """The block around `cell`. Its state is that of the cell, and with a convolution what that has to keep."""
    kind = ConvolutionBlock if convolution else Block
    facts = {"inner": cell, "nonlinearities": cell.nonlinearities, "__doc__": cell.__doc__}
    made: type[Block] = type(f"{cell.__name__}{kind.__name__}", (kind,), facts)
    made.parts = tuple(made.state_shapes(64))
    return made
