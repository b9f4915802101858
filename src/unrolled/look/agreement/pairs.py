"""Minimal pairs: does the network expect "he" after "a man", at any distance?

A line such as `The {man|woman} said that [he|she|it]` has a choice in brackets, and may have a cue in braces on which
the choice depends. NumPy only. Left out: any judgement of which choice is right; how the effect of a cue falls with
distance (`cues`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.state import State

FORM = "The {man|woman} said that [he|she|it]"
CUE, CHOICE = re.compile(r"\{([^{}]*)\}"), re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Pair:
    """One context and its possible continuations; `rest` follows each of them."""

    context: str
    choices: tuple[str, ...]
    rest: str
    cue: str | None
    distance: int
    """Characters from the end of the cue to the choice; without a cue, from the start of the line."""
    line: int = 1
    """The number of the line, shared by all forms of its cue."""


@dataclass(frozen=True)
class Agreement:
    """The probabilities a network gives to the choices of a pair."""

    pair: Pair
    probabilities: tuple[float, ...]
    """Of each choice followed by the rest, by the chain rule over characters. After a choice that ends in a letter the
    word must end too: "he" does not count as the beginning of "her"."""
    shares: tuple[float, ...]
    """The probabilities scaled to sum to 1."""

    @property
    def preferred(self) -> str:
        """The choice with the largest probability."""
        return self.pair.choices[self.shares.index(max(self.shares))]

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        numbers = {"probabilities": list(self.probabilities), "shares": list(self.shares)}
        return asdict(self.pair) | numbers | {"preferred": self.preferred}


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """The pairs in `lines`, one for each form of a cue. Empty lines and lines that begin with # are skipped.

    Raises InputError that names the line without a choice in brackets.
    """
    pairs = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        if line.strip() and not line.startswith("#"):
            pairs.extend(_pairs_of(line, number))
    if not pairs:
        raise InputError(f'no line has a choice in brackets: write lines like "{FORM}"')
    return pairs


def alternatives(words: str, name: str) -> tuple[str, ...]:
    """The words that | separates. Raises InputError, calling them `name`, unless they are two or more and differ."""
    found = tuple(words.split("|"))
    if len(found) < 2 or not all(found) or len(set(found)) < len(found):
        raise InputError(f'{name} is {words!r}, but two or more different words were expected, as in "man|woman"')
    return found


def agreement(model: CharModel, pair: Pair) -> Agreement:
    """The probability of each choice after the context. Raises InputError for characters the model does not know."""
    state = model.read(pair.context)
    probabilities = tuple(_probability(state, choice, pair.rest) for choice in pair.choices)
    total = sum(probabilities)
    shares = tuple(probability / total if total else 1 / len(probabilities) for probability in probabilities)
    return Agreement(pair, probabilities, shares)


def _pairs_of(line: str, number: int) -> list[Pair]:
    choices, cues = list(CHOICE.finditer(line)), list(CUE.finditer(line))
    if len(choices) != 1 or len(cues) > 1:
        raise InputError(f'line {number} needs one choice in brackets and at most one cue in braces, like "{FORM}"')
    choice = choices[0]
    options = alternatives(choice.group(1), f"the choice of line {number}")
    before, rest = line[: choice.start()], line[choice.end() :]
    if not cues:
        return [Pair(before, options, rest, None, len(before), number)]
    cue = cues[0]
    if cue.start() > choice.start():
        raise InputError(f"the cue {cue.group()} of line {number} follows the choice: the cue must come first")
    after = line[cue.end() : choice.start()]
    start = line[: cue.start()]
    forms = cue.group(1).split("|")
    return [Pair(start + word + after, options, rest, word, len(after), number) for word in forms]


def _probability(state: State, choice: str, rest: str) -> float:
    probability = 1.0
    for character in choice + rest:
        probability *= dict(state.next()).get(character, 0.0)
        state = state.read(character)
    if not rest and choice[-1].isalpha():
        probability *= sum(p for character, p in state.next() if not character.isalpha())
    return probability
