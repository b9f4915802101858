"""Rows judged by networks that were not trained on them: their prediction, and which columns it needs.

NumPy only. Left out: training (`trainer`), and which rows a network holds out (`row_split`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.target import Target
from unrolled.tables.encoder.coding import UNKNOWN
from unrolled.tables.encoder.fitted import Fitted
from unrolled.tables.encoder.row_split import RowSplit
from unrolled.tables.encoder.schema import Encoded

FEWEST_JUDGED, MOST_JUDGED = 1000, 5000
"""Rows on which a column is judged to be useful; with fewer, every column is taken to be."""
ERRORS = 2.0


def held_out_prediction(fitted: Fitted, split: RowSplit, table: Encoded, exact: bool = True) -> NDArray[np.floating]:
    """(row, output) the raw prediction of the networks that held each row out; of all networks for other rows."""
    assert split.fold is not None
    out = np.empty((len(table.codes), fitted.target.outputs))
    for fold in range(-1, split.folds):
        rows = np.flatnonzero(split.fold == fold)
        if len(rows):
            networks = slice(None) if fold < 0 else slice(fold, None, split.folds)
            out[rows] = fitted.raw_prediction(table.take(rows), networks, exact).mean(axis=0)
    return out


def useful_fields(
    fitted: Fitted, split: RowSplit, table: Encoded, target: NDArray[Any], order: NDArray[np.int64]
) -> list[bool]:
    """For each category field, whether the networks predict rows that they held out worse without it.

    Its category is taken for unknown; the loss must rise by more than two standard errors. All are useful where too few
    rows are held out to tell. Of many rows some are judged, in their canonical `order`.
    """
    every = [True] * len(fitted.schema.codings)
    if split.fold is None:
        return every
    fold = split.fold[order]
    rows = order[(fold >= 0) & (fold < fitted.weights.count)]  # those that some network has held out
    if len(rows) < FEWEST_JUDGED:
        return every
    rows = rows[:: -(-len(rows) // MOST_JUDGED)]
    some, judged = table.take(rows), replace(split, fold=split.fold[rows])

    def losses(codes: NDArray[np.int32]) -> NDArray[np.float64]:
        predicted = held_out_prediction(fitted, judged, replace(some, codes=codes), exact=False)
        return row_losses(predicted, target[rows], fitted.target)

    full, useful = losses(some.codes), []
    for i in range(len(every)):
        codes = some.codes.copy()
        codes[:, i] = UNKNOWN
        rise = losses(codes) - full
        useful.append(bool(rise.mean() > ERRORS * rise.std() / np.sqrt(len(rise))))
    return useful


def row_losses(raw: NDArray[np.floating], goal: NDArray[Any], target: Target) -> NDArray[np.float64]:
    """(row,) the squared error of a `raw` prediction of the encoded `goal`, or the log loss of classes."""
    if target.kind == "continuous":
        squares: NDArray[np.float64] = ((raw - goal) ** 2).sum(axis=1)
        return squares
    place = goal if target.kind == "multiclass" else goal[:, 0].astype(np.int64)
    chances = target.decode(raw)[np.arange(len(place)), place]
    losses: NDArray[np.float64] = -np.log(np.maximum(chances, np.finfo(np.float32).tiny))
    return losses
