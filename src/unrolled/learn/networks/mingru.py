"""The `mingru` rung: a GRU whose gates see the input alone, so that all of them are known before the first step.

Feng et al., "Were RNNs all we needed?", 2024. What is left of the recurrence is linear in h and can be computed for all
times at once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, under_autocast, uniform_as_linear
from unrolled.learn.networks.scan import scan
from unrolled.model import linear_cells


class MinGru(Recurrence):
    """z_t = σ(W_z x_t + b_z);  c_t = g(W_h x_t + b_h);  h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ c_t.

    g(v) = v + 1/2 for v ≥ 0, else σ(v): the variant of the paper's appendix, whose candidates are positive. The paper
    takes logarithms to run it in parallel and so needs a positive start state; here the linear recurrence is solved
    without them (`scan`), and any start state will do. `weight_ih` (2 hidden, inputs) and `bias_ih` hold the rows of z,
    then those of the candidate; start values are uniform in ±1/√inputs, as in the paper's linear layers.
    """

    cell = linear_cells.MinGru
    weight_ih: Tensor
    bias_ih: Tensor

    def project(self, x: Tensor) -> Tensor:
        z, v = functional.linear(x, self.weight_ih, self.bias_ih).chunk(2, dim=-1)
        return torch.cat([z.sigmoid(), positive(v)], dim=-1)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        projected, start = under_autocast(projected, state[0])
        z, candidate = projected.chunk(2, dim=-1)
        hidden = scan(1 - z, z * candidate, start)
        return hidden, (hidden[-1],)

    def initialise(self, generator: torch.Generator) -> None:
        """As one `torch.nn.Linear`."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)


def positive(v: Tensor) -> Tensor:
    """g(v) = v + 1/2 for v ≥ 0, else σ(v): a candidate that is never negative."""
    return torch.where(v >= 0, v + 0.5, v.sigmoid())
