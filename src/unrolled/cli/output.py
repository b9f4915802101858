"""Printing of all commands: results on stdout, everything else on stderr, JSON on request.

What is printed may come from a stranger: names of tensors, files and categories, and what a model writes. On a terminal
its control characters are shown as codes, so that none of it can move the cursor, set the title or fill the clipboard;
what goes to a file or a pipe is left as it is. A character that the terminal cannot show is printed as its code.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 without tab and newline, DEL, C1, and what turns the direction of a text round."""
LONGEST_MESSAGE = 2000


def shown(text: str) -> str:
    """`text` with control characters as codes like those of JSON, \\u001b."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Shown:
    """A stream to a terminal that shows control characters as codes.

    What rich writes, colours among it, goes past it to the stream itself (`rich_proxied_file`, where rich looks).
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write `text`, shown."""
        return self.rich_proxied_file.write(shown(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class MistypedOption(Exception):
    """A word that can only be meant as an option, where a text or a prompt was expected."""


def prepare_streams() -> None:
    """Make stdout and stderr write characters outside their encoding as codes, and a terminal's be `Shown`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="backslashreplace")
            if stream.isatty():
                setattr(sys, name, Shown(stream))


def write_shown(is_shown: bool) -> None:
    """Without `is_shown`, let what is printed on stdout reach the terminal as it is: for `--raw`."""
    if not is_shown and isinstance(sys.stdout, Shown):
        sys.stdout = sys.stdout.rich_proxied_file


def fail(message: str) -> None:
    """Print an error as one line on stderr."""
    print(f"unrolled: {capped(' '.join(message.split()))}", file=sys.stderr)


def capped(text: str, most: int = LONGEST_MESSAGE) -> str:
    """`text` of at most so many characters, the last one an ellipsis where some were left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def print_json(value: dict[str, Any], *, flush: bool = False) -> None:
    """Print the one JSON object of a `--json` command on stdout; `flush` where the command goes on after it."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")  # else a backslash code, which is not JSON
    print(json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False), flush=flush)


def results(*, force: bool = False) -> Console:
    """The console for results: stdout, colours only on a terminal unless `force` (NO_COLOR is honoured by rich)."""
    return _console(highlight=False, soft_wrap=True, force_terminal=force or None)


def messages() -> Console:
    """The console for progress and remarks: stderr."""
    return _console(stderr=True, highlight=False)


def _console(**settings: Any) -> Console:
    """A console; on a terminal one whose texts are `shown`."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class ShownConsole(Console):
        def render_str(self, text: str, **style: Any) -> Text:  # before it is measured
            return super().render_str(shown(text), **style)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=shown(segment.text))

    stream = sys.stderr if settings.get("stderr") else sys.stdout
    return ShownConsole(file=stream.rich_proxied_file, **settings) if isinstance(stream, Shown) else Console(**settings)


def say(message: str, console: Console | None = None) -> None:
    """Print a message on stderr without markup or line breaks, so that paths and commands can be copied.

    `console` is that of the progress bar on screen, if any.
    """
    with contextlib.suppress(OSError):  # the terminal may have closed
        console = console or messages()
        message = capped(message)
        console.print(message, markup=False, soft_wrap=not console.is_terminal, overflow="ignore", crop=False)
