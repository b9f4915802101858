"""Every kind of table becomes the same columns; what is no table gets a sentence."""

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from unrolled.errors import InputError
from unrolled.tables.data.columns import read_table

ROWS: dict[str, list[Any]] = {
    "word": ["a", None, "b"],
    "whole": [3, 1, 2],
    "real": [0.5, None, 2.5],
    "truth": [True, False, True],
    "day": [datetime.date(2020, 1, 31), None, datetime.date(2021, 2, 1)],
}
KINDS = {"word": "string", "whole": "integer", "real": "number", "truth": "boolean", "day": "date"}
FRAMES = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas with real dates": lambda: pd.DataFrame(ROWS).astype({"day": "datetime64[ns]"}),
    "pandas objects": lambda: pd.DataFrame(ROWS).astype(object),
    "polars": lambda: pl.DataFrame(ROWS),
    "pyarrow": lambda: pa.table(ROWS),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_frames_of_all_libraries_hold_the_same(make):
    columns = {column.name: column for column in read_table(make())}
    assert {name: column.kind for name, column in columns.items()} == KINDS
    for name, column in columns.items():
        assert column.missing.tolist() == [value is None for value in ROWS[name]], name
    assert columns["word"].values.tolist() == ["a", "", "b"]
    assert columns["day"].values[2] == np.datetime64("2021-02-01")


def test_arrays_and_lists():
    (first, second) = read_table([[1, "a"], [2, None]])
    assert (first.kind, second.kind) == ("integer", "string")
    assert (first.name, second.name) == ("x0", "x1")
    assert read_table(np.array([[1.0], [np.nan]]))[0].missing.tolist() == [False, True]


def test_a_declared_category_is_remembered():
    assert read_table(pd.DataFrame({"a": pd.Categorical([7, 8, 7])}))[0].declared
    assert read_table(pl.DataFrame({"a": pl.Series(["x", "y"], dtype=pl.Categorical)}))[0].declared


def test_zoned_times_keep_the_hour_on_the_clock():
    times = pd.DatetimeIndex(["2020-06-01 23:30", "2020-06-02 01:00"], tz="Europe/Berlin")
    (column,) = read_table(pd.DataFrame({"t": times}))
    assert column.values[0] == np.datetime64("2020-06-01T23:30:00")


def test_zoned_times_among_objects_keep_the_hour_on_the_clock_too():
    zones = ("Europe/Berlin", "Asia/Tokyo")
    times = [pd.Timestamp("2020-06-01 23:30", tz=zone).to_pydatetime() for zone in zones]
    (column,) = read_table(pd.DataFrame({"t": np.array([*times, None], dtype=object)}))
    assert column.values[:2].tolist() == [datetime.datetime(2020, 6, 1, 23, 30)] * 2


def test_decimals_are_numbers_wherever_they_stand():
    money = [Decimal("1.5"), None, Decimal(2)]
    for frame in (pd.DataFrame({"money": money}), pl.DataFrame({"money": money})):
        (column,) = read_table(frame)
        assert column.kind == "number"
        assert column.values[[0, 2]].tolist() == [1.5, 2.0]
        assert column.missing.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (None, "a table was expected .* not None"),
        ("x", "not a str"),
        ({"a": [1]}, "not a dict"),
        (np.zeros(3), "Expected 2D array"),
        ([[1, 2], [3]], "differ in length"),
        (np.zeros((0, 2)), "no row"),
        (np.zeros((2, 0)), "no column"),
        (pd.DataFrame({"a": []}), "no row"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate column name 'a': 2 columns"),
        (pl.LazyFrame({"a": [1]}), "collect"),
        (pd.DataFrame({"size": [1.0, np.inf]}), "'size' holds an infinite number in row 1, counted from 0: replace"),
        (pd.DataFrame({"a": [1, "b"]}, dtype=object), "'a' mixes whole numbers and strings, for example 1 and 'b'"),
        (pd.DataFrame({"a": [[1], [2]]}), "'a'.* not list"),
        (pl.DataFrame({"a": [[1], [2]]}), "'a' has the type List"),
        (np.array([[1 + 1j]]), "Complex"),
    ],
)
def test_what_is_no_table_gets_a_sentence(table, sentence):
    with pytest.raises(InputError, match=sentence):
        read_table(table)


@pytest.mark.parametrize("values", [np.array([1, 2**63], dtype=np.uint64), np.array([1, 2**70], dtype=object),
                                    np.array([1, -(2**70)], dtype=object)])  # fmt: skip
def test_whole_numbers_beyond_64_bits_are_told_and_do_not_become_negative(values):
    sentence = r"'id' holds -?\d+, a whole number beyond 64 bits, in row 1, counted from 0: turn it into text"
    with pytest.raises(InputError, match=sentence):
        read_table(pd.DataFrame({"id": values}))
    fits = pd.DataFrame({"id": np.array([1, 2**63 - 1], dtype=np.uint64)})
    assert read_table(fits)[0].values.tolist() == [1, 2**63 - 1]
