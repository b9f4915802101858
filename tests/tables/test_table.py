"""Reading tables: files and frames of odd types, and every fault of a table or target in one sentence."""

import datetime
import decimal
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.tables.frame import read_table
from unrolled.tables.table import as_frame, labels, open_table, split_target

ROWS = 30


def small(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(ROWS) % 7, "y": np.arange(ROWS) * 1.5} | columns)


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t"), ("t.txt", "|")])
def test_a_csv_file_comes_back(tmp_path: Path, name: str, delimiter: str) -> None:
    table = small(name=["ä, b" if i % 2 else 'c "d"' for i in range(ROWS)])
    table.to_csv(tmp_path / name, sep=delimiter, index=False)
    pd.testing.assert_frame_equal(open_table(tmp_path / name), table, check_dtype=False)


def test_csv_with_a_mark_at_its_start_and_packed(tmp_path: Path) -> None:
    text = "\ufeffday,y\n2024-02-29,1\n2024-03-01,2\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    table = open_table(tmp_path / "t.csv.gz")
    assert list(table.columns) == ["day", "y"]
    assert read_table(table)[0].kind == "date"


def test_what_looks_like_a_date_and_is_none_stays_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("day\n2024-02-30\n2024-03-01\n")
    assert read_table(open_table(tmp_path / "t.csv"))[0].kind == "string"


def test_parquet_of_odd_types_can_be_read_by_the_encoder(tmp_path: Path) -> None:
    table = pd.DataFrame({
        "lists": [[1], [2, 3], None],
        "money": [decimal.Decimal("1.5"), None, decimal.Decimal(2)],
        "span": pd.to_timedelta([1, 2, None], unit="s"),
        "day": [datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 2)],
        "when": pd.to_datetime(["2024-01-01", None, "2024-01-02"]).tz_localize("Europe/Berlin"),
        "bytes": [b"a", None, b"b"],
        "kind": pd.Categorical(["u", None, "v"]),
    })  # fmt: skip
    table.to_parquet(tmp_path / "t.parquet")
    kinds = {column.name: column.kind for column in read_table(open_table(tmp_path / "t.parquet"))}
    assert kinds == {"lists": "string", "money": "number", "span": "number", "day": "date", "when": "date",
                     "bytes": "string", "kind": "string"}  # fmt: skip


def test_mixed_cells_become_text_and_one_is_one() -> None:
    frame = as_frame(pd.DataFrame({"m": [1, 1.0, "1", None, "b", 2.5]}))
    assert list(frame["m"][:3]) == ["1", "1", "1"]
    assert frame["m"][3] is None
    assert list(labels(pd.Series([1.0, None, 2.5], dtype=object)))[::2] == ["1", "2.5"]


def test_polars_in() -> None:
    table = small(s=["a", "b", None] * 10)
    pd.testing.assert_frame_equal(as_frame(pl.from_pandas(table)), as_frame(table), check_dtype=False)


def test_rows_keep_their_order_whatever_their_index() -> None:
    table = small().iloc[::-1]
    assert as_frame(table)["y"].tolist() == table["y"].tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b,a\n1,2,3\n", "'a' stands 2 times"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "not a table.*line 3"),
        ("t.csv", b"a,b\n\xff\xfe,2\n", "not text in UTF-8"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\0\0", "binary data"),
        ("t.csv.gz", b"a,b\n1,2\n", "not a table"),
        ("t.parquet", b"PAR1 not really", "not a Parquet file"),
        ("t.xlsx", b"PK", r"ends in '\.xlsx'"),
        ("t", b"a,b\n1,2\n", "ends in 'nothing'"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_table(tmp_path / name)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv does not exist"):
        open_table(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is a folder"):
        open_table(tmp_path)


@pytest.mark.parametrize("thing", [[[1, 2]], np.ones((2, 2)), "table", {"a": [1]}, None])
def test_what_is_no_frame_is_refused(thing: object) -> None:
    with pytest.raises(InputError, match="table was expected"):
        as_frame(thing)


def test_a_name_twice_in_a_frame() -> None:
    with pytest.raises(InputError, match="'x' stands 2 times"):
        as_frame(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(InputError, match="no columns"):
        as_frame(pd.DataFrame())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(ROWS) / 7, "continuous"),
        (np.arange(ROWS) % 5, "continuous"),  # whole numbers are no classes
        (np.arange(ROWS) % 2, "binary"),
        (np.arange(ROWS) % 2 == 0, "binary"),
        (["a", "b", "c"] * 10, "multiclass"),
        (pd.Categorical([1, 2, 3] * 10), "multiclass"),
    ],
)
def test_the_type_of_a_target_follows_the_stated_rule(values: object, expected: str) -> None:
    assert split_target(small(y=values), "y")[1].type == expected


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([np.nan, *range(ROWS - 1)], None, "'y' is missing in 1 row .*row 0"),
        ([None, *"ab" * 14, "c"], None, "'y' is missing in 1 row"),
        ([1] * ROWS, None, "'y' is 1 in every row"),
        ([*range(ROWS - 1), np.inf], None, f"'y' holds inf in row {ROWS - 1}"),
        ([f"n{i}" for i in range(ROWS)], None, "'y' has 30 different values in 30 rows"),
        (pd.date_range("2024", periods=ROWS), None, "'y' holds dates"),
        (["a", "b", "c"] * 10, "binary", "'y' has 3 different values"),
        (["a", "b", "c"] * 10, "continuous", "'y' holds 'a' in row 0, which is no number"),
        (["a", "b", "c"] * 10, "regression", "unknown target type 'regression'"),
    ],
)
def test_a_target_that_cannot_be_learned_is_named(values: object, kind: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_target(as_frame(small(y=values)), "y", kind)  # type: ignore[arg-type]


def test_too_few_rows_columns_or_a_misspelt_target() -> None:
    with pytest.raises(InputError, match="2 rows, but at least 20"):
        split_target(small().head(2), "y")
    with pytest.raises(InputError, match="no column besides the target"):
        split_target(small()[["y"]], "y")
    with pytest.raises(InputError, match="unknown column 'salse': did you mean 'sales'"):
        split_target(small(sales=np.arange(ROWS)), "salse")


@given(st.lists(st.one_of(st.text(), st.integers(-9, 9), st.booleans(), st.none(), st.floats(-5, 5)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_any_cells_become_a_column_that_the_encoder_reads(cells: list[object]) -> None:
    frame = as_frame(pd.DataFrame({"c": pd.Series(cells, dtype=object)}))
    column = read_table(frame)[0]
    assert column.missing.tolist() == [cell is None for cell in cells]
