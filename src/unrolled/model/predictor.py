"""What the uses of a model ask of it: a predictor of the next character, and the vocabulary of its ids.

States, scores and attributions are written against these two protocols, so that whatever predicts characters can take
the place of a network. Left out: how anything is predicted (`cells`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.text.vocabulary import Vocabulary

Logits = NDArray[np.floating]
PredictorState = tuple[NDArray[Any], ...]
"""Arrays of shape (*batch, ...), each with its own further axes and dtype. They are never written over: a copy of the
tuple is a copy of the state."""


class Predictor(Protocol):
    """The distribution of the next character, for one text (no batch axes) or many side by side.

    Logits are defined up to a constant: log-probabilities are logits too.
    """

    def initial_state(self, *batch: int) -> PredictorState:
        """The state before the first character of every text of the batch."""

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        """The state after one more character of each text, ids (*batch), where no prediction is needed."""

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        """`advance`, and the logits (*batch, vocabulary) of the character after it."""

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        """`step` for ids (time, *batch): the logits (time, *batch, vocabulary) after each, and the last state."""


class Checked(Predictor):
    """The predictor of a model from a file, called `name`: each of its logits is a number, or -inf for the impossible.

    Weights that are finite may still be so large that what is computed from them is not. Raises FolderError then.
    `before` is called before anything is computed.
    """

    def __init__(self, predictor: Predictor, name: str, before: Callable[[], None] = lambda: None) -> None:
        self.unchecked, self.name, self.before = predictor, name, before

    def initial_state(self, *batch: int) -> PredictorState:
        return self.unchecked.initial_state(*batch)

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        self.before()
        with np.errstate(over="ignore", invalid="ignore"):
            return self.unchecked.advance(ids, state)

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        self.before()
        with np.errstate(over="ignore", invalid="ignore"):
            return self._checked(*self.unchecked.step(ids, state))

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        self.before()
        with np.errstate(over="ignore", invalid="ignore"):
            return self._checked(*self.unchecked.read(ids, state))

    def _checked(self, logits: Logits, state: PredictorState) -> tuple[Logits, PredictorState]:
        if logits.ndim == 1 and math.isfinite(logits.dot(logits)):  # one text: the fastest question there is
            return logits, state
        largest = logits.max(axis=-1)  # NaN if one is
        if not np.isfinite(largest).all():
            raise FolderError(f"{self.name} predicts nothing: its weights are so large that its logits are not finite")
        return logits, state


class LanguageModel(Protocol):
    """A predictor together with the characters that its ids stand for."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters and their ids."""

    @property
    def predictor(self) -> Predictor:
        """What predicts the next id."""

    @property
    def start_logits(self) -> Logits:
        """Logits of the first character of a text, (vocabulary,)."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the predictions; a stored state belongs to one fingerprint."""
