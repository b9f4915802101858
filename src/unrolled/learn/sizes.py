"""How many hidden units suit a text in a given time: a rule that was fitted to measurements (docs/experiments.md).

A large network learns more from a character and reads fewer of them. What machine, vocabulary and recurrence
cost enters through one number: the characters that a network of 320 units could read in the time.
"""

from __future__ import annotations

import math

SIZES = (64, 96, 128, 192, 256, 320)
UNITS, CHARACTERS, POWER = 320, 3e6, 0.35
"""So many units suit so many characters, and others in proportion to this power of their number."""
LARGEST, MANY = 512, 17e6
"""Units whose matrices leave a core's cache, and the characters from which on they pay nevertheless."""
COST = 1.3
"""The power of the units to which the time of a step is proportional, about."""


def suited(characters: float, units: int = UNITS) -> int:
    """The hidden units for a time in which a network of so many `units` could read `characters`.

    >>> [suited(characters) for characters in (1e4, 2e5, 3e6, 1e7, 2e7)]
    [64, 128, 320, 320, 512]
    """
    read = max(characters, 1.0) * (units / UNITS) ** COST
    if read >= MANY:
        return LARGEST
    best = UNITS * (read / CHARACTERS) ** POWER
    return min(SIZES, key=lambda size: abs(math.log(size / best)))
