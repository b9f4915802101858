"""Several models that predict one character together: counts beside networks, and the mean of networks.

All mixing is of probabilities, and the logits are their logarithms. How much of a prediction is the network's depends
on how sure each side is (`gate`). Left out: counting (`text.counts`), files (`folder`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unrolled.model.gate import Experts, Gate, mixed_once
from unrolled.model.predictor import Logits, Predictor, PredictorState
from unrolled.model.probabilities import softmax
from unrolled.text.counts.model import CountModel
from unrolled.text.counts.ngrams import Codes, Probabilities


class CountPredictor(Predictor):
    """A count model as a `Predictor`. Its state is the context that `CountModel.append` carries on.

    Before the first character stand unknown ones.
    """

    def __init__(self, counts: CountModel) -> None:
        self.counts = counts

    def initial_state(self, *batch: int) -> PredictorState:
        return (np.broadcast_to(np.array(self.counts.start, np.uint64), (*batch, len(self.counts.start))),)

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        if isinstance(ids, int):  # one text: whole numbers of Python are faster
            return (np.array(self.counts.follow(tuple(state[0].tolist()), ids), np.uint64),)
        return (self.counts.append(state[0], np.asarray(ids)),)

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        state = self.advance(ids, state)
        return self.log_probabilities(state[0]), state

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        contexts = self.contexts(ids, state)
        return self.log_probabilities(contexts), (contexts[-1],)

    def contexts(self, ids: NDArray[np.integer], state: PredictorState) -> Codes:
        """The state after each of the ids (time, *batch): (time, *batch, numbers)."""
        states = []
        for now in ids:
            state = self.advance(now, state)
            states.append(state[0])
        return np.stack(states)

    def log_probabilities(self, contexts: Codes) -> Logits:
        """After contexts (*batch, numbers): (*batch, symbols)."""
        if contexts.ndim == 1:
            return logarithms(self.counts.after(tuple(contexts.tolist())).mean)
        return logarithms(self.counts.after_all(_rows(contexts)).mean).reshape(*contexts.shape[:-1], -1)


class Mixture(Predictor):
    """A network, or a committee of some, and counts. Its state is that of the counts and then that of the network."""

    def __init__(self, network: Predictor, counts: CountModel, gate: Gate) -> None:
        self.network, self.counts, self.gate = network, CountPredictor(counts), gate

    def initial_state(self, *batch: int) -> PredictorState:
        return self.counts.initial_state(*batch) + self.network.initial_state(*batch)

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        return self.counts.advance(ids, state[:1]) + self.network.advance(ids, state[1:])

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        logits, after = self.network.step(ids, state[1:])
        context = self.counts.advance(ids, state[:1])
        return self.mixed(logits, context[0]), context + after

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        logits, after = self.network.read(ids, state[1:])
        contexts = self.counts.contexts(ids, state[:1])
        return self.mixed(logits, contexts), (contexts[-1], *after)

    def mixed(self, logits: Logits, contexts: Codes) -> Logits:
        """Log-probabilities from the logits (*batch, vocabulary) of the network and contexts (*batch, numbers)."""
        if contexts.ndim == 1:
            powers, counts = np.exp(logits - logits.max()), self.counts.counts.after(tuple(contexts.tolist()))
            return logarithms(mixed_once(self.gate, powers, counts))
        network = softmax(logits).reshape(-1, logits.shape[-1])
        experts = Experts.of(network, self.counts.counts.after_all(_rows(contexts)))
        return logarithms(experts.mixed(self.gate)).reshape(logits.shape)


class Committee(Predictor):
    """The mean of the probabilities of several networks. Its state is theirs, one after the other."""

    def __init__(self, members: tuple[Predictor, ...]) -> None:
        self.members = members
        ends = np.cumsum([len(member.initial_state()) for member in members]).tolist()
        self._parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def initial_state(self, *batch: int) -> PredictorState:
        return tuple(part for member in self.members for part in member.initial_state(*batch))

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        return tuple(array for member, own in self._each(state) for array in member.advance(ids, own))

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        return self._mean([member.step(ids, own) for member, own in self._each(state)])

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        return self._mean([member.read(ids, own) for member, own in self._each(state)])

    def _each(self, state: PredictorState) -> list[tuple[Predictor, PredictorState]]:
        """Each member with its own part of the state."""
        return [(member, state[part]) for member, part in zip(self.members, self._parts, strict=True)]

    def _mean(self, steps: list[tuple[Logits, PredictorState]]) -> tuple[Logits, PredictorState]:
        mean = np.mean([softmax(logits) for logits, _ in steps], axis=0)
        return logarithms(mean), tuple(array for _, state in steps for array in state)


def _rows(contexts: Codes) -> Codes:
    """(*batch, numbers) -> (n, numbers)"""
    return contexts.reshape(-1, contexts.shape[-1])


def logarithms(probabilities: Probabilities) -> NDArray[np.float32]:
    """Logits like those of a network, which are float32."""
    return np.log(probabilities, dtype=np.float32)
