"""Pictures of the experiments in `unrolled.learn.experiments`: the ladder, and the memory tasks of the lab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled import plotting as style
from unrolled.errors import InputError
from unrolled.learn.experiments.ladder import Row
from unrolled.learn.experiments.memory_tasks import LabCurve, LabResult, failure
from unrolled.look.curves import Curve, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_ladder(rows: Sequence[Row]) -> Figure:
    """Bits per character of every row as a dot, and as a diamond beside it what was published; the first row on top.

    Rows without a number of parameters are baselines, drawn as dotted lines. Raises InputError for no rows.
    """
    baselines = [row for row in rows if row.parameters is None and row.published_nats is None]
    drawn = [row for row in rows if row not in baselines]
    if not drawn:
        raise InputError("the ladder has no rows to draw")
    picture, (axis,) = style.figure(8.5, 1.8 + 0.34 * len(drawn))
    for place, row in enumerate(drawn):
        axis.plot(row.validation_bits, place, "o", color=style.colour(0), label="_" if place else "ours", zorder=3)
        if row.published_nats is not None:
            axis.plot(row.published_nats / math.log(2), place, "D", color=style.colour(1), markersize=5, zorder=2,
                      label="_" if place else "published")  # fmt: skip
        right = max(row.validation_bits, (row.published_nats or 0) / math.log(2))
        axis.annotate(_figures(row), (right, place), (9, 0), textcoords="offset points", va="center", fontsize=8,
                      color=style.INK, bbox={"color": style.PAPER, "pad": 0.5})  # fmt: skip
    for level in baselines:
        axis.axvline(level.validation_bits, color=style.INK, linewidth=1, linestyle=(0, (1, 2)))
    axis.set_yticks(range(len(drawn)), [_name(row) for row in drawn])
    axis.set(ylim=(len(drawn) - 0.5, -0.5))
    axis.margins(x=0.12)
    _label_baselines(axis, baselines)
    axis.set_xlabel("bits per character on held-out text (lower is better)", color=style.INK)
    if any(row.published_nats is not None for row in drawn):
        axis.legend(fontsize=9, **style.LEGEND)
    return picture


def _label_baselines(axis: Axes, baselines: Sequence[Row]) -> None:
    """Their names above the axes, the second of two close ones a line higher."""
    left, right = axis.get_xlim()
    before, raised = -math.inf, False
    for level in sorted(baselines, key=lambda row: row.validation_bits):
        raised = not raised and level.validation_bits - before < 0.06 * (right - left)
        axis.annotate(level.rung, (level.validation_bits, 1), xycoords=("data", "axes fraction"),
                      xytext=(0, 14 if raised else 3), textcoords="offset points", ha="center", fontsize=8,
                      color=style.INK)  # fmt: skip
        before = level.validation_bits


def _name(row: Row) -> str:
    return row.rung if row.published_nats is None else f"{row.rung}, {row.setting}, epoch {row.epochs:g}"


def _figures(row: Row) -> str:
    known = [f"{row.validation_bits:.3f}"]
    if row.parameters is not None:
        known.append(f"{row.parameters:,} parameters")
    if row.seconds is not None and row.published_nats is None:
        known.append(f"{row.seconds:,.0f} s")
    return ", ".join(known)


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


def draw_race(results: Sequence[LabResult]) -> Figure:
    """A heat map, a row for each rung and a column for each task: the share of the loss without memory that is left."""
    labels, tasks = results[0].labels, [f"{each.task}\n{each.settings.lengths[0]}" for each in results]
    left = np.array([[_left(each, label) for each in results] for label in labels])
    figure, (axis,) = style.figure(2.6 + 1.1 * len(tasks), 1.4 + 0.36 * len(labels))
    axis.imshow(left, cmap="Blues_r", vmin=0, vmax=1, aspect="auto")
    axis.grid(visible=False)
    axis.set_xticks(range(len(tasks)), tasks)
    axis.set_yticks(range(len(labels)), labels)
    for i, j in np.ndindex(left.shape):
        text = "solved" if left[i, j] == 0 else f"{left[i, j]:.0%}"
        axis.text(j, i, text, ha="center", va="center", color="white" if left[i, j] < 0.5 else style.INK)
    style.add_title(figure, "what is left of the loss of a network without memory")
    return figure


def _left(result: LabResult, label: str) -> float:
    """The middle loss of the repeats as a share of the baseline; 0 where most of them solved the task."""
    found = result.at(label, result.settings.lengths[0])
    if not failure(found):
        return 0.0
    losses = [curve.losses[-1] if curve.losses else result.baseline for curve in found]
    return float(np.clip(np.median(losses) / result.baseline, 0, 1))


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
