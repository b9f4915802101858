"""EmbeddingTable: what goes out comes back, pictures of it do not depend on coordinates, odd tables get a sentence."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.decomposition import PCA

from unrolled.embedding import EmbeddingTable, visible
from unrolled.errors import FolderError, InputError

NAMES = st.lists(st.text(max_size=4), min_size=1, max_size=6, unique=True)
NUMBERS = st.floats(-1e6, 1e6, width=32)


@st.composite
def tables(draw: st.DrawFn, names: st.SearchStrategy[list[str]] = NAMES) -> EmbeddingTable:
    chosen = draw(names)
    vectors = draw(hnp.arrays(np.float32, (len(chosen), draw(st.integers(1, 5))), elements=NUMBERS))
    rows = len(chosen)
    facts = {
        "count": draw(hnp.arrays(np.int64, rows)),
        "target mean": draw(hnp.arrays(np.float64, rows, elements=st.floats(allow_nan=False))),
        "seen": draw(hnp.arrays(np.bool_, rows)),
    }
    kept = draw(st.sets(st.sampled_from(sorted(facts))))
    return EmbeddingTable(tuple(chosen), vectors, {name: facts[name] for name in facts if name in kept})


def spread(rows: int, dimension: int, seed: int = 0) -> EmbeddingTable:
    """A table whose components explain clearly different shares."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(rows, dimension)) * 0.5 ** np.arange(dimension)
    return EmbeddingTable(tuple(map(str, range(rows))), vectors.astype(np.float32))


def rotation(dimension: int, seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))
    return q


@settings(max_examples=60)
@given(tables())
def test_csv_round_trip(tmp_path_factory: pytest.TempPathFactory, table: EmbeddingTable) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    table.to_csv(path)
    back = EmbeddingTable.from_csv(path)
    assert back.names == table.names
    np.testing.assert_array_equal(back.vectors, table.vectors)
    assert back.vectors.dtype == np.float32
    assert list(back.facts) == list(table.facts)
    for name, column in table.facts.items():
        np.testing.assert_array_equal(back.facts[name], column)
    table_again = path.read_bytes()
    back.to_csv(path)
    assert path.read_bytes() == table_again or "target mean" in table.facts  # 1.0 may come back as the whole number 1


def test_csv_is_read_by_others(tmp_path: Path) -> None:
    names = ('a,"b"', "\r", "x\ny", "\0", "中", " ", "")
    table = EmbeddingTable(names, np.arange(14, dtype=np.float32).reshape(7, 2) / 10, {"kind": np.array([*"abcdefg"])})
    table.to_csv(tmp_path / "t.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_bytes().decode(), newline="")))
    assert [row["name"] for row in rows] == [*names]
    assert [row["d1"] for row in rows][:3] == ["0.1", "0.3", "0.5"]  # no more digits than float32 has
    assert [row["kind"] for row in rows] == [*"abcdefg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a table of vectors: its first line"),
        (b"name,count\na,1\n", "not a table of vectors: its first line"),
        (b"name,d0,d2\na,1,2\n", "from d0 on should be d0, d1, d2"),
        (b"name,d0\na,1\nb,1,2\n", "row 3: 3 fields where the first row has 2"),
        (b"name,d0\na,one\n", "could not convert string"),
        (b"name,d0\n\xff,1\n", "not a table of vectors"),
        (b'name,d0\n"a,1\n', "not a table of vectors"),
    ],
)
def test_foreign_csv_gets_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(FolderError, match=message):
        EmbeddingTable.from_csv(tmp_path / "t.csv")


def test_missing_csv(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"t\.csv cannot be read: No such file"):
        EmbeddingTable.from_csv(tmp_path / "t.csv")


def test_blanks_are_made_visible() -> None:
    assert visible("New York\n") == "New␣York⏎"
    assert visible("") == "∅"
    assert visible("␣") == "\\u2423"


@given(st.characters(), st.characters())
def test_no_two_characters_look_the_same(a: str, b: str) -> None:
    assert (visible(a) == visible(b)) == (a == b)


@pytest.mark.parametrize(("rows", "dimension"), [(30, 8), (5, 12), (3, 3)])
def test_pca_is_scikit_learns_up_to_signs(rows: int, dimension: int) -> None:
    table = spread(rows, dimension)
    ours, theirs = table.pca(2), PCA(2, svd_solver="full")
    coordinates = theirs.fit_transform(table.vectors.astype(np.float64))
    np.testing.assert_allclose(np.abs(ours.coordinates), np.abs(coordinates), atol=1e-9)
    np.testing.assert_allclose(ours.explained, theirs.explained_variance_ratio_)


