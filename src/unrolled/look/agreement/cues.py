"""How much a cue changes the log odds of the word that agrees with it, by the distance between the two.

The lines are written by hand, or taken from a text: wherever a choice follows a cue, the cue is replaced and nothing
else. NumPy only. Left out: which choice is right; this module only measures association.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.look.agreement.pairs import Agreement, Pair
from unrolled.look.intervals import mean_with_interval
from unrolled.model.state import generator_of

CONTEXT = 200
"""Characters before a choice that are searched for a cue."""
EDGES = (1, 4, 8, 16, 32, 64, CONTEXT + 1)
MIN_LINES = 10
"""Lines that a range of distances needs for a mean with an interval."""


@dataclass(frozen=True)
class CueEffect:
    """The effect of the cue of one line."""

    line: int
    cues: tuple[str, ...]
    choices: tuple[str, ...]
    distance: int
    nats: float
    """How much the cue raises the log odds of the matching choice; the first cue form matches the first choice, and so
    on."""


@dataclass(frozen=True)
class DistanceBand:
    """The mean effect over all lines whose cue is `near` to `far` characters before its choice."""

    near: int
    far: int
    lines: int
    nats: float
    low: float
    """Lower end of the 95 % bootstrap interval over lines."""
    high: float


def cue_effects(agreements: Iterable[Agreement]) -> list[CueEffect]:
    """One effect for each line whose cue has several forms; other lines are skipped.

    With more than two forms or choices, the effect is the mean over all pairs of forms with their matching choices.
    """
    lines = [list(group) for _, group in groupby(agreements, key=lambda one: one.pair.line)]
    return [_cue_effect(forms) for forms in lines if len(forms) > 1]


def by_distance(found: Sequence[CueEffect]) -> list[DistanceBand]:
    """The mean effect with its interval, for each range of distances with at least ten lines."""
    rng = generator_of(0)
    bands = []
    for near, after in pairwise(EDGES):
        nats = np.array([[one.nats] for one in found if near <= one.distance < after])
        if len(nats) >= MIN_LINES:
            mean, low, high = (float(x[0]) for x in mean_with_interval(nats, rng))
            bands.append(DistanceBand(near, after - 1, len(nats), mean, low, high))
    return bands


class _Occurrence(NamedTuple):
    """A cue in the context of a choice."""

    context: str
    start: int
    cue: str
    choices: tuple[str, ...]


def pairs_from_text(
    text: str, cues: Sequence[tuple[str, ...]], choice: tuple[str, ...], places: int, seed: int
) -> list[Pair]:
    """Up to `places` lines drawn from `text`: wherever a word of `choice` follows a cue within 200 characters.

    `cues` are groups of interchangeable words such as ("man", "woman"), and `choice` is one such group: whole words,
    in lower case or capitalised. The nearest cue counts. Raises InputError if the text has no such position.
    """
    if places < 1:
        raise InputError(f"places is {places}, but it must be at least 1")
    forms = {form: group for group in _with_capitals(cues) for form in group}
    choices = {form: group for group in _with_capitals([choice]) for form in group}
    cue_word, found = _any_of(forms), list[_Occurrence]()
    for match in _any_of(choices).finditer(text):
        first = max(0, match.start() - CONTEXT)
        # positions in the whole text, so that its start does not cut a word into a false cue
        cues_before = list(cue_word.finditer(text, first, match.start()))
        found += [
            _Occurrence(text[first : match.start()], cue.start() - first, cue.group(), choices[match.group()])
            for cue in cues_before[-1:]
        ]
    if not found:
        near = f"within {CONTEXT} characters after one of {', '.join(forms)}"
        raise InputError(f"the text has no {' or '.join(choices)} {near}")
    kept = sorted(generator_of(seed).permutation(len(found))[:places].tolist())
    return [pair for line, i in enumerate(kept, 1) for pair in _variants(found[i], forms, line)]


def _variants(found: _Occurrence, forms: dict[str, tuple[str, ...]], line: int) -> list[Pair]:
    before, between = found.context[: found.start], found.context[found.start + len(found.cue) :]
    return [Pair(before + form + between, found.choices, "", form, len(between), line) for form in forms[found.cue]]


def _with_capitals(groups: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [form for group in groups for form in dict.fromkeys((group, tuple(word.capitalize() for word in group)))]


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(set(words), key=lambda word: -len(word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _cue_effect(forms: Sequence[Agreement]) -> CueEffect:
    pair = forms[0].pair
    count = min(len(forms), len(pair.choices))
    log_probabilities = np.log(np.maximum([one.probabilities[:count] for one in forms[:count]], 1e-300))
    differences = [
        log_probabilities[i, i] - log_probabilities[i, j] - log_probabilities[j, i] + log_probabilities[j, j]
        for i, j in combinations(range(count), 2)
    ]
    cues = tuple(one.pair.cue or "" for one in forms)
    return CueEffect(pair.line, cues, pair.choices, pair.distance, float(np.mean(differences)))
