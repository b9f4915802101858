"""How the characters of a text affect a network's later predictions: measures at each (probe, distance).

A probe is a position of the text. `warm_up` characters are read before it and `distance` characters from it on. After
reading up to k - 1 characters past the probe, the network predicts the character k past it: that prediction is at
distance k. The probed character is replaced, or all characters before it are hidden. Probes are computed in batches,
reading forward from each, so that one pass gives all distances. Left out: what the numbers say about the network's
memory (`measure`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unrolled.errors import InputError
from unrolled.learn.networks.network import CharNetwork
from unrolled.text.vocabulary import code_points

BATCH = 128
MIN_PROBES = 100


@dataclass(frozen=True)
class Probes:
    """Positions in a text, each with the character that replaces the one there."""

    positions: NDArray[np.int64]
    """(probe,)"""
    replacements: NDArray[np.int64]
    """(probe,): the position in the text of the character that is put there instead."""
    distance: int
    warm_up: int

    def __len__(self) -> int:
        return len(self.positions)

    def windows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """The text around each probe, (probe, warm_up + distance + 1); the probed character is at index `warm_up`."""
        width = self.warm_up + self.distance + 1
        view = np.lib.stride_tricks.sliding_window_view(ids, width)
        return view[self.positions - self.warm_up].astype(np.int64)


@dataclass(frozen=True)
class Influence:
    """Measurements in nats, all (probe, distance); column k - 1 is distance k."""

    divergence: NDArray[np.float64]
    """KL(prediction || prediction after the replacement), over all next characters."""
    cost: NDArray[np.float64]
    """How much the replacement raises the loss of the true next character; negative where it lowers it."""
    missing: NDArray[np.float64]
    """How much the loss rises when the network starts at the probe and sees only k characters."""
    loss: NDArray[np.float64]
    """Loss of the true next character with the text unchanged."""


def choose_probes(text: str, count: int, distance: int, rng: np.random.Generator) -> Probes:
    """Up to `count` probes, drawn uniformly from the positions of `text`.

    The replacement is the character at another uniformly drawn position; where the two are equal, the probe is
    dropped. In a text of independent characters, original and replacement are therefore exchangeable, which is the
    null hypothesis of `measure.memory_length`. Raises InputError for a text that is too short for the distance, or
    that repeats a single character.
    """
    if distance < 1 or count < MIN_PROBES:
        raise InputError(
            f"distance {distance} and {count} places were given, but at least 1 and {MIN_PROBES} were expected"
        )
    room = len(text) - 2 * distance
    if room < MIN_PROBES:
        farthest = (len(text) - MIN_PROBES) // 2
        advice = f"or a distance of at most {farthest}" if farthest >= 1 else "of at least that length"
        raise InputError(
            f"the text has {len(text):,} characters, but measuring {distance} back needs "
            f"{2 * distance + MIN_PROBES:,}: give a longer text, {advice}"
        )
    letters = code_points(text)
    positions = distance + rng.permutation(room)
    replacements = rng.integers(len(text), size=room)
    different = letters[positions] != letters[replacements]
    if different.sum() < MIN_PROBES // 2:
        raise InputError(f"nearly every character of the text is {text[0]!r}, so none can be replaced by another")
    return Probes(positions[different][:count], replacements[different][:count], distance, distance)


@torch.no_grad()
def influence(network: CharNetwork, ids: NDArray[np.integer], probes: Probes) -> Influence:
    """Read on from every probe three times: unchanged, with its character replaced, and from the zero state."""
    windows, replacements = probes.windows(ids), ids[probes.replacements].astype(np.int64)
    parts = [
        _of_batch(network, windows[i : i + BATCH], replacements[i : i + BATCH], probes)
        for i in range(0, len(probes), BATCH)
    ]
    divergence, cost, missing, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Influence(divergence, cost, missing, loss)


def _of_batch(
    network: CharNetwork, windows: NDArray[np.int64], replacements: NDArray[np.int64], probes: Probes
) -> tuple[NDArray[np.float64], ...]:
    text = _on_device(network, windows)
    before, inside, after = text[:, : probes.warm_up], text[:, probes.warm_up : -1], text[:, probes.warm_up + 1 :]
    replaced = torch.cat([_on_device(network, replacements[:, None]), inside[:, 1:]], dim=1)
    nothing = network.initial_state(len(text))
    _, state = network(before, nothing)
    whole = _log_probabilities(network, inside, state)
    changed = _log_probabilities(network, replaced, state)
    fresh = _log_probabilities(network, inside, nothing)
    divergence = (whole.exp() * (whole - changed)).sum(2)
    real, without, short = (p.gather(2, after[:, :, None])[:, :, 0] for p in (whole, changed, fresh))
    return tuple(value.double().cpu().numpy() for value in (divergence, real - without, real - short, -real))


def _log_probabilities(network: CharNetwork, ids: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    logits, _ = network(ids, state)
    return torch.log_softmax(logits, dim=2)


def _on_device(network: CharNetwork, ids: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(ids).to(network.embedding.weight.device)
