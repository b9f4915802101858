"""How far back agreement reaches: by how much a cue moves the odds of what agrees with it, by their distance.

Lines of one's own, or all places of a text where a choice stands behind a cue: there the cue is exchanged, and nothing
else. NumPy alone. Left out: which choice would be right (`agree` and this page only ask what goes with what).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.look.agreement.pairs import Agreement, Pair
from unrolled.look.intervals import mean_with_interval
from unrolled.model.state import generator_of

CONTEXT = 200
"""Characters before a choice in which a cue is looked for."""
EDGES = (1, 4, 8, 16, 32, 64, CONTEXT + 1)
LEAST = 10
"""Lines that a distance needs for a mean with an interval."""


@dataclass(frozen=True)
class Shift:
    """What the cue of one line does."""

    line: int
    cues: tuple[str, ...]
    choices: tuple[str, ...]
    distance: int
    nats: float
    """By how much the cue moves the log odds of its own choice, the first cue having the first choice as its own."""

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True)
class Reach:
    """The mean shift of all lines whose cue stands so far from its choice."""

    near: int
    far: int
    lines: int
    nats: float
    low: float
    """Lower end of the 95 % bootstrap interval over lines."""
    high: float

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


def shifts(agreements: Iterable[Agreement]) -> list[Shift]:
    """One shift for each line whose cue has several forms; other lines are passed over.

    Of more forms or choices than two, the shift is the mean over all twos of forms with their choices.
    """
    found = []
    for _, group in groupby(agreements, key=lambda one: one.pair.line):
        forms = list(group)
        if len(forms) > 1:
            found.append(_shift(forms))
    return found


def by_distance(found: Sequence[Shift], seed: int = 0) -> list[Reach]:
    """The mean shift with its interval for each range of distances in which there are ten lines or more."""
    rng = generator_of(seed)
    reaches = []
    for near, after in pairwise(EDGES):
        nats = np.array([[one.nats] for one in found if near <= one.distance < after])
        if len(nats) >= LEAST:
            mean, low, high = (float(x[0]) for x in mean_with_interval(nats, np.ones_like(nats), rng))
            reaches.append(Reach(near, after - 1, len(nats), mean, low, high))
    return reaches


class _Place(NamedTuple):
    """Where a cue stands in the context of a choice."""

    context: str
    start: int
    cue: str
    choices: tuple[str, ...]


def pairs_in(text: str, cues: Sequence[tuple[str, ...]], choice: tuple[str, ...], places: int, seed: int) -> list[Pair]:
    """Up to `places` lines from `text`: wherever a word of `choice` stands at most 200 characters behind a cue.

    `cues` are words that can stand for each other, such as ("man", "woman"), and `choice` is such a tuple too: whole
    words, in small letters or with a capital. The nearest cue counts. Raises InputError where there is no such place.
    """
    if places < 1:
        raise InputError(f"{places} places were asked, but at least 1 must be looked at")
    forms = {form: group for group in _with_capitals(cues) for form in group}
    choices = {form: group for group in _with_capitals([choice]) for form in group}
    cue_word, found = _any_of(forms), list[_Place]()
    for match in _any_of(choices).finditer(text):
        first = max(0, match.start() - CONTEXT)
        cues_before = list(cue_word.finditer(text, first, match.start()))  # of the text: half a word is none
        found += [
            _Place(text[first : match.start()], cue.start() - first, cue.group(), choices[match.group()])
            for cue in cues_before[-1:]
        ]
    if not found:
        near = f"within {CONTEXT} characters behind one of {', '.join(forms)}"
        raise InputError(f"no {' or '.join(choices)} of this text stands {near}")
    kept = sorted(generator_of(seed).permutation(len(found))[:places].tolist())
    return [pair for line, i in enumerate(kept, 1) for pair in _exchanged(found[i], forms, line)]


def _exchanged(found: _Place, forms: dict[str, tuple[str, ...]], line: int) -> list[Pair]:
    before, between = found.context[: found.start], found.context[found.start + len(found.cue) :]
    return [Pair(before + form + between, found.choices, "", form, len(between), line) for form in forms[found.cue]]


def _with_capitals(groups: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [form for group in groups for form in dict.fromkeys((group, tuple(word.capitalize() for word in group)))]


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(set(words), key=lambda word: -len(word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _shift(forms: Sequence[Agreement]) -> Shift:
    pair = forms[0].pair
    count = min(len(forms), len(pair.choices))
    chances = np.log(np.maximum([one.probabilities[:count] for one in forms[:count]], 1e-300))
    twos = [chances[i, i] - chances[i, j] - chances[j, i] + chances[j, j] for i, j in combinations(range(count), 2)]
    cues = tuple(one.pair.cue or "" for one in forms)
    return Shift(pair.line, cues, pair.choices, pair.distance, float(np.mean(twos)))
