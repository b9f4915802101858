"""The `mlstm` rung: an LSTM whose cell is a matrix, the other half of xLSTM.

Beck et al., "xLSTM: extended long short-term memory", 2024 (arXiv 2405.04517).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import causal, chunks, joined, weighted_sums
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.model import matrix_cells


class MLstm(Recurrence):
    """C_t = f C_{t-1} + i k_tᵀ v_t;  n_t = f n_{t-1} + i k_t;  h_t = σ(o_t) ⊙ (q_t C_t) / max(|q_t n_t|, 1).

    q, k, v, o, ĩ, f̃ = W x + b, rows in this order, in heads of `head_size`, k divided by its root; i = e^ĩ and f =
    σ(f̃), one of each a head. C and n are kept divided by e^m with m_t = max(log f + m_{t-1}, ĩ), which cancels.
    Different from the paper's block: no convolution, no norm of the heads.
    """

    cell = matrix_cells.MLstm
    designed_start = True
    weight_ih: Tensor
    bias_ih: Tensor
    bias_gates: Tensor

    def project(self, x: Tensor) -> Tensor:
        n, heads = self.hidden, len(self.bias_gates) // 2
        p = functional.linear(x, self.weight_ih, torch.cat([self.bias_ih, self.bias_gates]))
        q, k, v, o, i, f = torch.split(p, [n, n, n, n, heads, heads], dim=-1)
        return torch.cat([q, k * (n // heads) ** -0.5, v, o.sigmoid(), i, functional.logsigmoid(f)], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        memory, keys, largest = state[0], state[1][:, :, None], state[2][:, :, None]
        n, heads = self.hidden, memory.shape[1]
        parts = []
        for q, k, v, o, i, log_f in chunks(projected, heads, n, n, n, n, heads, heads):
            fallen = log_f.cumsum(-2)
            m = fallen + torch.maximum(largest, (i - fallen).cummax(-2).values)
            weight = causal(fallen - m + (i - fallen).mT)
            kept = (fallen - m + largest).exp()
            read, fit, memory, keys = weighted_sums(q, k, v, weight, kept, memory, keys)
            largest = m[:, :, -1:]
            parts.append(o * read / torch.maximum(fit.abs(), (-m).clamp(max=40).exp()))
        return joined(parts), (memory, keys[:, :, 0], largest[:, :, 0])

    def initialise(self, generator: torch.Generator) -> None:
        """As `torch.nn.Linear`, the biases zero but those of f, which go from 3 to 6: the paper's long memories."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_gates)
        heads = len(self.bias_gates) // 2
        with torch.no_grad():
            self.bias_gates[heads:] = torch.linspace(3, 6, heads)
