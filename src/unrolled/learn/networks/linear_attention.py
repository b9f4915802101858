"""The `linear-attention` rung: attention without a softmax, which is a recurrence.

Katharopoulos et al., "Transformers are RNNs", 2020 (arXiv 2006.16236).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.matrix_state import causal, chunks, joined, weighted_sums
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision
from unrolled.model import matrix_cells


class LinearAttention(Recurrence):
    """S_t = S_{t-1} + φ(k_t)ᵀ v_t;  z_t = z_{t-1} + φ(k_t);  h_t = φ(q_t) S_t / (φ(q_t) z_t), with φ(x) = elu(x) + 1.

    q, k, v = W x, rows in this order, in heads of `head_size`. Nothing is forgotten, so that a state that is carried
    through a long text becomes the average of all of it. 10⁻⁶ is added to the denominator.
    """

    cell = matrix_cells.LinearAttention
    weight_ih: Tensor

    def project(self, x: Tensor) -> Tensor:
        q_and_k, v = torch.split(functional.linear(x, self.weight_ih), [2 * self.hidden, self.hidden], dim=-1)
        return torch.cat([functional.elu(q_and_k) + 1, v], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        memory, keys = state[0], state[1][:, :, None]
        n, heads = self.hidden, memory.shape[1]
        parts = []
        for q, k, v in chunks(projected, heads, n, n, n):
            equal = q.new_zeros(q.shape[2], q.shape[2])
            read, fit, memory, keys = weighted_sums(q, k, v, causal(equal), equal[:, :1] + 1, memory, keys)
            parts.append(read / (fit + 1e-6))
        return joined(parts), (memory, keys[:, :, 0])
