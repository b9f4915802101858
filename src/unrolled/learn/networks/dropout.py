"""Dropout whose masks are a function of a seed, so that a resumed run draws the very masks of the first one.

Where masks are put is the network's business (`network.py`); here is how they are drawn (Srivastava et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from unrolled.errors import InputError

BATCH = 1
"""The axis of the batch inside the network."""


@dataclass(frozen=True)
class Dropout:
    """Which share of the numbers is dropped where, each between 0 and 1; None is off."""

    embedding: float | None = None
    """Entries of the embedding vectors on their way into the first layer."""
    between: float | None = None
    """Entries of the hidden state between two layers."""
    output: float | None = None
    """Entries of the last layer's hidden state before the head."""

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if share is not None and not 0 < share < 1:
                raise InputError(f"dropout {field.name} is {share}, but a share between 0 and 1 was expected, or None")


class Masks:
    """Draws dropout masks from its own generator; `reseed` makes all that follow a function of the seed."""

    def __init__(self) -> None:
        self._seed, self._first, self._batch, self._every = 0, 0, 0, 1
        self._generator: torch.Generator | None = None

    def reseed(self, seed: int, first: int = 0, batch: int = 0, every: int = 1) -> None:
        """Start the sequence of masks that belongs to `seed`.

        What follows is every so many-th row from `first` on of a batch of `batch` rows, whose masks are drawn whole: so
        they do not depend on how a batch is divided. 0 is for a batch that is not divided.
        """
        self._seed, self._first, self._batch, self._every, self._generator = seed, first, batch, every, None

    def drop(self, x: Tensor, share: float | None) -> Tensor:
        """`x`, (time, batch, n), with a `share` of its entries zero and the others scaled up to keep the mean."""
        if share is None:
            return x
        rows = x.shape[BATCH]
        shape = [self._batch or rows if axis == BATCH else size for axis, size in enumerate(x.shape)]
        kept = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(1 - share, generator=self._on(x.device))
        own = kept if rows == shape[BATCH] else kept[:, self._first :: self._every][:, :rows]
        return x * own.div_(1 - share)

    def _on(self, device: torch.device) -> torch.Generator:
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self._seed)
        return self._generator
