"""Stalled connections are closed, so that no number of them can lock others out.

uvicorn limits how long a connection may stay idle after a response (`timeout_keep_alive`), but neither how long the
head of a request may take nor how long a client may leave a response unread. The time of a body is that of
`middleware`, which also limits the requests that are handled at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 10.0
"""For the head of a request to arrive, and for a client to take a part of a response."""
CONNECTIONS = 800
"""Open at the same time; for a further one, the one that has been idle longest is closed."""


class TimedConnection(H11Protocol):
    """One connection, closed when it stalls for longer than SECONDS."""

    began = 0.0
    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the head of a request."""
        super().connection_made(transport)
        self.began = self.loop.time()
        self._head = self.loop.call_later(SECONDS, transport.abort)
        if len(self.connections) > CONNECTIONS:
            others = cast("Iterable[TimedConnection]", self.connections)
            idle = [other for other in others if other.is_idle and other is not self]
            if idle:
                min(idle, key=lambda other: other.began).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; the clock runs until its head is complete."""
        super().data_received(data)
        if not self.is_idle and self._head is not None:
            self._head.cancel()
            self._head = None
        elif self.is_idle and self._head is None:
            self._head = self.loop.call_later(SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read as fast as the server writes."""
        super().pause_writing()
        self._unread = self.loop.call_later(SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        super().connection_lost(exc)
        for clock in (self._head, self._unread):
            if clock is not None:
                clock.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled."""
        return self.cycle is None or self.cycle.response_complete
