"""What every rung of the ladder is: one recurrent layer with a visible state.

Shapes, parts of the state and start values are said here once; each rung adds its parameters and its equations. The
layer computes a whole window; the same equations one step at a time are in `unrolled.model.cells`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from unrolled.errors import InputError, unknown_name

State = tuple[Tensor, ...]


class Recurrence(nn.Module, ABC):
    """One recurrent layer of `hidden` units that reads vectors of `inputs` numbers.

    Raises InputError for sizes below 1, and for a nonlinearity that this rung does not offer.
    """

    parts: ClassVar[tuple[str, ...]] = ("h",)
    """The names of the tensors in the state, each (batch, hidden)."""
    nonlinearities: ClassVar[tuple[str, ...]] = ()
    """The names to choose from, the default first; empty where the rung has only one form."""

    def __init__(self, inputs: int, hidden: int, nonlinearity: str | None = None) -> None:
        super().__init__()
        for name, size in (("inputs", inputs), ("hidden", hidden)):
            if size < 1:
                raise InputError(f"a layer with {name} = {size} cannot be built: give a size of at least 1")
        self.inputs, self.hidden = inputs, hidden
        self.nonlinearity = self._chosen(nonlinearity)

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """What the input alone brings to a step, (..., inputs) -> (..., n): n and its meaning are the rung's own."""

    @abstractmethod
    def run(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps: `projected` (time, batch, n), which may be overwritten, and a state -> h (time, batch, hidden)."""

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x` (batch, time, inputs) and a state -> `h` (batch, time, hidden) and the state after the last time.

        Memory is laid out time first: `x` is best given, and `h` comes, as a transposed view of (time, batch, n).
        """
        h, after = self.run(self.project(x.transpose(0, 1).contiguous()), state)
        return h.transpose(0, 1), after

    def initial_state(self, batch: int) -> State:
        """The state before the first character, all zero: one (batch, hidden) tensor for each of `parts`."""
        like = next(self.parameters())
        return tuple(like.new_zeros(batch, self.hidden) for _ in self.parts)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new start weights: all uniform in ±1/√hidden, as `torch.nn`'s recurrent layers do."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(self.hidden**-0.5), self.hidden**-0.5, generator=generator)

    def extra_repr(self) -> str:
        choice = f", nonlinearity={self.nonlinearity!r}" if self.nonlinearity else ""
        return f"{self.inputs}, {self.hidden}{choice}"

    def _chosen(self, nonlinearity: str | None) -> str | None:
        if nonlinearity is None:
            return next(iter(self.nonlinearities), None)
        if not self.nonlinearities:
            raise InputError(f"{type(self).__name__} has one form only: leave out nonlinearity={nonlinearity!r}")
        if nonlinearity not in self.nonlinearities:
            raise unknown_name("nonlinearity", nonlinearity, self.nonlinearities)
        return nonlinearity


def weight(*shape: int) -> nn.Parameter:
    """A parameter whose values come later, from `initialise`."""
    return nn.Parameter(torch.zeros(shape))


def uniform_as_linear(weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
    """Start values of `torch.nn.Linear`: uniform in ±1/√(columns of `weight`)."""
    bound = weight.shape[1] ** -0.5
    for parameter in (weight, bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def under_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """`tensors` in the dtype of an enclosing `torch.autocast`, which cannot see into our own backward passes."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


def first_derivative_only() -> None:
    """Called by our own backward passes: refuses to be differentiated again, which would be wrong without a word.

    PyTorch's `once_differentiable` lets it pass where the incoming gradient is a constant.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this recurrence has first derivatives only: leave out create_graph=True")
