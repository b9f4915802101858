"""Label placement without overlap: greedy, the most important label first, each as near to its point as possible.

Labels are rectangles in any unit. Left out: their text, and drawing it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def place_labels(
    points: NDArray[np.float64],
    sizes: NDArray[np.float64],
    order: Sequence[int],
    bounds: Box,
    *,
    radii: NDArray[np.float64] | None = None,
    reach: float = 3.0,
    most: int | None = None,
) -> dict[int, tuple[float, float]]:
    """Centres for the labels of `points` (n, 2), by index of the point; labels that do not fit are left out.

    `sizes` (n, 2) are the widths and heights of the labels, `order` the indices in order of priority, `bounds` the
    rectangle (left, low, right, high) that contains all labels. A label is centred on its point, or moved by at most
    `reach` times its height. With `radii` (n,) the points are discs: labels are placed beside them and cover none. At
    most `most` labels are placed.
    """
    taken = np.empty((0, 4))
    if radii is not None:
        taken = np.concatenate([points - radii[:, None], points + radii[:, None]], axis=1)
    placed: dict[int, tuple[float, float]] = {}
    for i in order:
        if most is not None and len(placed) >= most:
            break
        tried = points[i] + _offsets(sizes[i], None if radii is None else float(radii[i]), reach)
        boxes = np.concatenate([tried - sizes[i] / 2, tried + sizes[i] / 2], axis=1)
        inside = np.all(boxes[:, :2] >= bounds[:2], axis=1) & np.all(boxes[:, 2:] <= bounds[2:], axis=1)
        free = inside & ~_overlaps(boxes, taken)
        if free.any():
            first = int(free.argmax())
            placed[i] = (float(tried[first, 0]), float(tried[first, 1]))
            taken = np.concatenate([taken, boxes[first : first + 1]])
    return placed


def _offsets(size: NDArray[np.float64], radius: float | None, reach: float) -> NDArray[np.float64]:
    """Candidate offsets of a label of `size` from its point, the best first."""
    width, height = size
    if radius is None:
        away = [np.zeros((1, 2))]
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        for far in np.arange(0.5, reach + 0.01, 0.25):
            away.append(far * height * np.column_stack([np.cos(angles), np.sin(angles)]))
        return np.concatenate(away)
    beside, above = width / 2 + radius + 1, height / 2 + radius + 1
    near = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0.9, 0.75), (-0.9, 0.75), (0.9, -0.75), (-0.9, -0.75)])
    return np.concatenate([near * (beside + k * height, above + k * height) for k in np.arange(0, reach + 0.01, 0.5)])


def _overlaps(boxes: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each of `boxes` overlaps any of `taken`."""
    a, b = boxes[:, None], taken[None]
    apart = np.any((a[..., :2] >= b[..., 2:]) | (a[..., 2:] <= b[..., :2]), axis=2)
    return ~np.all(apart, axis=1)
