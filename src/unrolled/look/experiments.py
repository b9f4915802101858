"""Pictures of the experiments in `unrolled.learn.experiments`: the memory tasks of `unrolled lab`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.learn.experiments.memory_tasks import LabCurve, LabResult
from unrolled.look.curves import Curve, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_lab(result: LabResult) -> Figure:
    """Loss over training steps: a panel for each length, a curve for each rung, the baseline as a dotted line.

    With several repeats the curve is their mean, and the band spans the lowest and the highest.
    """
    panels = {
        f"length {length}": {label: _curve(found) for label in result.labels if (found := result.at(label, length))}
        for length in sorted(result.settings.lengths)
    }
    return curves(
        panels,
        x_label="training steps",
        y_label=result.measure,
        title=f"the {result.task} task, hidden {result.settings.hidden}",
        levels={f"{result.baseline_meaning}: {result.baseline:.4f}": result.baseline},
    )


def _curve(found: Sequence[LabCurve]) -> Curve:
    """One curve for all repeats of a rung at a length; a repeat that stopped early keeps its last loss."""
    if len(found) == 1:
        return Curve(found[0].steps, found[0].losses)
    steps = max((curve.steps for curve in found), key=len)
    lines = [list(c.losses) + [c.losses[-1]] * (len(steps) - len(c.losses)) for c in found if c.losses]
    if not lines:
        return Curve((), ())
    losses = np.array(lines)
    return Curve(steps, losses.mean(0), losses.min(0), losses.max(0))
