"""What the commands that look inside share: plain tables on stdout, and pictures in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.cli.output import messages

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_picture(out: Path | None) -> None:
    """Raise for a picture that could not be drawn, before anything long is computed."""
    if out:
        from unrolled.errors import import_extra
        from unrolled.look.style import STILL, check_type

        check_type(out, STILL)
        import_extra("matplotlib", "plot")


def save_picture(picture: Figure, out: Path) -> None:
    """Write a picture and say so."""
    from unrolled.look.style import save

    save(picture, out)
    messages().print(f"written: {out}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows of text under their headings, in columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
