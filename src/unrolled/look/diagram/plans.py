"""What is inside the cell of each rung, as data: nodes on a grid, wires between them, equations. `cell` draws it.

Columns count to the right, rows downwards; the state passes from left to right in the upper rows, and what the input
brings rises from below. A new rung is one more entry of `PLANS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Point = tuple[float, float]
NodeKind = Literal["state", "input", "gate", "operation"]


@dataclass(frozen=True)
class Node:
    """A node at a grid point (column, row downwards), with one or two lines of text."""

    kind: NodeKind
    at: Point
    text: str
    second: str = ""


@dataclass(frozen=True)
class Wire:
    """From one node to another, through the grid points `via`; `matrix` is "input" or "memory" for a matrix product."""

    start: str
    end: str
    matrix: Literal["input", "memory"] | None = None
    via: tuple[Point, ...] = ()
    leave: Point | None = None
    """The grid point where the wire branches off another wire, instead of at the border of its first node."""


@dataclass(frozen=True)
class CellDiagram:
    """The diagram of one rung: nodes by name, wires, positions of the matrix labels, and the equations."""

    nodes: Mapping[str, Node]
    wires: tuple[Wire, ...]
    labels: Mapping[Literal["input", "memory"], Point]
    equations: tuple[str, ...]
    note: str


def _states(after: Point, before: Point = (0, 0.3), name: str = "h") -> dict[str, Node]:
    return {
        f"{name}0": Node("state", before, f"{name}ₜ₋₁"),
        f"{name}1": Node("state", after, f"{name}ₜ"),
    }


def _gated(height: float, memory: bool = False, /, **gates: float) -> Iterator[Wire]:
    """The wires of `gates` at their columns from the input, and perhaps the old hidden state, which run below."""
    for gate, x in gates.items():
        if memory:
            yield Wire("h0", gate, "memory", ((0, height), (x - 0.2, height)))
        yield Wire("x", gate, "input", ((x + 0.2, height + 1),) if memory else ((x, height),))


def _chain(*names: str) -> tuple[Wire, ...]:
    """Numbers passed on unchanged, from each node to the next."""
    return tuple(Wire(start, end) for start, end in pairwise(names))


_ADDITIVE = CellDiagram(
    {
        **_states((7.6, 0.3)),
        "add": Node("operation", (2.6, 0.3), "+"),
        "tanh": Node("operation", (6, 0.3), "tanh"),
        "relu": Node("operation", (2.6, 1.5), "relu"),
        "x": Node("input", (2.6, 3.2), "xₜ"),
    },
    (
        Wire("h0", "add"),
        Wire("x", "relu", "input"),
        Wire("relu", "add"),
        Wire("add", "tanh", "memory"),
        Wire("tanh", "h1"),
    ),
    {"input": (2.8, 2.3), "memory": (3.05, 0.75)},
    ("u = relu(W_in xₜ + b_in)", "hₜ = tanh(W_h (hₜ₋₁ + u) + b_h)"),
    "the character is added to the hidden state, and W_h multiplies the sum",
)

_CONCAT = CellDiagram(
    {
        **_states((8.8, 0.3)),
        "join": Node("gate", (1.9, 0.3), "[h; x]", "side by side"),
        "relu": Node("operation", (4.9, 0.3), "relu"),
        "tanh": Node("operation", (7.5, 0.3), "tanh"),
        "x": Node("input", (1.9, 2.2), "xₜ"),
    },
    (
        Wire("h0", "join"),
        Wire("x", "join"),
        Wire("join", "relu", "input"),
        Wire("relu", "tanh", "memory"),
        Wire("tanh", "h1"),
    ),
    {"input": (2.5, 1.0), "memory": (5.25, 1.0)},
    ("r = relu(W_in [hₜ₋₁; xₜ] + b_in)", "hₜ = tanh(W_h r + b_h)"),
    "hidden state and character are concatenated before W_in",
)

_ELMAN = CellDiagram(
    {
        **_states((7, 0.3)),
        "add": Node("operation", (3.8, 0.3), "+"),
        "f": Node("operation", (5.4, 0.3), "ƒ"),
        "x": Node("input", (3.8, 2.4), "xₜ"),
    },
    (Wire("h0", "add", "memory"), Wire("x", "add", "input"), Wire("add", "f"), Wire("f", "h1")),
    {"memory": (0.55, 0.75), "input": (4.0, 1.35)},
    ("hₜ = ƒ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)",),
    "one matrix for the character, one for the hidden state",
)

_GRU = CellDiagram(
    {
        **_states((9.5, 0.3)),
        "keep": Node("operation", (2, 0.3), "×"),
        "sum": Node("operation", (8, 0.3), "+"),
        "one": Node("operation", (4.2, 1.7), "1 −"),
        "new": Node("operation", (8, 1.7), "×"),
        "z": Node("gate", (2, 3), "σ", "keep z"),
        "r": Node("gate", (4.2, 3), "σ", "reset r"),
        "part": Node("operation", (6.1, 3), "×"),
        "n": Node("gate", (8, 3), "tanh", "new n"),
        "x": Node("input", (0, 5.2), "xₜ"),
    },
    (
        *_gated(4.2, True, z=2, r=4.2),
        Wire("h0", "part", "memory", ((0, 4.2), (6.1, 4.2))),
        Wire("x", "n", "input", ((8, 5.2),)),
        *_chain("h0", "keep", "sum", "h1"),
        *_chain("z", "keep"),
        Wire("z", "one", leave=(2, 1.7)),
        *_chain("one", "new", "sum"),
        *_chain("r", "part", "n", "new"),
    ),
    {"memory": (4.6, 4.55), "input": (8.2, 5.1)},
    (
        "r = σ(W_ir xₜ + b_ir + W_hr hₜ₋₁ + b_hr)      z = σ(W_iz xₜ + b_iz + W_hz hₜ₋₁ + b_hz)",
        "n = tanh(W_in xₜ + b_in + r ⊙ (W_hn hₜ₋₁ + b_hn))      hₜ = (1 − z) ⊙ n + z ⊙ hₜ₋₁",
    ),
    "z is the fraction kept; r is how much of the old state enters the candidate",
)

_LSTM = CellDiagram(
    {
        **_states((10, 0.3), (0, 0.3), "c"),
        **_states((10, 1.9), (0, 4.2)),
        "drop": Node("operation", (2, 0.3), "×"),
        "sum": Node("operation", (5, 0.3), "+"),
        "new": Node("operation", (5, 1.8), "×"),
        "tanh": Node("operation", (8, 1.05), "tanh"),
        "show": Node("operation", (8, 1.9), "×"),
        "f": Node("gate", (2, 3), "σ", "forget f"),
        "i": Node("gate", (4, 3), "σ", "input i"),
        "g": Node("gate", (6, 3), "tanh", "new g"),
        "o": Node("gate", (8, 3), "σ", "output o"),
        "x": Node("input", (0, 5.2), "xₜ"),
    },
    (
        *_gated(4.2, True, f=2, i=4, g=6, o=8),
        *_chain("c0", "drop", "sum", "c1"),
        *_chain("f", "drop"),
        Wire("i", "new", via=((4, 1.8),)),
        Wire("g", "new", via=((6, 1.8),)),
        *_chain("new", "sum"),
        Wire("sum", "tanh", leave=(8, 0.3)),
        *_chain("tanh", "show", "h1"),
        *_chain("o", "show"),
    ),
    {"memory": (8.45, 4.15), "input": (8.45, 5.1)},
    (
        "f = σ(W_if xₜ + W_hf hₜ₋₁ + b_f)      i = σ(W_ii xₜ + W_hi hₜ₋₁ + b_i)",
        "g = tanh(W_ig xₜ + W_hg hₜ₋₁ + b_g)      o = σ(W_io xₜ + W_ho hₜ₋₁ + b_o)",
        "cₜ = f ⊙ cₜ₋₁ + i ⊙ g      hₜ = o ⊙ tanh(cₜ)",
    ),
    "no matrix multiplies c: what the forget gate passes is kept unchanged",
)

_MINGRU = CellDiagram(
    {
        **_states((8.3, 0.3)),
        "keep": Node("operation", (2.4, 0.3), "×"),
        "one": Node("operation", (2.4, 1.2), "1 −"),
        "sum": Node("operation", (6.2, 0.3), "+"),
        "new": Node("operation", (6.2, 2.0), "×"),
        "z": Node("gate", (2.4, 3), "σ", "gate z"),
        "c": Node("gate", (6.2, 3), "g", "new c"),
        "x": Node("input", (0, 4.2), "xₜ"),
    },
    (
        *_gated(4.2, z=2.4, c=6.2),
        *_chain("h0", "keep", "sum", "h1"),
        *_chain("z", "one", "keep"),
        Wire("z", "new", leave=(2.4, 2.0)),
        *_chain("c", "new", "sum"),
    ),
    {"input": (6.45, 4.1)},
    (
        "z = σ(W_z xₜ + b_z)      c = g(W_c xₜ + b_c)      hₜ = (1 − z) ⊙ hₜ₋₁ + z ⊙ c",
        "g(v) = v + ½ for v ≥ 0, else σ(v)",
    ),
    "the gates depend on the input only, so those of a whole text can be computed at once",
)


_MINLSTM = CellDiagram(
    {
        **_states((8.3, 0.3)),
        "keep": Node("operation", (2.4, 0.3), "×"),
        "share": Node("gate", (2.4, 1.7), "f", "its share"),
        "one": Node("operation", (4.4, 1.7), "1 −"),
        "sum": Node("operation", (6.4, 0.3), "+"),
        "new": Node("operation", (6.4, 1.7), "×"),
        "f": Node("gate", (1.9, 3.2), "σ", "forget"),
        "i": Node("gate", (3, 3.2), "σ", "input"),
        "c": Node("gate", (6.4, 3.2), "g", "new c"),
        "x": Node("input", (0, 4.4), "xₜ"),
    },
    (
        *_gated(4.4, f=1.9, i=3, c=6.4),
        *_chain("h0", "keep", "sum", "h1"),
        Wire("f", "share", via=((1.9, 2.4), (2.2, 2.4))),
        Wire("i", "share", via=((3, 2.4), (2.6, 2.4))),
        *_chain("share", "keep"),
        *_chain("share", "one", "new", "sum"),
        Wire("c", "new"),
    ),
    {"input": (6.65, 4.3)},
    (
        "f = σ(W_f xₜ + b_f) / (σ(W_f xₜ + b_f) + σ(W_i xₜ + b_i))      c = g(W_c xₜ + b_c)",
        "hₜ = f ⊙ hₜ₋₁ + (1 − f) ⊙ c      g(v) = v + ½ for v ≥ 0, else σ(v)",
    ),
    "two gates share out one whole; both depend on the input only",
)

_LRU = CellDiagram(
    {
        **_states((9.4, 0.3), (0, 0.3), "s"),
        "turn": Node("operation", (2.4, 0.3), "×"),
        "lambda": Node("gate", (2.4, 1.7), "λ", "learned"),
        "sum": Node("operation", (4.6, 0.3), "+"),
        "in": Node("gate", (4.6, 1.7), "× γ", "new"),
        "read": Node("gate", (7, 1.7), "Re C s", "read"),
        "out": Node("operation", (8.4, 1.7), "+"),
        "h1": Node("state", (9.6, 1.7), "hₜ"),
        "x": Node("input", (0, 3.1), "xₜ"),
    },
    (
        *_chain("s0", "turn", "sum", "s1"),
        *_chain("lambda", "turn"),
        Wire("x", "in", "input", ((4.6, 3.1),)),
        Wire("in", "sum"),
        Wire("s1", "read", leave=(7, 0.3)),
        *_chain("read", "out", "h1"),
        Wire("x", "out", "input", ((8.4, 3.1),)),
    ),
    {"input": (4.8, 2.5)},
    ("sₜ = λ ⊙ sₜ₋₁ + γ ⊙ (B xₜ)      hₜ = Re(C sₜ) + D xₜ", "λ = exp(−exp ν + i exp θ)      γ = √(1 − |λ|²)"),
    "s is complex: λ turns each number and shrinks it, whatever is read",
)

_RG_LRU = CellDiagram(
    {
        **_states((8.4, 0.3)),
        "keep": Node("operation", (2.2, 0.3), "×"),
        "a": Node("gate", (2.2, 1.6), "a", "decay"),
        "root": Node("gate", (4.2, 1.6), "scale", "√(1 − a²)"),
        "scaled": Node("operation", (6.2, 1.6), "×"),
        "sum": Node("operation", (6.2, 0.3), "+"),
        "r": Node("gate", (2.2, 3.9), "σ", "gate r"),
        "i": Node("gate", (4.2, 3.9), "σ", "input i"),
        "v": Node("gate", (6.2, 3.9), "v", "new"),
        "new": Node("operation", (6.2, 2.7), "×"),
        "x": Node("input", (0, 5.1), "xₜ"),
    },
    (
        *_gated(5.1, r=2.2, i=4.2, v=6.2),
        *_chain("h0", "keep", "sum", "h1"),
        *_chain("r", "a", "keep"),
        *_chain("a", "root", "scaled", "sum"),
        Wire("i", "new", via=((4.2, 2.7),)),
        *_chain("v", "new", "scaled"),
    ),
    {"input": (6.45, 5.0)},
    (
        "r = σ(W_r xₜ + b_r)      i = σ(W_i xₜ + b_i)      v = W_v xₜ + b_v",
        "a = σ(Λ)^(8 r)      hₜ = a ⊙ hₜ₋₁ + √(1 − a²) ⊙ (i ⊙ v)",
    ),
    "the root keeps h as large as v, however much is kept",
)

_MAMBA = CellDiagram(
    {
        **_states((9.8, 0.3), (0, 0.3), "S"),
        "keep": Node("operation", (2.9, 0.3), "×"),
        "decay": Node("gate", (2.9, 1.7), "exp Δ A", "decay"),
        "sum": Node("operation", (5.1, 0.3), "+"),
        "write": Node("gate", (5.1, 1.7), "Δ u Bᵀ", "write"),
        "read": Node("gate", (7.3, 1.7), "S C", "read"),
        "out": Node("operation", (8.7, 1.7), "+"),
        "h1": Node("state", (9.8, 1.7), "hₜ"),
        "delta": Node("gate", (2.9, 3.3), "Δ", "softplus"),
        "B": Node("gate", (5.1, 3.3), "B"),
        "C": Node("gate", (7.3, 3.3), "C"),
        "u": Node("gate", (1.6, 4.6), "u"),
        "x": Node("input", (0, 4.6), "xₜ"),
    },
    (
        *_chain("S0", "keep", "sum", "S1"),
        Wire("x", "u", "input"),
        *(Wire("u", gate, via=((x, 4.6),)) for gate, x in (("delta", 2.9), ("B", 5.1), ("C", 7.3))),
        Wire("u", "out", via=((8.7, 4.6),)),
        *_chain("delta", "decay", "keep"),
        Wire("delta", "write", via=((4.9, 2.5),), leave=(2.9, 2.5)),
        *_chain("B", "write", "sum"),
        Wire("S1", "read", leave=(7.3, 0.3)),
        *_chain("C", "read", "out", "h1"),
    ),
    {"input": (0.35, 5.1)},
    (
        "u = W_ih xₜ      Δ = softplus(V U_Δ u + b)      B = U_B u      C = U_C u",
        "Sₜ = exp(Δ A) ⊙ Sₜ₋₁ + (Δ ⊙ u) Bᵀ      hₜ = Sₜ C + D ⊙ u",
    ),
    "each unit has 16 numbers of state; the input decides how long, what is written and what is read",
)

_LINEAR_ATTENTION = CellDiagram(
    {
        **_states((8.6, 0.3), (0, 0.3), "S"),
        **_states((8.6, 1.5), (0, 1.5), "z"),
        "sum": Node("operation", (4.2, 0.3), "+"),
        "count": Node("operation", (2.2, 1.5), "+"),
        "outer": Node("operation", (4.2, 2.7), "kᵀ v"),
        "k": Node("gate", (2.2, 3.9), "φ", "key k"),
        "v": Node("gate", (4.2, 3.9), "v", "value"),
        "q": Node("gate", (6.4, 3.9), "φ", "query q"),
        "read": Node("gate", (6.4, 2.7), "q S / q z", "read"),
        "h1": Node("state", (8.6, 2.7), "hₜ"),
        "x": Node("input", (0, 5.1), "xₜ"),
    },
    (
        *_gated(5.1, k=2.2, v=4.2, q=6.4),
        *_chain("S0", "sum", "S1"),
        *_chain("z0", "count", "z1"),
        *_chain("k", "count"),
        Wire("k", "outer", leave=(2.2, 2.7)),
        *_chain("v", "outer", "sum"),
        Wire("S1", "read", via=((6.2, 1),), leave=(6.2, 0.3)),
        Wire("z1", "read", via=((6.6, 2),), leave=(6.6, 1.5)),
        *_chain("q", "read", "h1"),
    ),
    {"input": (6.65, 5.0)},
    (
        "k = φ(W_k xₜ)      v = W_v xₜ      q = φ(W_q xₜ)      φ(a) = elu(a) + 1",
        "Sₜ = Sₜ₋₁ + kᵀ v      zₜ = zₜ₋₁ + k      hₜ = q Sₜ / (q zₜ)",
    ),
    "S is a matrix: values are added under their keys, and nothing is forgotten",
)


def _delta(gated: bool) -> CellDiagram:
    """The delta rule; `gated`: on a memory that fades, with a gate at the exit."""
    gates = {"k": 2.6, "v": 4, "beta": 5.4, "q": 8.2} | ({"alpha": 1.2, "g": 9.6} if gated else {})
    end = 11 if gated else 9.8
    nodes = {
        **_states((end, 0.3), (0, 0.3), "S"),
        "recall": Node("gate", (2.6, 1.9), "k S", "recall"),
        "minus": Node("operation", (4, 1.9), "v −"),
        "times": Node("operation", (5.4, 1.9), "×"),
        "write": Node("operation", (6.8, 1.9), "kᵀ ·"),
        "sum": Node("operation", (6.8, 0.3), "+"),
        "read": Node("gate", (8.2, 1.9), "q S", "read, norm"),
        "k": Node("gate", (2.6, 3.9), "k", "key"),
        "v": Node("gate", (4, 3.9), "v", "value"),
        "beta": Node("gate", (5.4, 3.9), "β", "how much"),
        "q": Node("gate", (8.2, 3.9), "q", "query"),
        "h1": Node("state", (end, 1.9), "hₜ"),
        "x": Node("input", (0, 5.1), "xₜ"),
    }
    if gated:
        nodes["fade"] = Node("operation", (1.2, 0.3), "×")
        nodes["alpha"] = Node("gate", (1.2, 3.9), "α", "kept")
        nodes["show"] = Node("operation", (9.6, 1.9), "×")
        nodes["g"] = Node("gate", (9.6, 3.9), "SiLU", "exit g")
    wires = (
        *_gated(5.1, **gates),
        *_chain("S0", *["fade"] * gated, "sum", "S1"),
        *(_chain("alpha", "fade") if gated else ()),
        Wire("S0", "recall", leave=(2.6, 0.3)),
        *_chain("k", "recall", "minus", "times", "write", "sum"),
        Wire("k", "write", via=((6.8, 2.9),), leave=(2.6, 2.9)),
        *_chain("v", "minus"),
        *_chain("beta", "times"),
        Wire("S1", "read", leave=(8.2, 0.3)),
        *_chain("q", "read", *["show"] * gated, "h1"),
        *(_chain("g", "show") if gated else ()),
    )
    exit_, after = ("g = SiLU(W_g xₜ)      ", " ⊙ g") if gated else ("", "")
    old = "(α Sₜ₋₁)" if gated else "Sₜ₋₁"
    return CellDiagram(
        nodes,
        wires,
        {"input": (9.9 if gated else 8.5, 5.0)},
        (
            f"q, k, v from W_ih xₜ, q and k of length 1      {exit_}β = σ(W_β xₜ)",
            f"Sₜ = {old} + kᵀ β (v − k {old})      hₜ = norm(q Sₜ){after}",
        ),
        "what the key recalls is replaced by the new value, as far as β says" + "; α lets all of it fade" * gated,
    )


_SLSTM = CellDiagram(
    {
        **_states((10.8, 0.3), (0, 0.3), "c"),
        **_states((10.8, 1.4), (0, 1.4), "n"),
        **_states((10.8, 2.6), (0, 5)),
        "drop": Node("operation", (2.2, 0.3), "×"),
        "fade": Node("operation", (1.8, 1.4), "×"),
        "count": Node("operation", (3.8, 1.4), "+"),
        "sum": Node("operation", (6, 0.3), "+"),
        "new": Node("operation", (6, 2.6), "×"),
        "ratio": Node("gate", (8, 2.6), "c / n"),
        "show": Node("operation", (9.4, 2.6), "×"),
        "f": Node("gate", (2, 3.8), "σ", "forget f"),
        "i": Node("gate", (4, 3.8), "exp", "input i"),
        "g": Node("gate", (6, 3.8), "tanh", "new g"),
        "o": Node("gate", (9.4, 3.8), "σ", "output o"),
        "x": Node("input", (0, 6), "xₜ"),
    },
    (
        *_gated(5, True, f=2, i=4, g=6, o=9.4),
        *_chain("c0", "drop", "sum", "c1"),
        *_chain("n0", "fade", "count", "n1"),
        Wire("f", "drop", via=((2.2, 3),)),
        Wire("f", "fade", via=((1.8, 3),)),
        Wire("i", "count", via=((3.8, 3),)),
        Wire("i", "new", via=((4.2, 2.6),)),
        *_chain("g", "new", "sum"),
        Wire("c1", "ratio", via=((7.8, 1),), leave=(7.8, 0.3)),
        Wire("n1", "ratio", via=((8.2, 2),), leave=(8.2, 1.4)),
        *_chain("ratio", "show", "h1"),
        *_chain("o", "show"),
    ),
    {"memory": (9.85, 4.95), "input": (9.85, 5.9)},
    (
        "f = σ(W_f xₜ + U_f hₜ₋₁ + b_f)      i = exp(W_i xₜ + U_i hₜ₋₁ + b_i)",
        "g = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)      o = σ(W_o xₜ + U_o hₜ₋₁ + b_o)",
        "cₜ = f ⊙ cₜ₋₁ + i ⊙ g      nₜ = f ⊙ nₜ₋₁ + i      hₜ = o ⊙ cₜ / nₜ",
    ),
    "the input gate has no upper limit, so n counts what went in; not drawn: m, which keeps both finite",
)

_MLSTM = CellDiagram(
    {
        **_states((10.8, 0.3), (0, 0.3), "C"),
        **_states((10.8, 1.4), (0, 1.4), "n"),
        "drop": Node("operation", (1.7, 0.3), "×"),
        "fade": Node("operation", (1.3, 1.4), "×"),
        "count": Node("operation", (4.6, 1.4), "+"),
        "sum": Node("operation", (6.2, 0.3), "+"),
        "key": Node("operation", (4.6, 2.7), "×"),
        "outer": Node("operation", (6.2, 2.7), "kᵀ v"),
        "read": Node("gate", (8, 2.7), "q C / q n", "read"),
        "show": Node("operation", (9.4, 2.7), "×"),
        "h1": Node("state", (10.8, 2.7), "hₜ"),
        "f": Node("gate", (1.5, 3.9), "σ", "forget f"),
        "i": Node("gate", (3, 3.9), "exp", "input i"),
        "k": Node("gate", (4.6, 3.9), "k", "key"),
        "v": Node("gate", (6.2, 3.9), "v", "value"),
        "q": Node("gate", (8, 3.9), "q", "query"),
        "o": Node("gate", (9.4, 3.9), "σ", "output o"),
        "x": Node("input", (0, 5.1), "xₜ"),
    },
    (
        *_gated(5.1, f=1.5, i=3, k=4.6, v=6.2, q=8, o=9.4),
        *_chain("C0", "drop", "sum", "C1"),
        *_chain("n0", "fade", "count", "n1"),
        Wire("f", "drop", via=((1.7, 3),)),
        Wire("f", "fade", via=((1.3, 3),)),
        Wire("i", "key", via=((3, 2.7),)),
        *_chain("k", "key", "count"),
        *_chain("key", "outer", "sum"),
        Wire("v", "outer"),
        Wire("C1", "read", via=((7.8, 1),), leave=(7.8, 0.3)),
        Wire("n1", "read", via=((8.2, 2),), leave=(8.2, 1.4)),
        *_chain("q", "read", "show", "h1"),
        *_chain("o", "show"),
    ),
    {"input": (9.7, 5.0)},
    (
        "q, k, v from W_ih xₜ      f = σ(W_f xₜ + b_f)      i = exp(W_i xₜ + b_i)      o = σ(W_o xₜ + b_o)",
        "Cₜ = f Cₜ₋₁ + i kᵀ v      nₜ = f nₜ₋₁ + i k      hₜ = o ⊙ (q Cₜ) / max(|q nₜ|, 1)",
    ),
    "an LSTM whose cell is a matrix; not drawn: m, which keeps C and n finite",
)

_HGRN2 = CellDiagram(
    {
        **_states((9.2, 0.3), (0, 0.3), "S"),
        "keep": Node("operation", (2.2, 0.3), "×"),
        "one": Node("operation", (3.8, 2.5), "1 −"),
        "outer": Node("operation", (5.2, 2.5), "kᵀ v"),
        "sum": Node("operation", (5.2, 0.3), "+"),
        "read": Node("gate", (7.2, 2.5), "q S", "read, norm"),
        "h1": Node("state", (9.2, 2.5), "hₜ"),
        "f": Node("gate", (2.2, 3.9), "σ", "forget f"),
        "v": Node("gate", (5.2, 3.9), "v", "value"),
        "q": Node("gate", (7.2, 3.9), "q", "query"),
        "x": Node("input", (0, 5.1), "xₜ"),
    },
    (
        *_gated(5.1, f=2.2, v=5.2, q=7.2),
        *_chain("S0", "keep", "sum", "S1"),
        *_chain("f", "keep"),
        Wire("f", "one", leave=(2.2, 2.5)),
        *_chain("one", "outer", "sum"),
        *_chain("v", "outer"),
        Wire("S1", "read", leave=(7.2, 0.3)),
        *_chain("q", "read", "h1"),
    ),
    {"input": (7.45, 5.0)},
    (
        "f = σ(W_f xₜ + b_f)      v = W_v xₜ + b_v      q = SiLU(W_q xₜ + b_q)      k = 1 − f",
        "Sₜ = diag(f) Sₜ₋₁ + kᵀ v      hₜ = norm(q Sₜ)",
    ),
    "the forget gate is also the key: a row of S is written to as far as it is forgotten",
)

GENERIC = CellDiagram(
    {
        **_states((5.2, 0.3)),
        "step": Node("gate", (2.6, 0.3), "step"),
        "x": Node("input", (2.6, 2.2), "xₜ"),
    },
    (Wire("h0", "step"), Wire("x", "step", "input"), Wire("step", "h1")),
    {"input": (2.8, 1.3)},
    ("hₜ = step(xₜ, hₜ₋₁)",),
    "no diagram of this cell yet: its equations are in its file",
)

PLANS = {
    "three-char": _ADDITIVE,
    "loop": _ADDITIVE,
    "concat": _CONCAT,
    "rnn": _ELMAN,
    "irnn": _ELMAN,
    "gru": _GRU,
    "lstm": _LSTM,
    "mingru": _MINGRU,
    "minlstm": _MINLSTM,
    "lru": _LRU,
    "rg-lru": _RG_LRU,
    "mamba": _MAMBA,
    "linear-attention": _LINEAR_ATTENTION,
    "deltanet": _delta(gated=False),
    "gated-deltanet": _delta(gated=True),
    "slstm": _SLSTM,
    "mlstm": _MLSTM,
    "hgrn2": _HGRN2,
}
"""The plan of each rung."""
