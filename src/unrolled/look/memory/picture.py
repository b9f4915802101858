"""Memory curves as a picture: one curve per network, or one panel per network with a curve per kind of position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unrolled.errors import unknown_name
from unrolled.look.curves import Curve, curves
from unrolled.look.memory.measure import MEASURES, WHOLE, DistanceCurve, Memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Y_LABELS = {
    "causal": "divergence of the predictions (nats)",
    "cost": "increase in loss of the next character (nats)",
    "connectivity": "norm of the gradient",
    "context": "increase in loss with so much context (nats)",
}
FLOOR = {"causal": 1e-5, "cost": 1e-4, "connectivity": 1e-5, "context": 1e-3}
"""The lower end of the logarithmic axis; smaller values are not drawn."""


def check_measure(measure: str) -> None:
    """Raises InputError for an unknown measure."""
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)


def draw_memories(memories: Sequence[Memory], measure: str = "cost", *, by_place: bool = False) -> Figure:
    """The curves of one `measure`: all networks in one panel, or with `by_place` one panel per network with its kinds
    of position.

    A vertical line is the memory of a network, and for `cost` a dotted line what the mean must exceed to be beyond
    chance. Both axes are logarithmic. Raises InputError for an unknown measure.
    """
    check_measure(measure)
    title = "how far back predictions depend on the text"
    series: Mapping[str, Curve] | Mapping[str, Mapping[str, Curve]]
    if by_place:
        series = {_label(m): _by_kind(m, measure) for m in memories}
    else:
        series = {_label(m): _whole(m, measure) for m in memories}
    note = "vertical line: memory" + "; dotted: the cost that is beyond chance" * (measure == "cost")
    return curves(
        series,
        x_label="characters back",
        y_label=Y_LABELS[measure],
        title=title,
        note=note,
        x_scale="log",
        y_scale="log",
    )


def _by_kind(memory: Memory, measure: str) -> dict[str, Curve]:
    """The kinds of position with enough of them to draw."""
    lines = {kind: _curve(curve, measure) for kind, curve in memory.curves[measure].items()}
    lines[WHOLE] = _whole(memory, measure)
    return {kind: line for kind, line in lines.items() if len(line.x)}


def _whole(memory: Memory, measure: str) -> Curve:
    """The curve for the whole text, with the memory and the threshold."""
    curve = memory.curves[measure][WHOLE]
    drawn = memory.threshold >= FLOOR[measure]
    threshold = (curve.middle[drawn], memory.threshold[drawn]) if measure == "cost" else None
    return replace(_curve(curve, measure), threshold=threshold, mark=memory.characters)


def _label(memory: Memory) -> str:
    found = "none found" if memory.characters is None else f"{memory.characters}"
    return f"{memory.name} (memory {found})"


def _curve(curve: DistanceCurve, measure: str) -> Curve:
    least = FLOOR[measure]
    shown = np.nan_to_num(curve.mean) >= least
    mean, low, high = (np.maximum(column[shown], least) for column in (curve.mean, curve.low, curve.high))
    return Curve(curve.middle[shown], mean, low, high)
