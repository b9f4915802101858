"""The networks behind the vectors, several trained side by side as one: embeddings, a few layers, the loss, the loop.

PyTorch lives here only. The networks share one leading axis, so that five cost little more Python than one; each sees
its own order of rows. Left out: reading tables (`schema`), aligning and using the vectors (`alignment`, `trained`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.errors import TrainingError
from unrolled.tables.coding import UNKNOWN
from unrolled.tables.recipe import Recipe
from unrolled.tables.schema import Encoded
from unrolled.tables.target import TargetType
from unrolled.tables.trained import Trained

PATIENCE = 3
LEAST_STEPS_AN_EPOCH = 16
SMALLEST_BATCH = 32


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: rows and dimension of each embedding, columns of numbers, outputs."""

    rows: tuple[int, ...]
    dimensions: tuple[int, ...]
    numbers: int
    outputs: int


@dataclass(frozen=True)
class Batch:
    """Rows for all networks: codes (network, row, field), numbers (network, row, column), target, weight likewise."""

    codes: Tensor
    numbers: Tensor
    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Record:
    """Where training stands: steps done of all, seconds, mean loss since the last record, and on validation rows."""

    step: int
    steps: int
    seconds: float
    loss: float
    validation: float | None = None


class Source(Protocol):
    """Rows to train on; `epoch` yields them once, in batches."""

    rows: int

    def epoch(self, networks: int, size: int, generator: torch.Generator) -> Iterator[Batch]: ...


