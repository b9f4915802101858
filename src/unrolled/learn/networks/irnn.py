"""The `irnn` rung: the Elman recurrence whose recurrent weights start as the identity matrix.

Le, Jaitly, Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, weight
from unrolled.learn.networks.rnn import elman
from unrolled.model.cells import CELLS


class Irnn(Recurrence):
    """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), W_hh starting as the identity and both biases as zero.

    f is tanh (the lesson's form, the default) or relu (the paper's). Same parameters as `rnn`. Different from the
    paper: `weight_ih` starts as in `torch.nn.RNN`, not as small Gaussian numbers.
    """

    nonlinearities = CELLS["irnn"].nonlinearities

    def __init__(self, inputs: int, hidden: int, nonlinearity: str | None = None) -> None:
        super().__init__(inputs, hidden, nonlinearity)
        self.weight_ih, self.weight_hh = weight(hidden, inputs), weight(hidden, hidden)
        self.bias_ih, self.bias_hh = weight(hidden), weight(hidden)

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return elman(projected, state[0], self.weight_hh, self.nonlinearity or "tanh")

    def initialise(self, generator: torch.Generator) -> None:
        """The identity for `weight_hh`, zero biases, and `weight_ih` uniform in ±1/√hidden."""
        super().initialise(generator)
        nn.init.eye_(self.weight_hh)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_hh)
