"""The network unrolled over a text as characters, for the terminal: the rows of the drawing, then its legend.

As many columns as fit the width are side by side; the rest follow below. `plain` keeps to ASCII, for terminals without
Unicode.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from unrolled.embedding import visible
from unrolled.look.diagram.anatomy import Anatomy, Arrow, anatomy
from unrolled.look.diagram.cell import equations
from unrolled.look.diagram.network import Predictions, steps
from unrolled.model.folder import ModelConfig

_CAPTION, _LISTED = 8, 5
_ASCII = {
    "ₜ₋₁": "[t-1]", "ₜ": "[t]", "⊙": "*", "σ": "sigma", "×": "x", "→": "->", "▶": ">", "─": "-", "△": "^", "○": "o",
    "↑": "|", "␣": "_", "½": "1/2", "≥": ">=", "−": "-", "·": "*", "“": '"', "”": '"', "⋯": "~",
}  # fmt: skip
_Step = tuple[str, Sequence[tuple[str, float]], str | None]


def diagram_text(
    config: ModelConfig, text: str, predictions: Predictions | None = None, *, width: int = 80, plain: bool = False
) -> str:
    """Lines of at most `width` characters: the network over `text`, its matrices and operations, its equations."""
    parts, columns = anatomy(config), steps(config, text, predictions)
    shown = "".join(visible(character) for character, *_ in columns)
    out = textwrap.wrap(f"{config.rung} over the text “{shown}”: rectangles [ ] are inputs, circles ○ hidden "
                        "states, triangles △ outputs; the same name is the same matrix", width)  # fmt: skip
    places = _places(parts, columns)
    fitting = max(1, (width - _CAPTION) // sum(places))
    for start in range(0, len(columns), fitting):
        out += ["", *_block(parts, columns, range(start, min(start + fitting, len(columns))), places)]
    for part in (_legend(parts), equations(config)):
        written = [_ascii(line) if plain else line for line in part]
        out += ["", *(piece for line in written for piece in textwrap.wrap(line, width, subsequent_indent=" " * 9))]
    joined = "\n".join(line.rstrip() for line in out)
    return _ascii(joined, single=True) if plain else joined


def _places(parts: Anatomy, columns: Sequence[_Step]) -> tuple[int, int]:
    """Characters of a column before its centre, and from its centre on."""
    before = max(len(_names(layer.memory)) for layer in parts.layers) + 5
    cells = [_up(arrow) for arrow in _rising(parts)]
    cells += [_chance(expected, i) for _, expected, _ in columns for i in range(_LISTED)]
    return before, max(map(cell_len, cells)) + 1


def _block(parts: Anatomy, columns: Sequence[_Step], shown: range, places: tuple[int, int]) -> list[str]:
    """The rows of the columns in `shown`, top row first."""

    def row(caption: str, cells: Sequence[str], move: int = 0) -> str:
        left = " " * (places[0] + move)
        return f"{caption:<{_CAPTION}}" + "".join(set_cell_size(f"{left}{cell}", sum(places)) for cell in cells)

    ends = [parts.config.rung != "three-char" or t == len(columns) - 1 for t in shown]
    listed = [columns[t][1] if end else () for t, end in zip(shown, ends, strict=True)]
    out = [row("" if i else "next", [_chance(expected, i) for expected in listed])
           for i in range(_LISTED)]  # fmt: skip
    out = [line for line in out if line[_CAPTION:].strip()]
    out.append(row("output", ["△" if end else "" for end in ends]))
    out.append(row("", [_up(parts.head) if end else "" for end in ends]))
    for layer in reversed(parts.layers):
        if layer.inner:
            out.append(row("state", ["○"] * len(shown)))
            out.append(row("", [_up(layer.inner)] * len(shown)))
            out.append(row("", [_up(layer.input)] * len(shown)))
            joined = ["[0; e]" if t == 0 else "[h; e]" for t in shown]
            out.append(row("joined", joined, -1))
        else:
            out.append(f"{'state':<{_CAPTION}}" + "".join(_memory(layer.memory, t == 0, places) for t in shown))
            out.append(row("", [_up(layer.input)] * len(shown)))
    out.append(row("vector", [f"[e{t + 1}]" for t in shown], -1))
    out.append(row("", [_up(parts.lookup)] * len(shown)))
    return [*out, row("input", [f"[{visible(columns[t][0])}]" for t in shown], -1)]


def _rising(parts: Anatomy) -> list[Arrow]:
    inside = (arrow for layer in parts.layers for arrow in (layer.input, layer.inner) if arrow)
    return [parts.lookup, *inside, parts.head]


def _up(arrow: Arrow) -> str:
    return f"↑ {arrow.matrix}"


def _memory(memory: tuple[Arrow, ...], first: bool, places: tuple[int, int]) -> str:
    line = f"{'0' if first else ''}─{_names(memory)}".ljust(places[0] - 1, "─")
    return f"{line}▶○".ljust(sum(places), "─")


def _names(memory: tuple[Arrow, ...]) -> str:
    return ", ".join(arrow.matrix or arrow.operation.split(";")[0].split(":")[0] for arrow in memory)


def _chance(expected: Sequence[tuple[str, float]], i: int) -> str:
    if i >= len(expected):
        return ""
    character, chance = expected[i]
    return f"{visible(character)} {chance:.0%}"


def _legend(parts: Anatomy) -> list[str]:
    inside = (a for layer in parts.layers for a in (layer.input, layer.inner, *layer.memory, *layer.within) if a)
    arrows = [parts.lookup, *inside, parts.head]
    stored = {m.symbol: f"; {m.name}, {m.rows:,} × {m.columns:,}" for m in parts.matrices}
    return [
        f"{a.matrix or '':<9}{a.operation}: {a.shape_in} → {a.shape_out}{stored.get(a.matrix or '', '')}"
        for a in arrows
    ]


def _ascii(text: str, single: bool = False) -> str:
    """`text` in ASCII; with `single`, each character becomes one character, so that columns stay aligned."""
    for character, plain in _ASCII.items():
        text = text.replace(character, plain[0] if single else plain)
    return "".join(c if c.isascii() else "?" for c in text) if single else text
