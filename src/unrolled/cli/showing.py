"""Shared by the commands that use a trained model: loading it, its text, surprise in colours,
plain tables, and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrolled.cli.options import TextOptions
from unrolled.cli.output import fail, say
from unrolled.embedding import visible
from unrolled.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.text import Text

    from unrolled.model.char_model import CharModel

SURPRISE = ((1.0, ""), (3.0, "black on #fff3bf"), (6.0, "black on #ffc078"), (float("inf"), "white on #c92a2a"))
"""Styles by the bits of a character: each holds below its bound."""


def painted(text: str, nats: NDArray[np.float32]) -> Text:
    """`text` with each character in the style of its surprise, (character,)."""
    from rich.text import Text

    result = Text()
    levels = np.searchsorted([bound for bound, _ in SURPRISE], nats / math.log(2), side="right")
    for character, level in zip(text, levels.tolist(), strict=True):
        result.append(character, SURPRISE[level][1])
    return result


def check_picture(out: Path | None) -> None:
    """Raise InputError for a picture that cannot be written, before anything long is computed."""
    if out:
        from unrolled.errors import import_extra
        from unrolled.files import check_out
        from unrolled.plotting import STILL

        check_out(out, STILL)
        import_extra("matplotlib")


def save_picture(picture: Figure, out: Path) -> None:
    """Write a picture and say so."""
    from unrolled.plotting import save

    save(picture, out)
    say(f"written: {out}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows of text under their headings, in columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def model_in(run: str | Path, only: str | None = None) -> CharModel:
    """The model in a folder, or `only` one member of it, with its warnings on stderr."""
    from unrolled.model.char_model import CharModel

    return CharModel.from_pretrained(run, warn=fail, only=only)


def run_names(runs: Sequence[str]) -> dict[str, str]:
    """The label of each run: the name of its folder, or the path as given if two folders share a name."""
    short = {run: Path(run).name for run in runs}
    return {run: name if list(short.values()).count(name) == 1 else run for run, name in short.items()}


def text_for(model: CharModel, source: str, characters: int, reading: TextOptions) -> str:
    """The last `characters` of the text, in lower case if the model learned it so, and all of them known to it."""
    from unrolled.text.corpus import open_corpus

    if characters < 1:
        raise InputError(f"--characters is {characters}, but at least 1 must be read")
    text = open_corpus([source], encoding=reading.encoding, lower=model.lower).read()[-characters:]
    if reading.unknown == "error":
        check_known(model, text, "or leave such characters out with --unknown skip")
        return text
    seen = set(model.vocabulary.characters)
    known = "".join(character for character in text if character in seen)
    if len(known) < len(text):
        say(f"left out {len(text) - len(known):,} characters that the network does not know")
    return known


def check_known(model: CharModel, text: str, otherwise: str = "") -> None:
    """Raises InputError for the first character of `text` that the model does not know."""
    known = set(model.vocabulary.characters)
    for strange in sorted(set(text) - known, key=text.index)[:1]:
        place = text.index(strange)
        where = f"position {place:,}, line {text.count(chr(10), 0, place) + 1:,}"
        advice = f"take it out of the text{', ' * bool(otherwise)}{otherwise}"
        raise InputError(
            f"{visible(strange)!r} (U+{ord(strange):04X}) at {where}, does not occur in the training text: {advice}"
        )
