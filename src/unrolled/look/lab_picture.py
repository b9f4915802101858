"""The curves of the memory lab as a picture: a panel for each length, the baseline drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unrolled.look.curves import Curve, curves
from unrolled.look.lab import LabResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_lab(result: LabResult) -> Figure:
    """Loss over steps, a panel for each length, a curve for each rung."""
    panels: dict[str, dict[str, Curve]] = {f"length {length}": {} for length in result.settings.lengths}
    for curve in result.curves:
        panels[f"length {curve.length}"][curve.contestant.label] = Curve(curve.steps, curve.losses)
    return curves(
        panels,
        x_label="training steps",
        y_label=result.measure,
        title=f"the {result.task} task, hidden {result.settings.hidden}",
        levels={f"{result.baseline_meaning}: {result.baseline:.4f}": result.baseline},
    )
