"""What each rung consists of, for drawing: its weight matrices, and the operation and shapes of every arrow.

`network` draws it and `terminal` writes it as text. The equations are computed in `unrolled.model.cells`; the inside
of a cell is drawn by `cell`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from unrolled import plotting as style
from unrolled.model.block import INNER
from unrolled.model.cells import alone, find_cell
from unrolled.model.folder import ModelConfig


@dataclass(frozen=True)
class Arrow:
    """One arrow: the matrix it multiplies by (None if there is none), the operation, and the shapes."""

    matrix: str | None
    operation: str
    shape_in: str
    shape_out: str

    def label(self) -> tuple[str, ...]:
        """The lines of its label: matrix, operation, shapes."""
        head = (self.matrix,) if self.matrix else ()
        return (*head, *self.operation_lines(), self.shape_in, f"→ {self.shape_out}")

    def operation_lines(self) -> tuple[str, ...]:
        """The operation, one part per line."""
        parts = self.operation.split("; ")
        return (*(f"{part};" for part in parts[:-1]), parts[-1])


@dataclass(frozen=True)
class Matrix:
    """A weight matrix: its symbol in the diagrams, its name in `model.safetensors`, its shape (rows, columns)."""

    symbol: str
    name: str
    rows: int
    columns: int
    colour: str
    """By its role: the same for the matrix from the input in all rungs, and so on."""


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: the arrow from below, and those from the previous step, one for each part of the state."""

    input: Arrow
    memory: tuple[Arrow, ...]
    matrices: tuple[Matrix, ...]
    inner: Arrow | None = None
    """Where the previous state enters below `input` (concat): the second product, from there to the hidden state."""

    within: tuple[Arrow, ...] = ()
    """Products inside the cell, which no arrow of the diagram shows."""

    @property
    def recurrent(self) -> Arrow:
        """The arrow with the matrix of the hidden state, or the last part of the state if it has none."""
        return self.inner or self.memory[-1]


@dataclass(frozen=True)
class Anatomy:
    """A network: character -> vector -> layers -> output."""

    config: ModelConfig
    lookup: Arrow
    layers: tuple[Layer, ...]
    head: Arrow
    matrices: tuple[Matrix, ...]
    """Every matrix once, in the order of the forward pass."""

    def colour(self, arrow: Arrow) -> str:
        """The colour of an arrow: that of its matrix, or black without one."""
        return next((matrix.colour for matrix in self.matrices if matrix.symbol == arrow.matrix), style.INK)


def anatomy(config: ModelConfig) -> Anatomy:
    """The parts of the network with `config`; raises InputError for an unknown rung."""
    find_cell(config.rung)
    layers = tuple(_RUNGS.get(config.rung, _usual)(_At(config, k)) for k in range(config.layers))
    embedding = Matrix("E", "embedding.weight", config.vocabulary, config.embedding, style.colour(_EMBEDDING))
    head = Matrix("W_out", "head.weight", config.vocabulary, config.hidden, style.colour(_HEAD))
    return Anatomy(
        config,
        Arrow("E", "row of the character", "batch", _batch(config.embedding)),
        layers,
        Arrow("W_out", "matrix product; softmax", _batch(config.hidden), _batch(config.vocabulary)),
        (embedding, *(matrix for layer in layers for matrix in layer.matrices), head),
    )


