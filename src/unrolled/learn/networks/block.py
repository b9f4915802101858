"""A recurrence in a block, as `unrolled.model.block` has it step by step: norms, ways around it, and a gated MLP."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks.matrix_state import rms_norm
from unrolled.learn.networks.recurrence import Recurrence, State, uniform_as_linear
from unrolled.model.block import TAPS
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
        self.inner = self.kind(self.inner_inputs, hidden, nonlinearity)

    @property
    def inner_inputs(self) -> int:
        """Numbers that the recurrence reads at each time."""
        return self.inputs

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
                uniform_as_linear(parameter, None, generator)
        self.inner.initialise(generator)


class ConvolutionBlock(Block):
    """Block whose recurrence reads u_t = Σ_k taps_k ⊙ norm(skip(x_{t-k})), k = 0 .. 3. Made by `in_block`."""

    taps: Tensor

    @property
    def inner_inputs(self) -> int:
        return self.hidden

    def project(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_skip) if self.inputs != self.hidden else x

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        now = rms_norm(projected, self.norm_in)
        seen, time = torch.cat([state[0].transpose(0, 1).to(now), now]), len(now)
        read = torch.stack([tap * seen[k : k + time] for k, tap in enumerate(self.taps)]).sum(0)
        h, after = super().run(torch.cat([projected, self.inner.project(read)], dim=-1), state[1:])
        return h, (seen[time:].transpose(0, 1), *after)

    def initialise(self, generator: torch.Generator) -> None:
        """As the block; the convolution begins with little but the character that is read."""
        super().initialise(generator)
        nn.init.uniform_(self.taps, -0.1, 0.1, generator=generator)
        with torch.no_grad():
            self.taps[TAPS - 1] += 1


@cache
def in_block(kind: type[Recurrence], *, convolution: bool = False) -> type[Block]:
    """The block around recurrences of `kind`."""
    block = ConvolutionBlock if convolution else Block
    facts = {"kind": kind, "cell": cell_in_block(kind.cell, convolution=convolution)}
    return type(f"{kind.__name__}{block.__name__}", (block,), facts)
