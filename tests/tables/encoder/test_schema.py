"""Which column becomes what, by the stated rule, and the parts of dates."""

import numpy as np
import pandas as pd
import pytest

from unrolled.errors import InputError
from unrolled.tables.data.columns import read_table
from unrolled.tables.data.dates import date_part
from unrolled.tables.encoder.coding import Coding, fit_coding
from unrolled.tables.encoder.schema import auto_dimension, dimensions_of, fit_fields, least_rows, schema_of


def schema_for(table, dimensions="auto", **settings):
    columns = read_table(table)
    return schema_of(fit_fields(columns, np.zeros(len(columns[0])), **settings), dimensions)


def categories_of(table, **settings):
    return [f.coding.name for f in schema_for(table, **settings).fields if isinstance(f.coding, Coding)]


TABLE = pd.DataFrame({
    "id": np.arange(100), "month": np.arange(100) % 12, "code": np.arange(100) % 5, "price": np.arange(100) / 8,
    "word": ["a", "b"] * 50, "flag": [True, False] * 50, "gappy": [1.0, np.nan] * 50,
    "declared": pd.Categorical(np.arange(100)),
})  # fmt: skip


def test_the_rule():
    assert categories_of(TABLE) == ["code", "word", "flag", "gappy", "declared"]


@pytest.mark.parametrize("named", [["id", "month"], [0, 1], [True, True] + [False] * 6, np.array([0, -7])])
def test_named_columns_and_only_they(named):
    assert categories_of(TABLE, categorical=named) == ["id", "month", "word", "flag", "declared"]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [(["mnth"], "did you mean 'month'"), ([12], "12, but the table has 8"), ("all", "must be 'auto' or a list")],
)
def test_a_name_that_is_no_column(named, sentence):
    with pytest.raises(InputError, match=sentence):
        schema_for(TABLE, categorical=named)


def test_dates_are_split():
    days = pd.DataFrame({"day": pd.to_datetime(["2024-02-29", "2023-12-31", None])})
    (column,) = read_table(days)
    parts = {part: date_part(column, part).values[:2].tolist() for part in ("year", "month", "day", "weekday")}
    assert parts == {"year": [2024, 2023], "month": [2, 12], "day": [29, 31], "weekday": [3, 6]}
    names = ["day_year", "day_month", "day_day", "day_weekday", "day_year", "day_yearday"]
    assert [f.coding.name for f in schema_for(days).fields] == names
    hours = pd.DataFrame({"at": pd.to_datetime(["2024-02-29 13:59", "1969-12-31 23:00"])})
    assert date_part(read_table(hours)[0], "hour").values.tolist() == [13, 23]
    assert [f.part for f in schema_for(hours).fields][-3:] == ["hour", "year", "yearday"]
    assert date_part(read_table(days)[0], "yearday").values[:2].tolist() == [60, 365]


@pytest.mark.parametrize(
    ("texts", "day"),
    [
        (["02/03/2024", "02/29/2024"], [3, 29]),
        (["02/03/2024", "29/02/2024"], [2, 29]),
        (["2024-02-03 10:30", "2024-02-29 11:00"], [3, 29]),
        (["03.02.2024", None, "29.02.2024"], [3, 0, 29]),
        (["02/03/2024", "03/02/2024"], None),  # of February or of March
        (["02/30/2024", "02/29/2024"], None),
    ],
)
def test_strings_that_are_dates(texts, day):
    table = pd.DataFrame({"at": texts})
    fields = {f.part: f for f in schema_for(table).fields}
    if day is None:
        assert list(fields) == [None]
    else:
        assert fields["day"].read(read_table(table)[0]).values.tolist() == day
        later = fields["day"].read(read_table(pd.DataFrame({"at": [texts[0], "soon"]}))[0])
        assert later.missing.tolist() == [False, True]


def test_parts_and_columns_may_not_share_a_name():
    table = pd.DataFrame({"d": pd.to_datetime(["2024-02-29"]), "d_year": ["x"]})
    with pytest.raises(InputError, match="'d_year' has the same name as a part"):
        schema_for(table)


def test_input_stands_in_the_order_of_names():
    table = pd.DataFrame({"b": ["x", "y"], "a": ["y", "x"], "z": [0.5, 1.5], "m": [1.5, 0.5]})
    first, second = (schema_for(t).encode(read_table(t)) for t in (table, table[["m", "a", "z", "b"]]))
    assert (first.codes == second.codes).all()
    assert (first.numbers == second.numbers).all()


def test_min_frequency_is_a_count_or_a_share():
    assert [least_rows(m, 50) for m in (None, 3, 0.1, 0.001)] == [1, 3, 5, 1]
    for wrong in (0, -1, True):
        with pytest.raises(InputError, match="min_frequency"):
            least_rows(wrong, 50)


def test_dimensions():
    assert [auto_dimension(n) for n in (1, 2, 3, 7, 12, 1115, 10**6)] == [1, 1, 2, 5, 6, 17, 95]
    codings = [fit_coding(read_table([[c] for c in "abcd"], [name])[0], np.zeros(4)) for name in ("one", "two")]
    assert dimensions_of(codings, "auto") == (3, 3)
    assert dimensions_of(codings, 5) == (5, 5)
    assert dimensions_of(codings, {"two": 1}) == (3, 1)
    for wrong in (0, 1.5, True):
        with pytest.raises(InputError, match="dimension of column 'one'"):
            dimensions_of(codings, wrong)
