"""A table of one's own, offline: generated sales of shops that lie on a hidden map.

A shop's place decides how its sales follow the seasons (north to south) and the days of the week (west to east), so
that vectors learned from sales alone must find the map again. `map_found` says how well they did. Left out: learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError, import_extra
from unrolled.tables.data.splits import check_seed

TARGET = "Sales"
SHOPS = 80
ROWS = 8000
NOISE = 0.1  # standard deviation of the logarithm of the sales
SWING = 0.6  # how much the season or the week changes the logarithm of the sales at the edge of the map


@dataclass(frozen=True)
class DemoTable:
    """`frame` has the columns Shop, Month, Weekday, Promotion and Sales; `places` is (shop, 2), hidden from models."""

    frame: Any
    shops: tuple[str, ...]
    places: NDArray[np.float64]


def demo_table(seed: int = 0, rows: int = ROWS, shops: int = SHOPS) -> DemoTable:
    """Generate the table; the same seed gives the same table.

    Raises InputError for fewer than 4 shops, which make no map, fewer rows than shops, or a negative seed.
    """
    if shops < 4 or rows < shops:
        raise InputError(f"{shops} shops in {rows} rows make no map: at least 4 shops, and a row for each, are needed")
    check_seed(seed)
    random = np.random.default_rng(seed)
    places = random.uniform(-1, 1, (shops, 2))
    shop = np.concatenate([np.arange(shops), random.integers(0, shops, rows - shops)])
    random.shuffle(shop)
    month, weekday = random.integers(1, 13, rows), random.integers(0, 6, rows)
    promotion = random.random(rows) < 0.3
    east, north = places[shop].T
    season = np.cos((month - 1) / 12 * 2 * np.pi)  # highest in January
    week = (weekday - 2.5) / 2.5  # from Monday to Saturday
    logarithm = 8.5 + SWING * (north * season + east * week) + 0.2 * promotion + NOISE * random.standard_normal(rows)
    names = np.array([f"S{number:03d}" for number in random.permutation(shops) + 1])
    frame = import_extra("pandas").DataFrame(
        {
            "Shop": names[shop],
            "Month": month,
            "Weekday": np.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"])[weekday],
            "Promotion": promotion,
            TARGET: np.round(np.exp(logarithm), 2),
        }
    )
    return DemoTable(frame, tuple(names), places)


def map_found(vectors: EmbeddingTable, demo: DemoTable) -> tuple[float, NDArray[np.float64]]:
    """How well the two main components of the shops' vectors are the hidden map, and they laid over it, (shop, 2).

    The figure is the Procrustes correlation: 1 where shifting, turning, mirroring and scaling makes them the same.
    """
    rows = [vectors.names.index(name) for name in demo.shops]
    plane = EmbeddingTable(demo.shops, vectors.vectors[rows]).pca(2).coordinates
    found, wanted = (part - part.mean(axis=0) for part in (plane, demo.places))
    left, strength, right = np.linalg.svd(found.T @ wanted)
    correlation = float(strength.sum() / np.sqrt((found**2).sum() * (wanted**2).sum()))
    scale = strength.sum() / (found**2).sum()
    return correlation, scale * found @ left @ right + demo.places.mean(axis=0)
