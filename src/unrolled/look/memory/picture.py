"""Memory curves as a picture, one for each network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.bounds import check_name
from unrolled.look.curves import Curve, curves
from unrolled.look.memory.measure import MEASURES, Memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Y_LABELS = {
    "causal": "divergence of the predictions (nats)",
    "cost": "increase in loss of the next character (nats)",
    "context": "increase in loss with so much context (nats)",
}
FLOOR = {"causal": 1e-5, "cost": 1e-4, "context": 1e-3}
"""The lower end of the logarithmic axis; smaller values are not drawn."""


def draw_memories(memories: Sequence[Memory], measure: str = "cost") -> Figure:
    """The curves of one `measure`, one for each network.

    A vertical line is the memory of a network, and for `cost` a dotted line what the mean must exceed to be beyond
    chance. Both axes are logarithmic. Raises InputError for an unknown measure.
    """
    check_name("measure", measure, MEASURES)
    note = "vertical line: memory" + "; dotted: the cost that is beyond chance" * (measure == "cost")
    return curves(
        {f"{each.name} (memory {each.characters or 'none found'})": _curve(each, measure) for each in memories},
        x_label="characters back",
        y_label=Y_LABELS[measure],
        title="how far back predictions depend on the text",
        note=note,
        x_scale="log",
        y_scale="log",
    )


def _curve(memory: Memory, measure: str) -> Curve:
    """The curve with the memory and the threshold."""
    curve, least = memory.curves[measure], FLOOR[measure]
    shown, drawn = curve.mean >= least, memory.threshold >= least
    mean, low, high = (np.maximum(column[shown], least) for column in (curve.mean, curve.low, curve.high))
    threshold = (curve.middle[drawn], memory.threshold[drawn]) if measure == "cost" else None
    return Curve(curve.middle[shown], mean, low, high, threshold, memory.characters)
