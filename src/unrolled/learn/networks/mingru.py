"""The `mingru` rung: a GRU whose gates see the input alone, so that all of them are known before the first step.

Feng et al., "Were RNNs all we needed?", 2024. What is left of the recurrence is linear in h and can be computed for all
times at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.recurrence import (
    Recurrence,
    State,
    first_derivative_only,
    under_autocast,
    weight,
)


class MinGru(Recurrence):
    """z_t = σ(W_z x_t + b_z);  c_t = g(W_h x_t + b_h);  h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ c_t.

    g(v) = v + 1/2 for v ≥ 0, else σ(v): the variant of the paper's appendix, whose candidates are positive. The paper
    takes logarithms to run it in parallel and so needs a positive start state; here the linear recurrence is solved
    without them (`scan`), and any start state will do. `weight_ih` (2 hidden, inputs) and `bias_ih` hold the rows of z,
    then those of the candidate; start values are uniform in ±1/√inputs, as in the paper's linear layers.
    """

    def __init__(self, inputs: int, hidden: int, nonlinearity: str | None = None) -> None:
        super().__init__(inputs, hidden, nonlinearity)
        self.weight_ih, self.bias_ih = weight(2 * hidden, inputs), weight(2 * hidden)

    def project(self, x: Tensor) -> Tensor:
        z, v = functional.linear(x, self.weight_ih, self.bias_ih).chunk(2, dim=-1)
        return torch.cat([z.sigmoid(), torch.where(v >= 0, v + 0.5, v.sigmoid())], dim=-1)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        projected, start = under_autocast(projected, state[0])
        z, candidate = projected.chunk(2, dim=-1)
        hidden = scan(1 - z, z * candidate, start)
        return hidden, (hidden[-1],)

    def initialise(self, generator: torch.Generator) -> None:
        """As one `torch.nn.Linear`."""
        bound = self.inputs**-0.5
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)


def scan(keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
    """Solve h_t = keep_t ⊙ h_{t-1} + add_t for all t at once, h_{-1} being `start`.

    `keep` and `add` are (time, batch, n), `start` (batch, n). Safe for any length and any finite start where
    0 ≤ keep ≤ 1: products of `keep` may underflow to zero, which is their value to the precision of the sum, and
    nothing is divided by them.
    """
    hidden: Tensor = _Scan.apply(keep, add, start)  # type: ignore[no-untyped-call]
    return hidden


class _Scan(torch.autograd.Function):
    """The gradient of a linear recurrence is the same recurrence, run backwards."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
        hidden = add.clone()
        hidden[0].addcmul_(keep[0], start)
        solve_(keep, hidden)
        ctx.save_for_backward(keep, hidden, start)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        first_derivative_only()
        keep, hidden, start = ctx.saved_tensors
        to_add = gradient.flip(0)
        # d_t = gradient_t + keep_{t+1} d_{t+1}; the first factor meets nothing, so which one stands there is no matter
        solve_(keep.roll(-1, 0).flip(0), to_add)
        to_add = to_add.flip(0)
        to_keep = torch.cat([(to_add[0] * start)[None], to_add[1:] * hidden[:-1]])
        return to_keep, to_add, keep[0] * to_add[0]


def solve_(keep: Tensor, hidden: Tensor) -> None:
    """Turn `hidden` = add into the solution of h_t = keep_t ⊙ h_{t-1} + add_t with h_{-1} = 0, in place.

    On a CPU one step after the other: each touches little memory, and a batch fills the processor. Elsewhere by
    doubling (Hillis and Steele 1986): log2(time) passes, each over all times.
    """
    if hidden.device.type == "cpu":
        stepwise_(keep, hidden)
    else:
        doubling_(keep, hidden)


def stepwise_(keep: Tensor, hidden: Tensor) -> None:
    """The step form of `solve_`."""
    for t in range(1, len(hidden)):
        hidden[t].addcmul_(keep[t], hidden[t - 1])


def doubling_(keep: Tensor, hidden: Tensor) -> None:
    """The parallel form of `solve_`: after the pass of width w, every row sums the last 2 w terms."""
    width = 1
    while width < len(hidden):
        hidden[width:] = torch.addcmul(hidden[width:], keep[width:], hidden[:-width])
        keep = torch.cat([keep[:width], keep[width:] * keep[:-width]])
        width *= 2
