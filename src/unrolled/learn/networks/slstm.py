"""The `slstm` rung: an LSTM with exponential gates and a normaliser, one half of xLSTM.

Beck et al., "xLSTM: extended long short-term memory", 2024 (arXiv 2405.04517).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, full_precision
from unrolled.model import cells


class SLstm(Recurrence):
    """c_t = f c_{t-1} + i tanh(g);  n_t = f n_{t-1} + i;  h_t = σ(o) ⊙ c_t / n_t, with i = e^ĩ and f = σ(f̃).

    ĩ, f̃, g, o = W x_t + b_ih + U h_{t-1} + b_hh, rows in this order. c and n are kept divided by e^m, m_t = max(log f +
    m_{t-1}, ĩ), which cancels; where n is zero nothing is stored yet, and m_t = ĩ. Different from the paper: one head,
    and f is the sigmoid of the two forms it offers.
    """

    cell = cells.SLstm
    designed_start = True
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        h, c, n, m = state
        hidden = []
        for p in projected:
            i, f, g, o = torch.addmm(p, h, self.weight_hh.t()).chunk(4, dim=1)
            kept = m + functional.logsigmoid(f)
            m = torch.where(n == 0, i, torch.maximum(kept, i))
            keep, add = (kept - m).clamp(max=0).exp(), (i - m).exp()
            c = keep * c + add * g.tanh()
            n = keep * n + add
            h = o.sigmoid() * c / n
            hidden.append(h)
        return torch.stack(hidden), (h, c, n, m)

    def initialise(self, generator: torch.Generator) -> None:
        """Uniform in ±1/√hidden, zero biases but those of f, which go from 3 to 6: the paper's long memories."""
        super().initialise(generator)
        with torch.no_grad():
            self.bias_ih.zero_()
            self.bias_hh.zero_()
            self.bias_ih[self.hidden : 2 * self.hidden] = torch.linspace(3, 6, self.hidden)
