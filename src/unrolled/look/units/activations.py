"""Watching a network read: the hidden state of every layer at every character, and a unit switched off.

NumPy alone. States are computed for the text at hand and held in memory only; texts are meant to be some ten thousand
characters long. Left out: what the states mean (`units`, `states`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.cells import Array, Cell, CellNetwork, State
from unrolled.model.char_model import CharModel


@dataclass(frozen=True, order=True)
class Unit:
    """One number of the hidden state, both counted from 0."""

    layer: int
    number: int

    def __str__(self) -> str:
        return f"unit {self.number} of layer {self.layer}"


@dataclass(frozen=True)
class Reading:
    """What was seen while a text was read."""

    hidden: tuple[NDArray[np.float32], ...]
    """The output h of each layer after each character, (characters, hidden)."""
    nats: NDArray[np.float64]
    """How unexpected each character was, (characters,); the first counts as 0, since nothing predicted it."""

    def of(self, unit: Unit) -> NDArray[np.float32]:
        """The activation of one unit after each character, (characters,)."""
        return self.hidden[unit.layer][:, unit.number]


class Watched(Cell):
    """Another cell, which works as ever while its h is kept; a `silent` unit of h is zero for all who read it.

    What an LSTM keeps in its cell c stays in there, but comes out no more.
    """

    def __init__(self, cell: Cell, silent: int | None = None) -> None:
        self.cell, self.silent, self.seen = cell, silent, list[Array]()
        self.parts = cell.parts  # type: ignore[misc]  # an instance stands for a class of its own here

    @staticmethod
    def shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError("a watched cell is made from a cell, not from weights")

    def project(self, x: Array) -> Array:
        return self.cell.project(x)

    def step(self, p: Array, state: State) -> tuple[Array, State]:
        h, after = self.cell.step(p, state)
        if self.silent is not None:
            h = h.copy()
            h[..., self.silent] = 0
            after = tuple(h if name == "h" else part for name, part in zip(self.parts, after, strict=True))
        self.seen.append(h)
        return h, after


def watch(model: CharModel, text: str, silent: Unit | None = None) -> Reading:
    """Read `text` from the start, watching every layer, with one unit switched off if asked.

    Raises InputError for a character the model does not know, an empty text, and a unit that is not there.
    """
    ids = model.vocabulary.encode(text)
    if not len(ids):
        raise InputError("the text is empty: give at least one character to read")
    return watch_network(model.network, ids, silent)


def watch_network(network: CellNetwork, ids: NDArray[np.integer], silent: Unit | None = None) -> Reading:
    """The same for ids (characters,) and a network that need not belong to a model folder."""
    if silent is not None:
        check_unit(network, silent)
    plain = network.cells
    watched = [Watched(c, silent.number if silent and silent.layer == k else None) for k, c in enumerate(plain)]
    network.cells = [*watched]
    try:
        nats = _read(network, ids)
    finally:
        network.cells = plain
    return Reading(tuple(np.array(cell.seen, np.float32) for cell in watched), nats)


def check_unit(network: CellNetwork, unit: Unit) -> None:
    """Raises InputError for a unit that the network does not have."""
    layers, hidden = len(network.cells), len(network.head)
    if not (0 <= unit.layer < layers and 0 <= unit.number < hidden):
        raise InputError(
            f"there is no {unit}: layers are counted from 0 to {layers - 1}, their units from 0 to {hidden - 1}"
        )


def _read(network: CellNetwork, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float64]:
    nats, state = np.zeros(len(ids)), network.initial_state()
    for t in range(len(ids)):
        logits, state = network.step(ids[t], state)
        if t + 1 < len(ids):
            top = float(logits.max())
            nats[t + 1] = top + np.log(np.exp(logits - top).sum()) - logits[ids[t + 1]]
    return nats
