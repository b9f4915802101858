"""The `rnn` rung: Elman's recurrence, and the fast execution of it that `irnn` and `loop` share.

Elman, "Finding structure in time", 1990. PyTorch's own `torch.nn.RNN` records every step for autograd; here all input
projections are one matrix product, the steps run in place, and the backward pass is written by hand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.activations import activate_, back_through_
from unrolled.learn.networks.recurrence import Recurrence, State, first_derivative_only, under_autocast
from unrolled.model import cells


class Rnn(Recurrence):
    """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f being tanh (the default) or relu.

    Parameters, shapes, start values and results are those of a one-layer `torch.nn.RNN(batch_first=True)`: `weight_ih`
    (hidden, inputs), `weight_hh` (hidden, hidden), and two biases, of which one would do. Different from `torch.nn`:
    the state is a tuple of (batch, hidden), with no axis for layers.
    """

    cell = cells.Elman
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return elman(projected, state[0], self.weight_hh, self.nonlinearity or "tanh")


def elman(projected: Tensor, start: Tensor, weight: Tensor, nonlinearity: str) -> tuple[Tensor, State]:
    """All steps of h_t = f(p_t + W h_{t-1}), f being tanh or relu.

    `projected` p is (time, batch, hidden) and is overwritten; `start` (batch, hidden); `weight` (hidden, hidden).
    Returns h (time, batch, hidden) and the state after the last time.
    """
    projected, start, weight = under_autocast(projected, start, weight)
    hidden: Tensor = _Elman.apply(projected, start, weight, nonlinearity)  # type: ignore[no-untyped-call]
    return hidden, (hidden[-1],)


class _Elman(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, start: Tensor, weight: Tensor, nonlinearity: str) -> Tensor:
        before = None if is_zero(start) else start
        for h in projected:
            if before is not None:
                h.addmm_(before, weight.t())
            before = activate_(h, nonlinearity)
        ctx.mark_dirty(projected)
        ctx.save_for_backward(projected, start, weight)
        ctx.nonlinearity = nonlinearity
        return projected

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first_derivative_only()
        hidden, start, weight = ctx.saved_tensors
        deltas = torch.empty_like(hidden)  # the gradient of each step's sum, before its nonlinearity
        last = len(hidden) - 1
        for t in range(last, -1, -1):
            if t == last:
                deltas[t].copy_(gradient[t])
            else:
                torch.addmm(gradient[t], deltas[t + 1], weight, out=deltas[t])
            back_through_(deltas[t], hidden[t], ctx.nonlinearity)
        to_start = deltas[0] @ weight if ctx.needs_input_grad[1] else None
        to_weight = weight_gradient(deltas, hidden, start) if ctx.needs_input_grad[2] else None
        return deltas, to_start, to_weight, None


def weight_gradient(deltas: Tensor, hidden: Tensor, start: Tensor) -> Tensor:
    """Σ_t deltas_t ⊗ h_{t-1}, h_{-1} being `start`, in one matrix product over all times and one for the first.

    `deltas` (time, batch, n), `hidden` (time, batch, hidden), `start` (batch, hidden); the result is (n, hidden).
    """
    later = deltas[1:].flatten(0, 1).t() @ hidden[:-1].flatten(0, 1)
    return later if is_zero(start) else later.addmm_(deltas[0].t(), start)


def is_zero(start: Tensor) -> bool:
    """Whether a start state is all zero, as at the start of every window, so that products with it can be left out.

    Asked on the CPU only: elsewhere the answer would cost more than it saves.
    """
    return start.device.type == "cpu" and start.numel() > 0 and not bool(start.abs().amax())  # any() is slower
