"""A vector for one new category from a few rows, everything else frozen.

In each network the new vector starts at that of its spelling, or else at the unknown row, and is pulled back to it, the
harder the fewer rows there are: with no information it stays there. Left out: learning several categories at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.errors import InputError
from unrolled.learn.loop import FitState, Plan, fit
from unrolled.learn.optimizers import AdamW, Optimizers
from unrolled.tables.data.columns import Column
from unrolled.tables.data.target import read_target
from unrolled.tables.encoder.alignment import spread
from unrolled.tables.encoder.coding import RARE, SPECIAL, UNKNOWN, Coding, one_value
from unrolled.tables.encoder.fitted import Fitted
from unrolled.tables.encoder.networks import Batch, losses, mlp
from unrolled.tables.encoder.schema import Encoded
from unrolled.tables.encoder.spelling import blend
from unrolled.tables.encoder.vectors import shrink

T = TypeVar("T")

STEPS = 300
LEARNING_RATE = 0.05
MIN_VARIANCE = 0.05  # where no two known categories tell: that of the default config's vectors on a small table


def add_category(fitted: Fitted, name: str, category: object, columns: Sequence[Column], y: object) -> Fitted:
    """`fitted` with a vector for `category` in column `name`, learned from the table `columns` and its target `y`.

    Raises InputError for a category that has a vector already, and one of another type than the column's.
    """
    position = fitted.schema.position(name)
    coding = fitted.schema.codings[position]
    value = one_value(coding, category)
    if coding.encode(value)[0] not in (UNKNOWN, RARE):
        raise InputError(f"column {name!r} has a vector for {category!r} already")
    values, _ = read_target(y, len(columns[0]))
    filled = value.take(np.zeros(len(values), dtype=np.int64))
    table = fitted.encode([filled if column.name == name else column for column in columns])
    new = _NewVector(fitted, position, table, fitted.target.encode(values)).learn()
    known = np.append(coding.known, value.values.astype(coding.known.dtype))
    merged = coding.merged[coding.merged != value.values[0]]
    grown = replace(coding, known=known, merged=merged, counts=np.append(coding.counts, len(values)))
    extended = _extended(fitted, position, grown, new, float(fitted.target.numeric(values).mean()))
    return _with_mean(extended, position, fitted.target.indicators(values).mean(axis=0), len(values))


class _NewVector:
    """The vectors of one category, (network, dimension), under networks that stay as they are. Meets `loop.Task`."""

    def __init__(self, fitted: Fitted, position: int, table: Encoded, target: NDArray[Any]) -> None:
        self._fitted, self._position = fitted, position
        own = fitted.weights.tables[position]
        self._start = torch.from_numpy(_start(fitted, position, table))
        self._variance = torch.from_numpy(_variance(own))
        self.network = nn.ParameterList([nn.Parameter(self._start.clone())])
        self._fixed = list(map(torch.from_numpy, fitted.in_networks(table).look_up(fitted.weights.tables)))
        arrays = (table.codes, table.numbers, target, np.ones(len(target), dtype=np.float32))
        self._batch = Batch(*(torch.from_numpy(a).expand(fitted.weights.count, *a.shape) for a in arrays))

    def learn(self) -> NDArray[np.float32]:
        """The vector in each network's own coordinates, (network, dimension)."""
        optimizer = AdamW(list(self.network), LEARNING_RATE, betas=(0.9, 0.999))
        plan = Plan(STEPS, shape="constant")
        for _ in fit(self, Optimizers(self.network, {"adam": optimizer}), plan, FitState()):
            pass
        vector: NDArray[np.float32] = self.network[0].detach().numpy()
        return vector

    def backward(self, step: int) -> float:
        """Gradients of the loss of all rows and of the pull towards the unknown row."""
        rows = self._batch.weight.shape[1]
        error = losses(self._outputs(), self._batch, self._fitted.target.kind, self._fitted.config) * rows
        pull = (self.network[0] - self._start).square().sum(1) / (2 * self._variance)
        loss = (error + pull).sum()
        loss.backward()
        return float(loss.detach())

    def evaluate(self) -> float:
        """Nothing is held out of a few rows."""
        return 0.0

    def _outputs(self) -> Tensor:
        vectors = list(self._fixed)
        vectors[self._position] = self.network[0][:, None].expand_as(vectors[self._position])
        own = self._fitted.weights
        weights, biases = ([torch.from_numpy(a) for a in arrays] for arrays in (own.weights, own.biases))
        skip = None if own.skip is None else torch.from_numpy(own.skip)
        return mlp(torch.cat([*vectors, self._batch.numbers], dim=-1), weights, biases, skip, own.sigmoid)


