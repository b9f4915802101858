"""Printing of all commands: results on stdout, everything else on stderr, JSON on request.

A character that the terminal cannot show is printed as its code.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class MistypedOption(Exception):
    """A word that can only be meant as an option, where a text or a prompt was expected."""


def prepare_streams() -> None:
    """Make stdout and stderr write characters outside their encoding as backslash codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="backslashreplace")


def fail(message: str) -> None:
    """Print an error as one line on stderr."""
    line = " ".join(message.split())
    print(f"unrolled: {line}", file=sys.stderr)


def print_json(value: dict[str, Any], *, flush: bool = False) -> None:
    """Print the one JSON object of a `--json` command on stdout; `flush` where the command goes on after it."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")  # else a backslash code, which is not JSON
    print(json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False), flush=flush)


def results(*, force: bool = False) -> Console:
    """The console for results: stdout, colours only on a terminal unless `force` (NO_COLOR is honoured by rich)."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, force_terminal=force or None)


def messages() -> Console:
    """The console for progress and remarks: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(message: str, console: Console | None = None) -> None:
    """Print a message on stderr without markup or line breaks, so that paths and commands can be copied.

    `console` is that of the progress bar on screen, if any.
    """
    with contextlib.suppress(OSError):  # the terminal may have closed
        console = console or messages()
        console.print(message, markup=False, soft_wrap=not console.is_terminal, overflow="ignore", crop=False)
