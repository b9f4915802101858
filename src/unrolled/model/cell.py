"""What a cell is: one step of a recurrence, and the few functions that cells are written with.

A cell advances one layer by one character in two stages: `project` computes what depends on the input x alone, and
`step` the rest. So the first layer's projections of all characters are computed once, one row each. Leading axes are
batch axes and may be absent: one stream of text has state of shape (hidden,). The cells themselves are in `cells`,
`linear_cells` and `matrix_cells`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
CellState = tuple[Array, ...]
"""What a cell or a network of cells carries from one character to the next."""
Shapes = dict[str, tuple[int, ...]]


def sigmoid(v: Array) -> Array:
    """σ(v) = 1 / (1 + e⁻ᵛ), by way of tanh, which cannot overflow."""
    half: Array = np.multiply(v, 0.5)
    np.tanh(half, out=half)
    half *= 0.5
    half += 0.5
    return half


def tanh(v: Array) -> Array:
    """tanh(v), written over v."""
    result: Array = np.tanh(v, out=v)
    return result


def relu(v: Array) -> Array:
    """max(v, 0), written over v."""
    result: Array = np.maximum(v, 0, out=v)
    return result


def softplus(v: Array) -> Array:
    """log(1 + eᵛ), without overflow; -softplus(-v) is log σ(v)."""
    result: Array = np.logaddexp(v, v.dtype.type(0))
    return result


def exp(v: Array) -> Array:
    """eᵛ, held at e⁴⁰: far beyond any use, far below the overflow of float32."""
    result: Array = np.exp(np.minimum(v, 40))
    return result


def rms_norm(a: Array, scale: Array) -> Array:
    """The vectors of the last axis at a root mean square of 1, times `scale`."""
    result: Array = a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-5) * scale
    return result


class Cell(ABC):
    """One recurrent layer; `weights` are its parameters by name, without the `layers.0.` before them."""

    parts: ClassVar[tuple[str, ...]] = ("h",)
    """The names of the arrays in the state."""
    nonlinearities: ClassVar[tuple[str, ...]] = ()
    """The names to choose from, the default first; empty where the rung has only one form."""

    @abstractmethod
    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None: ...

    @staticmethod
    @abstractmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        """The shape of each of `weights` by its name: what a model folder must hold."""

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        """The shape of each of `parts` by its name, without batch axes."""
        return dict.fromkeys(cls.parts, (hidden,))

    @abstractmethod
    def project(self, x: Array) -> Array:
        """The part of the step that depends on x (..., inputs) alone; for an embedding matrix, a row per character."""

    @abstractmethod
    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        """h (..., hidden) and the state after x, from p = `project(x)` and the state before; both are not changed."""


def columns(matrix: Array) -> Array:
    """A weight matrix (out, in) laid out as (in, out), as `x @ W` reads it fastest."""
    return np.ascontiguousarray(matrix.T)


def chunk(a: Array, count: int) -> list[Array]:
    """Views of the `count` equal parts of the last axis, as `torch.chunk` gives them."""
    n = a.shape[-1] // count
    return [a[..., i * n : (i + 1) * n] for i in range(count)]
