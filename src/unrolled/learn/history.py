"""The losses of a run while it trained, drawn: `Trained.plot` and `unrolled plot RUN --history`.

Left out: writing the history (`run_folder`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled import plotting as style
from unrolled.bounds import check_number
from unrolled.errors import InputError
from unrolled.files import from_json, read_file
from unrolled.typed import typed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY = "history.jsonl"
MAX_BYTES = 1 << 24
LARGEST_LOSS = 1e39
"""In nats, beyond any that float32 can hold."""
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class _Drawn:
    """What is drawn of an entry."""

    step: int
    smoothed: float
    validation: float = 0.0

    def __post_init__(self) -> None:
        for name in ("smoothed", "validation"):
            check_number(name, getattr(self, name), at_least=0, at_most=LARGEST_LOSS)


def read_history(run: Path) -> list[dict[str, Any]]:
    """The entries of a run's history. Raises FolderError for a folder without one, or a damaged one."""
    lines = read_file(run / HISTORY, MAX_BYTES).splitlines()
    entries = [from_json(line, f"{run / HISTORY}, line {i}") for i, line in enumerate(lines, 1)]
    for i, entry in enumerate(entries, 1):
        drawn = {name: value for name, value in entry.items() if name in ("step", "smoothed", "validation")}
        typed(_Drawn, drawn, f"{run / HISTORY}, line {i}")
    return entries


def loss_curve(history: Sequence[Entry], title: str | None = None) -> Figure:
    """Loss on the training and the validation part, in bits per character, by step; the best measurement is marked.

    Raises InputError for a history without a measurement.
    """
    measured = [entry for entry in history if "validation" in entry]
    if not measured:
        raise InputError("there is no history to draw: nothing was measured during training")
    picture, (axis,) = style.figure(7.5, 4.5)
    best = min(measured, key=lambda entry: entry["validation"])
    axis.plot(
        *_points(history, "smoothed"), color=style.colour(1), linestyle=style.DASHES[1], label="training, smoothed"
    )
    axis.plot(*_points(measured, "validation"), color=style.colour(0), marker="o", markersize=4, label="validation")
    told = f"best: {_bits(best['validation']):.3f} at step {best['step']:,}"
    axis.plot(*_points([best], "validation"), "o", color=style.colour(0), ms=9, mfc="none", label=told)
    axis.set_xlabel("step")
    axis.set_ylabel("bits per character")
    axis.legend(**style.LEGEND)
    style.add_title(picture, title)
    return picture


def _points(entries: Sequence[Entry], name: str) -> tuple[list[float], list[float]]:
    known = [entry for entry in entries if name in entry]
    return [entry["step"] for entry in known], [_bits(entry[name]) for entry in known]


def _bits(nats: float) -> float:
    return nats / math.log(2)
