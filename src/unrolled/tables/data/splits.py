"""Which rows are kept out: for early stopping (`validation`) and for out-of-fold vectors (`cv`); seeds of such draws.

Both take scikit-learn's splitters, so that time and groups are respected. Left out: training.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from unrolled.errors import InputError

Rows = NDArray[np.int64]

LARGEST_SEED = 2**32 - 1


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise InputError for a seed that NumPy's and scikit-learn's generators do not take."""
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"{name} is {seed}, but must be a whole number from 0 to {LARGEST_SEED:,}")


def validation_rows(validation: Any, y: Any, groups: Any, seed: int) -> Rows | None:
    """The validation rows: None, a share of rows at random, the last split of a splitter, or explicit rows.

    Raises InputError where nothing, or nothing else, would be left.
    """
    rows = len(np.asarray(y))
    if validation is None:
        return None
    if _is_splitter(validation):
        chosen = _split(validation, y, groups)[-1][1]
    elif isinstance(validation, float) and 0 < validation < 1:
        chosen = np.random.default_rng(seed).permutation(rows)[: max(1, round(validation * rows))]
    else:
        chosen = _explicit(validation, rows)
    if not 0 < len(chosen) < rows:
        raise InputError(f"validation keeps {len(chosen)} of {rows} rows out of training: keep some, and not all")
    return np.sort(np.asarray(chosen, dtype=np.int64))


def _explicit(validation: Any, rows: int) -> Rows:
    given = np.asarray(validation)
    if given.ndim != 1 or given.dtype.kind not in "iub":
        raise InputError(f"validation is {validation!r}, but must be None, a share below 1, a splitter, or rows")
    if given.dtype == bool:
        if len(given) != rows:
            raise InputError(f"the mask given as validation has {len(given)} values for {rows} rows")
        return np.flatnonzero(given)
    _check_rows("validation", given, rows)
    return np.unique(given).astype(np.int64)


def _check_rows(setting: str, given: NDArray[Any], rows: int) -> None:
    outside = given[(given < 0) | (given >= rows)]
    if len(outside):
        raise InputError(f"{setting} names row {outside[0]}, but the table has rows 0 to {rows - 1}")


def folds(cv: Any, y: Any, groups: Any, classes: bool, seed: int) -> list[tuple[Rows, Rows]]:
    """Train and held-out rows of each fold.

    A number means shuffled folds: by group where `groups` are given, else stratified for classes. Raises InputError
    if a row is held out twice, or is none of the table's.
    """
    rows = len(np.asarray(y))
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        cv = _splitter(int(cv), y, groups, classes, seed)
    pairs = _split(cv, y, groups) if _is_splitter(cv) else _iterated(cv)
    pairs = [(np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)) for train, test in pairs]
    for part in (part for pair in pairs for part in pair):
        _check_rows("cv", part, rows)
    held = np.bincount(np.concatenate([test for _, test in pairs]), minlength=rows)
    if held.max() > 1:
        raise InputError(
            f"cv holds row {held.argmax()} out {held.max()} times, but one vector a row is wanted: give a "
            "splitter whose held-out parts do not overlap"
        )
    return pairs


def _splitter(count: int, y: Any, groups: Any, classes: bool, seed: int) -> Any:
    if count < 2:
        raise InputError(f"cv is {count}, but at least 2 folds are needed")
    if groups is not None:
        return GroupKFold(count)
    smallest = np.unique(np.asarray(y), return_counts=True)[1].min() if classes else 0
    return (StratifiedKFold if smallest >= count else KFold)(count, shuffle=True, random_state=seed)


def _is_splitter(given: Any) -> bool:
    return hasattr(given, "split") and not isinstance(given, str)


def _split(splitter: Any, y: Any, groups: Any) -> list[Any]:
    y = np.asarray(y)
    try:
        with warnings.catch_warnings():  # one `groups` serves two splitters, of which one may not look at groups
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            return list(splitter.split(np.zeros((len(y), 1)), y, groups))
    except ValueError as error:
        raise InputError(f"{type(splitter).__name__} cannot split these rows: {error}") from None


def _iterated(cv: Any) -> list[Any]:
    try:
        pairs = [(train, test) for train, test in cv]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise InputError(f"cv is {cv!r}, but must be None, a number of folds, a splitter, or pairs of rows")
    return pairs
