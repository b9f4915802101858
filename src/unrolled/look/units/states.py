"""The hidden state over time: a heat map with similar units adjacent, and the path in the plane of two components.

Left out: what single units mean (`scan`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import centred_rows, principal_components, visible
from unrolled.errors import InputError
from unrolled.look.units.activations import record
from unrolled.model.char_model import CharModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = 40
"""States whose path is drawn; with more of them the lines cannot be followed."""
LONGEST = 400
"""The most characters that a picture can show."""


@dataclass(frozen=True)
class StatePath:
    """The hidden state of one layer after each character of a text."""

    text: str
    layer: int
    hidden: NDArray[np.float32]
    """(characters, hidden)"""
    order: NDArray[np.int64]
    """The unit numbers in an order that puts similar units next to each other, (hidden,)."""
    path: NDArray[np.float64]
    """The states in the plane of their two main principal components, (characters, 2)."""
    explained: NDArray[np.float64]
    """Fraction of the variance along each of the two."""

    @property
    def moves(self) -> NDArray[np.float64]:
        """The distance the state moved at each character, (characters,); the first is measured from zero."""
        return np.linalg.norm(np.diff(self.hidden, axis=0, prepend=0), axis=1).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """The path and the order of the units; not the states themselves."""
        facts = {"text": self.text, "layer": self.layer, "order": self.order.tolist()}
        return facts | {"path": self.path.tolist(), "explained": self.explained.tolist()}


def state_path(model: CharModel, text: str, layer: int | None = None) -> StatePath:
    """Read `text` and return the states of `layer`, by default the last one.

    Raises InputError for a text of fewer than 3 or more than 400 characters, for characters the model does not know,
    and for a layer that does not exist.
    """
    if not 3 <= len(text) <= LONGEST:
        raise InputError(f"the text has {len(text):,} characters, but a picture of states shows 3 to {LONGEST}")
    activations = record(model, text)
    last = len(activations.hidden) - 1
    layer = last if layer is None else layer
    if not 0 <= layer <= last:
        raise InputError(f"there is no layer {layer}: layers are counted from 0 to {last}")
    hidden = activations.hidden[layer]
    path, explained = principal_components(hidden, 2)
    return StatePath(text, layer, hidden, order_by_similarity(hidden), path, explained)


def order_by_similarity(states: NDArray[np.floating]) -> NDArray[np.int64]:
    """The unit numbers (hidden,) in an order in which neighbours rise and fall together.

    The time series of each unit is centred and scaled to length 1. In the plane of the two main components of these
    series the units lie around a circle; they are ordered by angle, starting after the widest gap.
    """
    centred = centred_rows(states)
    size = np.linalg.norm(centred, axis=0)
    series = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0).T
    u, s, _ = np.linalg.svd(series, full_matrices=False)
    plane = np.pad(u * s, ((0, 0), (0, 2)))[:, :2]
    angle = np.arctan2(plane[:, 1], plane[:, 0])
    order = np.argsort(angle, kind="stable")
    gaps = np.diff(angle[order], append=angle[order[0]] + 2 * np.pi)
    return np.roll(order, -int(gaps.argmax()) - 1)


def draw_map(states: StatePath, title: str = "") -> Figure:
    """The heat map: a row per unit and a column per character, named where all fit; zero is the middle of the scale."""
    from unrolled import plotting as style

    width, height = float(np.clip(0.125 * len(states.text) + 1.5, 9, 40)), 5.0
    picture, (axis,) = style.figure(width, height)
    axis.grid(visible=False)
    limit = float(np.abs(states.hidden).max()) or 1.0
    ordered = states.hidden[:, states.order].T
    image = axis.imshow(ordered, style.SCALE, aspect="auto", interpolation="nearest", vmin=-limit, vmax=limit)
    shown, note = style.drawable([visible(c) for c in states.text])
    if len(shown) <= width * 9:  # more would overlap
        axis.set_xticks(range(len(shown)), shown, fontproperties=style.font(8, text="".join(shown)), parse_math=False)
        axis.tick_params(axis="x", length=0)
    rows = range(0, len(states.order), math.ceil(len(states.order) / (height * 4)))
    axis.set_yticks(rows, [f"{states.order[i]}" for i in rows], fontsize=8)
    text = "the text; each column is the state after a character"
    axis.set_xlabel("\n".join(filter(None, [text, note])), color=style.INK)
    axis.set_ylabel("unit, similar ones together", color=style.INK)
    style.add_colour_bar(picture, image, axis, "activation")
    style.add_title(picture, title)
    return picture


def draw_path(states: StatePath, title: str = "") -> Figure:
    """The path through the last 40 states: dots and arrows, darker with time, with characters where they fit.

    Earlier states are grey dots.
    """
    from unrolled import plotting as style

    picture, (axis,) = style.figure(9, 7)
    first = max(0, len(states.text) - DRAWN)
    x, y = states.path[first:].T
    time = np.arange(first + 1, len(states.text) + 1)
    axis.plot(*states.path[:first].T, ".", color=style.GRID, markersize=7, zorder=1)
    lightest = time[0] - 0.15 * len(time)  # a paler colour would not show on white
    dots = axis.scatter(x, y, c=time, cmap=f"{style.SCALE}_r", vmin=lightest, s=18, zorder=3)
    look: Any = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0022, "headwidth": 6}
    axis.quiver(x[:-1], y[:-1], np.diff(x), np.diff(y), color=dots.to_rgba(time[1:]), zorder=2, **look)
    letters, note = style.drawable([visible(c) for c in states.text[first:]])
    for at, letter, shown in zip(states.path[first:], letters, apart(states.path[first:]), strict=True):
        if shown:
            axis.annotate(letter, at, (0, 6), textcoords="offset points", ha="center", zorder=4, color=style.INK,
                          fontproperties=style.font(11, text=letter), parse_math=False)  # fmt: skip
    labels = [f"component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(states.explained)]
    said = f"grey: the {first} characters before the last {DRAWN}" if first else ""
    axis.set_xlabel("\n".join(filter(None, [labels[0], said, note])), color=style.INK)
    axis.set_ylabel(labels[1], color=style.INK)
    style.add_colour_bar(picture, dots, axis, "position in the text (characters)")
    style.add_title(picture, title)
    return picture


def apart(path: NDArray[np.float64], columns: int = 60, rows: int = 24) -> NDArray[np.bool_]:
    """Which points of (point, 2) get a letter so that no two letters overlap; both ends come first."""
    low, span = path.min(0), np.ptp(path, axis=0)
    fields = np.floor((path - low) / np.where(span > 0, span, 1) * [columns, rows]).astype(int)
    shown, taken = np.zeros(len(path), bool), set[tuple[int, int]]()
    for i in (0, len(path) - 1, *range(1, len(path) - 1)):
        x, y = fields[i].tolist()
        near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
        if not near & taken:
            shown[i] = True
            taken.add((x, y))
    return shown
