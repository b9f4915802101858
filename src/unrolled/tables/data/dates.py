"""The parts of dates: year, month, day of the month, weekday and hour, as columns of whole numbers.

Left out: which parts a reader of a table wants, and reading texts as dates (see `files`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.tables.data.columns import Column

FORMS = tuple(day + hour for day in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y")
              for hour in ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S"))  # fmt: skip
"""Forms of dates that strings may have."""
PARTS = ("year", "month", "day", "weekday", "hour")
AMOUNTS = ("year", "yearday")
"""Parts that are also numbers: time goes on in them, and a day of the year has neighbours."""


def date_numbers(column: Column) -> NDArray[np.float64]:
    """(row, part) days since 1970 and the parts of a date, the hour only where there is one; NaN where missing."""
    days = column.values.astype("datetime64[s]").astype(np.int64) / 86_400
    hours = bool(has_hour(column.values[~column.missing]).any())
    parts = [date_part(column, part).values for part in PARTS if part != "hour" or hours]
    numbers = np.column_stack([days, *parts]).astype(np.float64)
    numbers[column.missing] = np.nan
    return numbers


def form_of(texts: Iterable[str]) -> str | None:
    """The one form in which all `texts` are dates, as `strptime` has it; None where there is none or more than one.

    Whether 02/03/2024 is of February or of March, the other rows tell: one of them has a day above 12.
    """
    texts = dict.fromkeys(texts)
    first = next(iter(texts), "")
    forms = [form for form in FORMS if _parsed(first, form) is not None]
    forms = [form for form in forms if all(_parsed(text, form) is not None for text in texts)]
    return forms[0] if len(forms) == 1 else None


def as_dates(column: Column, form: str) -> Column:
    """A column of strings as dates, missing where one has not the `form`; one of dates as it is."""
    if column.kind != "string":
        return column
    texts, place = np.unique(column.values.astype(str), return_inverse=True)
    found = [_parsed(text, form) for text in texts]
    dates = np.array([np.datetime64("NaT") if date is None else date for date in found], dtype="datetime64[s]")[place]
    return Column(column.name, "date", dates, column.missing | np.isnat(dates), column.declared)


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


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
        "yearday": lambda: (days - days.astype("datetime64[Y]")).astype(np.int64) + 1,
    }
    numbers = np.where(column.missing, 0, of_part[part]())
    return Column(f"{column.name}_{part}", "integer", numbers, column.missing)
