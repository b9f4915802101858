"""The `three-char` rung of the lesson: a network of exactly three characters, written out by hand, with no loop.

The first rung: what the others do in a loop, seen without one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.loop import Loop
from unrolled.learn.networks.recurrence import State
from unrolled.model import cells


class ThreeChar(Loop):
    """u_t = relu(W_in x_t + b_in);  h_t = s(s(s(0, u_{t-2}), u_{t-1}), u_t)  with  s(h, u) = tanh(W_h (h + u) + b_h).

    fast.ai's lesson on recurrent networks (2018). Every position sees its own character and the two before it, no
    more. The state is the two previous inputs u as they enter the sum; before the start of a text they are zero
    vectors: nothing is added. Parameters and start are those of `loop`; on a window of three the last position equals
    its third step.
    """

    cell = cells.ThreeChar

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_in, self.bias_in).relu()

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        u = torch.cat([torch.stack(state).to(projected.dtype), projected])
        u1, u2, u3 = u[:-2], u[1:-1], u[2:]  # the three characters that each position sees
        h = torch.tanh(functional.linear(u1, self.weight_h, self.bias_h))
        h = torch.tanh(functional.linear(h + u2, self.weight_h, self.bias_h))
        h = torch.tanh(functional.linear(h + u3, self.weight_h, self.bias_h))
        return h, (u[-2], u[-1])
