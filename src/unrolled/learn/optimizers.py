"""What moves the weights: Muon for the recurrent matrices, AdamW for the rest, behind one small interface.

Muon (Jordan et al. 2024) steps along the momentum with all its singular values pulled to one, so that every direction
of a weight matrix moves equally. The pulling is a few steps of an odd polynomial, all of them products of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.adam import adam

from unrolled.learn.distributed import World
from unrolled.learn.recipe import Recipe

# Odd quintics a x + b x^3 + c x^5 on the singular values x. Each is nearest to 1, by the largest error, on what the
# one before it leaves of [0.03, 1]; together they bring that interval into [0.96, 1.04], and enlarge smaller values
# 41 times. The fixed quintic of the paper takes five steps to 1 +- 0.3.
MINIMAX = ((7.2182, -19.5470, 13.7314), (2.8603, -2.0565, 0.4307), (2.0463, -1.4295, 0.3934))


def orthogonal_factor(matrix: Tensor) -> Tensor:
    """`matrix` (rows, columns) with its singular values pulled to about one; its singular vectors stay.

    All steps run on the small Gram matrix, (the shorter side, the shorter side), and are applied to `matrix` once. Its
    norm also bounds the largest singular value more tightly than the norm of `matrix` does.
    """
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mT
    x = tall / (torch.linalg.matrix_norm(tall.float()) + 1e-12).to(tall.dtype)
    gram = x.mT @ x
    bound = torch.linalg.matrix_norm(gram.float()).to(gram.dtype) * 1.02 + 1e-12
    gram = gram / bound
    total = step = _quintic(gram, *MINIMAX[0])
    for coefficients in MINIMAX[1:]:
        gram = gram @ step @ step
        step = _quintic(gram, *coefficients)
        total = total @ step
    factor: Tensor = x @ (total * bound.rsqrt())
    return factor if matrix.shape[0] >= matrix.shape[1] else factor.mT


def _quintic(gram: Tensor, a: float, b: float, c: float) -> Tensor:
    """a + b G + c G^2"""
    step = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    step.diagonal().add_(a)
    return step


@dataclass
class Muon:
    """Muon over `matrices`, each (rows, columns); the orthogonal factors are divided among the processes of `world`."""

    matrices: list[nn.Parameter]
    learning_rate: float
    dtype: torch.dtype
    """In which the orthogonal factor is computed."""
    world: World
    momentum: float = 0.95
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self.buffers = [torch.zeros_like(matrix) for matrix in self.matrices]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One step at `learning_rate * factor`."""
        rate = self.learning_rate * factor
        for matrix, direction in zip(self.matrices, self._directions(), strict=True):
            # the largest singular value of a step does not depend on the shape of the matrix
            scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            matrix.mul_(1 - rate * self.weight_decay).add_(direction, alpha=-rate * scale)

    def _directions(self) -> list[Tensor]:
        directions = []
        for i, (matrix, buffer) in enumerate(zip(self.matrices, self.buffers, strict=True)):
            assert matrix.grad is not None
            buffer.lerp_(matrix.grad, 1 - self.momentum)
            owner = i % self.world.size
            if owner == self.world.rank:
                nesterov = matrix.grad.lerp(buffer, self.momentum)
                directions.append(orthogonal_factor(nesterov.to(self.dtype)).to(matrix.dtype).contiguous())
            else:
                directions.append(torch.empty_like(matrix))
        if self.world.size > 1:
            for i, direction in enumerate(directions):
                dist.broadcast(direction, i % self.world.size)
        return directions

    def state_dict(self) -> dict[str, Any]:
        """The momentum of each matrix."""
        return {"momentum": list(self.buffers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for buffer, saved in zip(self.buffers, state["momentum"], strict=True):
            buffer.copy_(_checked(saved, buffer.shape))


def _checked(tensor: Any, shape: torch.Size) -> Tensor:
    """Raises ValueError for what is no tensor of finite numbers of this shape."""
    if not isinstance(tensor, Tensor) or tensor.shape != shape or not tensor.is_floating_point():
        raise ValueError(f"a tensor of {shape} is expected, not {getattr(tensor, 'shape', type(tensor).__name__)}")
    if not tensor.isfinite().all():
        raise ValueError("a moment is not finite")
    return tensor


@dataclass
class AdamW:
    """AdamW over `parameters`, with the kernels of PyTorch and a state of named tensors.

    With `decoupled=False` it is Adam, whose decay is added to the gradient and scaled like it. `fused` updates all
    parameters in one kernel, which is faster where they are many and small. The function behind `torch.optim.AdamW` is
    called, not the class, whose first use imports PyTorch's compiler: two seconds before the first step.
    """

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    _: KW_ONLY
    decoupled: bool = True
    fused: bool = False
    moments: dict[int, dict[str, Tensor]] = field(default_factory=dict, init=False)
    """Of each parameter that has had a gradient, by its position."""

    def _zeros(self, i: int) -> dict[str, Tensor]:
        parameter = self.parameters[i]
        step = torch.zeros((), device=parameter.device if self.fused else "cpu")
        return {"step": step, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One step at `learning_rate * factor`."""
        moved = [i for i, each in enumerate(self.parameters) if each.grad is not None]
        for i in moved:
            if i not in self.moments:
                self.moments[i] = self._zeros(i)
        moments = [self.moments[i] for i in moved]
        steps, first, second = ([each[name] for each in moments] for name in ("step", "exp_avg", "exp_avg_sq"))
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        parameters: list[Tensor] = [self.parameters[i] for i in moved]
        adam(
            parameters, gradients, first, second, [], steps, lr=self.learning_rate * factor, beta1=self.betas[0],
            beta2=self.betas[1], eps=1e-8, weight_decay=self.weight_decay, decoupled_weight_decay=self.decoupled,
            fused=self.fused or None, amsgrad=False, maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """The moments of each parameter, by its position."""
        return {str(i): dict(moments) for i, moments in self.moments.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave. Raises ValueError for the state of other parameters."""
        count = len(self.parameters)
        if state and state.keys() != {str(i) for i in range(count)}:
            raise ValueError(f"the moments of {count} parameters are expected, not of {len(state)}")
        loaded = {i: self._zeros(i) for i in range(len(state))}
        for i, zeros in loaded.items():
            moments = state[str(i)]
            if moments.keys() != zeros.keys():
                raise ValueError(f"the moments of a parameter are {', '.join(moments)}")
            for name, moment in moments.items():
                zeros[name].copy_(_checked(moment, zeros[name].shape))
                if name != "exp_avg" and (moment < 0).any():
                    raise ValueError(f"{name} of a parameter is below 0")
        self.moments = loaded


@dataclass
class Optimizers:
    """Several optimizers as one; implements `loop.Optimizer`."""

    network: nn.Module
    optimizers: Mapping[str, Muon | AdamW]

    def step(self, factor: float) -> None:
        """One step of each."""
        for optimizer in self.optimizers.values():
            optimizer.step(factor)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.network.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """The state of each, by name."""
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])


def build_optimizer(network: nn.Module, recipe: Recipe, world: World, dtype: torch.dtype) -> Optimizers:
    """The optimizer of `recipe`: Muon takes the matrices of the recurrences, AdamW all else."""
    matrices = [
        parameter
        for name, parameter in network.named_parameters()
        if recipe.optimizer == "muon" and name.startswith("layers.") and ".weight_" in name
    ]
    taken = {id(matrix) for matrix in matrices}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in taken]
    optimizers: dict[str, Muon | AdamW] = {"adamw": AdamW(rest, recipe.learning_rate, recipe.weight_decay)}
    if matrices:
        optimizers["muon"] = Muon(matrices, recipe.muon_rate, dtype, world, weight_decay=recipe.weight_decay)
    return Optimizers(network, optimizers)
