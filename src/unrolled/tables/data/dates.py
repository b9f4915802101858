"""The parts of dates: year, month, day of the month, weekday and hour, as columns of whole numbers.

Left out: which parts a reader of a table wants, and reading texts as dates (see `files`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.tables.data.columns import Column

PARTS = ("year", "month", "day", "weekday", "hour")


def date_numbers(column: Column) -> NDArray[np.float64]:
    """(row, part) days since 1970 and the parts of a date, the hour only where there is one; NaN where missing."""
    days = column.values.astype("datetime64[s]").astype(np.int64) / 86_400
    hours = bool(has_hour(column.values[~column.missing]).any())
    parts = [date_part(column, part).values for part in PARTS if part != "hour" or hours]
    numbers = np.column_stack([days, *parts]).astype(np.float64)
    numbers[column.missing] = np.nan
    return numbers


def has_hour(dates: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """(row,) which dates are not at midnight."""
    return np.asarray(dates != dates.astype("datetime64[D]"))


def date_part(column: Column, part: str) -> Column:
    """One part of a column of dates as whole numbers; Monday is weekday 0."""
    if column.kind != "date":
        if not column.missing.all():
            raise InputError(f"column {column.name!r} was fitted on dates, but now holds {column.values[0]!r}")
        return Column(f"{column.name}_{part}", "integer", np.zeros(len(column), np.int64), column.missing)
    days = column.values.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    of_part: dict[str, Callable[[], NDArray[np.int64]]] = {
        "year": lambda: days.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": lambda: months.astype(np.int64) % 12 + 1,
        "day": lambda: (days - months).astype(np.int64) + 1,
        "weekday": lambda: (days.astype(np.int64) + 3) % 7,
        "hour": lambda: (column.values - days).astype("timedelta64[h]").astype(np.int64),
    }
    numbers = np.where(column.missing, 0, of_part[part]())
    return Column(f"{column.name}_{part}", "integer", numbers, column.missing)
