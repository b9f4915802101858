"""Printing of all commands: results on stdout, everything else on stderr, JSON on request.

Control characters are shown as codes on a terminal (`unrolled.terminal`), and so is a character that it cannot show.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

from unrolled.terminal import Shown, console_on, shown_on

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_MESSAGE = 2000


class MistypedOption(Exception):
    """A word that can only be meant as an option, where a text or a prompt was expected."""


def prepare_streams() -> None:
    """Make stdout and stderr write characters outside their encoding as codes, and a terminal's be `Shown`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, shown_on(stream))


def write_shown(is_shown: bool) -> None:
    """Without `is_shown`, let what is printed on stdout reach the terminal as it is: for `--raw`."""
    if not is_shown and isinstance(sys.stdout, Shown):
        sys.stdout = sys.stdout.rich_proxied_file


def fail(message: str) -> None:
    """Print an error as one line on stderr."""
    print(f"unrolled: {capped(' '.join(message.split()))}", file=sys.stderr)


def capped(text: str) -> str:
    """`text` of at most `LONGEST_MESSAGE` characters, the last one an ellipsis where some were left out."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 1]}…"


def print_json(value: dict[str, Any], *, flush: bool = False) -> None:
    """Print the one JSON object of a `--json` command on stdout; `flush` where the command goes on after it."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")  # else a backslash code, which is not JSON
    print(json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False), flush=flush)


def results(*, force: bool = False) -> Console:
    """The console for results: stdout, colours only on a terminal unless `force` (NO_COLOR is honoured by rich)."""
    return console_on(sys.stdout, soft_wrap=True, force_terminal=force or None)


def messages(*, quiet: bool = False) -> Console:
    """The console for progress and remarks: stderr, or nothing where `quiet`."""
    return console_on(sys.stderr, quiet=quiet)


def say(message: str, console: Console | None = None) -> None:
    """Print a message on stderr without markup or line breaks, so that paths and commands can be copied.

    `console` is that of the progress bar on screen, if any.
    """
    with contextlib.suppress(OSError):  # the terminal may have closed
        console = console or messages()
        message = capped(message)
        console.print(message, markup=False, soft_wrap=not console.is_terminal, overflow="ignore", crop=False)


def printable(character: str, instead: str) -> str:
    """`character`, or `instead` where stdout cannot show it."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return instead
    return character
