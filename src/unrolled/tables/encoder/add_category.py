"""A vector for one new category from a few rows, everything else frozen.

In each network the new vector starts at the unknown row and is pulled back to it, the harder the fewer rows there are:
with no information it stays there. Left out: learning several categories at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.tables.data.columns import Column
from unrolled.tables.data.target import Target, read_target
from unrolled.tables.encoder.alignment import spread
from unrolled.tables.encoder.coding import RARE, SPECIAL, UNKNOWN, Coding, one_value
from unrolled.tables.encoder.config import Recipe, find_recipe
from unrolled.tables.encoder.networks import Batch, losses
from unrolled.tables.encoder.schema import Encoded, Schema
from unrolled.tables.encoder.vectors import lean
from unrolled.tables.encoder.weights import Trained

if TYPE_CHECKING:
    from unrolled.tables.encoder.estimator import EntityEncoder

STEPS = 300
RATE = 0.05
LEAST_APART = 0.05  # where no two known categories tell: what vectors of the default recipe show on a small table


def add_category(encoder: EntityEncoder, name: str, category: Any, columns: Sequence[Column], y: Any) -> None:
    """Learn the vector and put it, with its coding, into `encoder`."""
    place = encoder.schema_.place(name)
    coding = encoder.schema_.codings[place]
    value = one_value(coding, category)
    if coding.encode(value)[0] not in (UNKNOWN, RARE):
        raise InputError(f"column {name!r} has a vector for {category!r} already")
    values, _ = read_target(y, len(columns[0]))
    table = encoder.schema_.encode(_with_value(columns, coding, value))
    weight = np.ones(len(values), dtype=np.float32)
    recipe = find_recipe(encoder.recipe)
    new = _learn(encoder.networks_, table, encoder.target_.encode(values), weight, place, encoder.target_, recipe)
    grown = coding.with_category(value.values[0], len(values))
    mean = float(encoder.target_.numeric(values).mean())
    _put(encoder, place, coding, grown, new, mean, recipe.smooth)


def _with_value(columns: Sequence[Column], coding: Coding, value: Column) -> list[Column]:
    rows = len(columns[0])
    filled = Column(coding.name, coding.kind, np.repeat(value.values, rows), np.zeros(rows, dtype=bool))
    return [filled if column.name == coding.name else column for column in columns]


def _learn(networks: Trained, table: Encoded, target: NDArray[Any], weight: NDArray[np.float32], place: int,
           coding: Target, recipe: Recipe) -> NDArray[np.float32]:  # fmt: skip
    """The new vector in each network's own coordinates, (network, dimension)."""
    own = networks.tables[place]
    start = torch.from_numpy(own[:, UNKNOWN].copy())
    scale = torch.from_numpy(_apart(own))
    vector = start.clone().requires_grad_()
    batch = _batch(table, target, weight, networks.count)
    fixed = [torch.from_numpy(t[:, table.codes[:, i]]) for i, t in enumerate(networks.tables)]
    optimizer = torch.optim.Adam([vector], lr=RATE)
    for _ in range(STEPS):
        moved = vector[:, None].expand(-1, len(weight), -1)
        inputs = torch.cat([*fixed[:place], moved, *fixed[place + 1 :], batch.numbers], dim=-1)
        fit = losses(_layers(networks, inputs), batch, coding.kind, recipe) * len(weight)
        pull = (vector - start).square().sum(1) / (2 * scale)
        optimizer.zero_grad()
        (fit + pull).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return vector.detach().numpy()


def _apart(own: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the vectors of each network lie apart: their variance, (network,), by which the pull is measured.

    One known category is apart from nothing: then the rows for unknown, missing and rare count too, which may be alike.
    """
    known = own[:, len(SPECIAL) :]
    apart: NDArray[np.float32] = (known if known.shape[1] > 1 else own).var(axis=1).mean(axis=-1)
    return apart + 1e-6 if known.shape[1] > 1 else np.maximum(apart, LEAST_APART)


def _batch(table: Encoded, target: NDArray[Any], weight: NDArray[np.float32], count: int) -> Batch:
    arrays = (table.codes, table.numbers, target, weight)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(a)).expand(count, *a.shape) for a in arrays))


def _layers(networks: Trained, inputs: torch.Tensor) -> torch.Tensor:
    hidden = inputs
    weights, biases = ([torch.from_numpy(a) for a in arrays] for arrays in (networks.weights, networks.biases))
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        hidden = torch.relu(torch.baddbmm(bias, hidden, weight))
    output = torch.baddbmm(biases[-1], hidden, weights[-1])
    if networks.skip is not None:
        output = output + torch.bmm(inputs, torch.from_numpy(networks.skip))
    return torch.sigmoid(output) if networks.sigmoid else output


def _put(encoder: EntityEncoder, place: int, coding: Coding, grown: Coding, new: NDArray[np.float32], mean: float,
         smooth: float) -> None:  # fmt: skip
    fields = tuple(replace(f, coding=grown) if f.coding is coding else f for f in encoder.schema_.fields)
    tables = list(encoder.networks_.tables)
    tables[place] = np.concatenate([tables[place], new[:, None]], axis=1)
    vectors = encoder.vectors_
    aligned = vectors.alignments[place].apply(tables[place])
    last = lean(aligned.mean(axis=0), grown.counts, smooth)[-1:].astype(np.float32)
    encoder.schema_ = Schema(fields)
    encoder.networks_ = replace(encoder.networks_, tables=tables)
    longer = np.concatenate([vectors.tables[place], last])
    encoder.vectors_ = replace(vectors, tables=_replaced(vectors.tables, place, longer),
                               spreads=_replaced(vectors.spreads, place, spread(aligned)))  # fmt: skip
    encoder.target_means_ = _replaced(encoder.target_means_, place, np.append(encoder.target_means_[place], mean))


def _replaced(items: list[Any], place: int, item: Any) -> list[Any]:
    return [item if i == place else old for i, old in enumerate(items)]
