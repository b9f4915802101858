"""The `irnn` rung: the Elman recurrence whose recurrent weights start as the identity matrix.

Le, Jaitly, Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.
"""

from __future__ import annotations

import torch
from torch import nn

from unrolled.learn.networks.rnn import Rnn
from unrolled.model import cells


class Irnn(Rnn):
    """`rnn` with W_hh starting as the identity and both biases as zero.

    f is tanh (the lesson's form, the default) or relu (the paper's). Different from the paper: `weight_ih` starts as in
    `torch.nn.RNN`, not as small Gaussian numbers.
    """

    cell = cells.Irnn
    designed_start = True

    def initialise(self, generator: torch.Generator) -> None:
        """The identity for `weight_hh`, zero biases, and `weight_ih` uniform in ±1/√hidden."""
        super().initialise(generator)
        nn.init.eye_(self.weight_hh)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_hh)
