"""Which rows each network of a fit is trained on, and which stop its training early.

By default each network holds out a fold of its own: together they see every row, early stopping costs no row, and a row
has networks that were not trained on it, which give it an out-of-fold vector without a second fit. Left out: rows that
the caller names (`data.splits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.data.splits import Rows

FOLDS = 5
MIN_ROWS_TO_HOLD_OUT = 50
"""With fewer rows a fold is too small to tell when to stop."""


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


def same_for_all(rows: Rows, held: Rows | None, networks: int) -> RowSplit:
    """All networks are trained on `rows`, and `held` stops them."""
    return RowSplit([rows] * networks, None if held is None else [held] * networks)


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
