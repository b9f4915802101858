"""The `hgrn2` rung: a gated linear recurrence whose forget gate is also its key.

Qin et al., "HGRN2: gated linear RNNs with state expansion", 2024 (arXiv 2404.07904).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import rms_norm
from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.learn.networks.scan import scan
from unrolled.model import matrix_cells

PIECE = 16
"""Times whose states are in memory at once, each of them a matrix."""


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
        return torch.cat([functional.silu(q), f.sigmoid(), v], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        (memory,) = state
        heads, parts = (memory.shape[1], memory.shape[2]), []
        for piece in torch.split(projected, PIECE):
            q, f, v = (part.reshape(*part.shape[:-1], *heads) for part in piece.chunk(3, dim=-1))
            add = (1 - f)[..., None] * v[..., None, :]
            s = scan(f[..., None].expand_as(add), add, memory)
            parts.append((q[..., None, :] @ s)[..., 0, :])
            memory = s[-1]
        return rms_norm(torch.cat(parts), self.norm).flatten(-2), (memory,)

    def initialise(self, generator: torch.Generator) -> None:
        """As `torch.nn.Linear`, with f from 0.5 to 0.99 at an input of zero, and a scale of the norm of 1."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)
        f = 0.5 + 0.49 * torch.rand(self.hidden, generator=generator)
        with torch.no_grad():
            self.bias_ih.zero_()
            self.bias_ih[self.hidden : 2 * self.hidden] = torch.logit(f)
        nn.init.ones_(self.norm)
