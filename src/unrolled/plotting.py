"""One style for all pictures: colours, fonts, and files that open anywhere.

Colours are distinct to colour-blind readers and keep their order of lightness in grey; lines differ by dash and marker
too. matplotlib is used without pyplot, so a picture changes no global state. Left out: what is drawn.
"""

from __future__ import annotations

import functools
import io
import logging
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.errors import import_extra
from unrolled.files import check_out, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

INK, FAINT, GRID, PAPER = "#1a1a1a", "#6b6b6b", "#e4e4e4", "#ffffff"
LEGEND: dict[str, Any] = {"facecolor": PAPER, "edgecolor": "none", "framealpha": 0.85}  # lines do not cross its words
PALETTE = ("#0b3c7d", "#ee8a2d", "#0d6b4a", "#b05ab0", "#56b4e9", "#7a1f1f", "#b8860b", "#5c5c5c")
LIGHT = ("#ee8a2d", "#56b4e9", "#b8860b")  # of the palette: dark letters are read on them
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (1, 1)), (0, (10, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SCALE = "cividis"  # dark to light throughout: a scale with two dark ends would hide the sign in grey
FONT = "DejaVu Sans"  # comes with matplotlib, so measured and drawn widths agree on every machine
FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "Microsoft YaHei", "SimHei",
    "Arial Unicode MS", "Droid Sans Fallback", "Unifont",
)  # fmt: skip
FONT_FILES = ("notosanscjk", "notosanssc", "sourcehansans", "wqy", "droidsansfallback", "unifont", "simhei")
MISSING = "□"
STILL, PAGE = (".png", ".svg"), ".html"
NOTE_WIDTH = 72
"""Characters per line of a note."""


def colour(i: int) -> str:
    """The `i`-th colour of the palette, which repeats after the last."""
    return PALETTE[i % len(PALETTE)]


def figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of `width` x `height` inches and its axes, row by row, in the common style."""
    made: Figure = import_extra("matplotlib.figure").Figure((width, height), facecolor=PAPER, layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        style_axis(axis)
    made._repr_svg_ = lambda: rendered(made, ".svg").decode()  # type: ignore[attr-defined]  # so that notebooks show it
    return made, axes


def style_axis(axis: Axes) -> None:
    """Give an axis the common style: dark text on white, no box, a faint grid behind the data."""
    axis.set_facecolor(PAPER)
    axis.grid(color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(FAINT)
    axis.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)


def add_title(picture: Figure, title: str | None) -> None:
    """Write a title above the whole figure, at the left."""
    if title:
        picture.suptitle(title, fontsize=13, x=0.01, ha="left", color=INK, parse_math=False)


def add_colour_bar(picture: Figure, drawn: Any, axis: Axes, label: str) -> None:
    """Add the colour bar of what was `drawn` on `axis`."""
    bar = picture.colorbar(drawn, ax=axis, pad=0.01, fraction=0.03)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)


def save(picture: Figure, path: str | Path, dpi: int = 150) -> None:
    """Write a matplotlib figure as .png or .svg (text as outlines, so it looks the same without our fonts)."""
    path = Path(path)
    write_file(path, rendered(picture, check_out(path, STILL), dpi))


def rendered(picture: Figure, suffix: str, dpi: int = 150) -> bytes:
    """A matplotlib figure as the bytes of a .png or .svg file."""
    data = io.BytesIO()
    picture.savefig(data, format=suffix[1:], dpi=dpi, metadata={"Date": None} if suffix == ".svg" else None)
    return data.getvalue()


def font(size: float, *, bold: bool = False, text: str = "") -> FontProperties:
    """The common font at `size` points, followed by the installed fallback fonts that `text` needs."""
    manager = import_extra("matplotlib.font_manager")
    families = [FONT, *(f for f in _fallbacks() if any(_draws(f, c) for c in text if not _draws(FONT, c)))]
    return manager.FontProperties(family=families, size=size, weight="bold" if bold else "normal")


def drawable(texts: Iterable[str]) -> tuple[list[str], str | None]:
    """`texts` with □ for characters that no installed font has, and a note that explains the boxes if there are any.

    The note has line breaks, so that it fits the narrowest picture.
    """
    families, missing, shown = (FONT, *_fallbacks()), set(), []
    for text in texts:
        lost = {c for c in text if not any(_draws(f, c) for f in families)}
        missing |= lost
        shown.append("".join(MISSING if c in lost else c for c in text))
    if not missing:
        return shown, None
    few = ", ".join(f"U+{ord(c):04X}" for c in sorted(missing)[:3])
    count = f"{len(missing):,} character{'s' * (len(missing) > 1)}"
    sentence = (
        f"{MISSING} stands for {count} that no font found here can draw ({few}"
        f"{' ...' if len(missing) > 3 else ''}): install one that can, such as Noto Sans CJK"
    )
    return shown, textwrap.fill(sentence, NOTE_WIDTH)


@functools.cache
def _fallbacks() -> tuple[str, ...]:
    """Installed fonts for scripts that DejaVu Sans lacks, in order of preference."""
    manager = import_extra("matplotlib.font_manager")
    logging.getLogger("matplotlib.font_manager").addFilter(_is_not_about_weight)
    known = {entry.name for entry in manager.fontManager.ttflist}
    if not known & set(FALLBACKS):  # matplotlib's list of fonts is a cache that may be older than the font
        for path in manager.findSystemFonts():
            if Path(path).stem.lower().replace("-", "").replace("_", "").startswith(FONT_FILES):
                manager.fontManager.addfont(path)
        known = {entry.name for entry in manager.fontManager.ttflist}
    return tuple(name for name in FALLBACKS if name in known)


def _is_not_about_weight(record: logging.LogRecord) -> bool:
    """Many Chinese fonts have a single weight, and matplotlib would warn about it for every character."""
    return "font weight" not in record.msg


def _draws(family: str, character: str) -> bool:
    return ord(character) in _charmap(family)


@functools.cache
def _charmap(family: str) -> frozenset[int]:
    manager = import_extra("matplotlib.font_manager")
    return frozenset(manager.get_font(manager.findfont(family)).get_charmap())
