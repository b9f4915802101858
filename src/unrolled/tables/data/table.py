"""A whole table as the reports read it: named columns of equal length, whatever its cells hold.

Cells that fit no single kind become text, so that a report has a row for every column. Left out: what a column means
for a model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.tables.data.columns import Column, is_frame, one_form, read_table


@dataclass(frozen=True)
class Table:
    """Columns of equal length, each with a name of its own."""

    columns: tuple[Column, ...]

    @classmethod
    def read(cls, table: Any) -> Table:
        """The columns of a pandas, polars or other data frame, odd cells as text (see `columns.read_table`).

        Raises InputError for anything but a data frame, a duplicate column name, no column or no row.
        """
        if isinstance(table, Table):
            return table
        if not is_frame(table):
            raise InputError(
                f"a pandas or polars table was expected, not {type(table).__name__}: give it column names first"
            )
        return cls(tuple(map(one_form, read_table(table, as_text=True))))

    @property
    def names(self) -> list[str]:
        """The names of the columns, in their order."""
        return [column.name for column in self.columns]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0]) if self.columns else 0

    def __getitem__(self, name: str) -> Column:
        """The column `name`. Raises InputError for an unknown name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown_name("column", name, self.names)

    def take(self, rows: NDArray[np.intp]) -> Table:
        """The table at `rows`, in their order."""
        return Table(tuple(column.take(rows) for column in self.columns))

    def without(self, names: Collection[str]) -> Table:
        """The table without the columns `names`."""
        return Table(tuple(column for column in self.columns if column.name not in names))

    def declaring(self, names: Collection[str]) -> Table:
        """The table with the columns `names` declared to be categories."""
        return Table(tuple(replace(c, declared=True) if c.name in names else c for c in self.columns))

    def sorted_by(self, name: str) -> Table:
        """The table in the order of the column `name`; ties stay in their order, missing values come last."""
        column = self[name]
        present = np.flatnonzero(~column.missing)
        order = present[np.argsort(column.values[present], kind="stable")]
        return self.take(np.concatenate([order, np.flatnonzero(column.missing)]))

    def to_frame(self) -> Any:
        """A pandas frame with the same values, None or NaN where missing; declared categories are categoricals."""
        pandas = import_extra("pandas")
        return pandas.DataFrame({column.name: _series(column) for column in self.columns})


def _series(column: Column) -> Any:
    pandas = import_extra("pandas")
    kinds = {"boolean": "boolean", "integer": "Int64"} if column.missing.any() else {}
    series = pandas.Series(column.values).astype(kinds.get(column.kind, column.values.dtype))
    if column.missing.any():
        series[column.missing] = None
    return series.astype("category") if column.declared else series


def read_checked(
    table: Any, target: str, groups: str | None, order: str | None, categories: Sequence[str], ignore: Sequence[str]
) -> Table:
    """The table to predict its column `target` from, in the order of the column `order` if that is given.

    Raises InputError for what `Table.read` and `check_chosen` refuse, and for a column that is not there.
    """
    read = Table.read(table)
    for name in (target, groups, order):
        if name is not None:
            read[name]
    check_chosen(read, target, categories, ignore)
    return read if order is None else read.sorted_by(order)


def check_chosen(table: Table, target: str, categories: Sequence[str], ignore: Sequence[str]) -> None:
    """Raise InputError unless `categories` and `ignore` name columns of `table`, none in both, none the target."""
    for name in (*categories, *ignore):
        table[name]
    if target in ignore:
        raise InputError(f"{target!r} is the target and cannot be left out")
    if target in categories:
        raise InputError(f"{target!r} is the target and not a feature: name other columns as categories")
    for name in categories:
        if name in ignore:
            raise InputError(f"column {name!r} is named as a category and as one to leave out: choose one of the two")
