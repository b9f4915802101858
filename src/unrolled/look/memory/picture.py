"""The curves of the memory ruler as a picture: networks side by side, or the kinds of place of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.errors import unknown_name
from unrolled.look.curves import Curve, curves
from unrolled.look.memory.measure import MEASURES, WHOLE, DistanceCurve, Memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Y_LABELS = {
    "causal": "divergence of the predictions (nats)",
    "cost": "cost for the real next character (nats)",
    "connectivity": "norm of the gradient",
    "context": "nats lost with so much context",
}
SMALLEST = {"causal": 1e-5, "cost": 1e-4, "connectivity": 1e-5, "context": 1e-3}
"""Where the logarithmic axis ends; what is below is not drawn."""


def check_measure(measure: str) -> None:
    """Raises InputError for a measure that is not known."""
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)


def draw_memories(memories: Sequence[Memory], measure: str = "cost", *, by_place: bool = False) -> Figure:
    """All networks in one panel, by `measure`; or a panel for each network with its kinds of place.

    Both axes are logarithmic. Raises InputError for a measure that is not known.
    """
    check_measure(measure)
    title = "how far back predictions depend on the text"
    series: Mapping[str, Curve] | Mapping[str, Mapping[str, Curve]]
    if by_place:
        series = {_named(m): _by_kind(m, measure) for m in memories}
    else:
        series = {_named(m): _drawn(m.curves[measure][WHOLE], measure) for m in memories}
    return curves(
        series, x_label="characters back", y_label=Y_LABELS[measure], title=title, x_scale="log", y_scale="log"
    )


def _by_kind(memory: Memory, measure: str) -> dict[str, Curve]:
    """Kinds of place that were found often enough."""
    lines = {kind: _drawn(curve, measure) for kind, curve in memory.curves[measure].items()}
    return {kind: line for kind, line in lines.items() if len(line.x)}


def _named(memory: Memory) -> str:
    found = "none found" if memory.characters is None else f"{memory.characters}"
    return f"{memory.name} (memory {found})"


def _drawn(curve: DistanceCurve, measure: str) -> Curve:
    least = SMALLEST[measure]
    shown = np.nan_to_num(curve.mean) >= least
    mean, low, high = (np.maximum(column[shown], least) for column in (curve.mean, curve.low, curve.high))
    return Curve(curve.middle[shown], mean, low, high)
