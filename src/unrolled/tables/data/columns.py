"""A table becomes named columns: pandas, polars, pyarrow, NumPy and plain lists alike.

What a column holds (strings, booleans, whole numbers, numbers, dates) is decided here, once, from its type and, where
the type says nothing (object columns), from its values. Left out: opening files (see `files`), and whether a column is
then treated as categories or as a number, which `encoder.schema` and `report.features` decide.
"""

from __future__ import annotations

import datetime
import numbers
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError

ColumnKind = Literal["string", "boolean", "integer", "number", "date"]

NOUNS: dict[ColumnKind, str] = {"string": "strings", "boolean": "booleans", "integer": "whole numbers",
                          "number": "numbers", "date": "dates"}  # fmt: skip
EXACT = 2**53
"""Up to here float64 holds every whole number, so that 7 and 7.0 are the same category."""


class ColumnTypeError(InputError, TypeError):
    """A column holds objects that are neither strings, numbers, booleans nor dates."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `values` is (row,): str objects, bool, int64, float64 or datetime64[s] by `kind`; where `missing`, (row,) bool, is
    set, the value there means nothing. `declared` is set when the table itself says that this is a category.
    """

    name: str
    kind: ColumnKind
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    declared: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The column at `rows`, in their order."""
        return Column(self.name, self.kind, self.values[rows], self.missing[rows], self.declared)


def one_form(column: Column) -> Column:
    """`column` with strings in Unicode's composed form (NFC): é is one category, however it was typed."""
    if column.kind != "string" or all(map(str.isascii, column.values)):
        return column
    values = np.array([unicodedata.normalize("NFC", value) for value in column.values], dtype=object)
    return replace(column, values=values)


def is_frame(table: object) -> bool:
    """Whether `table` is a data frame of a library that narwhals knows."""
    if isinstance(table, np.ndarray | list):
        return False
    return hasattr(table, "iloc") or isinstance(nw.from_native(table, pass_through=True), nw.DataFrame | nw.LazyFrame)


