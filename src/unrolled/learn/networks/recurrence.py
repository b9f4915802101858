"""What every rung of the ladder is: one recurrent layer with a visible state.

The layer computes a whole window; the same equations one step at a time are in its `cell` (`unrolled.model.cells`),
which also declares the shapes of the parameters and of the state. Each rung adds its equations and its start values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from unrolled.errors import InputError, unknown_name
from unrolled.model.cell import Cell

State = tuple[Tensor, ...]
Layer = TypeVar("Layer", bound="Recurrence")
Run = Callable[[Layer, Tensor, State], tuple[Tensor, State]]


class Recurrence(nn.Module, ABC):
    """One recurrent layer of `hidden` units that reads vectors of `inputs` numbers.

    Its parameters are those of its cell, by the same names. Raises InputError for sizes below 1, and for a nonlinearity
    that this rung does not offer.
    """

    cell: ClassVar[type[Cell]]
    """The same recurrence as one step in NumPy."""
    designed_start: ClassVar[bool] = False
    """Whether `initialise` is a part of the recurrence, which no other start may replace."""

    def __init__(self, inputs: int, hidden: int, nonlinearity: str | None = None) -> None:
        super().__init__()
        for name, size in (("inputs", inputs), ("hidden", hidden)):
            if size < 1:
                raise InputError(f"a layer with {name} = {size} cannot be built: give a size of at least 1")
        self.inputs, self.hidden = inputs, hidden
        self.nonlinearity = self._chosen(nonlinearity)
        for name, shape in self.cell.shapes(inputs, hidden).items():
            if "." not in name:  # else it is a parameter of a module inside
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))  # values come later, from `initialise`

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
        """The state before the first character, all zero: the shapes that the cell declares, each after (batch,)."""
        like = next(self.parameters())
        return tuple(like.new_zeros(batch, *shape) for shape in self.cell.state_shapes(self.hidden).values())

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new start weights: all uniform in ±1/√hidden, as `torch.nn`'s recurrent layers do."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(self.hidden**-0.5), self.hidden**-0.5, generator=generator)

    def extra_repr(self) -> str:
        choice = f", nonlinearity={self.nonlinearity!r}" if self.nonlinearity else ""
        return f"{self.inputs}, {self.hidden}{choice}"

    def _chosen(self, nonlinearity: str | None) -> str | None:
        known = self.cell.nonlinearities
        if nonlinearity is None:
            return next(iter(known), None)
        if not known:
            raise InputError(f"{type(self).__name__} has one form only: leave out nonlinearity={nonlinearity!r}")
        if nonlinearity not in known:
            raise unknown_name("nonlinearity", nonlinearity, known)
        return nonlinearity


def uniform_as_linear(weight: Tensor, bias: Tensor | None, generator: torch.Generator) -> None:
    """Start values of `torch.nn.Linear`: uniform in ±1/√(columns of `weight`)."""
    bound = weight.shape[1] ** -0.5
    for parameter in (weight,) if bias is None else (weight, bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def full_precision(run: Run[Layer]) -> Run[Layer]:
    """For `run`: leave an enclosing `torch.autocast`, where sums over a long time would lose what is added to them."""

    @wraps(run)
    def in_own_dtype(self: Layer, projected: Tensor, state: State) -> tuple[Tensor, State]:
        dtype = next(self.parameters()).dtype
        with torch.autocast(projected.device.type, enabled=False):
            return run(self, projected.to(dtype), tuple(part.to(dtype) for part in state))

    return in_own_dtype


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
