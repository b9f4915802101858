"""Where a text is probed: the sites at which a character is exchanged, and the kinds of place a prediction stands at.

A site is the place of one character in a text, with `warm_up` characters before it and `distance` from it on. Whatever
stands k - 1 characters behind the site is used to predict what stands k behind it: that prediction lies at distance k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.text.vocabulary import code_points

LEAST_SITES = 100
QUOTATION_MARKS = '"“”„«»'  # apostrophes are left out: most of them stand in words such as "don't"

KINDS: dict[str, Callable[[str], bool]] = {
    "inside a word": str.isalnum,
    "after a space": lambda c: c == " ",
    "after a quotation mark": lambda c: c in QUOTATION_MARKS,
    "after a newline": lambda c: c == "\n",
}
"""The kinds of place, told by the last character before the prediction."""


@dataclass(frozen=True)
class Sites:
    """Places of a text, each with the character that is put in its stead."""

    places: NDArray[np.int64]
    """(site,)"""
    others: NDArray[np.int64]
    """(site,): where in the text the character that replaces it stands."""
    distance: int
    warm_up: int

    def __len__(self) -> int:
        return len(self.places)

    def first(self, count: int) -> Sites:
        """The first `count` of them, which are as random a choice as all are."""
        return Sites(self.places[:count], self.others[:count], self.distance, self.warm_up)

    def windows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """The text around each site, (site, warm_up + distance + 1); the site's own character is at `warm_up`."""
        width = self.warm_up + self.distance + 1
        view = np.lib.stride_tricks.sliding_window_view(ids, width)
        return view[self.places - self.warm_up].astype(np.int64)


def choose_sites(text: str, count: int, distance: int, rng: np.random.Generator) -> Sites:
    """Up to `count` sites, evenly likely anywhere in `text`.

    The character put there is that of another place, also evenly likely; pairs of equal characters are passed over.
    In a text of independent characters the two could therefore change roles, which the test of `memory` builds on.
    Raises InputError for a text too short for the distance, or one that repeats a single character.
    """
    if distance < 1 or count < LEAST_SITES:
        raise InputError(
            f"distance {distance} and {count} places were given, but at least 1 and {LEAST_SITES} were expected"
        )
    room = len(text) - 2 * distance
    if room < LEAST_SITES:
        farthest = (len(text) - LEAST_SITES) // 2
        advice = f"or ask for a distance of at most {farthest}" if farthest >= 1 else "of that length at least"
        raise InputError(
            f"the text has {len(text):,} characters, but measuring {distance} back needs "
            f"{2 * distance + LEAST_SITES:,}: give a longer text, {advice}"
        )
    letters = code_points(text)
    places = distance + rng.permutation(room)
    others = rng.integers(len(text), size=room)
    different = letters[places] != letters[others]
    if different.sum() < LEAST_SITES // 2:
        raise InputError(f"the text says {text[0]!r} almost everywhere, so no character can be exchanged for another")
    return Sites(places[different][:count], others[different][:count], distance, distance)


def kinds_after(text: str) -> dict[str, NDArray[np.bool_]]:
    """For each kind of place, whether each character of `text` makes the place after it one, (characters,)."""
    return {name: np.fromiter((test(c) for c in text), bool, len(text)) for name, test in KINDS.items()}
