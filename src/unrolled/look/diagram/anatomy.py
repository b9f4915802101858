"""What each rung consists of, for drawing: its weight matrices, and the operation and shapes of every arrow.

`network` draws it and `terminal` writes it as text. The equations are computed in `unrolled.model.cells`; the inside
of a cell is drawn by `cell`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unrolled.errors import unknown_name
from unrolled.model.cells import CELLS
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


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: the arrow from below, and those from the previous step, one for each part of the state."""

    input: Arrow
    memory: tuple[Arrow, ...]
    matrices: tuple[Matrix, ...]


@dataclass(frozen=True)
class Anatomy:
    """A network: character -> vector -> layers -> output."""

    config: ModelConfig
    lookup: Arrow
    layers: tuple[Layer, ...]
    head: Arrow
    matrices: tuple[Matrix, ...]
    """Every matrix once, in the order of the forward pass; a matrix has the same colour in all diagrams."""


def anatomy(config: ModelConfig) -> Anatomy:
    """The parts of the network with `config`; raises InputError for an unknown rung."""
    if config.rung not in CELLS:
        raise unknown_name("rung", config.rung, CELLS)
    layers = tuple(_layer(config, k) for k in range(config.layers))
    embedding = Matrix("E", "embedding.weight", config.vocabulary, config.embedding)
    head = Matrix("W_out", "head.weight", config.vocabulary, config.hidden)
    return Anatomy(
        config,
        Arrow("E", "row of the character", "batch", _batch(config.embedding)),
        layers,
        Arrow("W_out", "matrix product; softmax", _batch(config.hidden), _batch(config.vocabulary)),
        (embedding, *(matrix for layer in layers for matrix in layer.matrices), head),
    )


def _layer(config: ModelConfig, k: int) -> Layer:
    inputs = config.embedding if k == 0 else config.hidden
    mark = f" {k + 1}" if config.layers > 1 else ""
    return _RUNGS.get(config.rung, _generic)(config, inputs, mark, f"layers.{k}")


def _batch(n: int | str) -> str:
    return f"batch × {n}"


def _additive(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    return Layer(
        Arrow(f"W_in{mark}", "matrix product; relu", _batch(inputs), _batch(n)),
        (Arrow(f"W_h{mark}", "add; matrix product; tanh", _batch(n), _batch(n)),),
        (Matrix(f"W_in{mark}", f"{name}.weight_in", n, inputs), Matrix(f"W_h{mark}", f"{name}.weight_h", n, n)),
    )


def _concat(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    return Layer(
        Arrow(f"W_in{mark}", "join with h; matrix product; relu", _batch(f"({inputs} + {n})"), _batch(n)),
        (Arrow(f"W_h{mark}", "matrix product; tanh", _batch(n), _batch(n)),),
        (Matrix(f"W_in{mark}", f"{name}.weight_in", n, n + inputs), Matrix(f"W_h{mark}", f"{name}.weight_h", n, n)),
    )


def _elman(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    memory = Arrow(f"W_hh{mark}", f"matrix product; add; {config.nonlinearity or 'tanh'}", _batch(n), _batch(n))
    return Layer(
        Arrow(f"W_ih{mark}", "matrix product", _batch(inputs), _batch(n)),
        (memory,),
        (Matrix(f"W_ih{mark}", f"{name}.weight_ih", n, inputs), Matrix(f"W_hh{mark}", f"{name}.weight_hh", n, n)),
    )


def _gru(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    return Layer(
        Arrow(f"W_ih{mark}", "matrix product; gates r, z; new n", _batch(inputs), _batch(f"3·{n}")),
        (Arrow(f"W_hh{mark}", "matrix product; gates r, z; new n", _batch(n), _batch(f"3·{n}")),),
        (
            Matrix(f"W_ih{mark}", f"{name}.weight_ih", 3 * n, inputs),
            Matrix(f"W_hh{mark}", f"{name}.weight_hh", 3 * n, n),
        ),
    )


def _lstm(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    return Layer(
        Arrow(f"W_ih{mark}", "matrix product; gates i, f, o; new g", _batch(inputs), _batch(f"4·{n}")),
        (
            Arrow(None, "c: × forget gate; add", _batch(n), _batch(n)),
            Arrow(f"W_hh{mark}", "matrix product; gates i, f, o; new g", _batch(n), _batch(f"4·{n}")),
        ),
        (
            Matrix(f"W_ih{mark}", f"{name}.weight_ih", 4 * n, inputs),
            Matrix(f"W_hh{mark}", f"{name}.weight_hh", 4 * n, n),
        ),
    )


def _mingru(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    n = config.hidden
    return Layer(
        Arrow(f"W_ih{mark}", "matrix product; gate z; new c", _batch(inputs), _batch(f"2·{n}")),
        (Arrow(None, "× (1 − z); add z ⊙ c", _batch(n), _batch(n)),),
        (Matrix(f"W_ih{mark}", f"{name}.weight_ih", 2 * n, inputs),),
    )


def _generic(config: ModelConfig, inputs: int, mark: str, name: str) -> Layer:
    """The layer of a rung without an entry in `_RUNGS`: its matrices in the order of `Cell.shapes`."""
    cell, n = CELLS[config.rung], config.hidden
    sizes = {key: shape for key, shape in cell.shapes(inputs, n).items() if len(shape) == 2}
    matrices = tuple(
        Matrix(f"{key.replace('weight', 'W')}{mark}", f"{name}.{key}", *shape) for key, shape in sizes.items()
    )
    products = [Arrow(m.symbol, "matrix product", _batch(m.columns), _batch(m.rows)) for m in matrices]
    carried = [Arrow(None, f"{part}: see its file", _batch(n), _batch(n)) for part in cell.parts]
    return Layer(products[0], (*carried[1:], *(products[1:2] or carried[:1])), matrices)


_RUNGS: dict[str, Callable[[ModelConfig, int, str, str], Layer]] = {
    "three-char": _additive,
    "loop": _additive,
    "concat": _concat,
    "rnn": _elman,
    "irnn": _elman,
    "gru": _gru,
    "lstm": _lstm,
    "mingru": _mingru,
}
