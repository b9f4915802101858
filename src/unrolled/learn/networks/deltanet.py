"""The `deltanet` rung: a memory of keys and values in which writing replaces what the key recalled before.

Yang et al., "Parallelizing linear transformers with the delta rule over sequence length", 2024 (arXiv 2406.06484); the
range of β up to 2 from Grazzi et al., "Unlocking state-tracking in linear RNNs through negative eigenvalues", 2024
(arXiv 2411.12537).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import chunks, delta_rule, joined, rms_norm, unit
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.model import matrix_cells


class DeltaNet(Recurrence):
    """S_t = S_{t-1} - β_t k_tᵀ (k_t S_{t-1}) + β_t k_tᵀ v_t;  h_t = norm(q_t S_t).

    q, k, v, β̃ = W x, rows in this order, in heads of `head_size`; q and k are SiLUs at length 1; β = σ(β̃), one a
    head, or 2 σ(β̃) with the nonlinearity `double-sigmoid`: the factor of S along k is 1 - β, and only where it can be
    negative can such a network tell odd from even. norm divides each head by its root mean square. Different from the
    papers' block: no convolution.
    """

    cell = matrix_cells.DeltaNet
    designed_start = True
    weight_ih: Tensor
    norm: Tensor

    def project(self, x: Tensor) -> Tensor:
        n, heads = self.hidden, self.hidden // len(self.norm)
        q, k, v, beta = torch.split(functional.linear(x, self.weight_ih), [n, n, n, heads], dim=-1)
        q, k = (unit(functional.silu(a), heads) for a in (q, k))
        most = 2 if self.nonlinearity == "double-sigmoid" else 1
        return torch.cat([q, k, v, most * beta.sigmoid()], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        (memory,) = state
        n, heads = self.hidden, memory.shape[1]
        parts = []
        for q, k, v, beta in chunks(projected, heads, n, n, n, heads):
            read, memory = delta_rule(q, k, v, beta, torch.zeros_like(beta), memory)
            parts.append(rms_norm(read, self.norm))
        return joined(parts), (memory,)

    def initialise(self, generator: torch.Generator) -> None:
        """The matrix as in `torch.nn.Linear`, the scale of the norm 1."""
        uniform_as_linear(self.weight_ih, None, generator)
        nn.init.ones_(self.norm)
