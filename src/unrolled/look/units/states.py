"""The hidden state over time: a heat map with similar units adjacent, and its path in the plane of two components.

Left out: what single units mean (`scan`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.embedding import centred_rows, principal_components, visible
from unrolled.errors import InputError
from unrolled.look.units.activations import record
from unrolled.model.char_model import CharModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
