"""How the next character is chosen: filters on logits in a fixed order, then one draw; and when to stop.

Order: repetition, temperature, top-k, top-p, min-p. Every filter takes logits of shape (..., vocabulary) and returns
new ones in which excluded ids have -inf; the likeliest id is always kept. Ties are broken towards the lower id. The
reserved id 0 is never drawn. A new filter is a field of `Sampling`, its key in `SamplingSettings`, and a line of
`Sampling.filtered`. Left out: the network, and turning ids into characters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.probabilities import softmax

Logits = NDArray[np.float64]

RECENT = 256
"""Number of last ids that the repetition filter looks at."""
LONGEST_REPEAT = 32
"""The longest repeat that the repetition filter counts."""


class SamplingSettings(TypedDict, total=False):
    """The fields of `Sampling` as keyword arguments, which editors complete."""

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition: float | None


@dataclass(frozen=True)
class Sampling:
    """Which filters are on; None is off. Raises InputError for a value out of its bounds."""

    temperature: float = 1.0
    """Below 1 likely characters become more likely, above 1 less; 0 always takes the likeliest, whatever the seed."""
    top_k: int | None = None
    """Choose among the k likeliest characters only."""
    top_p: float | None = None
    """Choose among the likeliest characters that together reach this probability."""
    min_p: float | None = None
    """Choose among characters at least this many times as probable as the likeliest one."""
    repetition: float | None = None
    """Divide a character's probability by this once for every character of the repeat that it would prolong (try
    1.1)."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, lambda t: 0 <= t < math.inf, "0 (the likeliest character) or above")
        _check("top_k", self.top_k, lambda k: k >= 1, "at least 1")
        _check("top_p", self.top_p, lambda p: 0 < p <= 1, "above 0 and at most 1")
        _check("min_p", self.min_p, lambda p: 0 < p <= 1, "above 0 and at most 1")
        _check("repetition", self.repetition, lambda r: 1 <= r < math.inf, "at least 1")

    def updated(self, **settings: Unpack[SamplingSettings]) -> Sampling:
        """A copy with other values for the fields that are named."""
        return replace(self, **settings) if settings else self

    def filtered(self, logits: NDArray[np.floating], recent: NDArray[np.integer] | None = None) -> Logits:
        """The logits (..., vocabulary) after every filter that is on, float64; `recent` (time,) are the ids so far."""
        kept = without_reserved(logits)
        if self.repetition is not None and recent is not None:
            kept = penalize_repeats(kept, recent, self.repetition)
        if self.temperature not in (0, 1):
            kept = divide_by_temperature(kept, self.temperature)
        if self.top_k is not None:
            kept = keep_top_k(kept, self.top_k)
        if self.top_p is not None:
            kept = keep_top_p(kept, self.top_p)
        return kept if self.min_p is None else keep_min_p(kept, self.min_p)

    def probabilities(self, logits: NDArray[np.floating], recent: NDArray[np.integer] | None = None) -> Logits:
        """The probability with which `draw` chooses each id from logits (vocabulary,)."""
        kept = self.filtered(logits, recent)
        if self.temperature == 0:
            return np.where(np.arange(len(kept)) == kept.argmax(), 1.0, 0.0)
        return softmax(kept)

    def draw(
        self, logits: NDArray[np.floating], generator: np.random.Generator, recent: NDArray[np.integer] | None = None
    ) -> int:
        """The id chosen from logits (vocabulary,). One number is taken from `generator`, none at temperature 0."""
        kept = self.filtered(logits, recent)
        if self.temperature == 0:
            return int(kept.argmax())
        cumulated = np.exp(kept - kept.max()).cumsum()
        total = float(cumulated[-1])
        place = min(generator.random() * total, math.nextafter(total, 0.0))  # rounding must not give the total itself
        return int(cumulated.searchsorted(place, side="right"))


def without_reserved(logits: NDArray[np.floating]) -> Logits:
    """Exclude the reserved id 0."""
    kept = logits.astype(np.float64)
    kept[..., 0] = -np.inf
    return kept


