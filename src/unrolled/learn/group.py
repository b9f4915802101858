"""SessionGroup: sessions of one recipe that are trained side by side, each in a thread of its own on one core.

Their steps keep pace, so that those of all come to the caller in one order, and nothing is trained while the caller has
not asked for more. PyTorch computes outside of Python's lock: on two cores, two threads need for two steps 1.1 to 1.4
times as long as one for one, as two processes do (docs/experiments.md). Left out: which sessions there are.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

from unrolled.learn.hardware import running
from unrolled.learn.loop import Record
from unrolled.learn.session import Session
from unrolled.learn.signals import Interrupt
from unrolled.model.folder import ModelParts


@dataclass
class SessionGroup:
    """Sessions that begin together."""

    sessions: list[Session]
    interrupt: Interrupt | None = None
    """Set when a signal ended `run` early."""

    def run(self) -> Generator[tuple[Session, Record], None, None]:
        """Train all to their ends, or to a signal; yields every step of each. If it is abandoned, all are closed."""
        with ExitStack() as stack:
            stack.enter_context(running(self.sessions[0].state.choice))
            interrupt = stack.enter_context(Interrupt())
            threads = self._threads(stack)
            steps = {i: session.run() for i, session in enumerate(self.sessions)}
            for session, thread in zip(self.sessions, threads, strict=True):
                session.interruptions = lambda: nullcontext(interrupt)
                stack.callback(lambda session, thread: thread.submit(session.close).result(), session, thread)
            while steps:
                asked = {i: threads[i].submit(next, own, None) for i, own in steps.items()}
                wait(asked.values())  # an error of one is raised when all are done
                for i, step in [(i, future.result()) for i, future in asked.items()]:
                    if step is None:
                        del steps[i]
                    else:
                        yield self.sessions[i], step
            if any(session.interrupt for session in self.sessions):
                self.interrupt = interrupt

    def finish(self) -> list[ModelParts]:
        """Finish all of them, side by side too: their models."""
        with ExitStack() as stack:
            threads = self._threads(stack)
            pairs = zip(self.sessions, threads, strict=True)
            finished = [thread.submit(session.finish) for session, thread in pairs]
            return [future.result()[1] for future in finished]

    def _threads(self, stack: ExitStack) -> list[ThreadPoolExecutor]:
        """One of each session: how PyTorch is set up belongs to a thread."""
        return [stack.enter_context(ThreadPoolExecutor(1)) for _ in self.sessions]
