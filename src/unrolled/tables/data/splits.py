"""Which rows are held out: for early stopping (`validation`), for out-of-fold vectors and for judging models (`cv`).

All take scikit-learn's splitters, so that time and groups are respected; here is also what a seed may be. Left out:
training.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from unrolled.errors import InputError
from unrolled.tables.data.target import TargetColumn

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
        raise InputError(
            f"validation keeps {len(chosen)} of {rows} rows out of training: it must keep some, but not all"
        )
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


def folds(cv: Any, y: Any, groups: Any, classes: bool, seed: int, once: bool = True) -> list[tuple[Rows, Rows]]:
    """Train and held-out rows of each fold.

    A number means shuffled folds: by group where `groups` are given, else stratified for classes. Raises InputError
    if a row is none of the table's, or where `once` is held out twice.
    """
    rows = len(np.asarray(y))
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        cv = _splitter(int(cv), y, groups, classes, seed)
    pairs = _split(cv, y, groups) if _is_splitter(cv) else _iterated(cv)
    pairs = [(np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)) for train, test in pairs]
    for part in (part for pair in pairs for part in pair):
        _check_rows("cv", part, rows)
    if not once:
        return pairs
    held = np.bincount(np.concatenate([test for _, test in pairs]), minlength=rows)
    if held.max() > 1:
        raise InputError(
            f"cv holds row {held.argmax()} out {held.max()} times, but each row gets one vector: give a "
            "splitter whose held-out parts do not overlap"
        )
    return pairs


def judging_folds(target: TargetColumn, cv: Any, groups: Any, seed: int) -> list[tuple[Rows, Rows]]:
    """`folds` to fit and judge models on. Raises InputError where one has too few rows or lacks a class to learn."""
    if isinstance(cv, int) and target.is_classification:
        _check_class_counts(target, cv)
    found = folds(cv, target.values, groups, target.is_classification, seed, once=False)
    for number, (train, test) in enumerate(found, 1):
        if len(train) < 2 or not len(test):
            raise InputError(
                f"fold {number} of the splitter has {len(train)} training rows and {len(test)} test rows: ask "
                "for fewer folds"
            )
        absent = np.setdiff1d(np.arange(len(target.labels)), target.values[train])
        if len(absent):
            raise InputError(
                f"fold {number} has no row of class {target.labels[absent[0]]!r} of {target.name!r} to learn from: "
                "choose another splitter, or merge or remove that class"
            )
    return found


def _check_class_counts(target: TargetColumn, count: int) -> None:
    counts = np.bincount(target.values, minlength=len(target.labels))
    rare = int(counts.argmin())
    if counts[rare] < count:
        raise InputError(
            f"the target {target.name!r} is {target.labels[rare]!r} in only {counts[rare]} of the "
            f"{len(target.values):,} rows used, but {count} folds need {count} of each class: merge that class with "
            "another, leave its rows out, or ask for fewer folds"
        )


def _splitter(count: int, y: Any, groups: Any, classes: bool, seed: int) -> Any:
    rows = len(np.asarray(y))
    if not 2 <= count <= rows:
        raise InputError(f"{count} folds of {rows:,} rows cannot be made: ask for 2 folds or a few more")
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
        named = repr(cv) if len(repr(cv)) <= 80 else f"a {type(cv).__name__}"
        raise InputError(f"cv is {named}, but must be None, a number of folds, a splitter, or pairs of rows")
    return pairs
