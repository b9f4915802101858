"""Trained networks as NumPy arrays: enough to predict and to add a category, without PyTorch.

Left out: training (see `network`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.encoder.schema import Encoded

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
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

    def outputs(self, table: Encoded, chunk: int = 8192) -> Array:
        """Raw outputs, (network, row, output)."""
        parts = [self._outputs(table.take(rows)) for rows in _chunks(len(table.codes), chunk)]
        return np.concatenate(parts, axis=1)

    def _outputs(self, table: Encoded) -> Array:
        vectors = [vectors[:, table.codes[:, i]] for i, vectors in enumerate(self.tables)]
        numbers = np.broadcast_to(table.numbers, (self.count, *table.numbers.shape))
        inputs = np.concatenate([*vectors, numbers], axis=2)
        hidden = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = np.maximum(hidden @ weight + bias, 0)
        output = hidden @ self.weights[-1] + self.biases[-1]
        if self.skip is not None:
            output = output + inputs @ self.skip
        return 1 / (1 + np.exp(-output)) if self.sigmoid else output


def _chunks(rows: int, size: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + size, rows)) for start in range(0, rows, size)]
