"""The `rg-lru` rung: the real-gated linear recurrent unit of Griffin and RecurrentGemma.

De et al., "Griffin: mixing gated linear recurrences with local attention", 2024 (arXiv 2402.19427).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.recurrence import Recurrence, State, full_precision, uniform_as_linear
from unrolled.learn.networks.scan import scan
from unrolled.model import linear_cells


class RgLru(Recurrence):
    """h_t = a_t ⊙ h_{t-1} + √(1 - a_t²) ⊙ (i_t ⊙ v_t), with a_t = σ(Λ)^(8 r_t).

    r_t = σ(W_r x_t + b_r) and i_t = σ(W_i x_t + b_i); v_t = W_v x_t + b_v is the paper's input of the layer, which
    has the size of h. Rows of the weights in the order r, i, v; Λ is `decay`. Different from the paper: the gates read
    x, by whole matrices instead of blocks.
    """

    cell = linear_cells.RgLru
    designed_start = True
    weight_ih: Tensor
    bias_ih: Tensor
    decay: Tensor

    def project(self, x: Tensor) -> Tensor:
        r, i, v = functional.linear(x, self.weight_ih, self.bias_ih).to(self.decay.dtype).chunk(3, dim=-1)
        log_a = -8 * functional.softplus(-self.decay) * r.sigmoid()
        scale = (-torch.expm1(2 * log_a)).clamp(min=1e-12).sqrt()  # the root has no gradient at 0
        return torch.cat([log_a.exp(), scale * i.sigmoid() * v], dim=-1)

    @full_precision
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        keep, add = projected.chunk(2, dim=-1)
        hidden = scan(keep, add, state[0])
        return hidden, (hidden[-1],)

    def initialise(self, generator: torch.Generator) -> None:
        """The paper's: σ(Λ)^8 uniform from 0.9 to 0.999, zero biases; the matrices as `torch.nn.Linear`."""
        uniform_as_linear(self.weight_ih, self.bias_ih, generator)
        nn.init.zeros_(self.bias_ih)
        a = (0.9 + 0.099 * torch.rand(self.hidden, generator=generator)) ** (1 / 8)
        with torch.no_grad():
            self.decay.copy_(torch.logit(a))
