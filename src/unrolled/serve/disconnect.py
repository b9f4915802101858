"""Work for a client that has disconnected ends at the next step of the network.

The middleware watches the connection of a request while it is handled, and a watched model looks at what it found
before every step: in a context variable, so nothing of it has to be handed down through the service.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from starlette.types import Message, Receive

from unrolled.model.cell import Array, CellState
from unrolled.model.cells import CellNetwork, LayerHook
from unrolled.model.char_model import CharModel
from unrolled.model.predictor import Logits, Predictor, PredictorState

_gone: ContextVar[threading.Event | None] = ContextVar("gone", default=None)


class Disconnected(Exception):
    """Nobody waits for the response any more."""


@asynccontextmanager
async def watched(body: bytes, receive: Receive) -> AsyncIterator[Receive]:
    """While it lasts, a disconnect that `receive` reports ends what is computed; yields a `receive` for the app.

    That one gives `body`, and then nothing until the disconnect. In the end, whatever is still computed ends too.
    """
    gone, left = threading.Event(), asyncio.Event()
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        left.set()

    async def received() -> Message:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    token, watching = _gone.set(gone), asyncio.create_task(watch())
    try:
        yield received
    finally:
        watching.cancel()
        gone.set()
        _gone.reset(token)


def check() -> None:
    """Raise Disconnected if the client of the request in whose context this runs has gone."""
    gone = _gone.get()
    if gone is not None and gone.is_set():
        raise Disconnected


class _WatchedNetwork(CellNetwork):
    def hidden(
        self, ids: int | NDArray[np.integer], state: CellState, hook: LayerHook | None = None
    ) -> tuple[Array, CellState]:
        check()
        return super().hidden(ids, state, hook)


class _WatchedPredictor:
    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def initial_state(self, *batch: int) -> PredictorState:
        return self.predictor.initial_state(*batch)

    def advance(self, ids: int | NDArray[np.integer], state: PredictorState) -> PredictorState:
        check()
        return self.predictor.advance(ids, state)

    def step(self, ids: int | NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        check()
        return self.predictor.step(ids, state)

    def read(self, ids: NDArray[np.integer], state: PredictorState) -> tuple[Logits, PredictorState]:
        check()
        return self.predictor.read(ids, state)


class WatchedModel(CharModel):
    """A model whose networks raise Disconnected at the first step after the client has gone."""

    network_type = _WatchedNetwork

    @cached_property
    def predictor(self) -> Predictor:
        """That of the model; one without a network is looked after at every call."""
        found = super().predictor
        return found if self.config.has_network else _WatchedPredictor(found)
