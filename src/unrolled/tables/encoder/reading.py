"""Which columns are read by their spelling, and the vectors that follow from it.

The rule of spelling="auto": a column of strings with 50 categories or more, if their spelling predicts the vectors of
held-out categories better than the mean does: by 5 % of the variance, and beyond two standard errors. Names that differ
in their digits alone are ids and never read. Left out: the map itself (`spelling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unrolled.errors import InputError, unknown_name
from unrolled.tables.encoder.coding import SPECIAL, are_numbered
from unrolled.tables.encoder.fitted import Fitted
from unrolled.tables.encoder.schema import Schema
from unrolled.tables.encoder.spelling import FOLDS, Reading, blend, fit_spelling
from unrolled.tables.encoder.vectors import Counts

MIN_NAMES = 50
MIN_EXPLAINED = 0.05
ERRORS = 2.0

Readings = dict[int, Reading]


def read_names(fitted: Fitted, counts: Sequence[Counts], wanted: Any) -> tuple[Fitted, Readings]:
    """`fitted` with the names of some columns read, and their readings by position of the field.

    `counts` has per field the rows that its vectors were learned from, (row,) or (network, row); `wanted` is "auto",
    None, or names of columns. Raises InputError for a name that is no column of strings.
    """
    readings: Readings = {}
    explained: dict[int, float] = {}
    for i in columns_to_read(fitted.schema, wanted):
        coding, known = fitted.schema.codings[i], slice(len(SPECIAL), None)
        seen = np.atleast_2d(counts[i]).mean(axis=0)[known]
        if np.count_nonzero(seen) < FOLDS:
            continue
        reading = fit_spelling(coding.known.tolist(), fitted.vectors.tables[i][known], seen)
        explained[i] = reading.explained
        if not isinstance(wanted, str) or is_clear(reading):
            readings[i] = reading
    return _with_readings(fitted, readings, counts, explained), readings


def is_clear(reading: Reading) -> bool:
    """Whether spelling predicts the vectors of held-out categories."""
    return reading.explained - ERRORS * reading.error > 0 and reading.explained > MIN_EXPLAINED


def columns_to_read(schema: Schema, wanted: Any) -> list[int]:
    """The position of each category field whose spelling is tried. Raises InputError as `read_names` does."""
    automatic = isinstance(wanted, str)
    if automatic and wanted != "auto":
        raise InputError(f"spelling is {wanted!r}, but must be 'auto', None, or a list of columns of strings")
    strings = {coding.name: i for i, coding in enumerate(schema.codings) if coding.kind == "string"}
    names = list(strings) if automatic else [name for name in wanted or [] if name not in schema.constants]
    for name in names:
        if name not in strings:
            raise unknown_name("column of strings", str(name), list(strings))
    least = MIN_NAMES if automatic else FOLDS
    codings = {name: schema.codings[strings[name]] for name in names}
    chosen = [name for name in names if not (automatic and are_numbered(codings[name].known))]
    return [strings[name] for name in chosen if len(codings[name].known) >= least]


def _with_readings(fitted: Fitted, readings: Readings, counts: Sequence[Counts], explained: dict[int, float]) -> Fitted:
    """`fitted` with names read: each category's vector is its own and the one of its spelling, weighed by its rows."""
    tables = list(fitted.vectors.tables)
    for i, reading in readings.items():
        seen = np.atleast_2d(counts[i]).mean(axis=0)[len(SPECIAL) :]
        known = blend(tables[i][len(SPECIAL) :], reading.held_out, seen)
        tables[i] = np.concatenate([tables[i][: len(SPECIAL)], known])
    return replace(
        fitted,
        vectors=replace(fitted.vectors, tables=tables),
        spellings={i: reading.spelling for i, reading in readings.items()},
        components={i: np.pad(reading.components, ((len(SPECIAL), 0), (0, 0))) for i, reading in readings.items()},
        explained=explained,
    )