class RowsInMemory:
    """A source over an encoded table; every network gets its own order of rows."""

    def __init__(self, table: Encoded, target: NDArray[np.generic], weight: NDArray[np.float32]):
        self.rows = len(target)
        self._codes, self._numbers = torch.from_numpy(table.codes), torch.from_numpy(table.numbers)
        self._target, self._weight = torch.from_numpy(target), torch.from_numpy(weight)

    def epoch(self, networks: int, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Whole batches only, except where there is but one: the rows left over differ from epoch to epoch."""
        orders = torch.stack([torch.randperm(self.rows, generator=generator) for _ in range(networks)])
        for start in range(0, max(self.rows - size, 0) + 1, size):
            yield self.batch(orders[:, start : start + size])

    def batch(self, rows: Tensor) -> Batch:
        """The batch of `rows`, int64 (network, row)."""
        return Batch(self._codes[rows], self._numbers[rows], self._target[rows], self._weight[rows])


class Networks(nn.Module):
    """`count` networks of one shape: embeddings side by side -> hidden layers with ReLU -> outputs.

    Parameters have the network as leading axis, except the embeddings, (network * row, dimension), which are looked up
    flat. With `recipe.skip` the inputs reach the output through a linear layer too, as in wide-and-deep networks.
    """

    def __init__(self, shape: Shape, recipe: Recipe, count: int, generator: torch.Generator):
        super().__init__()
        self.count, self.shape, self.sigmoid = count, shape, recipe.output == "sigmoid"
        spread = recipe.embedding_spread
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.randn(count * rows, dimension, generator=generator) * spread)
            for rows, dimension in zip(shape.rows, shape.dimensions, strict=True)
        )
        widths = [sum(shape.dimensions) + shape.numbers, *recipe.hidden, shape.outputs]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(count, a, b, generator=generator) * _spread(i, a, recipe))
            for i, (a, b) in enumerate(pairwise(widths))
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, b)) for b in widths[1:])
        self.skip = nn.Parameter(torch.zeros(count, widths[0], shape.outputs)) if recipe.skip else None
        starts = torch.arange(count, dtype=torch.int32)[:, None, None] * torch.tensor(shape.rows, dtype=torch.int32)
        self.starts: Tensor
        self.register_buffer("starts", starts, persistent=False)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """int32 (network, row, field) and float32 (network, row, column) -> (network, row, output)."""
        flat = codes + self.starts
        vectors = [F.embedding(flat[..., i], table) for i, table in enumerate(self.embeddings)]
        return self.layers(torch.cat([*vectors, numbers], dim=-1))

    def layers(self, inputs: Tensor) -> Tensor:
        """Everything above the embeddings."""
        hidden = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = F.relu(torch.baddbmm(bias, hidden, weight))
        output = torch.baddbmm(self.biases[-1], hidden, self.weights[-1])
        if self.skip is not None:
            output = output + torch.bmm(inputs, self.skip)
        return torch.sigmoid(output) if self.sigmoid else output

    def trained(self) -> Trained:
        """The parameters as NumPy arrays."""
        return Trained(
            tables=[_array(table).reshape(self.count, -1, table.shape[1]) for table in self.embeddings],
            weights=[_array(w) for w in self.weights],
            biases=[_array(b) for b in self.biases],
            skip=None if self.skip is None else _array(self.skip),
            sigmoid=self.sigmoid,
        )


def _spread(layer: int, inputs: int, recipe: Recipe) -> float:
    if recipe.output == "sigmoid":
        return 0.029  # standard deviation of Keras' uniform initialiser, which the paper's code used throughout
    last = layer == len(recipe.hidden)
    return (0.3 if last else math.sqrt(2)) / math.sqrt(max(inputs, 1))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().numpy().copy()


def batch_size(rows: int, recipe: Recipe) -> int:
    """The recipe's batch, smaller (a power of two) where an epoch would be fewer than 16 steps."""
    wanted = max(rows // LEAST_STEPS_AN_EPOCH, 1)
    return min(recipe.batch, max(SMALLEST_BATCH, 1 << (wanted.bit_length() - 1)), rows)


def losses(output: Tensor, batch: Batch, kind: TargetType, recipe: Recipe) -> Tensor:
    """The weighted mean loss of each network, (network,)."""
    if kind == "multiclass":
        each = F.cross_entropy(output.flatten(0, 1), batch.target.flatten(), reduction="none").view(batch.target.shape)
    elif kind == "binary":
        each = F.binary_cross_entropy_with_logits(output, batch.target, reduction="none").mean(-1)
    else:
        gap = output - batch.target
        each = (gap.abs() if recipe.loss == "absolute" else gap.square()).mean(-1)
    return (each * batch.weight).mean(1)


class Training:
    """One training run: iterate `records()`; `networks` then holds the best parameters seen."""

    def __init__(self, networks: Networks, kind: TargetType, recipe: Recipe, source: Source,
                 generator: torch.Generator, validation: Batch | None = None):  # fmt: skip
        self.networks, self.kind, self.recipe, self.source = networks, kind, recipe, source
        self._generator, self._validation = generator, validation
        self._size = batch_size(source.rows, recipe)
        per_epoch = max(source.rows // self._size, 1)
        self.steps = max(recipe.epochs * per_epoch, recipe.least_steps)
        self._best: list[Tensor] | None = None
        self._best_loss = torch.full((networks.count,), math.inf)

    def records(self) -> Iterator[Record]:
        """Train, yielding a record about a hundred times and after every pass that was validated."""
        start, step, waited, total = time.perf_counter(), 0, 0, 0.0
        every, since = max(self.steps // 100, 1), 0
        optimizer = _optimizer(self.networks, self.recipe)
        while step < self.steps and waited < PATIENCE:
            for batch in self.source.epoch(self.networks.count, self._size, self._generator):
                total += self._step(optimizer, batch, step / self.steps)
                step, since = step + 1, since + 1
                if step % every == 0 or step == self.steps:
                    yield self._record(step, start, total / since)
                    total, since = 0.0, 0
                if step == self.steps:
                    break
            if self._validation is not None:
                waited = 0 if self._keep_best() else waited + 1
                yield self._record(step, start, total / max(since, 1), float(self._best_loss.mean()))
        self.restore_best()

    def restore_best(self) -> None:
        """Put back the parameters that did best on the validation rows, each network its own."""
        if self._best is not None:
            with torch.no_grad():
                for parameter, best in zip(self.networks.parameters(), self._best, strict=True):
                    parameter.copy_(best)

    def _step(self, optimizer: torch.optim.Optimizer, batch: Batch, done: float) -> float:
        rate = self.recipe.learning_rate * _share(done, self.recipe)
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = rate * self.recipe.embedding_rate, rate
        codes = _with_unknown(batch.codes, self.recipe.dropout, self._generator)
        loss = losses(self.networks(codes, batch.numbers), batch, self.kind, self.recipe).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.detach()) / self.networks.count

    def _record(self, step: int, start: float, loss: float, validation: float | None = None) -> Record:
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} after {step} steps: lower learning_rate in the recipe, or look "
                                "for extreme values in the columns of numbers")
        return Record(step, self.steps, time.perf_counter() - start, loss, validation)

    @torch.no_grad()
    def _keep_best(self) -> bool:
        assert self._validation is not None
        held = self._validation
        loss = losses(self.networks(held.codes, held.numbers), held, self.kind, self.recipe)
        better = loss < self._best_loss
        self._best_loss = torch.where(better, loss, self._best_loss)
        parameters = list(self.networks.parameters())
        best = self._best or [p.detach().clone() for p in parameters]
        self._best = [_choose(better, p.detach(), b) for p, b in zip(parameters, best, strict=True)]
        return bool(better.any())


def _optimizer(networks: Networks, recipe: Recipe) -> torch.optim.Optimizer:
    embeddings = list(networks.embeddings.parameters())
    known = {id(p) for p in embeddings}
    layers = [p for p in networks.parameters() if id(p) not in known]
    groups = [{"params": embeddings or [nn.Parameter(torch.zeros(1))], "weight_decay": 0.0},
              {"params": layers, "weight_decay": recipe.weight_decay}]  # fmt: skip
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, recipe.second_moment), fused=True)


def _share(done: float, recipe: Recipe) -> float:
    if not recipe.decay_to_zero:
        return 1.0
    warm = 0.05
    return min((done + 1e-3) / warm, 1.0) * (1 - max(done - warm, 0) / (1 - warm))


def _with_unknown(codes: Tensor, share: float, generator: torch.Generator) -> Tensor:
    if share == 0 or codes.shape[-1] == 0:
        return codes
    return codes.masked_fill(torch.rand(codes.shape, generator=generator) < share, UNKNOWN)


def _choose(better: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Network by network the new or the old parameter; embeddings have networks and rows on one axis."""
    chosen = better.repeat_interleave(len(new) // len(better))
    return torch.where(chosen.view(-1, *[1] * (new.dim() - 1)), new, old)

