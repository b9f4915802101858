"""The `lru` rung: the linear recurrent unit, whose state is a row of complex numbers that turn and shrink.

Orvieto et al., "Resurrecting recurrent neural networks for long sequences", 2023 (arXiv 2303.06349). The eigenvalues
of the recurrence are its parameters and can be looked at.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, full_precision
from unrolled.learn.networks.scan import scan
from unrolled.model import linear_cells


class Lru(Recurrence):
    """s_t = λ ⊙ s_{t-1} + γ ⊙ (B x_t);  h_t = Re(C s_t) + D x_t;  λ = exp(-exp(ν) + i exp(θ)), γ = √(1 - |λ|²).

    s is complex, one number a unit; |λ| < 1 whatever ν. Rows of `weight_ih` (3 hidden, inputs): real part of B,
    imaginary part, D; columns of `weight_c` (hidden, 2 hidden): real part of C, imaginary part. Different from the
    paper: γ follows λ instead of being learned beside it, and D is a matrix, since h and x may differ in size. Linear
    from x to h: it needs a block around it.
    """

    cell = linear_cells.Lru
    designed_start = True
    weight_ih: Tensor
    weight_c: Tensor
    nu: Tensor
    theta: Tensor

    def project(self, x: Tensor) -> Tensor:
        gamma = (-torch.expm1(-2 * self.nu.exp())).sqrt()
        scale = torch.cat([gamma, gamma, torch.ones_like(gamma)])
        return functional.linear(x, self.weight_ih).to(gamma.dtype) * scale

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        real, imaginary, direct = projected.chunk(3, dim=-1)
        add, start = torch.complex(real, imaginary), torch.complex(*state)
        keep = torch.polar(torch.exp(-self.nu.exp()), self.theta.exp())
        s = scan(keep.expand_as(add), add, start)
        of_real, of_imaginary = self.weight_c.chunk(2, dim=1)
        of_pairs = torch.stack([of_real, -of_imaginary], dim=-1).flatten(1)  # as complex numbers lie in memory
        h = functional.linear(torch.view_as_real(s).flatten(-2), of_pairs) + direct
        return h, (s[-1].real, s[-1].imag)

    def initialise(self, generator: torch.Generator) -> None:
        """The paper's: λ uniform on the unit disc, B, C and D normal with the variance of x kept."""
        area, turn = (torch.rand(self.hidden, generator=generator).clamp(1e-6, 1 - 1e-6) for _ in range(2))
        with torch.no_grad():
            self.nu.copy_((-0.5 * area.log()).log())
            self.theta.copy_((2 * math.pi * turn).log())
        b, d = torch.split(self.weight_ih.detach(), [2 * self.hidden, self.hidden])
        nn.init.normal_(b, std=(2 * self.inputs) ** -0.5, generator=generator)
        nn.init.normal_(d, std=self.inputs**-0.5, generator=generator)
        nn.init.normal_(self.weight_c, std=self.hidden**-0.5, generator=generator)
