"""The `hgrn2` rung: a gated linear recurrence whose forget gate is also its key.

Qin et al., "HGRN2: gated linear RNNs with state expansion", 2024 (arXiv 2404.07904).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import by_head, causal, joined, rms_norm
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.model import matrix_cells

PIECE = 8
"""Times computed at once: between any two of them each number of a key fades by a factor of its own."""


class Hgrn2(Recurrence):
    """S_t = diag(f_t) S_{t-1} + (1 - f_t)ᵀ v_t;  h_t = norm(q_t S_t): what is forgotten is what is written to.

    f = σ(W_f x + b), q = SiLU(W_q x), v = W_v x, rows in the order q, f, v, in heads of `head_size`; norm divides each
    head by its root mean square. Different from the paper: a bias of f in place of a lower bound for each layer.
    """

    cell = matrix_cells.Hgrn2
    designed_start = True
    weight_ih: Tensor
    bias_ih: Tensor
    norm: Tensor

    def project(self, x: Tensor) -> Tensor:
        q, f, v = functional.linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        return torch.cat([functional.silu(q), functional.logsigmoid(f), v], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        (memory,) = state
        parts = []
        for piece in torch.split(projected, PIECE):
            q, log_f, v = (by_head(part, memory.shape[1]) for part in piece.chunk(3, dim=-1))
            fallen, k = log_f.cumsum(-2), -torch.expm1(log_f)
            fade = causal(fallen.mT[..., None] - fallen.mT[..., None, :])  # (batch, head, key, time, time)
            scores = ((q.mT[..., None] * fade) * k.mT[..., None, :]).sum(-3)
            parts.append(rms_norm(scores @ v + (q * fallen.exp()) @ memory, self.norm))
            end = fallen[..., -1:, :]
            memory = end.exp().mT * memory + ((end - fallen).exp() * k).mT @ v
        return joined(parts), (memory,)

    def initialise(self, generator: torch.Generator) -> None:
        """As `torch.nn.Linear`, with f from 0.5 to 0.99 at an input of zero, and a scale of the norm of 1."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)
        f = 0.5 + 0.49 * torch.rand(self.hidden, generator=generator)
        with torch.no_grad():
            self.bias_ih.zero_()
            self.bias_ih[self.hidden : 2 * self.hidden] = torch.logit(f)
        nn.init.ones_(self.norm)