def divide_by_temperature(logits: Logits, temperature: float) -> Logits:
    """Sharpen (below 1) or flatten (above 1) the distribution; `temperature` is above 0."""
    with np.errstate(over="ignore"):  # at a tiny temperature all but the best become -inf, as they should
        cooled: Logits = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    return cooled


def penalize_repeats(logits: Logits, recent: NDArray[np.integer], penalty: float) -> Logits:
    """Divide the probability of each id by `penalty` to the length of the repeat that it would prolong.

    `recent` is (time,): the ids so far, of which the last RECENT count. If they end with m characters that occurred
    before, followed by id c, then c would prolong a repeat of m characters (the longest such m, at most
    LONGEST_REPEAT). Common letters are hardly affected and loops are left sooner or later; dividing the logits of all
    ids seen (Keskar et al. 2019) would instead exclude the letters of the alphabet. The idea is that of the DRY
    sampler of text-generation-webui (2024), with one constant instead of three.
    """
    lengths = repeat_lengths(recent, logits.shape[-1])
    return logits - lengths * math.log(penalty)


def repeat_lengths(recent: NDArray[np.integer], vocabulary: int) -> NDArray[np.int64]:
    """For each id, the length of the longest repeat in `recent` (time,) that it would prolong: (vocabulary,)."""
    longest = np.zeros(vocabulary, np.int64)
    recent = recent[-RECENT:]
    time = len(recent)
    if time < 2:
        return longest
    shifts = np.arange(min(LONGEST_REPEAT, time - 1))
    # matches[m, i]: does the m-th id before position i equal the m-th id before the end? (False before the text.)
    places = np.arange(time - 1) - shifts[:, None]
    matches = (recent[places] == recent[-1 - shifts][:, None]) & (places >= 0)
    np.maximum.at(longest, recent[1:], np.logical_and.accumulate(matches).sum(axis=0))
    return longest


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Keep the `k` likeliest ids."""
    return _keep_likeliest(logits, lambda p: np.arange(p.shape[-1]) < k)


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Keep the smallest number of likeliest ids whose probabilities reach `p` (Holtzman et al. 2020)."""
    return _keep_likeliest(logits, lambda ordered: ordered.cumsum(axis=-1) - ordered < p)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Keep the ids whose probability is at least `p` times that of the likeliest one (Nguyen et al. 2024)."""
    return np.where(logits >= logits.max(axis=-1, keepdims=True) + math.log(p), logits, -np.inf)


def checked_stops(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The stop strings as a tuple; raises InputError for an empty one."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stops:
        raise InputError('a stop string is "", but must have at least one character')
    return stops


def until_stop(characters: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """The characters before the first of the `stop` strings; a possible beginning of one is delayed until decided.

    A stop string may cross the pieces of `characters`. It is not yielded, and nothing more is taken from
    `characters`.
    """
    held = ""
    for character in chain.from_iterable(characters):
        held += character
        found = [place for place in map(held.find, stop) if place >= 0]
        if found:
            yield from held[: min(found)]
            return
        safe = len(held) - max((_overlap(held, string) for string in stop), default=0)
        yield from held[:safe]
        held = held[safe:]
    yield from held


def _overlap(text: str, string: str) -> int:
    """The length of the longest end of `text` with which `string` begins."""
    return next((n for n in range(min(len(text), len(string)), 0, -1) if text.endswith(string[:n])), 0)


def _keep_likeliest(logits: Logits, keep: Callable[[Logits], NDArray[np.bool_]]) -> Logits:
    """Keep the ids for which `keep`, given the probabilities in descending order, is true."""
    order = np.argsort(-logits, axis=-1, kind="stable")
    ordered = np.take_along_axis(logits, order, axis=-1)
    kept = np.empty_like(logits)
    np.put_along_axis(kept, order, np.where(keep(softmax(ordered)), ordered, -np.inf), axis=-1)
    return kept


def _check(name: str, value: float | None, holds: Callable[[float], bool], bounds: str) -> None:
    if value is not None and not holds(value):
        raise InputError(f"{name} is {value}, but must be {bounds}")


UNFILTERED = Sampling()
"""The distribution as the model gives it."""
