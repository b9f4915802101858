"""Dynamic evaluation: networks that go on learning from a text, each piece after it was predicted.

Krause et al. 2018, with RMSprop and a pull back to the trained weights. Counts stay frozen; how much of each prediction
is theirs is learned, too. A loss so measured belongs in a column of its own: the model that ends the text is not the
one that began it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrolled.learn.networks.network import CharNetwork, network_of
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.model.gate import Experts
from unrolled.model.members import COUNTS
from unrolled.model.probabilities import log_softmax
from unrolled.text.vocabulary import Ids

SEGMENT = 32
"""Characters that are predicted between two steps."""
RATE, SMOOTHING, PULL = 1e-3, 0.99, 1e-3
"""Of RMSprop, of its second moment, and the share by which weights return to the trained ones at each step."""
GATE_RATE = 0.005
"""Of the gradient ascent of the gate."""


@dataclass
class _Learner:
    """A network on its way through a text."""

    network: CharNetwork
    state: tuple[Tensor, ...] = field(init=False)
    step: int = 0

    def __post_init__(self) -> None:
        self.network.requires_grad_(True)
        self.state = self.network.initial_state(1)
        self.weights = list(self.network.parameters())
        self.start = [weight.detach().clone() for weight in self.weights]
        self.moments = [torch.zeros_like(weight) for weight in self.weights]

    def read(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Probabilities (time, vocabulary) after each input, (time,); then one step of learning from the targets."""
        logits, state = self.network(inputs[None], self.state)
        self.state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits[0], targets)
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._learn()
        probabilities: Tensor = logits[0].detach().softmax(dim=-1)
        return probabilities

    @torch.no_grad()
    def _learn(self) -> None:
        self.step += 1
        unbiased = 1 - SMOOTHING**self.step
        for weight, start, moment in zip(self.weights, self.start, self.moments, strict=True):
            assert weight.grad is not None
            moment.mul_(SMOOTHING).addcmul_(weight.grad, weight.grad, value=1 - SMOOTHING)
            weight.addcdiv_(weight.grad, (moment / unbiased).sqrt_().add_(1e-8), value=-RATE)
            weight.lerp_(start, PULL)


def adapted_nats(model: ModelParts, ids: Ids) -> NDArray[np.float64]:
    """Nats of each of the `ids`, (character,), from a model whose networks learn while they read.

    Raises InputError for counts alone, which have no network that could learn.
    """
    first = -log_softmax(CharModel(model).start_logits)[ids[:1]].astype(np.float64)
    return np.concatenate([first, *_later(model, ids)])


def _later(model: ModelParts, ids: Ids) -> Iterator[NDArray[np.float64]]:
    CharModel(model).check_network()
    learners = [_Learner(network_of(model.only(name))) for name in model.members if name != COUNTS]
    counts, gate = model.beside.counts, model.beside.gate
    for start in range(1, len(ids), SEGMENT):
        piece = torch.from_numpy(ids[start - 1 : start + SEGMENT].astype(np.int64))
        read = [learner.read(piece[:-1], piece[1:]).numpy() for learner in learners]
        mixed: NDArray[np.float64] = np.mean(read, axis=0, dtype=np.float64)
        targets = ids[start : start + SEGMENT]
        if counts is not None and gate is not None:
            contexts = counts.contexts(ids, np.arange(start, start + len(targets)))
            experts = Experts.of(mixed, counts.after_all(contexts))
            mixed = experts.mixed(gate)
            gate = gate.adapted(experts.of_targets(targets), experts.features, GATE_RATE)
        yield -np.log(mixed[np.arange(len(mixed)), targets])
