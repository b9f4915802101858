"""Records in the columns of tables: CSV, tab-separated, JSON lines and Parquet files.

A field in quotes may hold newlines. Left out: tables for vectors of categories (`unrolled.tables`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from unrolled.errors import InputError, import_extra, unknown_name

PARQUET = ".parquet"
SEPARATED, JSON_LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")


def is_table(name: str) -> bool:
    """Whether a file of this name is read as a table; `.gz` at its end does not matter."""
    return _suffix(name) in (*SEPARATED, *JSON_LINES, PARQUET)


def rows(name: str, pieces: Iterable[str], columns: Sequence[str]) -> Iterator[list[str]]:
    """The texts in these `columns` of the table `name`, row by row; a missing one is an empty text.

    `pieces` are the decoded text of the file, which a Parquet file is read without. Raises InputError for a column that
    is not there, and for a file that is no table.
    """
    suffix = _suffix(name)
    if suffix == PARQUET:
        return _parquet(Path(name), columns)
    lines = _lines(pieces)
    return _json_lines(name, lines, columns) if suffix in JSON_LINES else _separated(name, lines, columns)


def _suffix(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines with their newlines."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _separated(name: str, lines: Iterator[str], columns: Sequence[str]) -> Iterator[list[str]]:
    head = next(lines, "")
    delimiter = max(",;\t", key=head.count)
    names = next(csv.reader([head], delimiter=delimiter), [])
    _check_columns(columns, names, name)
    places = [names.index(column) for column in columns]
    limit = csv.field_size_limit(1 << 30)  # Python's own limit is 128 KB
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            yield [row[place] if place < len(row) else "" for place in places]
    except csv.Error as error:
        raise InputError(f"{name} cannot be read as a table: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _json_lines(name: str, lines: Iterator[str], columns: Sequence[str]) -> Iterator[list[str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{name}, line {number:,}, is not valid JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{name}, line {number:,}, is not a JSON object: {line.strip()[:40]}")
        if number == 1:
            _check_columns(columns, list(row), name)
        yield ["" if (value := row.get(column)) is None else f"{value}" for column in columns]


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    parquet, arrow = import_extra("pyarrow.parquet"), import_extra("pyarrow")
    try:
        file = parquet.ParquetFile(path)
        _check_columns(columns, file.schema_arrow.names, f"{path}")
        for batch in file.iter_batches(columns=list(columns)):
            texts = [["" if value is None else f"{value}" for value in batch[name].to_pylist()] for name in columns]
            yield from map(list, zip(*texts, strict=True))
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None


def _check_columns(columns: Sequence[str], names: Sequence[str], table: str) -> None:
    """Raises InputError for a column that the table lacks."""
    for column in columns:
        if column not in names:
            raise InputError(f"{table}: {unknown_name('column', column, names)}")
