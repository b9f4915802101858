"""Reading a table: a CSV or Parquet file, or a frame in memory, as a pandas frame that later steps can rely on.

Here every fault of the table itself becomes one sentence that names the column and the value. Left out: what a column
means for a model (columns are turned into features elsewhere) and writing tables.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import numbers
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.tables.data.columns import is_beyond, local_clock
from unrolled.tables.data.target import FEW_VALUES, TARGET_TYPES, TargetType, kind_by_rule

MIN_ROWS = 20  # fewer rows leave no fold with anything to learn from
SNIFFED_BYTES = 64 << 10
DELIMITERS = ",;\t|"
QUOTED = re.compile(r'(^|(?<=[,;\t|]))"([^"]|"")*"')
"""A name in quotes: marks in it part no columns."""
ZONE = r"(Z|[+-]\d{2}:?\d{2})"
ISO_DATE = r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?" + ZONE + "?)?"
DAY_FIRST = r"\d{1,2}\.\d{1,2}\.\d{4}"
DATES = {
    ISO_DATE: "ISO8601", DAY_FIRST: "%d.%m.%Y", DAY_FIRST + r" \d{1,2}:\d{2}": "%d.%m.%Y %H:%M",
    DAY_FIRST + r" \d{1,2}:\d{2}:\d{2}": "%d.%m.%Y %H:%M:%S",
}  # fmt: skip
"""Texts that are dates wherever they stand. With slashes the month comes first in one country, the day in another."""
DECIMAL_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"


@dataclass(frozen=True)
class TargetColumn:
    """The column to predict, ready for a model.

    `values` is (row,): float64 for a regression, else the int64 position of each row's class in `classes`.
    """

    name: str
    type: TargetType
    values: NDArray[Any]
    classes: tuple[str, ...] = ()

    def rows(self, chosen: NDArray[np.intp]) -> TargetColumn:
        """The same target on the chosen rows only."""
        return TargetColumn(self.name, self.type, self.values[chosen], self.classes)


def open_table(path: str | Path) -> Any:
    """The table in a CSV (.csv, .tsv, .txt, also .gz) or Parquet file, as a pandas frame.

    Texts that are ISO dates, or days first with dots, become dates; where semicolons part the columns, texts that are
    numbers with a decimal comma become numbers.

    Raises InputError for a file that is missing, is no table, or names a column twice.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: name a CSV or Parquet file")
    if path.is_dir():
        raise InputError(f"{path} is a folder, but one CSV or Parquet file was expected")
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return as_frame(_with_dates(_read_parquet(path)))
    if suffixes[-1:] in ([".csv"], [".tsv"], [".txt"], [".data"]):
        return as_frame(_with_dates(_read_csv(path)))
    raise InputError(f"{path} ends in {path.suffix or 'nothing'!r}, but a .csv, .tsv or .parquet file was expected")


def as_frame(table: Any) -> Any:
    """`table` (pandas or polars) as a pandas frame with a plain row index and text column names.

    Raises InputError for anything else, a name given twice, no column or no row. Rows keep their order.
    """
    pandas = import_extra("pandas", "tables")
    if not isinstance(table, pandas.DataFrame):
        narwhals = import_extra("narwhals", "tables")
        try:
            table = narwhals.from_native(table, eager_only=True).to_pandas()
        except (TypeError, AttributeError):
            raise InputError(
                f"a pandas or polars table was expected, not {type(table).__name__}: give it column names first"
            ) from None
    _check_names(str(name) for name in table.columns)
    if not len(table):
        raise InputError("the table has column names but no rows")
    frame = table.reset_index(drop=True)
    frame.columns = [str(name) for name in frame.columns]
    for name in frame.columns:
        frame[name] = _plain(frame[name])
    return frame


def split_target(frame: Any, name: str, target_type: TargetType | None = None) -> tuple[Any, TargetColumn]:
    """The other columns of `frame`, and its column `name` as the target.

    The type is that of `target.kind_by_rule` unless given. Raises InputError where the target cannot be learned.
    """
    if name not in frame.columns:
        raise unknown_name("column", name, frame.columns)
    if len(frame) < MIN_ROWS:
        raise InputError(f"the table has {len(frame)} rows, but at least {MIN_ROWS} are needed to measure anything")
    if frame.shape[1] == 1:
        raise InputError(f"the table has no column besides the target {name!r}")
    if target_type is not None and target_type not in TARGET_TYPES:
        raise unknown_name("target type", str(target_type), TARGET_TYPES)
    return frame.drop(columns=[name]), as_target(frame[name], name, target_type)


def as_target(series: Any, name: str, target_type: TargetType | None = None) -> TargetColumn:
    """The target in `series`; see `split_target`."""
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing):
        raise InputError(
            f"the target {name!r} is missing in {_rows(len(missing))} (first: row {missing[0]}): drop them or fill them"
        )
    distinct = series.astype(str).nunique() if _is_odd(series) else series.nunique()
    if distinct < 2:
        raise InputError(f"the target {name!r} is {_told(series.iloc[0])} in every row: there is nothing to predict")
    chosen = target_type or _inferred_type(series, distinct, name)
    if chosen == "continuous":
        return TargetColumn(name, chosen, _numbers(series, name))
    return _classes(series, name, chosen, distinct)


