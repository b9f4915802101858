"""The `gru` rung: the gated recurrent unit, as `torch.nn.GRU` computes it, run fast by hand.

Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014; the form in which the reset gate acts
after the recurrent matrix product is the one of cuDNN and PyTorch (Cho et al. apply it before).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.learn.networks.activations import back_through_, tanh_
from unrolled.learn.networks.recurrence import Recurrence, State, first_derivative_only, under_autocast
from unrolled.learn.networks.rnn import weight_gradient
from unrolled.model import cells


class Gru(Recurrence):
    """r = σ(W_ir x + b_ir + W_hr h + b_hr);  z = σ(W_iz x + b_iz + W_hz h + b_hz);
    n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn));  h' = (1 - z) ⊙ n + z ⊙ h.

    Parameters, shapes, start values and results are those of a one-layer `torch.nn.GRU(batch_first=True)`: rows of
    `weight_ih` (3 hidden, inputs), `weight_hh` (3 hidden, hidden) and of both biases in the gate order r, z, n. The
    second bias of n is no duplicate: it is inside the product with r.
    """

    cell = cells.Gru
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def project(self, x: Tensor) -> Tensor:
        # r and z see the plain sum of both biases, so that theirs can be added before the first step
        bias = self.bias_ih + functional.pad(self.bias_hh[: 2 * self.hidden], (0, self.hidden))
        return functional.linear(x, self.weight_ih, bias)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        tensors = under_autocast(projected, state[0], self.weight_hh, self.bias_hh[2 * self.hidden :])
        hidden: Tensor = _Gru.apply(*tensors)  # type: ignore[no-untyped-call]
        return hidden, (hidden[-1],)


class _Gru(torch.autograd.Function):
    """All steps of the GRU; `projected` (time, batch, 3 hidden) holds W_i x + b."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, start: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size = start.shape[1]
        of_gates, of_candidate = weight[: 2 * size].t(), weight[2 * size :].t()
        hidden, inner = (projected.new_empty(*projected.shape[:2], size) for _ in range(2))
        activations = projected.clone()  # of r, z and n
        gates, candidate = activations[..., : 2 * size], activations[..., 2 * size :]
        before = start
        for t in range(len(projected)):
            r, z = gates[t].addmm_(before, of_gates).sigmoid_().chunk(2, dim=1)
            torch.addmm(bias, before, of_candidate, out=inner[t])  # W_hn h + b_hn, kept for the gradient of r
            n = tanh_(candidate[t].addcmul_(r, inner[t]))
            before = torch.lerp(n, before, z, out=hidden[t])
        ctx.save_for_backward(activations, inner, hidden, start, weight)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first_derivative_only()
        activations, inner, hidden, start, weight = ctx.saved_tensors
        size = start.shape[1]
        deltas = torch.empty_like(activations)  # of the sums inside r, z and n
        inner_deltas = torch.empty_like(inner)  # of W_hn h + b_hn
        carried = torch.zeros_like(start)
        for t in range(len(hidden) - 1, -1, -1):
            carried = carried + gradient[t]
            before = hidden[t - 1] if t else start
            _through_step(carried, before, activations[t], inner[t], deltas[t], inner_deltas[t])
            carried.addmm_(deltas[t, :, : 2 * size], weight[: 2 * size])
            carried.addmm_(inner_deltas[t], weight[2 * size :])
        to_weight = torch.cat(
            [weight_gradient(deltas[..., : 2 * size], hidden, start), weight_gradient(inner_deltas, hidden, start)]
        )
        return deltas, carried, to_weight, inner_deltas.flatten(0, 1).sum(0)


def _through_step(
    carried: Tensor, before: Tensor, activations: Tensor, inner: Tensor, deltas: Tensor, inner_deltas: Tensor
) -> None:
    """From the gradient of h' (`carried`) to those of the sums; `carried` becomes its own direct share of h."""
    r, z, n = activations.chunk(3, dim=1)
    to_r, to_z, to_n = deltas.chunk(3, dim=1)
    torch.sub(before, n, out=to_z).mul_(carried)
    back_through_(to_z, z, "sigmoid")
    carried_past = carried * z
    torch.sub(carried, carried_past, out=to_n)
    back_through_(to_n, n, "tanh")
    torch.mul(to_n, inner, out=to_r)
    back_through_(to_r, r, "sigmoid")
    torch.mul(to_n, r, out=inner_deltas)
    carried.copy_(carried_past)
