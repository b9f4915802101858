"""The networks behind the vectors, several side by side as one: embeddings, a few layers, the loss.

They share one leading axis, so that five cost little more Python than one. Left out: training (`training`), reading
tables (`schema`), aligning and using the vectors (`alignment`, `vectors`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.tables.data.target import TargetType
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.weights import NetworkWeights


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: rows and dimension of each embedding, columns of numbers, outputs, and what these end in."""

    rows: tuple[int, ...]
    dimensions: tuple[int, ...]
    numbers: int
    outputs: int
    sigmoid: bool = False
    """Whether the outputs pass through a sigmoid."""


@dataclass(frozen=True)
class Batch:
    """Rows for all networks: codes (network, row, field), numbers (network, row, column), target, weight likewise."""

    codes: Tensor
    numbers: Tensor
    target: Tensor
    weight: Tensor

    def parts(self, size: int) -> Iterator[Batch]:
        """The rows in order, `size` at a time."""
        yield from (Batch(*rows) for rows in zip(*(t.split(size, dim=1) for t in vars(self).values()), strict=True))


class Networks(nn.Module):
    """`count` networks of one shape: embeddings side by side -> hidden layers with ReLU -> outputs.

    Parameters have the network as leading axis, except the embeddings, (network * row, dimension), which are looked up
    flat. With `config.skip` the inputs reach the output through a linear layer too, as in wide-and-deep networks.
    """

    def __init__(self, shape: Shape, config: EncoderConfig, count: int, generator: torch.Generator):
        super().__init__()
        self.count, self.shape = count, shape
        std = config.embedding_std
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.randn(count * rows, dimension, generator=generator) * std)
            for rows, dimension in zip(shape.rows, shape.dimensions, strict=True)
        )
        assert config.hidden is not None  # `for_table` comes first
        widths = [sum(shape.dimensions) + shape.numbers, *config.hidden, shape.outputs]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(count, a, b, generator=generator) * _std(i, a, config))
            for i, (a, b) in enumerate(pairwise(widths))
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, b)) for b in widths[1:])
        self.skip = nn.Parameter(torch.zeros(count, widths[0], shape.outputs)) if config.skip else None
        starts = torch.arange(count, dtype=torch.int32)[:, None, None] * torch.tensor(shape.rows, dtype=torch.int32)
        self.starts: Tensor
        self.register_buffer("starts", starts, persistent=False)

    def start_from(self, output: Tensor) -> None:
        """Let all networks begin near the constant `output`, (output,): where rows teach nothing, they stay there."""
        with torch.no_grad():
            self.biases[-1].add_(output)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """int32 (network, row, field) and float32 (network, row, column) -> (network, row, output)."""
        return self.layers(self.inputs(codes, numbers))

    def inputs(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """What the layers read: vectors and numbers side by side, (network, row, column)."""
        places = (codes + self.starts).permute(2, 0, 1).flatten(1).long()  # gradients of int32 places are slow
        looked_up = (table.index_select(0, own) for table, own in zip(self.embeddings, places, strict=True))
        # F.embedding gives the same, but its gradient takes three times as long on a CPU
        return torch.cat([*(own.view(*codes.shape[:2], -1) for own in looked_up), numbers], dim=-1)

    def layers(self, inputs: Tensor) -> Tensor:
        """Everything above the embeddings."""
        return mlp(inputs, self.weights, self.biases, self.skip, self.shape.sigmoid)

    def sensitivity(self, batch: Batch) -> Tensor:
        """How far the outputs move for a unit of each input, (column,): root mean square over rows and networks."""
        inputs = self.inputs(batch.codes, batch.numbers).detach().requires_grad_()
        output = self.layers(inputs)
        square = torch.zeros_like(inputs)
        for each in output.unbind(-1):
            square += torch.autograd.grad(each.sum(), inputs, retain_graph=True)[0].square()
        return (square * batch.weight[..., None]).mean((0, 1)).sqrt()

    def to_numpy(self, sensitivity: Tensor | None = None) -> NetworkWeights:
        """The parameters as NumPy arrays."""
        return NetworkWeights(
            tables=[_array(table).reshape(self.count, -1, table.shape[1]) for table in self.embeddings],
            weights=[_array(w) for w in self.weights],
            biases=[_array(b) for b in self.biases],
            skip=None if self.skip is None else _array(self.skip),
            sigmoid=self.shape.sigmoid,
            sensitivity=None if sensitivity is None else _array(sensitivity),
        )


def mlp(
    inputs: Tensor, weights: Iterable[Tensor], biases: Iterable[Tensor], skip: Tensor | None, sigmoid: bool
) -> Tensor:
    """Hidden layers with ReLU and a linear output, (network, row, in) -> (network, row, out); see `weights.mlp`."""
    *hidden_weights, last_weight = weights
    *hidden_biases, last_bias = biases
    hidden = inputs
    for weight, bias in zip(hidden_weights, hidden_biases, strict=True):
        hidden = F.relu(torch.baddbmm(bias, hidden, weight))
    output = torch.baddbmm(last_bias, hidden, last_weight)
    if skip is not None:
        output = output + torch.bmm(inputs, skip)
    return torch.sigmoid(output) if sigmoid else output


def _std(layer: int, inputs: int, config: EncoderConfig) -> float:
    if config.output == "sigmoid":
        return 0.029  # standard deviation of Keras' uniform initialiser, which the paper's code used throughout
    last = layer == len(config.hidden or ())
    return (0.3 if last else math.sqrt(2)) / math.sqrt(max(inputs, 1))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().copy()


def losses(output: Tensor, batch: Batch, kind: TargetType, config: EncoderConfig) -> Tensor:
    """The weighted mean loss of each network, (network,)."""
    if kind == "multiclass":
        each = F.cross_entropy(output.flatten(0, 1), batch.target.flatten(), reduction="none").view(batch.target.shape)
    elif kind == "binary":
        each = F.binary_cross_entropy_with_logits(output, batch.target, reduction="none").mean(-1)
    else:
        gap = output - batch.target
        each = (gap.abs() if config.loss == "absolute" else gap.square()).mean(-1)
    return (each * batch.weight).mean(1)


def constant_output(target: Tensor, weight: Tensor, kind: TargetType, outputs: int, absolute: bool) -> Tensor:
    """The raw output, (output,), of a network that knows no row: log odds of classes; of a number the mean, or with an
    `absolute` loss the median."""
    if kind == "continuous":
        return target.median(dim=0).values if absolute else _total(weight[:, None] * target) / _total(weight)
    if kind == "binary":
        return torch.logit((weight @ target + 1) / (weight.sum() + 2))
    shares = torch.bincount(target, weight, minlength=outputs) + 1
    return (shares / shares.sum()).log().float()


def _total(rows: Tensor) -> Tensor:
    """The sum of all rows in an order of their own, so that the order of a table leaves no rounding."""
    return rows.double().sort(dim=0).values.sum(dim=0).float()