@pytest.mark.parametrize("seed", range(10))
def test_pca_does_not_depend_on_the_coordinates_the_vectors_were_learned_in(seed: int) -> None:
    table = spread(40, 6, seed)
    turned = EmbeddingTable(table.names, (table.vectors @ rotation(6, seed) + seed).astype(np.float32))
    np.testing.assert_allclose(turned.pca(3).coordinates, table.pca(3).coordinates, atol=1e-4)
    np.testing.assert_allclose(turned.pca(3).explained, table.pca(3).explained, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_pca_does_not_depend_on_the_order_of_rows(seed: int) -> None:
    table = spread(20, 5, seed)
    order = np.random.default_rng(seed).permutation(20)
    mixed = EmbeddingTable(tuple(table.names[i] for i in order), table.vectors[order])
    np.testing.assert_allclose(mixed.pca(3).coordinates, table.pca(3).coordinates[order], atol=1e-9)


@settings(max_examples=80)
@given(tables(), st.data())
def test_pca_of_any_table_is_finite_centred_and_ordered(table: EmbeddingTable, data: st.DataObject) -> None:
    components = data.draw(st.integers(1, min(table.vectors.shape)))
    projection = table.pca(components)
    scale = float(np.abs(table.vectors).max()) + 1e-30
    assert projection.coordinates.shape == (len(table), components)
    assert np.isfinite(projection.coordinates).all()
    np.testing.assert_allclose(projection.coordinates.mean(0) / scale, 0, atol=1e-6)
    assert (projection.explained >= 0).all()
    assert projection.explained.sum() <= 1 + 1e-9
    assert (np.diff(projection.explained) <= 1e-9).all()
    outermost = projection.coordinates[np.abs(projection.coordinates).argmax(0), np.arange(components)]
    assert (outermost >= 0).all()


def test_pca_of_duplicates_puts_them_on_one_place() -> None:
    vectors = np.array([[1, 2, 3], [1, 2, 3], [4, 0, 1], [4, 0, 1]], np.float32)
    projection = EmbeddingTable(("a", "b", "c", "d"), vectors).pca(3)
    np.testing.assert_allclose(projection.coordinates[0], projection.coordinates[1], atol=1e-6)
    np.testing.assert_allclose(projection.explained, [1, 0, 0], atol=1e-9)


@pytest.mark.parametrize("rows", [1, 4])
def test_pca_without_variance_is_zero(rows: int) -> None:
    projection = EmbeddingTable(tuple("abcd"[:rows]), np.full((rows, 2), 0.1, np.float32)).pca(1)
    np.testing.assert_array_equal(projection.coordinates, np.zeros((rows, 1)))
    np.testing.assert_array_equal(projection.explained, [0.0])


@pytest.mark.parametrize("components", [0, 3, -1])
def test_too_many_components_get_a_sentence(components: int) -> None:
    with pytest.raises(InputError, match=rf"components is {components} for 4 vectors of 2 dimensions: choose 1 to 2"):
        spread(4, 2).pca(components)


@settings(max_examples=50)
@given(tables(), st.data())
def test_neighbours_are_the_nearest(table: EmbeddingTable, data: st.DataObject) -> None:
    assume(len(table) > 1)
    name = data.draw(st.sampled_from(table.names))
    found = table.nearest(name, len(table))
    assert sorted([*(n for n, _ in found), name]) == sorted(table.names)
    assert [d for _, d in found] == sorted(d for _, d in found)
    for other, distance in found:
        exact = np.sqrt(((table[other].astype(np.float64) - table[name]) ** 2).sum())
        assert distance == pytest.approx(exact, rel=1e-9, abs=1e-12)
    assert table.nearest(name, 1) == found[:1]


def test_bad_tables_and_questions_get_a_sentence() -> None:
    vectors = np.zeros((2, 3), np.float32)
    with pytest.raises(InputError, match="3 names need vectors of as many rows"):
        EmbeddingTable(("a", "b", "c"), vectors)
    with pytest.raises(InputError, match="duplicate name 'a'"):
        EmbeddingTable(("a", "a"), vectors)
    with pytest.raises(InputError, match="fact 'count' has 1 values for 2 names"):
        EmbeddingTable(("a", "b"), vectors, {"count": np.ones(1)})
    with pytest.raises(InputError, match="finite"):
        EmbeddingTable(("a", "b"), vectors * np.nan)
    table = EmbeddingTable(("Bayern", "Hessen"), vectors)
    with pytest.raises(InputError, match="did you mean 'Bayern'"):
        table["Bayer"]
    with pytest.raises(InputError, match="at least 1"):
        table.nearest("Bayern", 0)


def test_an_empty_table_comes_back_from_csv(tmp_path: Path) -> None:
    EmbeddingTable((), np.zeros((0, 3), np.float32)).to_csv(tmp_path / "v.csv")
    assert EmbeddingTable.from_csv(tmp_path / "v.csv").vectors.shape == (0, 3)


@pytest.mark.parametrize("rows", ["a,nan\n", "a,1e40\n", "a,1\na,2\n"])
def test_vectors_in_a_csv_that_make_no_table_are_told_with_the_file(tmp_path: Path, rows: str) -> None:
    (tmp_path / "v.csv").write_text("name,d0\n" + rows)
    with pytest.raises(FolderError, match=r"v\.csv is not a table of vectors"):
        EmbeddingTable.from_csv(tmp_path / "v.csv")


def test_a_notebook_shows_a_short_line_and_the_first_rows_with_their_neighbours() -> None:
    table = EmbeddingTable(("a", "<b>", *map(str, range(30))), np.arange(64, dtype=np.float32).reshape(32, 2) ** 1.1)
    assert repr(table) == "EmbeddingTable(32 names, 2 dimensions)"
    shown = table._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 21
    assert "and 12 more" in shown
