"""Linear recurrences, h_t = keep_t ⊙ h_{t-1} + add_t, solved for a whole window, with their gradient.

The gradient of such a recurrence is the same recurrence run backwards, so that nothing needs to be recorded step by
step. `keep` and `add` may be complex. Left out: where they come from, which is what tells the rungs apart.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unrolled.learn.networks.recurrence import first_derivative_only


def scan(keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
    """Solve h_t = keep_t ⊙ h_{t-1} + add_t for all t at once, h_{-1} being `start`.

    `keep` and `add` are (time, batch, ...), `start` (batch, ...). Safe for any length and any finite start where
    |keep| ≤ 1: products of `keep` may underflow to zero, which is their value to the precision of the sum, and
    nothing is divided by them.
    """
    hidden: Tensor = _Scan.apply(keep, add, start)  # type: ignore[no-untyped-call]
    return hidden


class _Scan(torch.autograd.Function):
    """The gradient of a linear recurrence is the same recurrence, run backwards."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
        hidden = add.clone()
        hidden[0].addcmul_(keep[0], start)
        solve_(keep, hidden)
        ctx.save_for_backward(keep, hidden, start)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        first_derivative_only()
        keep, hidden, start = ctx.saved_tensors
        to_add = gradient.flip(0)
        # d_t = gradient_t + keep_{t+1} d_{t+1}; the first factor multiplies nothing: its value is arbitrary
        # (conjugates are PyTorch's convention for complex gradients, and nothing to real numbers)
        solve_(keep.roll(-1, 0).flip(0).conj(), to_add)
        to_add = to_add.flip(0)
        to_keep = torch.cat([(to_add[0] * start.conj())[None], to_add[1:] * hidden[:-1].conj()])
        return to_keep, to_add, keep[0].conj() * to_add[0]


def solve_(keep: Tensor, hidden: Tensor) -> None:
    """Turn `hidden` = add into the solution of h_t = keep_t ⊙ h_{t-1} + add_t with h_{-1} = 0, in place.

    On a CPU one step after the other: each touches little memory, and a batch fills the processor. Elsewhere by
    doubling (Hillis and Steele 1986): log2(time) passes, each over all times.
    """
    if hidden.device.type == "cpu":
        stepwise_(keep, hidden)
    else:
        doubling_(keep, hidden)


def stepwise_(keep: Tensor, hidden: Tensor) -> None:
    """The step form of `solve_`."""
    for t in range(1, len(hidden)):
        hidden[t].addcmul_(keep[t], hidden[t - 1])


def doubling_(keep: Tensor, hidden: Tensor) -> None:
    """The parallel form of `solve_`: after the pass of width w, every row sums the last 2 w terms."""
    width = 1
    while width < len(hidden):
        hidden[width:] = torch.addcmul(hidden[width:], keep[width:], hidden[:-width])
        keep = torch.cat([keep[:width], keep[width:] * keep[:-width]])
        width *= 2
