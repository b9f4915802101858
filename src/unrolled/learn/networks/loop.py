"""The `loop` rung of the lesson: each character is added to the hidden state, in a loop over any number of them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, uniform_as_linear
from unrolled.learn.networks.rnn import elman
from unrolled.model import cells
from unrolled.model.cell import Cell


class Loop(Recurrence):
    """u_t = relu(W_in x_t + b_in);  h_t = tanh(W_h (h_{t-1} + u_t) + b_h).

    fast.ai's lesson on recurrent networks (2018). W_h is applied to a sum, so it may be applied to its terms: with
    p_t = W_h u_t + b_h this is an Elman recurrence, h_t = tanh(p_t + W_h h_{t-1}), and runs as one. `torch.nn` has no
    such layer; the two weights and biases start as those of `torch.nn.Linear`.
    """

    cell: ClassVar[type[Cell]] = cells.Loop
    weight_in: Tensor
    bias_in: Tensor
    weight_h: Tensor
    bias_h: Tensor

    def project(self, x: Tensor) -> Tensor:
        u = functional.linear(x, self.weight_in, self.bias_in).relu()
        return functional.linear(u, self.weight_h, self.bias_h)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return elman(projected, state[0], self.weight_h, "tanh")

    def initialise(self, generator: torch.Generator) -> None:
        """Both layers as `torch.nn.Linear`."""
        uniform_as_linear(self.weight_in, self.bias_in, generator)
        uniform_as_linear(self.weight_h, self.bias_h, generator)