def read_table(table: Any, names: list[str] | None = None, as_text: bool = False) -> list[Column]:
    """The columns of `table`: a data frame, anything NumPy sees as (row, column), or an object with `columns` read.

    `names` replaces the names x0, x1, ... of a table that has none. With `as_text` cells of several kinds in one
    column, lists and other objects, and whole numbers beyond 64 bits become strings, durations become seconds and
    periods their first moment; without it they are refused. Raises InputError for what is not a table, has no rows or
    columns, has duplicate column names or holds an infinite number.
    """
    if hasattr(table, "toarray"):
        raise ColumnTypeError("a sparse matrix was given, but a dense table was expected: call toarray() on it first")
    if table is None or isinstance(table, str | bytes | dict):
        raise InputError(f"a table was expected (a data frame or rows of values), not {_described(table)}")
    if hasattr(table, "iloc") and table.ndim == 2:  # pandas: narwhals takes as long as a row's transform
        return _from_frame(table, as_text)
    frame = nw.from_native(table, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError("a lazy frame has no rows yet: call collect() on it first")
    if isinstance(frame, nw.DataFrame):
        return _from_frame(frame, as_text)
    read = getattr(table, "columns", None)
    if isinstance(read, tuple):  # of a `Table`
        return list(read)
    return _from_array(_as_array(table), names)


def first_row(found: NDArray[np.bool_]) -> str:
    """The first of the rows that are set in `found`, (row, ...), for people."""
    return f"row {found.reshape(len(found), -1).any(axis=1).argmax()}, counted from 0"


def is_beyond(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(row,) which whole numbers, unsigned or Python's own, int64 cannot hold."""
    limits = np.iinfo(np.int64)
    above = np.asarray(values > limits.max, dtype=bool)
    return above if values.dtype.kind == "u" else above | np.asarray(values < limits.min, dtype=bool)


def _described(table: object) -> str:
    return "None" if table is None else f"a {type(table).__name__}"


def refuse_duplicates(names: Iterable[object]) -> None:
    """Raise InputError where two of the column names are the same."""
    name, count = next(iter(Counter(map(str, names)).most_common(1)), ("", 0))
    if count > 1:
        raise InputError(f"duplicate column name {name!r}: {count} columns have it, give each its own name")


def _from_frame(frame: Any, as_text: bool) -> list[Column]:
    """The columns of a frame of narwhals or of pandas."""
    given = list(frame.columns)
    refuse_duplicates(given)
    _refuse_nothing(*frame.shape)
    plain = all(isinstance(name, str) for name in given)
    names = [*map(str, given)] if plain or as_text else [f"x{i}" for i in range(len(given))]
    if hasattr(frame, "iloc"):
        return [_from_pandas(name, one, as_text) for name, (_, one) in zip(names, frame.items(), strict=True)]
    return [_from_series(name, series, as_text) for name, series in zip(names, frame.iter_columns(), strict=True)]


def _from_pandas(name: str, series: Any, as_text: bool) -> Column:
    """Plain columns of pandas without the detour over narwhals, which costs more than the transform of a single row."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biufM":
        return _from_values(name, series.to_numpy(), as_text)
    if str(series.dtype) == "str":
        cells = series.array  # its methods are faster than those of the series
        missing = np.asarray(cells.isna())
        return Column(name, "string", np.where(missing, "", cells.to_numpy(dtype=object)), missing)
    if as_text and hasattr(series, "dt") and hasattr(series.dt, "to_timestamp"):
        series = series.dt.to_timestamp()  # periods
    return _from_series(name, nw.from_native(series, series_only=True), as_text)


def _from_series(name: str, series: nw.Series[Any], as_text: bool) -> Column:
    dtype = series.dtype
    missing = np.asarray(series.is_null().to_numpy(), dtype=bool)
    if dtype.is_integer():
        return _whole(name, _filled(series, 0), missing, as_text)
    if dtype.is_float() or isinstance(dtype, nw.Decimal):
        return _numbers(name, np.asarray(series.cast(nw.Float64()).to_numpy(), dtype=np.float64), missing)
    if isinstance(dtype, nw.Boolean):
        return Column(name, "boolean", _filled(series, False).astype(bool), missing)
    if isinstance(dtype, nw.Date | nw.Datetime):
        return _dates(name, series, missing)
    if isinstance(dtype, nw.String):
        return Column(name, "string", np.where(missing, "", np.asarray(series.to_numpy(), dtype=object)), missing)
    if as_text and isinstance(dtype, nw.Duration):
        return _numbers(name, np.asarray(series.to_numpy()) / np.timedelta64(1, "s"), missing)
    declared = isinstance(dtype, nw.Categorical | nw.Enum)
    if not (as_text or declared or isinstance(dtype, nw.Object | nw.Unknown)):
        raise ColumnTypeError(
            f"column {name!r} has the type {dtype}, but strings, numbers, booleans or dates were "
            "expected: convert it or leave it out"
        )
    cells = np.fromiter(series.to_list(), dtype=object, count=len(series))
    return _from_objects(name, cells, declared, missing, as_text)


def _filled(series: nw.Series[Any], value: int) -> NDArray[Any]:
    return np.asarray(series.fill_null(value).to_numpy())


def _whole(
    name: str, values: NDArray[Any], missing: NDArray[np.bool_], as_text: bool, declared: bool = False
) -> Column:
    """Whole numbers as int64. One that does not fit, which NumPy would make negative, is refused or makes text."""
    beyond = np.zeros(len(values), bool) if values.dtype.kind == "i" else is_beyond(values)
    if not beyond.any():
        return Column(name, "integer", values.astype(np.int64), missing, declared)
    if as_text:
        return _texts(name, values.astype(object), missing, declared)
    raise InputError(
        f"column {name!r} holds {values[beyond][0]}, a whole number beyond 64 bits, in {first_row(beyond)}: "
        "turn it into text"
    )


def _texts(name: str, values: NDArray[Any], missing: NDArray[np.bool_], declared: bool) -> Column:
    cells = [None if gap else label(value) for value, gap in zip(values, missing, strict=True)]
    return Column(name, "string", np.where(missing, "", np.array(cells, dtype=object)), missing, declared)


def label(value: object) -> str:
    """`value` as a category's name: 1, 1.0 and "1" have the same one."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _dates(name: str, series: nw.Series[Any], missing: NDArray[np.bool_]) -> Column:
    if isinstance(series.dtype, nw.Datetime) and series.dtype.time_zone is not None:
        series = series.dt.replace_time_zone(None)  # the hour on the clock there, which is what people act on
    values = np.asarray(series.to_numpy()).astype("datetime64[s]")
    return Column(name, "date", values, missing | np.isnat(values))


def _numbers(name: str, values: NDArray[np.float64], missing: NDArray[np.bool_] | None = None) -> Column:
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            f"column {name!r} holds an infinite number in {first_row(infinite)}: replace infinity by a number or by a "
            "missing value"
        )
    gaps = np.isnan(values)
    return Column(name, "number", values, gaps if missing is None else gaps | missing)


def _as_array(table: Any) -> NDArray[Any]:
    if isinstance(table, list | tuple) and len({len(row) for row in table if isinstance(row, list | tuple)}) > 1:
        raise InputError("the rows of the table differ in length")
    # as objects first: NumPy would turn the list [[1, "a"]] into strings
    array = np.asarray(table, dtype=object) if isinstance(table, list | tuple) else np.asarray(table)
    if np.iscomplexobj(array):
        raise InputError("Complex data not supported: give the parts as two columns")
    if array.ndim == 0:
        raise InputError(f"a table was expected (a data frame or rows of values), not {_described(table)}")
    if array.ndim != 2:
        raise InputError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data: one row an example, "
            "one column a feature, for example with .reshape(-1, 1)"
        )
    _refuse_nothing(*array.shape)
    return array


