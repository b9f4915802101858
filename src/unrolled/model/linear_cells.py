"""Recurrences that are linear in their state: every number of it is kept by a factor, and something is added.

    s' = keep ⊙ s + add

What differs is where `keep` and `add` come from; in none of them from the state, so that all times of a window can be
computed at once (`unrolled.learn.networks.scan`). Alone, such a layer does little more than average what it has read:
it is meant to stand in a block (`block`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from unrolled.model.cell import Array, Cell, CellState, Shapes, chunk, columns, exp, sigmoid, softplus


def positive(v: Array) -> Array:
    """g(v) = v + 1/2 for v ≥ 0, else σ(v): the candidate of Feng et al. 2024, which is never negative."""
    result: Array = np.where(v >= 0, v + 0.5, sigmoid(v))
    return result


class MinGru(Cell):
    """Feng et al. 2024: gates from the input alone, h' = (1 - z) ⊙ h + z ⊙ g(v).

    `project` gives (z, g(v)), so that a step is no more than a weighted mean. Rows of the weights: z's, then v's.
    """

    blocks: ClassVar[int] = 2
    """Of rows of the weights."""

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.b = columns(weights["weight_ih"]), weights["bias_ih"]

    @classmethod
    def shapes(cls, inputs: int, hidden: int) -> Shapes:
        return {"weight_ih": (cls.blocks * hidden, inputs), "bias_ih": (cls.blocks * hidden,)}

    def project(self, x: Array) -> Array:
        z, v = chunk(x @ self.W + self.b, 2)
        return np.concatenate([sigmoid(z), positive(v)], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        z, c = chunk(p, 2)
        h = h + z * (c - h)
        return h, (h,)


class MinLstm(MinGru):
    """Feng et al. 2024: two gates that share out one whole, h' = f ⊙ h + (1 - f) ⊙ g(v) with f = σ(f̃) / (σ(f̃) + σ(ĩ)).

    Rows of the weights in the order f̃, ĩ, v. f is computed as σ(log σ(f̃) - log σ(ĩ)).
    """

    blocks = 3

    def project(self, x: Array) -> Array:
        f, i, v = chunk(x @ self.W + self.b, 3)
        return np.concatenate([sigmoid(softplus(-i) - softplus(-f)), positive(v)], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        f, c = chunk(p, 2)
        h = c + f * (h - c)
        return h, (h,)


class Lru(Cell):
    """Orvieto et al. 2023, the linear recurrent unit: a complex number turns and shrinks in each unit.

    s' = λ ⊙ s + γ ⊙ (B x);  h' = Re(C s') + D x;  λ = e^(-e^ν + i e^θ), γ = √(1 - |λ|²).

    Real and imaginary parts are kept apart: rows of B first real, then imaginary, then those of D. Different from the
    paper: γ follows λ instead of being learned beside it, and D is a matrix, because h may have another size than x.
    """

    parts = ("real", "imaginary")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W = columns(weights["weight_ih"])  # B and D
        self.C_real, self.C_imaginary = np.split(columns(weights["weight_c"]), 2)
        rate, angle = exp(weights["nu"]), exp(weights["theta"])
        modulus, self.gamma = np.exp(-rate), np.sqrt(-np.expm1(-2 * rate))
        self.real, self.imaginary = modulus * np.cos(angle), modulus * np.sin(angle)

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return {
            "weight_ih": (3 * hidden, inputs),
            "weight_c": (hidden, 2 * hidden),
            "nu": (hidden,),
            "theta": (hidden,),
        }

    def project(self, x: Array) -> Array:
        real, imaginary, direct = chunk(x @ self.W, 3)
        return np.concatenate([self.gamma * real, self.gamma * imaginary, direct], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        a, b = state
        to_a, to_b, direct = chunk(p, 3)
        a, b = self.real * a - self.imaginary * b + to_a, self.real * b + self.imaginary * a + to_b
        h = a @ self.C_real - b @ self.C_imaginary + direct
        return h, (a, b)


class RgLru(Cell):
    """De et al. 2024 (Griffin), the real-gated linear recurrent unit: h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ v).

    log a = -8 r ⊙ softplus(-Λ), so that a = σ(Λ)^(8 r). r and i are sigmoids and v is linear, all of the input; rows
    of the weights in this order. The factor √(1 - a²) keeps the variance of h at that of v. Different from the paper: r
    and i read the layer's input, not v, and by whole matrices, not by blocks.
    """

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.b = columns(weights["weight_ih"]), weights["bias_ih"]
        self.rate = 8 * softplus(-weights["decay"])

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return {"weight_ih": (3 * hidden, inputs), "bias_ih": (3 * hidden,), "decay": (hidden,)}

    def project(self, x: Array) -> Array:
        r, i, v = chunk(x @ self.W + self.b, 3)
        log_a = -self.rate * sigmoid(r)
        scale = np.sqrt(np.maximum(-np.expm1(2 * log_a), 1e-12))
        return np.concatenate([np.exp(log_a), scale * sigmoid(i) * v], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (h,) = state
        a, add = chunk(p, 2)
        h = a * h + add
        return h, (h,)


class Mamba(Cell):
    """Gu and Dao 2023 (Mamba), the selective state space S6: a small state for each unit, read and written by choice.

    S' = e^(Δ A) ⊙ S + (Δ u) Bᵀ;  h' = S' C + D ⊙ u, with u = W x, and Δ = softplus(..), B and C computed from u.

    S is (hidden, 16), A = -e^(log A) has a row for each unit; Δ passes a bottleneck of hidden/16 numbers. Rows of
    `weight_u`: those of the bottleneck, of B, of C. Different from the paper's block: no convolution and no gate.
    """

    STATES = 16
    parts = ("S",)

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.U, self.V = (columns(weights[name]) for name in ("weight_ih", "weight_u", "weight_dt"))
        self.b, self.D, self.A = weights["bias_dt"], weights["direct"], -exp(weights["log_A"])

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        return {"S": (hidden, cls.STATES)}

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        bottleneck = -(-hidden // 16)
        return {
            "weight_ih": (hidden, inputs),
            "weight_u": (bottleneck + 2 * Mamba.STATES, hidden),
            "weight_dt": (hidden, bottleneck),
            "bias_dt": (hidden,),
            "log_A": (hidden, Mamba.STATES),
            "direct": (hidden,),
        }

    def project(self, x: Array) -> Array:
        u = x @ self.W
        inner = u @ self.U
        bottleneck, b_and_c = inner[..., : -2 * self.STATES], inner[..., -2 * self.STATES :]
        delta = softplus(bottleneck @ self.V + self.b)
        return np.concatenate([u, delta, b_and_c], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        (s,) = state
        u, delta = chunk(p[..., : -2 * self.STATES], 2)
        b, c = chunk(p[..., -2 * self.STATES :], 2)
        s = np.exp(delta[..., None] * self.A) * s + (delta * u)[..., None] * b[..., None, :]
        h = (s @ c[..., None])[..., 0] + self.D * u
        return h, (s,)
