"""One step of every recurrence of the lesson and of every gated one, in the papers' symbols: the page to read first.

What a cell is, and what it is written with, is in `cell`. The recurrences that are linear in their state are in
`linear_cells`, those whose state is a matrix in `matrix_cells`. The same equations for whole windows, with gradients,
are in `unrolled.learn.networks`, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import unknown_name
from unrolled.model.block import in_block
from unrolled.model.cell import Array, Cell, CellState, Shapes, chunk, columns, relu, sigmoid, softplus, tanh
from unrolled.model.linear_cells import Lru, Mamba, MinGru, MinLstm, RgLru
from unrolled.model.matrix_cells import DeltaNet, GatedDeltaNet, Hgrn2, LinearAttention, MLstm


class ThreeChar(Cell):
    """The lesson's network of three characters, each added to the hidden state: three steps from zero, no loop."""

    parts: ClassVar[tuple[str, ...]] = ("u_before_last", "u_last")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W_in, self.b_in = columns(weights["weight_in"]), weights["bias_in"]
        self.W_h, self.b_h = columns(weights["weight_h"]), weights["bias_h"]

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return {
            "weight_in": (hidden, inputs),
            "bias_in": (hidden,),
            "weight_h": (hidden, hidden),
            "bias_h": (hidden,),
        }

    def project(self, x: Array) -> Array:
        return relu(x @ self.W_in + self.b_in)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        u1, u2, u3 = *state, p
        h = tanh(u1 @ self.W_h + self.b_h)
        h = tanh((h + u2) @ self.W_h + self.b_h)
        h = tanh((h + u3) @ self.W_h + self.b_h)
        return h, (u2, u3)


class Loop(ThreeChar):
    """The lesson's loop, with the same two matrices: h' = tanh(W_h (h + relu(W_in x + b_in)) + b_h)."""

    parts = ("h",)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        h = tanh((h + p) @ self.W_h + self.b_h)
        return h, (h,)


class Concat(Cell):
    """The lesson's concatenation: h' = tanh(W_h relu(W_in [h; x] + b_in) + b_h)."""

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        hidden = len(weights["bias_h"])
        self.W_inh, self.W_inx = np.split(columns(weights["weight_in"]), [hidden])
        self.b_in = weights["bias_in"]
        self.W_h, self.b_h = columns(weights["weight_h"]), weights["bias_h"]

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return ThreeChar.shapes(hidden + inputs, hidden)

    def project(self, x: Array) -> Array:
        return x @ self.W_inx + self.b_in

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        r = relu(h @ self.W_inh + p)
        h = tanh(r @ self.W_h + self.b_h)
        return h, (h,)


class Gated(Cell):
    """What the cells below share: W x + b of the input, U h of the state, both in `gates` blocks of rows, one a gate.

    The parameters are named as in `torch.nn`, which has two biases where one would do.
    """

    gates: ClassVar[int] = 4

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.U = columns(weights["weight_ih"]), columns(weights["weight_hh"])
        self.b: Array = weights["bias_ih"] + weights["bias_hh"]

    @classmethod
    def shapes(cls, inputs: int, hidden: int) -> Shapes:
        rows = cls.gates * hidden
        return {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}

    def project(self, x: Array) -> Array:
        return x @ self.W + self.b


class Elman(Gated):
    """Elman 1990: h' = f(W x + b + U h), f being tanh or relu."""

    gates = 1
    nonlinearities = ("tanh", "relu")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        super().__init__(weights)
        self.f = relu if nonlinearity == "relu" else tanh

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        a = h @ self.U
        a += p
        h = self.f(a)
        return h, (h,)


class Irnn(Elman):
    """Le, Jaitly, Hinton 2015: `rnn` whose U starts as the identity, which concerns training alone."""


class Gru(Gated):
    """Cho et al. 2014, the reset gate r after the product with U_n: h' = (1 - z) ⊙ n + z ⊙ h.

    Rows of the weights in the order r, z, n.
    """

    gates = 3

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        super().__init__(weights)
        self.b, self.b_u = weights["bias_ih"], weights["bias_hh"]

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        p_r, p_z, p_n = chunk(p, 3)
        u_r, u_z, u_n = chunk(h @ self.U + self.b_u, 3)
        r = sigmoid(p_r + u_r)
        z = sigmoid(p_z + u_z)
        n = tanh(p_n + r * u_n)
        h = n + z * (h - n)
        return h, (h,)


