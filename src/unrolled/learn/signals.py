"""Ctrl-C, a stop from the system and a closed terminal become a flag, so that training ends between two steps."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any, Self

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
ECHO_SECONDS = 1.0
"""A second signal within this time is an echo of the first: a terminal that closes, or Ctrl-C under a program that
hands signals on, reaches a process by itself and once more through its parent."""


class Interrupted(Exception):
    """Ends a measurement during which a signal came; training can be resumed with that measurement."""


class Interrupt:
    """Within its block, set by the first signal; a second one, a second or more later, has its usual effect."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._heard = 0.0
        self._is_over = False
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other can catch signals
            self._before = {number: signal.signal(number, self.receive) for number in SIGNALS}
        return self

    def __exit__(self, *details: object) -> None:
        self._is_over = True  # in another thread (a generator may be cleared away in any) the next signal restores them
        if threading.current_thread() is threading.main_thread():
            self._restore()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals."""
        now = time.monotonic()
        if self._is_over or (self and now - self._heard > ECHO_SECONDS):
            self._restore()
            signal.raise_signal(number)
        elif not self:
            self.signal, self._heard = signal.Signals(number), now

    def _restore(self) -> None:
        for number in list(self._before):
            if signal.getsignal(number) == self.receive:  # else somebody has taken over, and may hand back to this one
                signal.signal(number, self._before.pop(number))