@dataclass(frozen=True)
class _At:
    """The layer to describe, counted from 0."""

    config: ModelConfig
    layer: int

    @property
    def inputs(self) -> int:
        return self.config.embedding if self.layer == 0 else self.config.hidden

    def symbol(self, name: str) -> str:
        """`W_ih` of `weight_ih`, with the number of the layer if there are several."""
        return name.removeprefix(INNER).replace("weight", "W") + (
            f" {self.layer + 1}" if self.config.layers > 1 else ""
        )

    def matrix(self, name: str, rows: int, columns: int, position: int | None) -> Matrix:
        """The matrix `name` in the layer; `position`: 0 for the input's, 1 for the hidden state's, None for others."""
        if position is None:
            return Matrix(self.symbol(name), f"layers.{self.layer}.{name}", rows, columns, style.INK)
        own = _LAYERS[(self.layer + position // 2) % len(_LAYERS)][position % 2]
        return Matrix(self.symbol(name), f"layers.{self.layer}.{name}", rows, columns, style.colour(own))


def _batch(n: int | str) -> str:
    return f"batch × {n}"


def _additive(at: _At) -> Layer:
    n = at.config.hidden
    w_in, w_h = at.matrix("weight_in", n, at.inputs, 0), at.matrix("weight_h", n, n, 1)
    return Layer(
        Arrow(w_in.symbol, "matrix product; relu", _batch(at.inputs), _batch(n)),
        (Arrow(w_h.symbol, "add; matrix product; tanh", _batch(n), _batch(n)),),
        (w_in, w_h),
    )


def _concat(at: _At) -> Layer:
    n, joined = at.config.hidden, f"({at.inputs} + {at.config.hidden})"
    w_in, w_h = at.matrix("weight_in", n, n + at.inputs, 0), at.matrix("weight_h", n, n, 1)
    return Layer(
        Arrow(w_in.symbol, "matrix product; relu", _batch(joined), _batch(n)),
        (Arrow(None, "concatenate", _batch(n), _batch(joined)),),
        (w_in, w_h),
        Arrow(w_h.symbol, "matrix product; tanh", _batch(n), _batch(n)),
    )


def _usual(at: _At) -> Layer:
    """A layer with the matrices in the order of `Cell.shapes`, and the operations of `_OPERATIONS`."""
    cell, config, n = find_cell(at.config.rung), at.config, at.config.hidden
    weights = {key: shape for key, shape in cell.shapes(at.inputs, n).items() if len(shape) == 2}
    places = {key: _ARROWS.get(key.removeprefix(INNER)) for key in weights}
    matrices = tuple(at.matrix(key, *shape, places[key]) for key, shape in weights.items())
    state = ", ".join(part.removeprefix(INNER) for part in cell.parts)
    below, along, recurrent = _OPERATIONS.get(alone(config.rung), (None, f"{state} carried on", None))
    named: dict[int | None, str | None] = {
        0: below,
        1: recurrent and recurrent.replace("ƒ", config.nonlinearity or "tanh"),
    }
    products: dict[int | None, list[Arrow]] = {0: [], 1: [], None: []}
    for key, matrix in zip(weights, matrices, strict=True):
        usual = "matrix product" if "weight" in key else "number by number"
        shapes = _batch(matrix.columns), _batch(_blocks(matrix.rows, n))
        products[places[key]].append(Arrow(matrix.symbol, named.get(places[key]) or usual, *shapes))
    shape = _batch(" × ".join(map(str, max(cell.state_shapes(n).values(), key=math.prod))))
    kept = [Arrow(None, along, shape, shape)] if along else []
    return Layer(products[0][0], (*kept, *products[1]), matrices, within=tuple(products[None]))


def _blocks(rows: int, n: int) -> int | str:
    """The rows of a matrix, as a multiple of the hidden units if they are whole blocks of these."""
    return f"{rows // n}·{n}" if rows > n and rows % n == 0 else rows


_LSTM, _GRU = "matrix product; gates i, f, o; new g", "matrix product; gates r, z; new n"
_OPERATIONS: dict[str, tuple[str | None, str | None, str | None]] = {
    "rnn": (None, None, "matrix product; add; ƒ"),
    "irnn": (None, None, "matrix product; add; ƒ"),
    "gru": (_GRU, None, _GRU),
    "lstm": (_LSTM, "c: × forget gate; add", _LSTM),
    "slstm": (_LSTM, "c, n, m: × forget gate; add", None),
    "mingru": ("matrix product; gate z; new c", "× (1 − z); add z ⊙ c", None),
    "minlstm": ("matrix product; gates f, i; new c", "× f; add (1 − f) ⊙ c", None),
    "lru": ("matrix product; new, and past s", "s: × λ; add", None),
    "rg-lru": ("matrix product; gates r, i; new v", "× a; add", None),
    "mamba": ("matrix product; Δ, B, C from it", "S: × exp(Δ A); add", None),
    "linear-attention": ("matrix product; q, k, v", "S, z: add", None),
    "deltanet": ("matrix product; q, k, v, β", "S: recall; replace", None),
    "gated-deltanet": ("matrix product; q, k, v, β, α, g", "S: × α; recall; replace", None),
    "mlstm": ("matrix product; q, k, v; gates i, f, o", "C, n, m: × f; add i kᵀ v", None),
    "hgrn2": ("matrix product; q, f, v", "S: × f; add (1 − f)ᵀ v", None),
}
"""Of the arrow from below, of the part of the state that no matrix multiplies, and of the recurrent matrix: None for a
plain matrix product, and for no such part."""

_ARROWS = {"weight_ih": 0, "weight_hh": 1}
"""Matrices with an arrow of their own: of the input, and of the hidden state. Others act inside the cell."""
_EMBEDDING, _HEAD, _LAYERS = 0, 3, ((1, 2), (4, 5), (6, 7))
"""Positions in the palette: of the embedding, of the head, and of the two matrices of each layer."""

_RUNGS: dict[str, Callable[[_At], Layer]] = {
    "three-char": _additive,
    "loop": _additive,
    "concat": _concat,
}
