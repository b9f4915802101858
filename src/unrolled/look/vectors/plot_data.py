"""What a picture of vectors shows of each name: position, size, group, value, label and tooltip.

Characters are letters grouped by kind; categories are dots with their mean target as value. Left out: how
they are drawn as an image (`plot`) or as a page (`interactive`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled import plotting as style
from unrolled.embedding import EmbeddingTable, principal_components, visible
from unrolled.errors import InputError
from unrolled.text.vocabulary import kind

COLOURS = {
    "vowel": "#b3340a",
    "consonant": "#0b3c7d",
    "capital": "#7b3f98",
    "digit": "#0d6b4a",
    "punctuation": "#806200",
    "blank": style.INK,
    "other": "#5c5c5c",
}
"""Colours of the kinds of characters, all dark enough for letters on white."""
MARKS = {"category": "o", "(unknown)": "D", "(missing)": "X", "(rare)": "s"}
"""Marks of categories: a dot, and another mark for each reserved row."""

NEIGHBOURS_UP_TO = 2000  # rows of a table for which all neighbours are looked up


@dataclass(frozen=True)
class PlotData:
    """What is drawn of a table's rows, in the order of its names."""

    coordinates: NDArray[np.float64]
    """(row, component), in units of the embedding."""
    explained: NDArray[np.float64]
    labels: tuple[str, ...]
    sizes: NDArray[np.float64]
    """The square root of each name's count relative to the largest count, from 0 to 1."""
    groups: tuple[str, ...]
    """The kind of each character, or the key of each category in `MARKS`."""
    values: NDArray[np.float64] | None
    """The mean target of each category, NaN if unknown; None for characters."""
    rings: NDArray[np.float64] | None
    """How far the networks disagree about each category, in units of the embedding; None if unknown."""
    hover: tuple[str, ...]

    @property
    def are_characters(self) -> bool:
        """Whether the rows are characters, drawn as letters."""
        return self.groups[0] in COLOURS

    def axis_label(self, component: int) -> str:
        """The label of an axis, with the fraction of variance it explains."""
        return f"component {component + 1} ({self.explained[component]:.0%} of the variance)"


def plot_data(table: EmbeddingTable, components: int = 2) -> PlotData:
    """The rows of `table` on its 2 or 3 main components; raises InputError for another number or an empty table.

    Components beyond the dimension of the vectors are zero.
    """
    if components not in (2, 3):
        raise InputError(f"components is {components}, but a picture has 2 or 3")
    if not len(table):
        raise InputError("this embedding table is empty: there is nothing to draw")
    coordinates, explained = principal_components(table.vectors, components)
    characters = is_of_characters(table)
    special = np.asarray(table.facts.get("special", [name in MARKS for name in table.names]), bool)
    return PlotData(
        coordinates,
        explained,
        tuple(visible(name) if characters or name != name.strip() else _spaced(name) for name in table.names),
        _sizes(table),
        tuple(
            kind(name) if characters else name if reserved and name in MARKS else "category"
            for name, reserved in zip(table.names, special.tolist(), strict=True)
        ),
        None if characters else _means(table),
        None if characters else _rings(table),
        tuple(_hover(table, i) for i in range(len(table))),
    )


def is_of_characters(table: EmbeddingTable) -> bool:
    """Whether the names are single characters of a text rather than categories of a table's column."""
    return not {"target_mean", "special"} & set(table.facts) and all(len(name) == 1 for name in table.names)


def _sizes(table: EmbeddingTable) -> NDArray[np.float64]:
    counts = np.asarray(table.facts.get("count", np.ones(len(table))), np.float64)
    return np.sqrt(np.maximum(counts, 0) / max(float(counts.max()), 1.0))


def _means(table: EmbeddingTable) -> NDArray[np.float64]:
    means = np.asarray(table.facts.get("target_mean", np.full(len(table), np.nan)))
    return means.astype(np.float64) if means.ndim == 1 else np.full(len(table), np.nan)


def _rings(table: EmbeddingTable) -> NDArray[np.float64] | None:
    """`spread` as a length: it is stored relative to the root mean square distance from the centre."""
    shares = table.facts.get("spread")
    if shares is None or not np.isfinite(np.asarray(shares, np.float64)).any():
        return None
    vectors = table.vectors.astype(np.float64)
    scale = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    return np.nan_to_num(np.asarray(shares, np.float64)) * scale


def _hover(table: EmbeddingTable, i: int) -> str:
    facts = [f"{name}: {_number(column[i])}" for name, column in table.facts.items() if name != "special"]
    if len(table) <= NEIGHBOURS_UP_TO:
        facts.append("nearest: " + ", ".join(visible(name) for name, _ in table.nearest(table.names[i], 5)))
    return "<br>".join([f"<b>{_escaped(visible(table.names[i]))}</b>", *map(_escaped, facts)])


def _spaced(name: str) -> str:
    """A category in which single spaces between words stay spaces."""
    return " ".join(map(visible, name.split(" "))) if name else visible(name)


def _number(value: np.generic) -> str:
    plain = value.item()
    return f"{plain:,}" if isinstance(plain, int) else f"{plain:.4g}" if isinstance(plain, float) else str(plain)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
