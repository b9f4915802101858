"""The parts of log lines that differ from line to line whatever they say: numbers, dates, addresses, ids.

These are numbers, also those joined by . : , / + - (times, dates, addresses); dates that name a month; 0x and the
hexadecimal digits after it; and runs of four or more hexadecimal digits with a decimal one among them, joined by
hyphens or not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

MASK = "#"
"""What is read for one of them."""
VARIABLE = re.compile(
    r"""
      \b 0[xX] [0-9a-fA-F]+ \b
    | \b (?: (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ,? [ ]+ )?
         (?: \d{1,2} [ /-]+ )?
         (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [a-z]* [ /-]+ \d+ (?: [ .:,/+-]+ \d+ )* \b
    | \d+ (?: [.:,/+-] \d+ )* (?! [0-9a-fA-F] )
    | \b (?= [a-fA-F-]* \d ) [0-9a-fA-F]{4,} (?: - [0-9a-fA-F]+ )* \b
    | \d+
    """,
    re.VERBOSE,
)

MOST_KINDS = 1 << 18
"""Kinds of lines that are remembered."""


class Kinds:
    """How often each kind of line has come: lines that are equal but for such parts are of one kind.

    >>> kinds = Kinds()
    >>> [round(kinds.nats(line), 2) for line in ("took 1 ms", "took 25 ms", "took 3 ms", "stopped")]
    [inf, 1.39, 1.1, inf]
    """

    def __init__(self) -> None:
        self.lines, self._times = 0, Counter[int]()

    def nats(self, line: str) -> float:
        """The cost of naming the kind of `line` among all lines before, and that it is one of them; inf for a new kind.

        The line is then one of those before.
        """
        kind = hash(VARIABLE.sub(MASK, line))
        times, self.lines = self._times[kind], self.lines + 1
        if times or len(self._times) < MOST_KINDS:
            self._times[kind] += 1
        return math.log(2 * self.lines / times) if times else math.inf


def variable(line: str) -> NDArray[np.bool_]:
    """Which characters of a line belong to such parts, (characters,)."""
    found = np.zeros(len(line), np.bool_)
    for match in VARIABLE.finditer(line):
        found[match.start() : match.end()] = True
    return found


def masked(line: str) -> tuple[str, NDArray[np.intp]]:
    """A line with `MASK` for each such part, and where in the line each of its characters stood, (character,)."""
    kept = np.ones(len(line), np.bool_)
    for match in VARIABLE.finditer(line):
        kept[match.start() + 1 : match.end()] = False
    return VARIABLE.sub(MASK, line), np.flatnonzero(kept)


def masked_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """A text in pieces, with `MASK` for each such part."""
    rest = ""
    for piece in pieces:
        lines, newline, rest = (rest + piece).rpartition("\n")
        if newline:
            yield VARIABLE.sub(MASK, lines + newline)
    if rest:
        yield VARIABLE.sub(MASK, rest)
