"""A recurrence in a block, as `unrolled.model.block` has it step by step: norms, ways around it, and a gated MLP."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import rms_norm
from unrolled.learn.networks.recurrence import Recurrence, State
from unrolled.model.block import in_block as cell_in_block


class Block(Recurrence):
    """x' = skip(x) + recurrence(norm(x));  h = x' + W_down (SiLU(a) ⊙ b) with (a, b) = W_up norm(x').

    Made by `in_block`.
    """

    kind: ClassVar[type[Recurrence]]
    designed_start = True
    norm_in: Tensor
    norm_out: Tensor
    weight_up: Tensor
    weight_down: Tensor
    weight_skip: Tensor
    """Where inputs and outputs are of different sizes."""

    def __init__(self, inputs: int, hidden: int, nonlinearity: str | None = None) -> None:
        super().__init__(inputs, hidden, nonlinearity)
        self.inner = self.kind(inputs, hidden, nonlinearity)

    def project(self, x: Tensor) -> Tensor:
        skip = functional.linear(x, self.weight_skip) if self.inputs != self.hidden else x
        own = self.inner.project(rms_norm(x, self.norm_in))
        return torch.cat([skip, own], dim=-1)

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        skip, own = torch.split(projected, [self.hidden, projected.shape[-1] - self.hidden], dim=-1)
        h, after = self.inner.run(own.contiguous(), state)
        x = skip + h
        a, b = functional.linear(rms_norm(x, self.norm_out), self.weight_up).chunk(2, dim=-1)
        return x + functional.linear(functional.silu(a) * b, self.weight_down), after

    def initialise(self, generator: torch.Generator) -> None:
        """Norms at 1, matrices as in `torch.nn.Linear`, the recurrence as it says itself."""
        for name, parameter in self.named_parameters(recurse=False):
            if name.startswith("norm"):
                nn.init.ones_(parameter)
            else:
                bound = parameter.shape[1] ** -0.5
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
        self.inner.initialise(generator)


@cache
def in_block(kind: type[Recurrence]) -> type[Block]:
    """The block around recurrences of `kind`."""
    return type(f"{kind.__name__}Block", (Block,), {"kind": kind, "cell": cell_in_block(kind.cell)})
