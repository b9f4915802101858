"""How many characters back the predictions of a network still depend on its text.

Several measures (`influence`) as curves over distance, and one number with a stated definition (`MEANING`). Left out:
drawing (`picture`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.learn.networks.network import CharNetwork
from unrolled.look.intervals import Numbers, beyond_chance, binned, bins, mean_with_interval
from unrolled.look.memory.influence import choose_probes, influence
from unrolled.model.state import generator_of

FALSE_ALARM = 0.01
MEANING = (
    "the largest distance at which replacing one character by another from the text raises the loss of the true next "
    "character by more than chance explains: on a text of independent characters, a memory is reported with "
    f"probability {FALSE_ALARM:.0%}"
)
MEASURES = {
    "causal": "divergence of the predictions in nats when the character is replaced",
    "cost": "increase in the loss of the true next character, in nats, when the character is replaced",
    "context": "increase in loss, in nats, when only so many characters are visible",
}
"""The curves by name, and what they show. `causal` is any change of prediction, `cost` only what the true text
confirms."""


@dataclass(frozen=True)
class DistanceCurve:
    """A mean over positions for each bin of distances, all (bin,)."""

    near: NDArray[np.int64]
    """The smallest distance in the bin."""
    far: NDArray[np.int64]
    """The largest."""
    mean: Numbers
    low: Numbers
    """Lower end of the 95 % bootstrap interval over positions."""
    high: Numbers

    @property
    def middle(self) -> Numbers:
        """The geometric middle of each bin, where it is drawn on a logarithmic axis."""
        return np.sqrt(self.near * self.far)

    def rows(self) -> list[tuple[int, int, float, float, float]]:
        """(near, far, mean, low, high) of each bin."""
        return list(zip(*self.to_json().values(), strict=True))

    def to_json(self) -> dict[str, list[float]]:
        """Lists of equal length."""
        return {name: column.tolist() for name, column in vars(self).items()}


@dataclass(frozen=True)
class Memory:
    """The measurements of one network on one text."""

    name: str
    characters: int | None
    """The memory in characters, as `MEANING` defines it; None if no dependence was found."""
    distance: int
    """The largest distance measured. A memory equal to it may in truth be longer."""
    probes: int
    loss: float
    """Nats per character at the measured positions."""
    curves: dict[str, DistanceCurve]
    """By measure (`MEASURES`)."""
    threshold: Numbers
    """For each bin, the mean cost that it takes to be beyond chance, (bin,)."""

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        facts: dict[str, Any] = {
            "name": self.name,
            "memory": self.characters,
            "meaning": MEANING,
            "distance": self.distance,
        }
        facts |= {"sites": self.probes, "loss_nats": self.loss, "threshold": self.threshold.tolist()}
        return facts | {"curves": {measure: curve.to_json() for measure, curve in self.curves.items()}}


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

    `distance` is the largest distance in characters, `places` the number of positions probed: more of them detect a
    weaker dependence. `text` and `ids` should be held out from training. Raises InputError for a text that is too
    short, FolderError for a network whose predictions are not finite.
    """
    rng = generator_of(seed)
    probes = choose_probes(text, places, distance, rng)
    found, edges = influence(network, ids, probes), bins(distance)
    values = {"causal": found.divergence, "cost": found.cost, "context": found.missing}
    if not all(np.isfinite(value).all() for value in values.values()):
        raise FolderError(f"the network {name} predicts numbers that are not finite, so nothing can be measured")
    curves = {measure: _curve(value, edges, rng) for measure, value in values.items()}
    memory, threshold = memory_length(found.cost, edges, rng)
    return Memory(name, memory, distance, len(probes), float(found.loss.mean()), curves, threshold)


def memory_length(cost: Numbers, edges: NDArray[np.int64], rng: np.random.Generator) -> tuple[int | None, Numbers]:
    """The largest distance at which the mean of `cost` (probe, distance) is significantly above zero, or None.

    Single distances and bins of distances are tested together: a dependence at one distance shows in its own column,
    and one that is spread over many shows in its bin, which counts as the bin's smallest distance. Also returned, for
    each bin, the mean that it takes to be significant.
    """
    wide = np.diff(edges) > 1
    columns = np.hstack([cost, binned(cost, edges)[:, wide]])
    claims = np.concatenate([np.arange(1, cost.shape[1] + 1), edges[:-1][wide]])
    significant, needed = beyond_chance(columns, rng, FALSE_ALARM)
    found, threshold = claims[significant], needed[edges[:-1] - 1]
    threshold[wide] = needed[cost.shape[1] :]
    return int(found.max()) if len(found) else None, threshold


def _curve(values: Numbers, edges: NDArray[np.int64], rng: np.random.Generator) -> DistanceCurve:
    """The curve of `values` (probe, distance)."""
    return DistanceCurve(edges[:-1], edges[1:] - 1, *mean_with_interval(binned(values, edges), rng))
