"""Vectors as an interactive HTML page that rotates and zooms: plotly with its script inlined, so it works offline.

What is shown of each name is in `plot_data`; images are in `plot`.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from unrolled import plotting as style
from unrolled.errors import import_extra
from unrolled.html import html_page
from unrolled.look.vectors.plot_data import COLOURS, MARKS, PlotData

_SYMBOLS = {"o": "circle", "D": "diamond", "X": "x", "s": "square"}
_BESIDE = {"category": "top center", "(unknown)": "middle left", "(missing)": "bottom center", "(rare)": "middle right"}
_LABELLED = 12
_BAR = {"title": "mean target", "thickness": 14, "len": 0.6}
_CAMERA = {"eye": {"x": 1.55, "y": 1.55, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.2}}
"""So far away that the titles of all three axes are on the page."""


def interactive_page(data: PlotData, title: str | None) -> str:
    """One self-contained page with the points of `data`, in two or three dimensions."""
    graph = import_extra("plotly.graph_objects")
    figure = graph.Figure(_traces(data, graph), layout=_layout(data, title))
    picture = figure.to_html(
        include_plotlyjs=True, include_mathjax=False, full_html=False, default_width="100%", default_height="100vh",
        config={"displaylogo": False, "scrollZoom": True, "responsive": True},
    )  # fmt: skip
    return html_page(title or "Vectors", picture, "body { margin: 0 }")


def _traces(data: PlotData, graph: Any) -> list[Any]:
    """One trace per group, so that the legend switches groups on and off."""
    groups = COLOURS if data.are_characters else MARKS
    present = [group for group in groups if group in data.groups]
    return [_trace(data, group, graph) for group in present]


def _trace(data: PlotData, group: str, graph: Any) -> Any:
    rows = np.array([i for i, own in enumerate(data.groups) if own == group])
    at = data.coordinates[rows]
    made = graph.Scatter3d if at.shape[1] == 3 else graph.Scatter
    places = dict(zip("xyz", at.T.tolist(), strict=False))
    hover = {"hovertext": [data.hover[i] for i in rows], "hoverinfo": "text", "name": group}
    look = _letters(data, group, rows) if data.are_characters else _dots(data, group, rows)
    return made(**places, **hover, **look)


def _letters(data: PlotData, group: str, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    sizes = (11 + 21 * data.sizes[rows]).tolist()
    written = _written(data, rows)
    font = {"size": sizes, "color": COLOURS[group], "family": f"{style.FONT}, Verdana, sans-serif"}
    return {"mode": "text", "text": written, "textfont": font, "textposition": "middle center"}


def _dots(data: PlotData, group: str, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    largest = set(np.argsort(-data.sizes, kind="stable")[:_LABELLED].tolist())
    named = [i in largest or group != "category" for i in rows]
    written = [text if here else "" for text, here in zip(_written(data, rows), named, strict=True)]
    values = data.values if data.values is not None else np.full(len(data.labels), np.nan)
    known = values[np.isfinite(values)]
    colours = [None if np.isnan(v) else float(v) for v in values[rows]]
    marker: dict[str, Any] = {
        "size": (5 + 17 * data.sizes[rows]).tolist(),
        "symbol": _SYMBOLS[MARKS[group]],
        "line": {"color": style.INK, "width": 1 if group == "category" else 2},
    }
    if len(known) and any(c is not None for c in colours):
        scale = {"cmin": float(known.min()), "cmax": float(known.max()), "colorscale": "Cividis"}
        marker |= {"color": colours, **scale, "showscale": group == "category", "colorbar": _BAR}
    else:
        marker |= {"color": "#d9d9d9"}
    font = {"size": 12, "color": style.INK, "family": f"{style.FONT}, Verdana, sans-serif"}
    return {"mode": "markers+text", "text": written, "textfont": font, "textposition": _BESIDE[group], "marker": marker}


def _written(data: PlotData, rows: np.ndarray[Any, Any]) -> list[str]:
    """Labels as plotly expects them: HTML in two dimensions, plain text in three."""
    flat = data.coordinates.shape[1] == 2
    return [data.labels[i].replace("<", "&lt;") if flat else data.labels[i] for i in rows]


def _layout(data: PlotData, title: str | None) -> dict[str, Any]:
    labels = [data.axis_label(c) for c in range(data.coordinates.shape[1])]
    line = {"gridcolor": style.GRID, "zerolinecolor": "#bbbbbb", "color": style.INK}
    axes = [{**line, "title": {"text": label, "font": {"size": 11}}} for label in labels]
    layout: dict[str, Any] = {
        "title": {"text": escape(title or ""), "x": 0.02},
        "autosize": True,
        "paper_bgcolor": style.PAPER,
        "plot_bgcolor": style.PAPER,
        "font": {"family": f"{style.FONT}, Verdana, sans-serif", "color": style.INK, "size": 13},
        "legend": {"itemsizing": "constant", "x": 0.01, "y": 0.99, "bgcolor": "rgba(255,255,255,0.8)"},
        "margin": {"l": 30, "r": 30, "t": 50 if title else 20, "b": 30 if len(axes) == 2 else 0},
    }
    if len(axes) == 3:
        walls = {"backgroundcolor": style.PAPER, "showspikes": False}
        scene = {f"{name}axis": {**axis, **walls} for name, axis in zip("xyz", axes, strict=True)}
        return layout | {"scene": {**scene, "aspectmode": "data", "dragmode": "orbit", "camera": _CAMERA}}
    return layout | {"xaxis": axes[0], "yaxis": {**axes[1], "scaleanchor": "x"}, "dragmode": "pan"}
