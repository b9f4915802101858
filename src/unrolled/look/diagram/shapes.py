"""A drawing as data: polygons, circles, lines and text at coordinates, and the SVG and PNG files made from it.

SVG is written as text and needs no library; PNG is drawn from the same shapes by matplotlib, in the font it comes with.
Units are points, y points downwards. Left out: what is drawn where.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from unrolled import plotting as style
from unrolled.errors import import_extra
from unrolled.files import check_out, write_file

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_NARROW, _WIDE, _MARGIN = set(" .,:;'|!ijl()[]`·⋅"), set("mwMW@%+=→×−⊙~<>#&␣⏎⇥—…∅□"), 16
_HEAD = 8.0
_SYMBOL = re.compile(r"\b([A-Zb])_(\w+)")


@dataclass(frozen=True)
class Text:
    """One line of text; `at` is the start, middle or end of its baseline."""

    text: str
    at: Point
    size: float = 10
    anchor: Anchor = "middle"
    bold: bool = False
    colour: str = style.INK
    math: bool = False
    """Symbols such as W_ih are set in italics with a subscript."""

    def box(self) -> tuple[float, float, float, float]:
        """A rectangle that contains the text: left, top, right, bottom."""
        width = text_width(self.text, self.size, self.bold)
        left = self.at[0] - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.at[1] - 0.78 * self.size, left + width, self.at[1] + 0.24 * self.size


@dataclass(frozen=True)
class Polygon:
    """A closed shape with straight sides."""

    points: tuple[Point, ...]
    fill: str = style.PAPER
    stroke: str | None = style.INK


@dataclass(frozen=True)
class Circle:
    """A circle around `at`."""

    at: Point
    radius: float
    fill: str = style.PAPER
    stroke: str = style.INK
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    """A polyline through `points`, or with `curved` one cubic Bézier curve with exactly four control points."""

    points: tuple[Point, ...]
    stroke: str = style.INK
    width: float = 1.6
    curved: bool = False


Item = Text | Polygon | Circle | Line


@dataclass(frozen=True)
class Drawing:
    """Shapes in drawing order."""

    items: tuple[Item, ...]

    def box(self) -> tuple[float, float, float, float]:
        """The rectangle around everything: left, top, right, bottom."""
        boxes = [_box(item) for item in self.items]
        left, top = (min(b[i] for b in boxes) for i in (0, 1))
        right, bottom = (max(b[i] for b in boxes) for i in (2, 3))
        return left, top, right, bottom

    def moved(self, x: float, y: float) -> Drawing:
        """The same drawing, `x` to the right and `y` down."""
        return Drawing(tuple(_moved(item, x, y) for item in self.items))

    def texts(self) -> list[Text]:
        """All pieces of text."""
        return [item for item in self.items if isinstance(item, Text)]

    def to_svg(self) -> str:
        """The drawing as an SVG document of its own size."""
        left, top, right, bottom = self.box()
        width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
        shapes = "\n".join(_svg(item) for item in self.items)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{left - _MARGIN:.1f} {top - _MARGIN:.1f} {width:.1f} {height:.1f}" '
            f'font-family="{style.FONT}, Verdana, sans-serif">\n'
            f'<rect x="{left - _MARGIN:.1f}" y="{top - _MARGIN:.1f}" width="100%" height="100%" '
            f'fill="{style.PAPER}"/>\n'
            f"{shapes}\n</svg>\n"
        )

    def _repr_svg_(self) -> str:
        """The representation in a notebook."""
        return self.to_svg()

    def save(self, path: str | Path) -> None:
        """Write the drawing as .svg or .png (.png needs matplotlib)."""
        path = Path(path)
        if check_out(path, style.STILL) == ".svg":
            write_file(path, self.to_svg().encode())
        else:
            _save_png(self, path)


def beside(*drawings: Drawing, gap: float = 60) -> Drawing:
    """Drawings from left to right, aligned at the top."""
    return _arranged(drawings, 0, gap)


def below(*drawings: Drawing, gap: float = 40) -> Drawing:
    """Drawings from top to bottom, aligned at the left."""
    return _arranged(drawings, 1, gap)


def arrow(points: tuple[Point, ...], stroke: str = style.INK, width: float = 1.6, curved: bool = False) -> list[Item]:
    """A line with a head at its last point."""
    (x0, y0), (x, y) = points[-2], points[-1]
    angle = math.atan2(y - y0, x - x0)
    dx, dy = math.cos(angle), math.sin(angle)
    back = (x - _HEAD * dx, y - _HEAD * dy)
    sides = [(back[0] + s * 0.45 * _HEAD * dy, back[1] - s * 0.45 * _HEAD * dx) for s in (1, -1)]
    head = Polygon(((x, y), sides[0], sides[1]), fill=stroke, stroke=None)
    return [Line((*points[:-1], back), stroke, width, curved), head]


def rectangle(at: Point, width: float, height: float, fill: str = style.PAPER) -> Polygon:
    """A rectangle centred at `at`."""
    x, y, w, h = *at, width / 2, height / 2
    return Polygon(((x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)), fill)


def triangle(at: Point, width: float, height: float, fill: str = style.PAPER) -> Polygon:
    """A triangle that points up, with `at` at the middle of its height."""
    x, y, w, h = *at, width / 2, height / 2
    return Polygon(((x - w, y + h), (x + w, y + h), (x, y - h)), fill)


def lines(
    texts: Iterable[str], at: Point, size: float = 10, anchor: Anchor = "start", bold: int = 0, math: bool = False
) -> list[Item]:
    """Lines of text one below the other, the first `bold` of them bold matrix symbols; `at` is the first baseline."""
    return [
        Text(t, (at[0], at[1] + 1.3 * size * i), size, anchor, i < bold, math=math or i < bold)
        for i, t in enumerate(texts)
    ]


def text_width(text: str, size: float, bold: bool = False) -> float:
    """An upper bound of the width of `text` in DejaVu Sans, which is wider than most sans-serif fonts."""
    return size * sum(map(_em, text)) * (1.12 if bold else 1.0)


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.41 if character in "()[]`!.,:;|·⋅ " else 0.33
    if character in _WIDE or ord(character) > 0x2E80:
        return 1.03
    return 0.78 if character.isupper() or not character.isascii() else 0.645


def _arranged(drawings: tuple[Drawing, ...], axis: Literal[0, 1], gap: float) -> Drawing:
    items: list[Item] = []
    place = 0.0
    for drawing in drawings:
        box = drawing.box()
        move = (place - box[0], -box[1]) if axis == 0 else (-box[0], place - box[1])
        items += drawing.moved(*move).items
        place += box[axis + 2] - box[axis] + gap
    return Drawing(tuple(items))


def _box(item: Item) -> tuple[float, float, float, float]:
    if isinstance(item, Text):
        return item.box()
    if isinstance(item, Circle):
        (x, y), r = item.at, item.radius
        return x - r, y - r, x + r, y + r
    xs, ys = zip(*item.points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _moved(item: Item, x: float, y: float) -> Item:
    if isinstance(item, Text | Circle):
        return replace(item, at=(item.at[0] + x, item.at[1] + y))
    return replace(item, points=tuple((a + x, b + y) for a, b in item.points))


def _svg(item: Item) -> str:
    if isinstance(item, Text):
        weight = ' font-weight="bold"' if item.bold else ""
        return (
            f'<text x="{item.at[0]:.1f}" y="{item.at[1]:.1f}" font-size="{item.size:g}" text-anchor="{item.anchor}"'
            f'{weight} fill="{item.colour}" xml:space="preserve">{_svg_text(item)}</text>'
        )
    if isinstance(item, Line):
        return f'<path d="{_path(item)}" fill="none" stroke="{item.stroke}" stroke-width="{item.width:g}"/>'
    dash = ' stroke-dasharray="4 3"' if isinstance(item, Circle) and item.dashed else ""
    paint = f'fill="{item.fill}" stroke="{item.stroke or "none"}" stroke-width="1.4"{dash}/>'
    if isinstance(item, Circle):
        return f'<circle cx="{item.at[0]:.1f}" cy="{item.at[1]:.1f}" r="{item.radius:g}" {paint}'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in item.points)
    return f'<polygon points="{points}" stroke-linejoin="round" {paint}'


def _svg_text(item: Text) -> str:
    if not item.math:
        return escape(item.text)
    low = 0.25 * item.size
    base, back = r'<tspan font-style="italic">\1</tspan>', f'<tspan dy="-{low:.1f}">\u200b</tspan>'
    subscript = rf'<tspan dy="{low:.1f}" font-size="{0.72 * item.size:.1f}">\2</tspan>'
    return _SYMBOL.sub(base + subscript + back, escape(item.text))


def _path(item: Line) -> str:
    pairs = [f"{x:.1f} {y:.1f}" for x, y in item.points]
    return f"M {pairs[0]} " + (f"C {', '.join(pairs[1:])}" if item.curved else "L " + " L ".join(pairs[1:]))


def _save_png(drawing: Drawing, path: Path) -> None:
    _, note = style.drawable([item.text for item in drawing.texts()])
    if note:
        drawing = below(drawing, Drawing(tuple(lines(note.split("\n"), (0, 0)))))
    left, top, right, bottom = drawing.box()
    width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
    figure = import_extra("matplotlib.figure").Figure((width / 72, height / 72), facecolor=style.PAPER)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(left - _MARGIN, right + _MARGIN), ylim=(bottom + _MARGIN, top - _MARGIN))
    axis.set_axis_off()
    for item in drawing.items:
        axis.add_artist(_artist(item))
    style.save(figure, path, dpi=144)


def _artist(item: Item):  # type: ignore[no-untyped-def]  # any of four unrelated matplotlib classes
    patches = import_extra("matplotlib.patches")
    if isinstance(item, Text):
        align = {"start": "left", "middle": "center", "end": "right"}[item.anchor]
        look = style.font(item.size, bold=item.bold, text=item.text)
        made = import_extra("matplotlib.text").Text
        shown = style.drawable([item.text])[0][0]
        if item.math:
            font = r"\mathbf" if item.bold else r"\mathit"
            shown = _SYMBOL.sub(lambda found: rf"${font}{{{found[1]}}}_{{\mathrm{{{found[2]}}}}}$", shown)
        place = {"ha": align, "va": "baseline", "parse_math": item.math}  # a dollar sign would begin a formula
        return made(*item.at, shown, color=item.colour, fontproperties=look, **place)
    if isinstance(item, Line):
        Path = import_extra("matplotlib.path").Path
        codes = [Path.MOVETO] + [Path.CURVE4 if item.curved else Path.LINETO] * (len(item.points) - 1)
        return patches.PathPatch(Path(item.points, codes), fill=False, edgecolor=item.stroke, linewidth=item.width)
    paint = {"facecolor": item.fill, "edgecolor": item.stroke or "none", "linewidth": 1.4}
    if isinstance(item, Circle):
        return patches.Circle(item.at, item.radius, linestyle=(0, (3, 2)) if item.dashed else "-", **paint)
    return patches.Polygon(item.points, closed=True, joinstyle="round", **paint)
