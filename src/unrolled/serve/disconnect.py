"""Work for a client that has disconnected ends at the next step of the model.

The middleware watches the connection of a request while it is handled, and a watched model looks at what it found
before every step (of a long text: of 256 characters). It is in a context variable, so nothing has to be handed down
through the service.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from starlette.types import Message, Receive

from unrolled.model.char_model import CharModel

TURN, PAUSE = 0.005, 0.0001
"""Seconds that a model computes before it pauses for so many."""

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


class WatchedModel(CharModel):
    """A model that raises Disconnected as soon as it is to compute more for a client that has gone.

    It pauses now and then: a thread that gives Python's lock away for microseconds at a time, as NumPy does in small
    products, takes it back before another one has woken up, and the one that watches connections would starve.
    """

    _paused = 0.0

    def before_computing(self) -> None:
        """Raise Disconnected if the client of the request in whose context this runs has gone."""
        gone = _gone.get()
        if gone is None:
            return
        if gone.is_set():
            raise Disconnected
        if time.perf_counter() - self._paused > TURN:
            time.sleep(PAUSE)
            self._paused = time.perf_counter()
