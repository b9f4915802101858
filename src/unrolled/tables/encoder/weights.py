"""The weights of trained networks as NumPy arrays: enough to predict and to add a category, without PyTorch.

Left out: training (`networks`, `training`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.encoder.schema import Encoded

Array = NDArray[np.float32]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class NetworkWeights:
    """Parameters of several networks of one shape.

    `tables` holds per category field (network, row, dimension); `weights` per layer (network, in, out); `biases` per
    layer (network, 1, out); `skip` (network, in, out) or None. `sensitivity` (in,) tells how far the output moves for
    a unit of each input: the root mean square of its gradient, over rows and networks; None where it was not measured.
    `sigmoid` is set if the output passes through one.
    """

    tables: list[Array]
    weights: list[Array]
    biases: list[Array]
    skip: Array | None
    sigmoid: bool = False
    sensitivity: Array | None = None

    @property
    def count(self) -> int:
        """Networks."""
        return len(self.weights[0])

    def only(self, networks: slice) -> NetworkWeights:
        """Those of some of the networks."""
        tables, weights, biases = ([a[networks] for a in own] for own in (self.tables, self.weights, self.biases))
        skip = None if self.skip is None else self.skip[networks]
        return replace(self, tables=tables, weights=weights, biases=biases, skip=skip)

    def outputs(self, table: Encoded, chunk: int = 256, exact: bool = False) -> Floats:
        """Raw outputs, (network, row, output), float32, or float64 where `exact`; `chunk` rows stay in the cache."""
        rows = np.arange(len(table.codes))
        starts = range(0, len(rows), chunk)
        return np.concatenate([self._outputs(table.take(rows[i : i + chunk]), exact) for i in starts], axis=1)

    def _outputs(self, table: Encoded, exact: bool) -> Floats:
        numbers = np.broadcast_to(table.numbers, (self.count, *table.numbers.shape))
        inputs = np.concatenate([*table.look_up(self.tables), numbers], axis=2)
        if exact:
            return mlp(inputs.astype(np.float64), *self._exact_layers, self.sigmoid)
        return mlp(inputs.astype(np.float32), self.weights, self.biases, self.skip, self.sigmoid)

    @cached_property
    def _exact_layers(self) -> tuple[list[Floats], list[Floats], Floats | None]:
        """Weights, biases and skip in float64."""
        weights, biases = self.weights, self.biases
        wide: list[list[Floats]] = [[array.astype(np.float64) for array in arrays] for arrays in (weights, biases)]
        return wide[0], wide[1], None if self.skip is None else self.skip.astype(np.float64)


def mlp(
    inputs: Floats, weights: Sequence[Floats], biases: Sequence[Floats], skip: Floats | None, sigmoid: bool
) -> Floats:
    """Everything above the embeddings, (network, row, in) -> (network, row, out); `networks.mlp` is its twin."""
    hidden = inputs
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        hidden = hidden @ weight
        hidden += bias  # in place, as below: half as much memory to pass through
        np.maximum(hidden, 0, out=hidden)
    output = hidden @ weights[-1] + biases[-1]
    if skip is not None:
        output = output + inputs @ skip
    return 1 / (1 + np.exp(-output)) if sigmoid else output
