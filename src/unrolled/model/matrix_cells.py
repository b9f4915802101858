"""Recurrences whose state is a matrix: a memory that is written by key and value, and read by query.

    S (head, key, value):   write   S' = keep · S + kᵀ v        read   h = q S'

Of each character come a query q, a key k and a value v; each head of `head_size` numbers has a memory of its own, and
h is what all heads have read, side by side. A vector of n numbers holds n things; such a matrix holds n keys of n
numbers each. What differs is how much is kept, and whether what the key recalls is taken away before v is written.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unrolled.model.cell import Array, Cell, CellState, Shapes, chunk, columns, exp, rms_norm, sigmoid, softplus


def head_size(hidden: int) -> int:
    """Numbers in a head: the smallest divisor of `hidden` that is at least 32, or `hidden` itself."""
    return next((size for size in range(32, hidden) if hidden % size == 0), hidden)


def heads(a: Array, count: int) -> Array:
    """The last axis divided into `count` heads: (..., count, size)."""
    return a.reshape(*a.shape[:-1], count, -1)


def joined(a: Array) -> Array:
    """The heads side by side again."""
    return a.reshape(*a.shape[:-2], -1)


def outer(k: Array, v: Array) -> Array:
    """kᵀ v of each head, (..., key, value)."""
    return k[..., :, None] * v[..., None, :]


def read(q: Array, s: Array) -> Array:
    """q S of each head, (..., value)."""
    result: Array = (q[..., None, :] @ s)[..., 0, :]
    return result


def unit(a: Array) -> Array:
    """Each head's vector at length 1."""
    result: Array = a / np.sqrt((a * a).sum(-1, keepdims=True) + 1e-6)
    return result


