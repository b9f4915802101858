"""Which rows each network of a fit is trained on, and which stop its training early.

By default each network holds out a fold of its own: together they see every row, early stopping costs no row, and a row
has networks that were not trained on it: they give it an out-of-fold vector and prediction without a second fit, and
tell which columns they need. NumPy only. Left out: training (`trainer`), and rows that the caller names
(`data.splits`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.splits import Rows
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.coding import UNKNOWN
from unrolled.tables.encoder.fitted import Fitted
from unrolled.tables.encoder.schema import Encoded

FOLDS = 5
MIN_ROWS_TO_HOLD_OUT = 50
"""With fewer rows a fold is too small to tell when to stop."""
FEWEST_JUDGED, MOST_JUDGED = 1000, 5000
"""Rows on which a column is judged to be useful; with fewer, every column is taken to be."""
ERRORS = 2.0


@dataclass(frozen=True)
class RowSplit:
    """Rows of a table for each network.

    `trained` and `held` have one array of rows per network; nothing is held out where `held` is None. With folds,
    `fold` is the one of each row of the table, (row,), -1 for rows that have none, and network k has held out the rows
    of fold k modulo `folds`.
    """

    trained: list[Rows]
    held: list[Rows] | None = None
    fold: NDArray[np.int64] | None = None
    folds: int = 0


def by_fold(rows: Rows, fold: NDArray[np.int64], table_rows: int, networks: int) -> RowSplit:
    """Network k holds out those of `rows` whose `fold`, (row,), is k modulo the number of folds."""
    folds = int(fold.max()) + 1
    held = [fold == network % folds for network in range(networks)]
    of_table = np.full(table_rows, -1)
    of_table[rows] = fold
    return RowSplit([rows[~out] for out in held], [rows[out] for out in held], of_table, folds)


def balanced_folds(
    target: NDArray[Any], count: int, seed: int, groups: NDArray[Any] | None = None
) -> NDArray[np.int64]:
    """A fold for each row, (row,), at random: folds have like targets, and keep `groups` together where given."""
    rng = np.random.default_rng(seed)
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        number = int(group.max()) + 1
        folds: NDArray[np.int64] = (rng.permutation(number) % min(count, number))[group]
        return folds
    order = np.lexsort((rng.random(len(target)), target.reshape(len(target), -1)[:, 0]))
    blocks = rng.permuted(np.tile(np.arange(count), (-(-len(target) // count), 1)), axis=1)
    fold = np.empty(len(target), dtype=np.int64)
    fold[order] = blocks.ravel()[: len(target)]
    return fold


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
