"""The hidden state of every layer after every character of a text, with one unit ablated on request.

NumPy only. States are held in memory: texts are meant to have some ten thousand characters. Left out: what the states
mean (`scan`, `states`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.cell import Array
from unrolled.model.cells import CellNetwork
from unrolled.model.char_model import CharModel
from unrolled.model.probabilities import log_softmax


@dataclass(frozen=True, order=True)
class Unit:
    """One component of the hidden state; layer and number are counted from 0."""

    layer: int
    number: int

    def __str__(self) -> str:
        return f"unit {self.number} of layer {self.layer}"


@dataclass(frozen=True)
class Activations:
    """What a network computed while it read a text."""

    hidden: tuple[NDArray[np.float32], ...]
    """The output h of each layer after each character, (characters, hidden)."""
    nats: NDArray[np.float64]
    """The loss of each character, (characters,); 0 for the first, which nothing predicted."""

    def of(self, unit: Unit) -> NDArray[np.float32]:
        """The activation of one unit after each character, (characters,)."""
        return self.hidden[unit.layer][:, unit.number]


def record(model: CharModel, text: str, ablated: Unit | None = None) -> Activations:
    """Read `text` from the zero state and record every layer; the output of an `ablated` unit is set to zero.

    The ablated unit is zero for the layer above and for the next step. The cell state c of an LSTM is left as it is.

    Raises InputError for a character the model does not know, an empty text, and a unit that does not exist.
    """
    ids = model.vocabulary.encode(text)
    if not len(ids):
        raise InputError("the text is empty: give at least one character to read")
    return record_network(model.network, ids, ablated)


def record_network(network: CellNetwork, ids: NDArray[np.integer], ablated: Unit | None = None) -> Activations:
    """`record` for ids (characters,) and a network without a model folder."""
    if ablated is not None:
        check_unit(network, ablated)
    outputs: list[list[Array]] = [[] for _ in network.cells]

    def observe(layer: int, h: Array) -> Array:
        if ablated is not None and ablated.layer == layer:
            h = h.copy()
            h[..., ablated.number] = 0
        outputs[layer].append(h)
        return h

    nats, state = np.zeros(len(ids)), network.initial_state()
    for t, i in enumerate(ids):
        logits, state = network.step(i, state, observe)
        if t + 1 < len(ids):
            nats[t + 1] = -log_softmax(logits)[ids[t + 1]]
    return Activations(tuple(np.array(layer, np.float32) for layer in outputs), nats)


def check_unit(network: CellNetwork, unit: Unit) -> None:
    """Raises InputError for a unit that the network does not have."""
    layers, hidden = len(network.cells), len(network.head)
    if not (0 <= unit.layer < layers and 0 <= unit.number < hidden):
        raise InputError(
            f"there is no {unit}: layers are counted from 0 to {layers - 1}, their units from 0 to {hidden - 1}"
        )
