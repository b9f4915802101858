"""How a long measurement tells how far it is: a callback, and a bar that can be given as one.

The bar is drawn in a notebook and on a terminal; elsewhere there is a line at every tenth. Left out: what is measured.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from unrolled.terminal import console_on, shown, shown_on

OnProgress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, from 0 to 1."""


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A bar to hand to what takes `progress`; it goes when the block ends. On stderr, but for notebooks.

    >>> from unrolled import progress_bar
    >>> with progress_bar() as progress:
    ...     progress("half of it", 0.5)
    """
    if _is_notebook():
        with _element(import_module("IPython.display")) as bar:
            yield bar
    elif sys.stderr.isatty():
        from rich.markup import escape as unmarked
        from rich.progress import Progress

        with Progress(console=console_on(shown_on(sys.stderr)), transient=True) as drawn:
            task = drawn.add_task("measuring", total=1.0)
            yield lambda text, share: drawn.update(task, description=unmarked(shown(text)), completed=share)
    else:
        yield _Lines()


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


@contextmanager
def _element(display: Any) -> Iterator[OnProgress]:
    """An HTML element in the output of a notebook's cell, which needs no widgets."""
    handle = display.display(display.HTML(""), display_id=True)
    try:
        yield lambda text, share: handle.update(
            display.HTML(f'<progress value="{share:.3f}"></progress> {share:.0%} {escape(text)}')
        )
    finally:
        handle.update(display.HTML(""))


def _is_notebook() -> bool:
    """Whether this runs in a notebook: IPython is then loaded, and its shell has a kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
