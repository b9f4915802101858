"""The lesson's protocol on a text: shuffled windows, each from a state of zeros; a random fifth is held out.

It exists to repeat published figures. Where windows overlap, the validation windows share all but one of their
characters with training windows, so the figure says little about new text; see `unrolled.learn.experiments.lesson`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.errors import InputError
from unrolled.learn.evaluate import measuring
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.text_task import Autocast
from unrolled.text.vocabulary import Ids

AT_ONCE = 4096
"""Windows that are measured at once."""


@dataclass
class WindowTask:
    """Windows of a text, as `fit` wants them; the outputs that enter the loss are as many as the targets of a window.

    `inputs` is (window, size), `targets` (window, 1) for the last output alone or (window, size) for every output.
    `network` is a CharNetwork, or any module that makes of ids (batch, size) the logits of those targets, (batch,
    targets, vocabulary) or, of one target, (batch, vocabulary).
    """

    network: nn.Module
    inputs: Ids
    targets: Ids
    seed: int = 0
    batch: int = 512
    held_out: float = 0.2
    """Share of the windows, drawn at random, that is held out for validation."""
    autocast: Autocast = nullcontext

    def __post_init__(self) -> None:
        if len(self.inputs) * self.held_out < 1:
            raise InputError(f"{len(self.inputs):,} windows are too few to train on: give a longer text")
        order = np.random.default_rng([self.seed, 0]).permutation(len(self.inputs))
        count = int(self.held_out * len(order))
        self.validation_rows, self.train_rows = np.sort(order[:count]), np.sort(order[count:])
        self._epoch, self._order = -1, self.train_rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every training window is seen once."""
        return -(-len(self.train_rows) // self.batch)

    def backward(self, step: int) -> float:
        """Gradients of the mean nats of batch `step`, whose rows are a function of (seed, epoch, place in it)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if isinstance(self.network, CharNetwork):
            self.network.reseed(step)
        loss = self._nats(self._shuffled(epoch)[place * self.batch :][: self.batch]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def evaluate(self) -> float:
        """Nats per predicted character over the validation windows."""
        rows = self.validation_rows
        with measuring(self.network):
            total = sum(
                float(self._nats(rows[start : start + AT_ONCE]).sum(dtype=torch.float64))
                for start in range(0, len(rows), AT_ONCE)
            )
        return total / float(len(rows) * self.targets.shape[1])

    def _shuffled(self, epoch: int) -> NDArray[np.intp]:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(self.train_rows)
        return self._order

    def _nats(self, rows: NDArray[np.intp]) -> Tensor:
        """(rows * targets,)"""
        inputs = torch.from_numpy(self.inputs[rows].astype(np.int64))
        targets = torch.from_numpy(self.targets[rows].astype(np.int64))
        with self.autocast():
            logits = self._logits(inputs, targets.shape[1])
        return nn.functional.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none")

    def _logits(self, inputs: Tensor, count: int) -> Tensor:
        """The last `count` of each window."""
        network = self.network
        if not isinstance(network, CharNetwork):
            logits: Tensor = network(inputs)
            return logits
        features, _ = network.features(inputs, network.initial_state(len(inputs)))
        last: Tensor = network.head(features[:, -count:])  # the head is spared all other positions
        return last
