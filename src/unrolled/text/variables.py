"""The parts of log lines that differ from line to line whatever they say: numbers, dates, addresses, ids.

These are numbers, also those joined by . : , / + - (times, dates, addresses); dates that name a month; 0x and the
hexadecimal digits after it; and runs of four or more hexadecimal digits with a decimal one among them, joined by
hyphens or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

MASK = "#"
"""What is read for one of them."""
VARIABLE = re.compile(
    r"""
      \b 0[xX] [0-9a-fA-F]+ \b
    | \b (?: (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ,? [ ]+ )?
         (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [a-z]* [ ]+ \d+ (?: [ .:,/+-]+ \d+ )* \b
    | \d+ (?: [.:,/+-] \d+ )* (?! [0-9a-fA-F] )
    | \b (?= [a-fA-F-]* \d ) [0-9a-fA-F]{4,} (?: - [0-9a-fA-F]+ )* \b
    | \d+
    """,
    re.VERBOSE,
)


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
