"""The `minlstm` rung: an LSTM whose gates see the input alone and share out one whole.

Feng et al., "Were RNNs all we needed?", 2024 (arXiv 2410.01201).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.mingru import positive
from unrolled.learn.networks.recurrence import Recurrence, State, under_autocast, uniform_as_linear
from unrolled.learn.networks.scan import scan
from unrolled.model import linear_cells


class MinLstm(Recurrence):
    """f_t, i_t = σ(W_f x_t + b_f), σ(W_i x_t + b_i);  h_t = f' ⊙ h_{t-1} + i' ⊙ g(W_h x_t + b_h).

    f' = f / (f + i) and i' = 1 - f'; g is that of `mingru`. Rows of the weights in the order f, i, h. As there, the
    paper's logarithms are not needed, and any start state will do.
    """

    cell = linear_cells.MinLstm
    weight_ih: Tensor
    bias_ih: Tensor

    def project(self, x: Tensor) -> Tensor:
        f, i, v = functional.linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        keep = (functional.softplus(-i) - functional.softplus(-f)).sigmoid()
        return torch.cat([keep, positive(v)], dim=-1)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        projected, start = under_autocast(projected, state[0])
        keep, candidate = projected.chunk(2, dim=-1)
        hidden = scan(keep, (1 - keep) * candidate, start)
        return hidden, (hidden[-1],)

    def initialise(self, generator: torch.Generator) -> None:
        """As one `torch.nn.Linear`."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)