def _start(fitted: Fitted, position: int, table: Encoded) -> NDArray[np.float32]:
    """What is known of the new category before its rows are seen, (network, dimension): its spelling, or nothing."""
    spelled = fitted.in_networks(table).spelled.get(position)
    start = fitted.weights.tables[position][:, UNKNOWN] if spelled is None else spelled[:, 0]
    return np.array(start, dtype=np.float32)


def _variance(own: NDArray[np.float32]) -> NDArray[np.float32]:
    """The variance of each network's vectors, (network,), in units of which the pull is measured.

    With a single known category there is none: then the rows for unknown, missing and rare count too, which may be
    alike.
    """
    known = own[:, len(SPECIAL) :]
    variance: NDArray[np.float32] = (known if known.shape[1] > 1 else own).var(axis=1).mean(axis=-1)
    return variance + 1e-6 if known.shape[1] > 1 else np.maximum(variance, MIN_VARIANCE)


def _extended(fitted: Fitted, position: int, grown: Coding, new: NDArray[np.float32], mean: float) -> Fitted:
    """`fitted` with the coding `grown` by one row, whose vectors in each network are `new`."""
    weights, vectors, statistics = fitted.weights, fitted.vectors, fitted.statistics
    own = np.concatenate([weights.tables[position], new[:, None]], axis=1)
    aligned = vectors.alignments[position].apply(own)
    last = shrink(aligned.mean(axis=0), grown.counts, fitted.config.smoothing)[-1:].astype(np.float32)
    spelled = fitted.spellings[position].read([grown.known[-1]])[0] if position in fitted.spellings else None
    if spelled is not None:
        last = blend(last, spelled[None, : last.shape[1]], grown.counts[-1:])
    fields = (replace(f, coding=grown) if f.coding.name == grown.name else f for f in fitted.schema.fields)
    means = np.append(statistics.target_means[position], mean)
    components = dict(fitted.components)
    if position in components:
        nothing = np.zeros(components[position].shape[1], np.float32)
        beside = nothing if spelled is None else spelled[last.shape[1] :]
        components[position] = np.concatenate([components[position], beside[None]])
    return replace(
        fitted,
        components=components,
        statistics=replace(
            statistics,
            schema=replace(fitted.schema, fields=tuple(fields)),
            target_means=_replaced(statistics.target_means, position, means),
        ),
        weights=replace(weights, tables=_replaced(weights.tables, position, own)),
        vectors=replace(
            vectors,
            tables=_replaced(vectors.tables, position, np.concatenate([vectors.tables[position], last])),
            spreads=_replaced(vectors.spreads, position, spread(aligned)),
        ),
    )


def _with_mean(fitted: Fitted, position: int, mean: NDArray[np.float64], rows: int) -> Fitted:
    """`fitted` with the `mean` target (output,) of the new category, shrunk towards that of all as its vector is.

    Where all categories are handed on with one mean, because theirs tell nothing, so is the new one.
    """
    if position not in fitted.means:
        return fitted
    own = fitted.means[position]
    share = rows / (rows + fitted.config.smoothing) if np.ptp(own, axis=0).any() else 0.0
    last = own[UNKNOWN] + share * (mean - own[UNKNOWN])
    means = {**fitted.means, position: np.concatenate([own, last[None].astype(np.float32)])}
    return replace(fitted, means=means)


def _replaced(items: list[T], position: int, item: T) -> list[T]:
    return [item if i == position else old for i, old in enumerate(items)]