class Lstm(Gated):
    """Hochreiter and Schmidhuber 1997, with a forget gate f: c' = f ⊙ c + i ⊙ g;  h' = o ⊙ tanh(c').

    Rows of the weights in the order i, f, g, o. As tanh(v) = 2 σ(2v) - 1, all four gates are one σ, of 2v for g; the
    rows are held times -1 and -2, as σ(v) = 1 / (1 + e⁻ᵛ), which is exact.
    """

    parts = ("h", "c")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        super().__init__(weights)
        scale = np.repeat(np.array([-1, -1, -2, -1], self.b.dtype), len(self.b) // 4)
        self.W, self.U, self.b = self.W * scale, self.U * scale, self.b * scale

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        h, c = state
        a: Array = h @ self.U
        a += p
        with np.errstate(over="ignore"):  # where e⁻ᵛ is infinite, σ(v) is 0
            np.exp(a, out=a)
        a += 1
        np.divide(1, a, out=a)
        i, f, g, o = chunk(a, 4)
        c = f * c + i * (2 * g - 1)
        h = o * np.tanh(c)
        return h, (h, c)


class SLstm(Gated):
    """Beck et al. 2024 (xLSTM): an LSTM whose gates i and f are exponential, with a normaliser n.

    m' = max(log f + m, ĩ);  c' = e^(log f + m - m') c + e^(ĩ - m') g;  n' the same sum with 1 for g;  h' = o ⊙ c' / n'.
    log f = log σ(f̃). The stabiliser m cancels in c / n and keeps both finite; where nothing is stored yet (n = 0) it is
    ĩ. Rows of the weights in the order i, f, g, o. One head: the paper divides U into blocks.
    """

    parts = ("h", "c", "n", "m")

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        h, c, n, m = state
        i, f, g, o = chunk(h @ self.U + p, 4)
        kept = m - softplus(-f)
        m = np.where(n == 0, i, np.maximum(kept, i))
        keep, add = np.exp(np.minimum(kept - m, 0)), np.exp(i - m)
        c = keep * c + add * np.tanh(g)
        n = keep * n + add
        h = sigmoid(o) * c / n
        return h, (h, c, n, m)


CELLS: dict[str, type[Cell]] = {
    "three-char": ThreeChar,
    "loop": Loop,
    "concat": Concat,
    "rnn": Elman,
    "irnn": Irnn,
    "gru": Gru,
    "lstm": Lstm,
    "mingru": MinGru,
    "minlstm": MinLstm,
    "lru": Lru,
    "rg-lru": RgLru,
    "mamba": Mamba,
    "linear-attention": LinearAttention,
    "deltanet": DeltaNet,
    "gated-deltanet": GatedDeltaNet,
    "slstm": SLstm,
    "mlstm": MLstm,
    "hgrn2": Hgrn2,
}
"""The cell of each rung; `unrolled.learn.networks.RUNGS` has the recurrences under the same names."""

BLOCK, CONVOLUTION = "+block", "+conv"
"""Endings of the names of rungs in a block, and in a block with a short convolution."""


def alone(rung: str) -> str:
    """The name of the recurrence in `rung`, without the block around it."""
    return next((rung.removesuffix(end) for end in (BLOCK, CONVOLUTION) if rung.endswith(end)), rung)


def find_cell(rung: str) -> type[Cell]:
    """The cell of `rung`, or of a rung in a block, as `mingru+block` or `mingru+conv`. Raises InputError."""
    if (name := alone(rung)) not in CELLS:
        raise unknown_name("rung", name, CELLS)
    return CELLS[name] if name == rung else in_block(CELLS[name], convolution=rung.endswith(CONVOLUTION))


LayerHook = Callable[[int, Array], Array]
"""Called with the number of a layer and its output h (..., hidden); returns h, or what is to replace it."""


class CellNetwork:
    """A whole network one character at a time: embedding, cells and head, from the weights of a model folder.

    Raises InputError for an unknown rung.
    """

    def __init__(self, rung: str, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        kind = find_cell(rung)
        count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
        self.cells = [kind(_of_layer(weights, k), nonlinearity) for k in range(count)]
        self.table = self.cells[0].project(weights["embedding.weight"])
        """The first layer's projection of every character, (vocabulary, ...)."""
        self.head, self.head_bias = columns(weights["head.weight"]), weights["head.bias"]

    def initial_state(self, *batch: int) -> CellState:
        """The state before the first character, layer by layer: zeros, each with the axes of `batch` before its own."""
        shapes = [shape for cell in self.cells for shape in cell.state_shapes(len(self.head)).values()]
        return tuple(np.zeros((*batch, *shape), self.head.dtype) for shape in shapes)

    def step(
        self, ids: int | NDArray[np.integer], state: CellState, hook: LayerHook | None = None
    ) -> tuple[Array, CellState]:
        """Read one character of each stream: ids (...) -> logits of the next one (..., vocabulary), and the new state.

        The given state is not changed. `hook` sees every layer's h, and may replace it for all that read it.
        """
        h, state = self.hidden(ids, state, hook)
        return h @ self.head + self.head_bias, state

    def advance(self, ids: int | NDArray[np.integer], state: CellState) -> CellState:
        """The state of `step`, without the logits."""
        return self.hidden(ids, state)[1]

    def read(self, ids: NDArray[np.integer], state: CellState) -> tuple[Array, CellState]:
        """`step` for ids (time, ...): all logits (time, ..., vocabulary), and the last state."""
        outputs = []
        for now in ids.tolist() if ids.ndim == 1 else ids:
            h, state = self.hidden(now, state)
            outputs.append(h)
        return np.stack(outputs) @ self.head + self.head_bias, state

    def hidden(
        self, ids: int | NDArray[np.integer], state: CellState, hook: LayerHook | None = None
    ) -> tuple[Array, CellState]:
        """`step` without the head: the last layer's h (..., hidden), and the new state."""
        h: Array = self.table[ids]
        after: list[Array] = []
        for k, cell in enumerate(self.cells):
            p = h if k == 0 else cell.project(h)
            h, parts = cell.step(p, state[len(after) : len(after) + len(cell.parts)])
            if hook is not None:
                h = hook(k, h)
                parts = tuple(h if name == "h" else part for name, part in zip(cell.parts, parts, strict=True))
            after.extend(parts)
        return h, tuple(after)


def _of_layer(weights: Mapping[str, Array], layer: int) -> dict[str, Array]:
    prefix = f"layers.{layer}."
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