def few_whole_numbers(series: Any) -> int:
    """How many values a target has that may be meant as classes: 3 to `FEW_VALUES` whole numbers; 0 for others."""
    if not import_extra("pandas", "tables").api.types.is_numeric_dtype(series):
        return 0
    values = np.unique(series.dropna().to_numpy(np.float64))
    return len(values) if 2 < len(values) <= FEW_VALUES and bool((values % 1 == 0).all()) else 0


def check_columns(frame: Any, names: Sequence[str]) -> None:
    """Raise InputError unless each of `names` is a column of `frame`."""
    for name in names:
        if name not in frame.columns:
            raise unknown_name("column", name, frame.columns)


def check_chosen(frame: Any, target: str, categories: Sequence[str], ignore: Sequence[str]) -> None:
    """Raise InputError unless `categories` and `ignore` name columns of `frame`, none in both, none the target."""
    check_columns(frame, (*categories, *ignore))
    if target in ignore:
        raise InputError(f"{target!r} is the target and cannot be left out")
    if target in categories:
        raise InputError(f"{target!r} is the target and no column to learn from: name other columns as categories")
    for name in categories:
        if name in ignore:
            raise InputError(f"column {name!r} is named as a category and as one to leave out: choose one of the two")


def labels(series: Any) -> Any:
    """The categories of `series` as text (object series), missing kept: 1, 1.0 and "1" are one category."""
    values = series.astype(object)
    present = values.notna()
    return values.where(~present, values[present].map(_label)).where(present, None)


def _label(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _plain(series: Any) -> Any:
    """`series` with odd cells made plain: durations as seconds, decimals as numbers, lists and mixes as text.

    So are whole numbers beyond 64 bits: no float tells them apart, and what is numbered so is a name.
    """
    pandas = import_extra("pandas", "tables")
    types = pandas.api.types
    if types.is_timedelta64_dtype(series):
        return series.dt.total_seconds()
    if isinstance(series.dtype, pandas.PeriodDtype):
        return series.dt.to_timestamp()
    if isinstance(series.dtype, pandas.CategoricalDtype):
        inside = {_kind_of_cell(value) for value in series.cat.categories}
        return labels(series).astype("category") if len(inside) > 1 or "other" in inside else series
    if isinstance(series.dtype, pandas.IntervalDtype) or types.is_complex_dtype(series):
        return labels(series)
    if series.dtype != object:
        return labels(series) if series.dtype == np.uint64 and is_beyond(series.to_numpy()).any() else series
    return _plain_objects(series)


def _plain_objects(series: Any) -> Any:
    present = series[series.notna()]
    found = {_kind_of_cell(value) for value in present}
    if found == {"date"}:
        return series.map(local_clock, na_action="ignore")
    if found <= {"number", "decimal"} and "decimal" in found:
        return series.map(float, na_action="ignore").astype(float)
    whole = np.array([value for value in present if type(value) is int], dtype=object)
    if is_beyond(whole).any():
        return labels(series)
    return series if len(found) <= 1 and "other" not in found else labels(series)


def _kind_of_cell(value: Any) -> str:
    known = ((bool | np.bool_, "boolean"), (str, "text"), (numbers.Real, "number"), (Decimal, "decimal"))
    dates = datetime.date | np.datetime64
    return next((kind for types, kind in (*known, (dates, "date")) if isinstance(value, types)), "other")


def _read_parquet(path: Path) -> Any:
    parquet, arrow = import_extra("pyarrow.parquet", "tables"), import_extra("pyarrow", "tables")
    try:
        _check_names(parquet.read_schema(path).names)  # pandas would rename the second of two
        return parquet.read_table(path).to_pandas()
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file that can be read: {_first_line(error)}") from None


def _read_csv(path: Path) -> Any:
    pandas = import_extra("pandas", "tables")
    try:
        head = _head(path)
        delimiter = "\t" if ".tsv" in path.name.lower() else _delimiter(head)
        names = next(csv.reader(io.StringIO(head), delimiter=delimiter))
        _check_names(names)
        with warnings.catch_warnings():  # pandas only warns of values without a name, and drops them
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(path, sep=delimiter, encoding="utf-8-sig", low_memory=False, index_col=False)
        return _with_decimals(frame) if delimiter == ";" else frame
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 (byte {error.start}): save it as UTF-8 CSV or Parquet") from None
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, gzip.BadGzipFile, csv.Error) as error:
        raise InputError(f"{path} is not a table: {_first_line(error)}") from None
    except pandas.errors.ParserWarning:
        first = delimiter.join(names)[:60]
        raise InputError(
            f"{path} is not a table: its first line {first!r} should name every column, but a line below it has more "
            f"values than names ({len(names)}): remove what stands above the line of names, or name the others"
        ) from None


