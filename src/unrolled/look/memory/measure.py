"""The memory ruler: how many characters back the predictions of a network still depend on its text.

Three measures side by side (`influence`), as curves over distance for the whole text and by kind of place, and one
number with a stated definition (`MEANING`). Left out: drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.learn.networks.network import CharNetwork
from unrolled.look.intervals import Numbers, beyond_chance, binned, bins, mean_with_interval
from unrolled.look.memory.influence import connectivity, influence
from unrolled.look.memory.sites import Sites, choose_sites, kinds_after
from unrolled.model.state import generator_of

FALSE_ALARM = 0.01
GRADIENT_SITES = 256
LEAST_IN_BIN = 10
WHOLE = "the whole text"
MEANING = (
    "the farthest distance at which exchanging a character for another one of the text makes the real next character "
    "less expected, by more than chance explains: the probability of a memory being reported where all characters are "
    f"independent is {FALSE_ALARM:.0%}"
)
MEASURES = {
    "causal": "divergence of the predictions, in nats, when the character is exchanged",
    "cost": "nats by which the real next character is less expected when the character is exchanged",
    "connectivity": "norm of the gradient of the next character's logit for the input vector",
    "context": "nats lost when no more than so many characters may be seen",
}
"""The curves by name, and what they show. `causal` is what the network believes, `cost` what the text confirms."""


@dataclass(frozen=True)
class DistanceCurve:
    """A mean over places for each bin of distances, all (bin,); NaN where fewer than 10 places were found."""

    near: NDArray[np.int64]
    """The smallest distance in the bin."""
    far: NDArray[np.int64]
    """The largest."""
    mean: Numbers
    low: Numbers
    """Lower end of the 95 % bootstrap interval over places."""
    high: Numbers

    @property
    def middle(self) -> Numbers:
        """Where to draw each bin on a logarithmic axis."""
        result: Numbers = np.sqrt(self.near * self.far)
        return result

    def rows(self) -> list[tuple[int, int, float, float, float]]:
        """(near, far, mean, low, high) of each bin that is known."""
        columns = (self.near, self.far, self.mean, self.low, self.high)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [row for row in rows if np.isfinite(row[2])]

    def to_json(self) -> dict[str, list[float | None]]:
        """Lists of equal length; what is not known is null."""
        columns = {"near": self.near, "far": self.far, "mean": self.mean, "low": self.low, "high": self.high}
        return {name: [x if np.isfinite(x) else None for x in column.tolist()] for name, column in columns.items()}


@dataclass(frozen=True)
class Memory:
    """What was measured of one network on one text."""

    name: str
    characters: int | None
    """The memory; None if no dependence was found. See `MEANING`."""
    distance: int
    """How far back was measured. A memory of this size may be longer in truth."""
    sites: int
    loss: float
    """Nats per character at the measured places."""
    curves: dict[str, dict[str, DistanceCurve]]
    """By measure (`MEASURES`), then by kind of place; `WHOLE` is one of these."""

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        curves = {m: {k: curve.to_json() for k, curve in kinds.items()} for m, kinds in self.curves.items()}
        facts = {"name": self.name, "memory": self.characters, "meaning": MEANING, "distance": self.distance}
        return facts | {"sites": self.sites, "loss_nats": self.loss, "curves": curves}


def measure_memory(
    network: CharNetwork,
    ids: NDArray[np.integer],
    text: str,
    *,
    name: str = "",
    distance: int = 256,
    places: int = 1000,
    seed: int = 0,
) -> Memory:
    """Measure how far back `network` depends on `text`, whose ids (characters,) are `ids`.

    `distance` is how far back to look, `places` the number of sites; more of them see a weaker dependence. Raises
    InputError for a text too short, FolderError for a network whose gradients or predictions are not finite.
    """
    rng = generator_of(seed)
    sites = choose_sites(text, places, distance, rng)
    found, few = influence(network, ids, sites), sites.first(GRADIENT_SITES)
    values = {"causal": found.divergence, "cost": found.cost, "context": found.missing}
    gradients = connectivity(network, ids, few)
    if not all(np.isfinite(value).all() for value in (*values.values(), gradients)):
        raise FolderError(f"the network {name} predicts numbers that are not finite, so nothing can be measured")
    edges, kinds = bins(distance), kinds_after(text)
    curves = {measure: _curves(value, _kinds_ahead(kinds, sites), edges, rng) for measure, value in values.items()}
    curves["connectivity"] = _curves(gradients, _kinds_at_end(kinds, few), edges, rng)
    memory = reach(found.cost, edges, rng)
    return Memory(name, memory, distance, len(sites), float(found.loss.mean()), curves)


def reach(cost: Numbers, edges: NDArray[np.int64], rng: np.random.Generator) -> int | None:
    """The farthest distance at which `cost` (site, distance) is above zero beyond chance, or None.

    Single distances and bins of them are tested together: a dependence at one distance shows in its own column, one
    that is spread thin shows in its bin, which counts with its nearest distance.
    """
    width = np.diff(edges)
    wide = width > 1
    columns = np.hstack([cost, (binned(cost, edges) / width)[:, wide]])
    claims = np.concatenate([np.arange(1, cost.shape[1] + 1), edges[:-1][wide]])
    found = claims[beyond_chance(columns, rng, FALSE_ALARM)]
    return int(found.max()) if len(found) else None


def _curves(
    values: Numbers, kinds: dict[str, NDArray[np.bool_]], edges: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, DistanceCurve]:
    """The curve of (site, distance) for the whole text and for each kind, whose masks have the same shape."""
    masks = {WHOLE: np.ones(values.shape, bool)} | kinds
    return {kind: _curve(values * mask, mask, edges, rng) for kind, mask in masks.items()}


def _curve(
    values: Numbers, mask: NDArray[np.bool_], edges: NDArray[np.int64], rng: np.random.Generator
) -> DistanceCurve:
    counts = binned(mask.astype(np.float64), edges)
    unknown = counts.sum(0) < LEAST_IN_BIN
    numbers = mean_with_interval(binned(values, edges), counts, rng)
    mean, low, high = (np.where(unknown, np.nan, column) for column in numbers)
    return DistanceCurve(edges[:-1], edges[1:] - 1, mean, low, high)


def _kinds_ahead(kinds: dict[str, NDArray[np.bool_]], sites: Sites) -> dict[str, NDArray[np.bool_]]:
    """Masks (site, distance) of the kind of place that lies each distance behind a site."""
    last = sites.places[:, None] + np.arange(sites.distance)  # at distance k the last character read is k - 1 behind
    return {kind: after[last] for kind, after in kinds.items()}


def _kinds_at_end(kinds: dict[str, NDArray[np.bool_]], sites: Sites) -> dict[str, NDArray[np.bool_]]:
    """The same for `connectivity`, where all distances of a site belong to the one place at its end."""
    last = (sites.places + sites.distance - 1)[:, None]
    return {kind: np.broadcast_to(after[last], (len(sites), sites.distance)) for kind, after in kinds.items()}
