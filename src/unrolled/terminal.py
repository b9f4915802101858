"""What reaches a terminal: the one place through which everything printed goes.

What is printed may come from a stranger: names of tensors, files and categories, and what a model writes. On a terminal
its control characters are shown as codes, so that none of it can move the cursor, set the title or fill the clipboard;
what goes to a file or a pipe is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 without tab and newline, DEL, C1, and what turns the direction of a text round."""


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


def shown_on(stream: TextIO) -> TextIO:
    """`stream`, as `Shown` if it is that of a terminal."""
    return cast(TextIO, Shown(stream)) if stream.isatty() and not isinstance(stream, Shown) else stream


def console_on(stream: TextIO, **settings: Any) -> Console:
    """A console of rich that writes to `stream`; if that is `Shown`, one whose texts are."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class ShownConsole(Console):
        def render_str(self, text: str, **style: Any) -> Text:  # before it is measured
            return super().render_str(shown(text), **style)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=shown(segment.text))

    if isinstance(stream, Shown):
        return ShownConsole(file=stream.rich_proxied_file, highlight=False, **settings)
    return Console(file=stream, highlight=False, **settings)