class OneMatrix(Cell):
    """What the cells below share whose state is the matrices S alone."""

    parts = ("S",)

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        size = head_size(hidden)
        return {"S": (hidden // size, size, size)}


class LinearAttention(Cell):
    """Katharopoulos et al. 2020: S' = S + φ(k)ᵀ v;  z' = z + φ(k);  h = φ(q) S' / (φ(q) z').

    φ(x) = elu(x) + 1. Nothing is ever forgotten. Rows of the weights in the order q, k, v.
    """

    parts = ("S", "z")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W = columns(weights["weight_ih"])
        self.hidden = self.W.shape[1] // 3
        self.count = self.hidden // head_size(self.hidden)

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        size = head_size(hidden)
        return {"S": (hidden // size, size, size), "z": (hidden // size, size)}

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return {"weight_ih": (3 * hidden, inputs)}

    def project(self, x: Array) -> Array:
        p = x @ self.W
        q_and_k = p[..., : 2 * self.hidden]
        p[..., : 2 * self.hidden] = np.where(q_and_k > 0, q_and_k + 1, exp(np.minimum(q_and_k, 0)))
        return p

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        s, z = state
        q, k, v = (heads(part, self.count) for part in chunk(p, 3))
        s, z = s + outer(k, v), z + k
        h = read(q, s) / ((q * z).sum(-1, keepdims=True) + 1e-6)
        return joined(h), (s, z)


class DeltaNet(OneMatrix):
    """Yang et al. 2024, the delta rule: what the key recalls now is replaced, as far as β says, by the value.

    S' = S - β kᵀ (k S) + β kᵀ v;  h = norm(q S'). q and k are SiLUs at length 1, v is linear, and norm divides by the
    root mean square of each head. β = σ(..), one a head; with `double-sigmoid` (Grazzi et al. 2024) it is 2 σ(..): S
    may then be mirrored along k, and such a network can count modulo 2. Rows of the weights in the order q, k, v, β.
    """

    nonlinearities = ("sigmoid", "double-sigmoid")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.norm = columns(weights["weight_ih"]), weights["norm"]
        self.most = 2 if nonlinearity == "double-sigmoid" else 1
        self.hidden = self.W.shape[1] * len(self.norm) // (3 * len(self.norm) + 1)
        self.count = self.hidden // len(self.norm)

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        size = head_size(hidden)
        return {"weight_ih": (3 * hidden + hidden // size, inputs), "norm": (size,)}

    def project(self, x: Array) -> Array:
        q: Array
        k: Array
        q, k, v, beta = np.split(x @ self.W, [self.hidden, 2 * self.hidden, 3 * self.hidden], axis=-1)
        q, k = (joined(unit(heads(a * sigmoid(a), self.count))) for a in (q, k))
        return np.concatenate([q, k, v, self.most * sigmoid(beta)], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        s: Array = state[0]
        q, k, v = (heads(part, self.count) for part in chunk(p[..., : 3 * self.hidden], 3))
        beta = p[..., 3 * self.hidden :, None]
        s = s + outer(k, beta * (v - read(k, s)))
        return joined(rms_norm(read(q, s), self.norm)), (s,)


class GatedDeltaNet(OneMatrix):
    """Yang et al. 2024: the delta rule on a memory that also fades, and a gate at the exit.

    S' = α (S - β kᵀ (k S)) + β kᵀ v;  h = norm(q S') ⊙ SiLU(g). log α = -e^(log A) softplus(..), one a head, as in
    Mamba-2. Rows of the weights in the order q, k, v, g, β, α. Different from the paper's block: no convolution.
    """

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.norm = columns(weights["weight_ih"]), weights["norm"]
        self.rate, self.bias = exp(weights["log_A"]), weights["bias_alpha"]
        self.count = len(self.rate)
        self.hidden = self.count * len(self.norm)

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        size = head_size(hidden)
        count = hidden // size
        return {
            "weight_ih": (4 * hidden + 2 * count, inputs),
            "log_A": (count,),
            "bias_alpha": (count,),
            "norm": (size,),
        }

    def project(self, x: Array) -> Array:
        n = self.hidden
        q: Array
        k: Array
        q, k, v, gate, beta, alpha = np.split(x @ self.W, [n, 2 * n, 3 * n, 4 * n, 4 * n + self.count], axis=-1)
        q, k = (joined(unit(heads(a * sigmoid(a), self.count))) for a in (q, k))
        log_alpha = -self.rate * softplus(alpha + self.bias)
        return np.concatenate([q, k, v, gate * sigmoid(gate), sigmoid(beta), log_alpha], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        s: Array = state[0]
        n = self.hidden
        q, k, v, gate = (heads(part, self.count) for part in chunk(p[..., : 4 * n], 4))
        beta, log_alpha = np.split(p[..., 4 * n :, None], 2, axis=-2)
        s = np.exp(log_alpha)[..., None] * s
        s = s + outer(k, beta * (v - read(k, s)))
        return joined(rms_norm(read(q, s), self.norm) * gate), (s,)


class MLstm(Cell):
    """Beck et al. 2024 (xLSTM): an LSTM whose cell is a matrix, with an exponential input gate.

    C' = f C + i kᵀ v;  n' = f n + i k;  h = σ(o) ⊙ (q C') / max(|q n'|, 1). i = e^ĩ and f = σ(f̃), one of each a head; k
    is divided by the root of its size. C and n are kept divided by e^m with m' = max(log f + m, ĩ), which cancels. Rows
    of the weights in the order q, k, v, o, ĩ, f̃; the biases of the last two are `bias_gates`.
    """

    parts = ("C", "n", "m")

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.b = columns(weights["weight_ih"]), np.concatenate([weights["bias_ih"], weights["bias_gates"]])
        self.hidden, self.count = len(weights["bias_ih"]) // 4, len(weights["bias_gates"]) // 2

    @classmethod
    def state_shapes(cls, hidden: int) -> Shapes:
        size = head_size(hidden)
        count = hidden // size
        return {"C": (count, size, size), "n": (count, size), "m": (count, 1)}

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        gates = 2 * (hidden // head_size(hidden))
        return {"weight_ih": (4 * hidden + gates, inputs), "bias_ih": (4 * hidden,), "bias_gates": (gates,)}

    def project(self, x: Array) -> Array:
        n = self.hidden
        q, k, v, o, i, f = np.split(x @ self.W + self.b, [n, 2 * n, 3 * n, 4 * n, 4 * n + self.count], axis=-1)
        k *= (n // self.count) ** -0.5
        return np.concatenate([q, k, v, sigmoid(o), i, -softplus(-f)], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        c, n, m = state
        q, k, v, o = (heads(part, self.count) for part in chunk(p[..., : 4 * self.hidden], 4))
        i, log_f = np.split(p[..., 4 * self.hidden :, None], 2, axis=-2)
        after = np.maximum(log_f + m, i)
        keep, add = np.exp(log_f + m - after), np.exp(i - after)
        c = keep[..., None] * c + outer(add * k, v)
        n = keep * n + add * k
        h = o * read(q, c) / np.maximum(np.abs((q * n).sum(-1, keepdims=True)), exp(-after))
        return joined(h), (c, n, after)


class Hgrn2(OneMatrix):
    """Qin et al. 2024 (HGRN2): S' = diag(f) S + (1 - f)ᵀ v;  h = norm(q S'), the forget gate being also the key.

    f is a sigmoid, q a SiLU, v linear; norm as in `DeltaNet`. Rows of the weights in the order q, f, v.
    """

    def __init__(self, weights: Mapping[str, Array], nonlinearity: str | None = None) -> None:
        self.W, self.b, self.norm = columns(weights["weight_ih"]), weights["bias_ih"], weights["norm"]
        self.count = len(self.b) // (3 * len(self.norm))

    @staticmethod
    def shapes(inputs: int, hidden: int) -> Shapes:
        return {"weight_ih": (3 * hidden, inputs), "bias_ih": (3 * hidden,), "norm": (head_size(hidden),)}

    def project(self, x: Array) -> Array:
        q, f, v = chunk(x @ self.W + self.b, 3)
        return np.concatenate([q * sigmoid(q), sigmoid(f), v], axis=-1)

    def step(self, p: Array, state: CellState) -> tuple[Array, CellState]:
        s: Array = state[0]
        q, f, v = (heads(part, self.count) for part in chunk(p, 3))
        s = f[..., None] * s + outer(1 - f, v)
        return joined(rms_norm(read(q, s), self.norm)), (s,)
