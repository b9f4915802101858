"""The `gated-deltanet` rung: the delta rule on a memory that also fades, and a gate at the exit.

Yang, Kautz, Hatamizadeh, "Gated delta networks: improving Mamba2 with delta rule", 2024 (arXiv 2412.06464).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import chunks, delta_rule, joined, rms_norm, unit
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.model import matrix_cells


class GatedDeltaNet(Recurrence):
    """S_t = α_t (S_{t-1} - β_t k_tᵀ (k_t S_{t-1})) + β_t k_tᵀ v_t;  h_t = norm(q_t S_t) ⊙ SiLU(g_t).

    q, k, v, g, β̃, α̃ = W x, rows in this order, in heads of `head_size`; q and k are SiLUs at length 1; β = σ(β̃) and
    log α = -exp(log_A) softplus(α̃ + b_α), one of each a head. norm divides each head by its root mean square. Different
    from the paper's block: no convolution.
    """

    cell = matrix_cells.GatedDeltaNet
    designed_start = True
    weight_ih: Tensor
    log_A: Tensor
    bias_alpha: Tensor
    norm: Tensor

    def project(self, x: Tensor) -> Tensor:
        n, heads = self.hidden, len(self.log_A)
        q, k, v, gate, beta, alpha = torch.split(
            functional.linear(x, self.weight_ih), [n, n, n, n, heads, heads], dim=-1
        )
        q, k = (unit(functional.silu(a), heads) for a in (q, k))
        log_alpha = -self.log_A.exp() * functional.softplus(alpha + self.bias_alpha)
        return torch.cat([q, k, v, functional.silu(gate), beta.sigmoid(), log_alpha], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        (memory,) = state
        n, heads = self.hidden, memory.shape[1]
        parts = []
        for q, k, v, gate, beta, log_alpha in chunks(projected, heads, n, n, n, n, heads, heads):
            read, memory = delta_rule(q, k, v, beta, log_alpha, memory)
            parts.append(rms_norm(read, self.norm) * gate)
        return joined(parts), (memory,)

    def initialise(self, generator: torch.Generator) -> None:
        """As in Mamba-2: e^log_A from 1 to 16, the softplus of the bias from 0.001 to 0.1; the matrix as `Linear`."""
        uniform_as_linear(self.weight_ih, None, generator)
        nn.init.ones_(self.norm)
        rate, turn = (torch.rand(len(self.log_A), generator=generator) for _ in range(2))
        step = torch.exp(math.log(1e-3) + math.log(100) * turn)
        with torch.no_grad():
            self.log_A.copy_((1 + 15 * rate).log())
            self.bias_alpha.copy_(step + torch.log(-torch.expm1(-step)))
