"""The `concat` rung of the lesson: hidden state and character side by side instead of added."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.activations import back_through_, tanh_
from unrolled.learn.networks.loop import Loop
from unrolled.learn.networks.recurrence import State, first_derivative_only, under_autocast
from unrolled.learn.networks.rnn import weight_gradient
from unrolled.model import cells


class Concat(Loop):
    """r_t = relu(W_in [h_{t-1}; x_t] + b_in);  h_t = tanh(W_h r_t + b_h).

    fast.ai's lesson on recurrent networks (2018). `weight_in` is (hidden, hidden + inputs), its first columns for the
    hidden state. The other parameters, and the start of all, are those of `loop`.
    """

    cell = cells.Concat

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_in[:, self.hidden :], self.bias_in)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        of_hidden = self.weight_in[:, : self.hidden]
        tensors = under_autocast(projected, state[0], of_hidden, self.weight_h, self.bias_h)
        hidden: Tensor = _Concat.apply(*tensors)  # type: ignore[no-untyped-call]
        return hidden, (hidden[-1],)


class _Concat(torch.autograd.Function):
    """All steps of r_t = relu(p_t + A h_{t-1}), h_t = tanh(W r_t + b); p (time, batch, hidden) is W_x x + b_in."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, start: Tensor, inner: Tensor, outer: Tensor, bias: Tensor) -> Tensor:
        r, hidden = torch.empty_like(projected), torch.empty_like(projected)
        before = start
        for t, p in enumerate(projected):
            torch.addmm(p, before, inner.t(), out=r[t]).relu_()
            before = tanh_(torch.addmm(bias, r[t], outer.t(), out=hidden[t]))
        ctx.save_for_backward(r, hidden, start, inner, outer)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first_derivative_only()
        r, hidden, start, inner, outer = ctx.saved_tensors
        inner_deltas, outer_deltas = torch.empty_like(r), torch.empty_like(hidden)
        last = len(hidden) - 1
        for t in range(last, -1, -1):
            if t == last:
                outer_deltas[t].copy_(gradient[t])
            else:
                torch.addmm(gradient[t], inner_deltas[t + 1], inner, out=outer_deltas[t])
            back_through_(outer_deltas[t], hidden[t], "tanh")
            torch.mm(outer_deltas[t], outer, out=inner_deltas[t])
            back_through_(inner_deltas[t], r[t], "relu")
        flat = outer_deltas.flatten(0, 1)
        return (
            inner_deltas,
            inner_deltas[0] @ inner,
            weight_gradient(inner_deltas, hidden, start),
            flat.t() @ r.flatten(0, 1),
            flat.sum(0),
        )
