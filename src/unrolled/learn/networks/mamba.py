"""The `mamba` rung: the selective state space S6, which decides at each character what to write, keep and read.

Gu and Dao, "Mamba: linear-time sequence modeling with selective state spaces", 2023 (arXiv 2312.00752).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.learn.networks.scan import scan
from unrolled.model import linear_cells


class Mamba(Recurrence):
    """S_t = exp(Δ_t A) ⊙ S_{t-1} + (Δ_t u_t) B_tᵀ;  h_t = S_t C_t + D ⊙ u_t;  u_t = W x_t.

    S is (hidden, 16). Δ_t = softplus(W_Δ W_u u_t + b_Δ), one for each unit, through hidden/16 numbers; B_t and C_t are
    linear in u_t, 16 numbers each; A = -exp(log_A). Different from the paper's block: no convolution before it and no
    gate behind it.
    """

    cell = linear_cells.Mamba
    designed_start = True
    weight_ih: Tensor
    weight_u: Tensor
    weight_dt: Tensor
    bias_dt: Tensor
    log_A: Tensor
    direct: Tensor

    def project(self, x: Tensor) -> Tensor:
        u = functional.linear(x, self.weight_ih)
        inner = functional.linear(u, self.weight_u)
        bottleneck, b_and_c = torch.split(inner, [self.weight_dt.shape[1], 2 * self.cell.STATES], dim=-1)
        delta = functional.softplus(functional.linear(bottleneck, self.weight_dt, self.bias_dt))
        return torch.cat([u, delta, b_and_c], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        states = self.cell.STATES
        u, delta, b, c = torch.split(projected, [self.hidden, self.hidden, states, states], dim=-1)
        keep = torch.exp(delta[..., None] * -self.log_A.exp())
        s = scan(keep, (delta * u)[..., None] * b[..., None, :], state[0])
        h = (s @ c[..., None])[..., 0] + self.direct * u
        return h, (s[-1],)

    def initialise(self, generator: torch.Generator) -> None:
        """The paper's: A_n = -n, D = 1, Δ from 0.001 to 0.1 at an input of zero; the matrices as `torch.nn.Linear`."""
        for weight in (self.weight_ih, self.weight_u, self.weight_dt):
            uniform_as_linear(weight, None, generator)
        delta = torch.exp(math.log(1e-3) + math.log(100) * torch.rand(self.hidden, generator=generator))
        with torch.no_grad():
            self.bias_dt.copy_(delta + torch.log(-torch.expm1(-delta)))  # softplus of it is delta
            self.log_A.copy_(torch.arange(1, self.cell.STATES + 1).log().expand_as(self.log_A))
            self.direct.fill_(1)