def _refuse_nothing(rows: int, width: int) -> None:
    for count, of, noun in ((width, "feature", "column"), (rows, "sample", "row")):
        if not count:
            raise InputError(
                f"0 {of}(s) (shape=({rows}, {width})) while a minimum of 1 is required: the table has no {noun}"
            )


def _from_array(array: NDArray[Any], names: list[str] | None) -> list[Column]:
    if names is None or len(names) != array.shape[1]:
        names = [f"x{i}" for i in range(array.shape[1])]
    return [_from_values(name, array[:, i]) for i, name in enumerate(names)]


def _from_values(name: str, values: NDArray[Any], as_text: bool = False) -> Column:
    whole = np.zeros(len(values), dtype=bool)
    match values.dtype.kind:
        case "b":
            return Column(name, "boolean", values, whole)
        case "i" | "u":
            return _whole(name, values, whole, as_text)
        case "f":
            return _numbers(name, values.astype(np.float64))
        case "M":
            return Column(name, "date", values.astype("datetime64[s]"), np.isnat(values))
        case _:
            return _from_objects(name, values.astype(object))


def _from_objects(
    name: str,
    values: NDArray[Any],
    declared: bool = False,
    missing: NDArray[np.bool_] | None = None,
    as_text: bool = False,
) -> Column:
    gaps = np.fromiter(map(is_missing, values), dtype=bool, count=len(values))
    missing = gaps if missing is None else gaps | missing
    examples = _examples(values[~missing])
    if as_text and ("other" in examples or len(examples) > 1) and set(examples) != {"integer", "number"}:
        return _texts(name, values, missing, declared)
    kind = _only_kind(name, examples)
    if kind == "string":
        return Column(name, kind, np.where(missing, "", values).astype(object), missing, declared)
    if kind == "integer":
        return _whole(name, np.where(missing, 0, values), missing, as_text, declared)
    filler = {"boolean": False, "number": np.nan, "date": np.datetime64("NaT", "s")}[kind]
    dtype = {"boolean": "bool", "number": "float64", "date": "datetime64[s]"}[kind]
    cells = [filler if gap else _local_clock(value) for value, gap in zip(values, missing, strict=True)]
    typed = np.array(cells, dtype=dtype)
    column = _numbers(name, typed, missing) if kind == "number" else Column(name, kind, typed, missing)
    return Column(name, kind, column.values, missing, declared)


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, NaN, or what a library has in its place."""
    # pandas' NA has no boolean value, so it is known by its type and not by comparing it
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float | np.datetime64 | np.floating) and bool(value != value))
    )


def _local_clock(value: Any) -> Any:
    """`value`; of a time with a zone what the clock shows there, without the zone."""
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


_KINDS: tuple[tuple[Any, ColumnKind], ...] = (
    (str, "string"), (bool | np.bool_, "boolean"), (numbers.Integral, "integer"),
    (numbers.Real | Decimal, "number"), (datetime.date | np.datetime64, "date"))  # fmt: skip


def _examples(present: NDArray[Any]) -> dict[ColumnKind | Literal["other"], object]:
    """The kinds among the cells `present`, "other" for what has none, with one cell of each."""
    of_type = dict(zip(map(type, present), present, strict=True))  # one value of each type, without a slow loop
    kinds: dict[ColumnKind | Literal["other"], object] = {}
    for value in of_type.values():
        kinds[next((kind for types, kind in _KINDS if isinstance(value, types)), "other")] = value
    return kinds


def _only_kind(name: str, examples: dict[ColumnKind | Literal["other"], object]) -> ColumnKind:
    """The one kind of a column's cells. Raises InputError where there are several, or one is of none."""
    if "other" in examples:
        value = examples["other"]
        raise ColumnTypeError(
            f"column {name!r}: a category argument must be a string, a boolean, a date or a number, "
            f"not {type(value).__name__} {value!r}"[:300]
        )
    kinds: list[ColumnKind] = [kind for kind in examples if kind != "other"]
    if set(kinds) == {"integer", "number"}:
        return "number"
    if len(kinds) > 1:
        first, second = kinds[:2]
        raise InputError(
            f"column {name!r} mixes {NOUNS[first]} and {NOUNS[second]}, for example {examples[first]!r} and "
            f"{examples[second]!r}: give all its values one type"
        )
    return kinds[0] if kinds else "string"
