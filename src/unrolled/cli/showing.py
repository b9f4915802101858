"""What the commands that look inside share: models and texts, plain tables on stdout, and pictures in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.cli.output import fail, messages
from unrolled.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unrolled.model.char_model import CharModel


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


def model_in(run: str | Path) -> CharModel:
    """The model in a folder, with its warnings on stderr."""
    from unrolled.model.char_model import CharModel

    return CharModel.from_pretrained(run, warn=fail)


def text_for(model: CharModel, source: str, characters: int, encoding: str) -> str:
    """The last `characters` of the text, in lower case if the model learned it so."""
    from unrolled.text.corpus import open_corpus

    if characters < 1:
        raise InputError(f"--characters is {characters}, but at least 1 must be read")
    lower = model.training.get("recipe", {}).get("lower") is True
    return open_corpus([source], encoding=encoding, lower=lower).read()[-characters:]
