"""What each rung consists of, for drawing: its weight matrices, and the operation and shapes of every arrow.

`network` draws it and `terminal` writes it as text. The equations are computed in `unrolled.model.cells`; the inside
of a cell is drawn by `cell`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

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
    layers = tuple(_RUNGS.get(config.rung, _generic)(_At(config, k)) for k in range(config.layers))
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


def _elman(at: _At) -> Layer:
    w_ih, w_hh = _gates(at, 1)
    n = at.config.hidden
    return Layer(
        Arrow(w_ih.symbol, "matrix product", _batch(at.inputs), _batch(n)),
        (Arrow(w_hh.symbol, f"matrix product; add; {at.config.nonlinearity or 'tanh'}", _batch(n), _batch(n)),),
        (w_ih, w_hh),
    )


def _gated(gates: int, operation: str, carried: str | None = None, *, recurrent: bool = True) -> Callable[[_At], Layer]:
    """A layer of so many blocks of rows; `carried`: what happens to a part of the state that no matrix multiplies."""

    def layer(at: _At) -> Layer:
        n, matrices = at.config.hidden, _gates(at, gates)[: 1 + recurrent]
        below, *memory = (
            Arrow(matrix.symbol, operation, _batch(matrix.columns), _batch(f"{gates}·{n}")) for matrix in matrices
        )
        kept = (Arrow(None, carried, _batch(n), _batch(n)),) if carried else ()
        return Layer(below, (*kept, *memory), matrices)

    return layer


def _gates(at: _At, count: int) -> tuple[Matrix, Matrix]:
    """The matrices of input and hidden state, with `count` blocks of rows, named as in `torch.nn`."""
    n = at.config.hidden
    return at.matrix("weight_ih", count * n, at.inputs, 0), at.matrix("weight_hh", count * n, n, 1)


def _generic(at: _At) -> Layer:
    """The layer of a rung without an entry in `_RUNGS`: its matrices in the order of `Cell.shapes`."""
    cell, n = find_cell(at.config.rung), at.config.hidden
    weights = {key: shape for key, shape in cell.shapes(at.inputs, n).items() if len(shape) == 2}
    places = {key: _ARROWS.get(key.removeprefix(INNER)) for key in weights}
    matrices = tuple(at.matrix(key, *shape, places[key]) for key, shape in weights.items())
    products = {
        key: Arrow(
            m.symbol,
            "matrix product" if "weight" in key else "number by number",
            _batch(m.columns),
            _batch(m.rows),
        )
        for key, m in zip(weights, matrices, strict=True)
    }
    state = [part.removeprefix(INNER) for part in cell.parts]
    reading, keeping = _OPERATIONS.get(alone(at.config.rung), (None, f"{', '.join(state)} carried on"))
    largest = max(cell.state_shapes(n).values(), key=math.prod)
    shape = _batch(" × ".join(map(str, largest)))
    memory = [Arrow(None, keeping, shape, shape)]
    memory += [products[key] for key in weights if places[key] == 1]
    within = tuple(arrow for key, arrow in products.items() if places[key] is None)
    first = next(iter(products.values()))
    return Layer(replace(first, operation=reading or first.operation), tuple(memory), matrices, within=within)


_OPERATIONS = {
    "minlstm": ("matrix product; gates f, i; new c", "× f; add (1 − f) ⊙ c"),
    "lru": ("matrix product; new, and past s", "s: × λ; add"),
    "rg-lru": ("matrix product; gates r, i; new v", "× a; add"),
    "mamba": ("matrix product; Δ, B, C from it", "S: × exp(Δ A); add"),
    "linear-attention": ("matrix product; q, k, v", "S, z: add"),
    "deltanet": ("matrix product; q, k, v, β", "S: recall; replace"),
    "gated-deltanet": ("matrix product; q, k, v, β, α, g", "S: × α; recall; replace"),
    "slstm": ("matrix product; gates i, f, o; new g", "c, n, m: × forget gate; add"),
    "mlstm": ("matrix product; q, k, v; gates i, f, o", "C, n, m: × f; add i kᵀ v"),
    "hgrn2": ("matrix product; q, f, v", "S: × f; add (1 − f)ᵀ v"),
}
"""Of the arrow from below and of the one along the state, where all that is not a matrix product is in the cell."""

_ARROWS = {"weight_ih": 0, "weight_hh": 1}
"""Matrices with an arrow of their own: of the input, and of the hidden state. Others act inside the cell."""
_EMBEDDING, _HEAD, _LAYERS = 0, 3, ((1, 2), (4, 5), (6, 7))
"""Positions in the palette: of the embedding, of the head, and of the two matrices of each layer."""

_RUNGS: dict[str, Callable[[_At], Layer]] = {
    "three-char": _additive,
    "loop": _additive,
    "concat": _concat,
    "rnn": _elman,
    "irnn": _elman,
    "gru": _gated(3, "matrix product; gates r, z; new n"),
    "lstm": _gated(4, "matrix product; gates i, f, o; new g", "c: × forget gate; add"),
    "mingru": _gated(2, "matrix product; gate z; new c", "× (1 − z); add z ⊙ c", recurrent=False),
}
