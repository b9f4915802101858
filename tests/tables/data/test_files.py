"""Opening tables: files and frames of odd types, and every fault of a table or target in one sentence."""

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
from unrolled.tables.data.columns import label, read_table
from unrolled.tables.data.files import open_table
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import split_target

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
    table = Table.read(open_table(tmp_path / "t.parquet"))
    kinds = {column.name: column.kind for column in table.columns}
    assert {column.name: column.kind for column in read_table(table.to_frame())} == kinds
    assert kinds == {"lists": "string", "money": "number", "span": "number", "day": "date", "when": "date",
                     "bytes": "string", "kind": "string"}  # fmt: skip


def test_mixed_cells_become_text_and_one_is_one() -> None:
    (column,) = Table.read(pd.DataFrame({"m": [1, 1.0, "1", None, "b", 2.5]})).columns
    assert column.values.tolist() == ["1", "1", "1", "", "b", "2.5"]
    assert column.missing.tolist() == [False, False, False, True, False, False]
    assert [label(value) for value in (1.0, 2.5, b"x", True)] == ["1", "2.5", "x", "True"]


def test_polars_in() -> None:
    table = small(s=["a", "b", None] * 10)
    one, other = (Table.read(t).to_frame() for t in (pl.from_pandas(table), table))
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_rows_keep_their_order_whatever_their_index() -> None:
    table = small().iloc[::-1]
    assert Table.read(table)["y"].values.tolist() == table["y"].tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_table_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    text = "Straße,Größe\n" + "Königsallee,1\nÄußere Gasse,2\n" * 20
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    if encoding != "utf-8":
        with pytest.raises(InputError, match=f"It looks like {encoding}: read it with --encoding {encoding}"):
            open_table(tmp_path / "t.csv")
    read = open_table(tmp_path / "t.csv", encoding)
    assert read["Straße"][1] == "Äußere Gasse"
    assert read["Größe"].sum() == 60


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b,a\n1,2,3\n", "duplicate column name 'a': 2 columns"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "not a table.*line 3"),
        ("t.csv", b"a,b\n\xff\xfe,2\n", "is not UTF-8: byte 0xff at offset 4, on line 2"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\0\0", "binary data"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "It looks like utf-16: read it with --encoding utf-16"),
        (
            "t.csv",
            b"# from a tool\na,b\n1,2\n",
            "first line '# from a tool' should name every.*more values than names .1.",
        ),
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
        Table.read(thing)


def test_a_name_twice_in_a_frame() -> None:
    with pytest.raises(InputError, match="duplicate column name 'x'"):
        Table.read(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(InputError, match="no column"):
        Table.read(pd.DataFrame())


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
    assert split_target(Table.read(small(y=values)), "y")[1].kind == expected


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([np.nan, *range(ROWS - 1)], None, "'y' is missing in 1 row .*row 0"),
        ([None, *"ab" * 14, "c"], None, "'y' is missing in 1 row"),
        ([1] * ROWS, None, "'y' is constant: every row is 1"),
        ([*range(ROWS - 1), np.inf], None, f"'y' holds an infinite number in row {ROWS - 1}"),
        ([f"{i},5 %" for i in range(ROWS)], None, "'y' has 30 different values in 30 rows, such as '0,5 %'.*plainly"),
        (pd.date_range("2024", periods=ROWS), None, "'y' holds dates"),
        (["a", "b", "c"] * 10, "binary", "is 'binary', but the target 'y' has 3 values"),
        (["a", "b", "c"] * 10, "continuous", "'y' is to be a number, but holds 'a'"),
        (["a", "b", "c"] * 10, "regression", "unknown target_type 'regression'"),
    ],
)
def test_a_target_that_cannot_be_learned_is_named(values: object, kind: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_target(Table.read(small(y=values)), "y", kind)


def test_too_few_rows_columns_or_a_misspelt_target() -> None:
    with pytest.raises(InputError, match="2 rows, but at least 20"):
        split_target(Table.read(small().head(2)), "y")
    with pytest.raises(InputError, match="no column besides the target"):
        split_target(Table.read(small()[["y"]]), "y")
    with pytest.raises(InputError, match="unknown column 'salse': did you mean 'sales'"):
        split_target(Table.read(small(sales=np.arange(ROWS))), "salse")


@given(st.lists(st.one_of(st.text(), st.integers(-9, 9), st.booleans(), st.none(), st.floats(-5, 5)), min_size=1))
@settings(max_examples=60)
def test_any_cells_become_a_column_that_the_encoder_reads(cells: list[object]) -> None:
    table = Table.read(pd.DataFrame({"c": pd.Series(cells, dtype=object)}))
    (column,) = read_table(table.to_frame())
    assert column.kind == table["c"].kind
    assert column.missing.tolist() == [cell is None for cell in cells]


def test_decimal_commas_of_a_table_with_semicolons_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("price;code;size;note\n1.234,5;1,2;7;a,b\n-3;x;8;1,5\n;3,4;9,25;\n")
    table = open_table(tmp_path / "t.csv")
    assert table["price"].tolist()[:2] == [1234.5, -3.0]
    assert table["price"].isna().tolist() == [False, False, True]
    assert table["size"].tolist() == [7.0, 8.0, 9.25]
    assert table["code"].tolist() == ["1,2", "x", "3,4"]
    assert table["note"].tolist()[:2] == ["a,b", "1,5"]
    (tmp_path / "t.tsv").write_text("thousands\n1,234\n5,678\n")  # elsewhere a comma may part thousands
    assert open_table(tmp_path / "t.tsv")["thousands"].tolist() == ["1,234", "5,678"]


@pytest.mark.parametrize("texts", [["24.12.2023", "1.2.2024"], ["24.12.2023 07:30", "01.02.2024 00:00"],
                                   ["2023-12-24T07:30:00Z", "2024-02-01T00:00:00Z"]])  # fmt: skip
def test_dates_are_dates_in_csv_and_as_texts_of_parquet(tmp_path: Path, texts: list[str]) -> None:
    table = pd.DataFrame({"day": [texts[0], None, texts[1]], "x": range(3)})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        (day, _) = read_table(open_table(path))
        assert day.kind == "date"
        assert day.values[[0, 2]].astype("datetime64[D]").astype(str).tolist() == ["2023-12-24", "2024-02-01"]
        assert day.missing.tolist() == [False, True, False]


def test_dates_with_slashes_are_dates_where_a_day_above_twelve_tells_the_month(tmp_path: Path) -> None:
    kinds = {}
    for last in ("05/06/2024", "05/16/2024", "16/05/2024 7:30"):
        (tmp_path / "t.csv").write_text(f"day\n03/04/2024{last[10:]}\n{last}\n")
        (kinds[last],) = read_table(open_table(tmp_path / "t.csv"))
    assert [column.kind for column in kinds.values()] == ["string", "date", "date"]
    assert kinds["05/16/2024"].values.astype(str).tolist() == ["2024-03-04T00:00:00", "2024-05-16T00:00:00"]
    assert kinds["16/05/2024 7:30"].values.astype(str).tolist() == ["2024-04-03T07:30:00", "2024-05-16T07:30:00"]


def test_blank_lines_above_the_names_and_commas_at_the_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n\na,b\n1,2\n3,4\n")
    assert open_table(tmp_path / "t.csv").to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n3,4,\n")
    assert open_table(tmp_path / "t.csv").to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_whole_numbers_beyond_64_bits_are_names(tmp_path: Path) -> None:
    for start in (2**63, 2**70):
        ids = [start + i for i in range(3)]
        (tmp_path / "t.csv").write_text("id,y\n" + "".join(f"{i},1\n" for i in ids))
        assert Table.read(open_table(tmp_path / "t.csv"))["id"].values.tolist() == [str(i) for i in ids]


def test_times_with_a_zone_keep_the_local_clock(tmp_path: Path) -> None:
    """The same moment of a file, of cells that are objects and of a typed column falls in the same hour."""
    (tmp_path / "t.csv").write_text("t\n2024-07-01T07:30:00+02:00\n2024-01-01 07:30:00.5Z\n")
    typed = pd.to_datetime(["2024-07-01 07:30", "2024-01-01 07:30"]).tz_localize("Europe/Berlin")
    objects = np.array([t.to_pydatetime() for t in typed], dtype=object)
    for table in (open_table(tmp_path / "t.csv"), pd.DataFrame({"t": objects}), pd.DataFrame({"t": typed})):
        (column,) = Table.read(table).columns
        assert column.values.astype(str).tolist() == ["2024-07-01T07:30:00", "2024-01-01T07:30:00"]


def test_marks_in_the_quotes_of_a_name_part_no_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"weight; in kg; or so; about",5" disk,y\n1,2,3\n4,5,6\n')
    assert list(open_table(tmp_path / "t.csv").columns) == ["weight; in kg; or so; about", '5" disk', "y"]


@pytest.mark.parametrize("end", ["\n1,2\n", ""])
def test_a_very_long_line_of_names_is_read_whole(tmp_path: Path, end: str) -> None:
    names = ["a" + "ä" * 40_000, "b"]
    (tmp_path / "t.csv").write_text(",".join(names) + end, encoding="utf-8")
    if end:
        assert list(open_table(tmp_path / "t.csv").columns) == names
    else:
        with pytest.raises(InputError, match="no rows"):
            open_table(tmp_path / "t.csv")


def test_endings_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "T.TSV.GZ").write_bytes(gzip.compress(b"a,b\ty\n1\t2\n"))
    assert list(open_table(tmp_path / "T.TSV.GZ").columns) == ["a,b", "y"]


def test_categories_that_are_one_as_text_become_one() -> None:
    (column,) = Table.read(pd.DataFrame({"c": pd.Categorical([1, "1", None, "b"])})).columns
    assert column.declared
    assert column.values.tolist() == ["1", "1", "", "b"]
    assert column.missing.tolist() == [False, False, True, False]
