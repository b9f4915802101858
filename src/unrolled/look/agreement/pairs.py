"""Minimal pairs: does the network expect "he" after "a man", however long ago the man was?

A line such as `The {man|woman} said that [he|she|it]` has a choice in brackets, and may have a cue in braces, on which
the choice depends. NumPy alone. Left out: any judgement of which choice would be right; how far back agreement reaches
(`shifts`).
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
    """One context and its continuations, of which `rest` follows each."""

    context: str
    choices: tuple[str, ...]
    rest: str
    cue: str | None
    distance: int
    """Characters from the end of the cue to the choice; without a cue, from the start of the line."""
    line: int = 1
    """The number of the line; the forms of its cue share it."""


@dataclass(frozen=True)
class Agreement:
    """What a network expects of a pair."""

    pair: Pair
    probabilities: tuple[float, ...]
    """Of each choice and the rest, by the chain rule over characters. A choice that ends in a letter counts only
    where the word ends there: "he" is not the beginning of "her"."""
    shares: tuple[float, ...]
    """The same, scaled so that they sum to 1."""

    @property
    def preferred(self) -> str:
        """The choice with the largest probability."""
        return self.pair.choices[self.shares.index(max(self.shares))]

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        numbers = {"probabilities": list(self.probabilities), "shares": list(self.shares)}
        return asdict(self.pair) | numbers | {"preferred": self.preferred}


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """The pairs in `lines`, one for each form of a cue. Empty lines and those that begin with # are passed over.

    Raises InputError naming the line that has no choice between brackets.
    """
    pairs = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        if line.strip() and not line.startswith("#"):
            pairs.extend(_pairs_of(line, number))
    if not pairs:
        raise InputError(f'no line has a choice between brackets: write lines like "{FORM}"')
    return pairs


def agreement(model: CharModel, pair: Pair) -> Agreement:
    """The probability of each choice after the context. Raises InputError for characters the model does not know."""
    state = model.read(pair.context)
    chances = tuple(_probability(state, choice, pair.rest) for choice in pair.choices)
    total = sum(chances)
    shares = tuple(chance / total if total else 1 / len(chances) for chance in chances)
    return Agreement(pair, chances, shares)


def _pairs_of(line: str, number: int) -> list[Pair]:
    choices, cues = list(CHOICE.finditer(line)), list(CUE.finditer(line))
    if len(choices) != 1 or len(cues) > 1:
        raise InputError(f'line {number} needs one choice in brackets and at most one cue in braces, like "{FORM}"')
    choice = choices[0]
    options = tuple(choice.group(1).split("|"))
    if len(options) < 2 or not all(options) or len(set(options)) < len(options):
        raise InputError(f"the choice {choice.group()} of line {number} needs two or more different words, split by |")
    before, rest = line[: choice.start()], line[choice.end() :]
    if not cues:
        return [Pair(before, options, rest, None, len(before), number)]
    cue = cues[0]
    if cue.start() > choice.start():
        raise InputError(f"the cue {cue.group()} of line {number} stands behind the choice: it must come first")
    after = line[cue.end() : choice.start()]
    start = line[: cue.start()]
    forms = cue.group(1).split("|")
    return [Pair(start + word + after, options, rest, word, len(after), number) for word in forms]


def _probability(state: State, choice: str, rest: str) -> float:
    chance = 1.0
    for character in choice + rest:
        chance *= dict(state.next()).get(character, 0.0)
        state = state.read(character)
    if not rest and choice[-1].isalpha():
        chance *= sum(p for character, p in state.next() if not character.isalpha())
    return chance
