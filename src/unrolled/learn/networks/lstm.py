"""The `lstm` rung: long short-term memory, run by PyTorch's own kernels, which are fast here (oneDNN, cuDNN).

Hochreiter and Schmidhuber, "Long short-term memory", 1997; with the forget gate of Gers, Schmidhuber, Cummins, 2000.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unrolled.learn.networks.recurrence import Recurrence, State
from unrolled.model import cells


class Lstm(Recurrence):
    """i, f, o = σ(W x + b_ih + U h + b_hh);  g = tanh(the same form);  c' = f ⊙ c + i ⊙ g;  h' = o ⊙ tanh(c').

    Parameters, shapes, start values and results are those of a one-layer `torch.nn.LSTM(batch_first=True)`: rows of
    `weight_ih` (4 hidden, inputs), `weight_hh` (4 hidden, hidden) and of both biases in the gate order i, f, g, o. No
    peepholes. The state is (h, c).
    """

    cell = cells.Lstm
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def project(self, x: Tensor) -> Tensor:
        """`x` itself: PyTorch's kernels do the projection along with the steps."""
        return x

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        start = [part[None] for part in state]
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        # The seventh argument asks for what the backward pass needs: cuDNN refuses gradients without it.
        h, last_h, last_c = torch.lstm(projected, start, weights, True, 1, 0.0, True, False, False)
        return h, (last_h[0], last_c[0])
