"""Opening a table: a CSV or Parquet file as a pandas frame, with every fault of the file in one sentence.

CSV has no types of its own, so texts that are dates or numbers with a decimal comma in every row become such. Left out:
what a column holds and what its odd cells become (see `columns`), and writing tables.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unrolled.errors import InputError, import_extra
from unrolled.tables.data.columns import Column, refuse_duplicates
from unrolled.tables.data.dates import form_of
from unrolled.text.encoding import decode, known_encoding, looks_binary

SNIFFED = 64 << 10
"""Characters in which the line of names and the delimiter are looked for."""
BLOCK = 1 << 20
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
"""Texts that are dates wherever they stand."""
SLASHES = r"\d{1,2}/\d{1,2}/\d{4}( \d{1,2}:\d{2}(:\d{2})?)?"
"""The month comes first in one country, the day in another: a column tells by a day above 12."""
DECIMAL_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"


def open_table(path: str | Path, encoding: str = "utf-8") -> Any:
    """The table in a CSV (.csv, .tsv, .txt, also .gz) or Parquet file, as a pandas frame.

    `encoding` is that of a CSV file, with or without a byte order mark.

    Texts that are ISO dates, or days first with dots, become dates; where semicolons part the columns, texts that are
    numbers with a decimal comma become numbers.

    Raises InputError for a file that is missing, is no table, has no rows, has duplicate column names, or is not in
    the `encoding`; the message names the one that is likely.
    """
    path, encoding = Path(path), known_encoding(encoding)
    if not path.exists():
        raise InputError(f"{path} does not exist: name a CSV or Parquet file")
    if path.is_dir():
        raise InputError(f"{path} is a folder, but one CSV or Parquet file was expected")
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in (".parquet", ".pq"):
        frame = _read_parquet(path)
    elif ending in (".csv", ".tsv", ".txt", ".data"):
        frame = _read_csv(path, encoding)
    else:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'!r}, but a .csv, .tsv or .parquet file was expected")
    if not len(frame):
        raise InputError(f"{path} has column names but no rows")
    return _with_dates(frame.reset_index(drop=True))


def _read_parquet(path: Path) -> Any:
    parquet, arrow = import_extra("pyarrow.parquet"), import_extra("pyarrow")
    try:
        refuse_duplicates(parquet.read_schema(path).names)  # pandas would rename the second of two
        return parquet.read_table(path).to_pandas()
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file that can be read: {_first_line(error)}") from None


def _read_csv(path: Path, encoding: str) -> Any:
    pandas = import_extra("pandas")
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        head = _head(path, encoding)
        delimiter = "\t" if ".tsv" in path.name.lower() else _delimiter(head)
        names = next(csv.reader(io.StringIO(head), delimiter=delimiter))
        refuse_duplicates(names)
        with warnings.catch_warnings():  # pandas only warns of values without a name, and drops them
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(path, sep=delimiter, encoding=encoding, low_memory=False, index_col=False)
        return _with_decimals(frame) if delimiter == ";" else frame
    except UnicodeError:
        raise _not_decodable(path, encoding.removesuffix("-sig")) from None
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, gzip.BadGzipFile, csv.Error) as error:
        raise InputError(f"{path} is not a table: {_first_line(error)}") from None
    except pandas.errors.ParserWarning:
        first = delimiter.join(names)[:60]
        raise InputError(
            f"{path} is not a table: its first line {first!r} should name every column, but a line below it has more "
            f"values than names ({len(names)}): remove what stands above the line of names, or name the others"
        ) from None


def _head(path: Path, encoding: str) -> str:
    """The beginning of the text, with the line of names whole and no empty line before it."""
    with _opened(path, "rt", encoding=encoding) as stream:
        head = str(stream.read(SNIFFED))
        head += stream.readline() if "\0" not in head else ""
    if "\0" in head:
        raise _binary(path)
    if not head.strip():
        raise InputError(f"{path} is empty: a table with a line of column names was expected")
    return head.lstrip("\n")


def _opened(path: Path, mode: str, **options: Any) -> Any:
    return gzip.open(path, mode, **options) if path.suffix.lower() == ".gz" else path.open(mode, **options)


def _blocks(path: Path) -> Iterator[bytes]:
    with _opened(path, "rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def _not_decodable(path: Path, encoding: str) -> InputError:
    """What is wrong with a file that is not text in `encoding`."""
    if looks_binary(next(_blocks(path)), encoding):
        return _binary(path)
    try:
        for _ in decode(_blocks(path), encoding, str(path), lambda: _blocks(path)):
            pass
    except InputError as error:
        return error
    return InputError(f"{path} cannot be read as {encoding}: name its encoding, or convert the file to UTF-8")


def _binary(path: Path) -> InputError:
    return InputError(f"{path} holds binary data, but a text table (CSV) was expected")


def _delimiter(head: str) -> str:
    first = re.sub(QUOTED, "", head).splitlines()[0]
    return max(DELIMITERS, key=lambda mark: (first.count(mark), -DELIMITERS.index(mark)))


def _with_dates(frame: Any) -> Any:
    """Text columns whose every value is a date of one form in `DATES`, as dates: CSV has no types of its own."""
    for name in _text_columns(frame):
        dates = _as_dates(frame[name])
        if dates is not None:
            frame[name] = dates
    return frame


def dates_in(column: Column) -> Column:
    """`column` as dates if it has texts that are dates to `open_table`, such as a frame that was read without it."""
    if column.kind != "string" or column.missing.all():
        return column
    texts = import_extra("pandas").Series(column.values).mask(column.missing)
    dates = _as_dates(texts)
    if dates is None:
        return column
    return Column(column.name, "date", dates.to_numpy().astype("datetime64[s]"), column.missing)


def _as_dates(series: Any) -> Any:
    """The dates, by the local clock where they have a zone.

    None where they are not all of one form in `DATES` or with slashes, or one is on no calendar, as 2023-02-31.
    """
    form = next((DATES[form] for form in DATES if _all_match(series, form)), None)
    if _all_match(series, SLASHES):
        form = form_of(series.dropna())
    if form is None:
        return None
    local = series.str.replace(ZONE + "$", "", regex=True)
    dates = import_extra("pandas").to_datetime(local, format=form, errors="coerce")
    return dates if dates.notna().sum() == series.notna().sum() else None


def _with_decimals(frame: Any) -> Any:
    """Text columns whose every value is a number, some with a decimal comma, as numbers."""
    for name in _text_columns(frame):
        texts = frame[name]
        if _all_match(texts, DECIMAL_COMMA) and texts.str.contains(",", regex=False, na=False).any():
            plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
            frame[name] = import_extra("pandas").to_numeric(plain)
    return frame


def _text_columns(frame: Any) -> list[str]:
    types = import_extra("pandas").api.types
    return [name for name in frame.columns if types.is_string_dtype(frame[name].dropna())]


def _all_match(texts: Any, pattern: str) -> bool:
    """Whether there are texts, and all of them fit; the first hundred nearly always settle it."""
    present = texts.dropna()
    return len(present) > 0 and all(part.str.fullmatch(pattern).all() for part in (present.head(100), present))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].removeprefix("Error tokenizing data. C error: ")