def _head(path: Path) -> str:
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        data = stream.read(SNIFFED_BYTES)
        if b"\n" not in data and b"\0" not in data:
            data += stream.readline()  # the line of names is needed whole
    if not data.strip():
        raise InputError(f"{path} is empty: a table with a line of column names was expected")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is text in UTF-16: save it as UTF-8 CSV or Parquet")
    if b"\0" in data:
        raise InputError(f"{path} holds binary data, but a text table (CSV) was expected")
    whole = data if len(data) < SNIFFED_BYTES else data[: data.rfind(b"\n") + 1 or None]
    return whole.decode("utf-8-sig").lstrip("\r\n")


def _delimiter(head: str) -> str:
    first = re.sub(QUOTED, "", head).splitlines()[0]
    return max(DELIMITERS, key=lambda mark: (first.count(mark), -DELIMITERS.index(mark)))


def _with_dates(frame: Any) -> Any:
    """Text columns whose every value is a date of one form in `DATES`, as dates: CSV has no types of its own."""
    for name in _text_columns(frame):
        form = next((form for form in DATES if _all_match(frame[name], form)), None)
        dates = None if form is None else _as_dates(frame[name], DATES[form])
        if dates is not None:
            frame[name] = dates
    return frame


def _as_dates(series: Any, form: str) -> Any:
    """The dates, by the local clock where they have a zone; None where one is on no calendar, as 2023-02-31."""
    local = series.str.replace(ZONE + "$", "", regex=True)
    dates = import_extra("pandas", "tables").to_datetime(local, format=form, errors="coerce")
    return dates if dates.notna().sum() == series.notna().sum() else None


def _with_decimals(frame: Any) -> Any:
    """Text columns whose every value is a number, some with a decimal comma, as numbers."""
    for name in _text_columns(frame):
        texts = frame[name]
        if _all_match(texts, DECIMAL_COMMA) and texts.str.contains(",", regex=False, na=False).any():
            plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
            frame[name] = import_extra("pandas", "tables").to_numeric(plain)
    return frame


def _text_columns(frame: Any) -> list[str]:
    types = import_extra("pandas", "tables").api.types
    return [name for name in frame.columns if types.is_string_dtype(frame[name].dropna())]


def _all_match(texts: Any, pattern: str) -> bool:
    """Whether there are texts, and all of them fit; the first ones are asked first, which nearly always settles it."""
    present = texts.dropna()
    return len(present) > 0 and all(part.str.fullmatch(pattern).all() for part in (present.head(100), present))


def _check_names(names: Iterable[str]) -> None:
    counted = Counter(names)
    if not counted:
        raise InputError("the table has no columns")
    name, times = counted.most_common(1)[0]
    if times > 1:
        raise InputError(f"the column name {name!r} stands {times} times in the table: every name must stand once")


def _inferred_type(series: Any, distinct: int, name: str) -> TargetType:
    types = import_extra("pandas", "tables").api.types
    if types.is_datetime64_any_dtype(series) or types.is_timedelta64_dtype(series):
        raise InputError(f"the target {name!r} holds dates or durations: turn it into a number first, such as days")
    return kind_by_rule(distinct, types.is_numeric_dtype(series))


def _numbers(series: Any, name: str) -> NDArray[np.float64]:
    pandas = import_extra("pandas", "tables")
    values = pandas.to_numeric(series.astype(object), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(values))
    if len(wrong):
        raise InputError(
            f"the target {name!r} holds {_told(series.iloc[wrong[0]])} in row {wrong[0]}, which is no number"
        )
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise InputError(
            f"the target {name!r} holds {values[infinite[0]]} in row {infinite[0]}: replace infinite numbers"
        )
    return np.asarray(values, np.float64)


def _classes(series: Any, name: str, chosen: TargetType, distinct: int) -> TargetColumn:
    if chosen == "binary" and distinct != 2:
        raise InputError(f"the target {name!r} has {distinct} different values, but a binary target has two")
    if distinct > len(series) // 2:
        raise InputError(
            f"the target {name!r} has {distinct} different values in {_rows(len(series))}, such as "
            f"{_told(series.iloc[0])}: too many for classes; if they are numbers, write them plainly, as 1234.5, else "
            "choose another target"
        )
    pandas = import_extra("pandas", "tables")
    codes, names = pandas.factorize(labels(series), sort=True)
    kind: TargetType = "binary" if distinct == 2 else "multiclass"
    return TargetColumn(name, kind, codes.astype(np.int64), tuple(str(n) for n in names))


def _is_odd(series: Any) -> bool:
    """Whether cells may be lists or other values that cannot be counted as they are."""
    return bool(series.dtype == object)


def _told(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].removeprefix("Error tokenizing data. C error: ")
