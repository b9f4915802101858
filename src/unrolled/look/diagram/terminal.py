"""The network over a text in words, for the terminal: what it expects after each character, its arrows, its equations.

`plain` keeps to ASCII, for terminals without Unicode. Left out: the drawing (`network`).
"""

from __future__ import annotations

import textwrap

from unrolled.embedding import visible
from unrolled.look.diagram.anatomy import anatomy
from unrolled.look.diagram.cell import equations
from unrolled.look.diagram.network import Predictions, steps
from unrolled.model.folder import ModelConfig

_ASCII = {
    "ₜ₋₁": "[t-1]", "ₜ": "[t]", "⊙": "*", "σ": "sigma", "×": "x", "→": "->", "␣": "_", "½": "1/2", "≥": ">=", "−": "-",
    "·": "*", "“": '"', "”": '"',
}  # fmt: skip


def diagram_text(
    config: ModelConfig, text: str, predictions: Predictions | None = None, *, width: int = 80, plain: bool = False
) -> str:
    """Lines of at most `width` characters. Raises InputError as `network.steps`."""
    columns = steps(config, text, predictions)
    expected = [
        f"{visible(character):<9}" + "  ".join(f"{visible(next_one)} {chance:.0%}" for next_one, chance in likely)
        for character, likely, _ in columns
    ]
    shown = "".join(visible(character) for character, *_ in columns)
    head = f"{config.rung} over the text “{shown}”" + "; after each character, the likeliest next:" * bool(predictions)
    parts = [[head], expected if predictions else [], _arrows(config), equations(config)]
    written = "\n\n".join("\n".join(_wrapped(line, width, plain) for line in part) for part in parts if part)
    return "".join(c if c.isascii() else "?" for c in written) if plain else written


def _wrapped(line: str, width: int, plain: bool) -> str:
    for character, ascii_form in _ASCII.items() if plain else ():
        line = line.replace(character, ascii_form)
    return textwrap.fill(line, width, subsequent_indent=" " * 9)


def _arrows(config: ModelConfig) -> list[str]:
    """Every arrow: matrix, operation and shapes, and the name and shape of its matrix in the model folder."""
    parts = anatomy(config)
    inside = (a for layer in parts.layers for a in (layer.input, layer.inner, *layer.memory, *layer.within) if a)
    stored = {m.symbol: f"; {m.name}, {m.rows:,} × {m.columns:,}" for m in parts.matrices}
    return [
        f"{a.matrix or '':<9}{a.operation}: {a.shape_in} → {a.shape_out}{stored.get(a.matrix or '', '')}"
        for a in (parts.lookup, *inside, parts.head)
    ]
