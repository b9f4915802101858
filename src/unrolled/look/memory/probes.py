"""The positions of a text at which a network is probed.

A probe replaces one character. `warm_up` characters are read before it and `distance` characters from it on. After
reading up to k - 1 characters past the probe, the network predicts the character k past it: that prediction is at
distance k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.text.vocabulary import code_points

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

    def first(self, count: int) -> Probes:
        """The first `count` probes; their order is random, so this is a random sample."""
        return Probes(self.positions[:count], self.replacements[:count], self.distance, self.warm_up)

    def windows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """The text around each probe, (probe, warm_up + distance + 1); the probed character is at index `warm_up`."""
        width = self.warm_up + self.distance + 1
        view = np.lib.stride_tricks.sliding_window_view(ids, width)
        return view[self.positions - self.warm_up].astype(np.int64)


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
