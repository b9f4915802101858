"""Progress of a long measurement: a bar on a terminal, plain lines elsewhere, always on stderr.

Left out: the progress of training (`train`).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unrolled.cli.output import messages

if TYPE_CHECKING:
    from unrolled.tables.progress import OnProgress


@contextmanager
def progress_bar() -> Iterator[OnProgress | None]:
    """A progress bar on a terminal, a line at every tenth otherwise."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import Progress as Bar

    with Bar(console=messages(), transient=True) as bar:
        task = bar.add_task("measuring", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)


class _Lines:
    """Progress as plain lines, one at each tenth, with an estimate of the seconds left."""

    def __init__(self) -> None:
        self.next, self.start = 0.1, time.monotonic()

    def __call__(self, text: str, share: float) -> None:
        """Print the line when the next tenth is reached."""
        if share >= self.next:
            left = (time.monotonic() - self.start) * (1 / share - 1)
            print(f"{share:4.0%}  {text}, about {left:,.0f} s left", file=sys.stderr, flush=True)
            self.next = math.floor(share * 10 + 1) / 10
