"""EmbeddingTable: names and their vectors, for the characters of a text and the categories of a table.

Both halves of the library return it: inspect it (`nearest`, `pca`) and export it (`to_csv`). Left out: pictures
(`unrolled.look.vectors.plot`).
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.errors import FolderError, InputError, unknown_name
from unrolled.files import write_file

SHOWN_ROWS, SHOWN_NEAREST = 20, 3
_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\0": "␀", "\ufdd0": "␃", "\ufdd1": "␟"}
_EMPTY = "∅"
_TAKEN = {*_VISIBLE.values(), _EMPTY}  # shown as codes when they occur in a name, so that no two names look the same


def visible(name: str) -> str:
    """`name` with blank characters made visible: space as ␣, newline as ⏎, the boundary of records as ␃,
    the end of a label as ␟.

    Other unprintable characters are shown as codes.
    """
    return "".join(map(_visible, name)) or _EMPTY


def _visible(c: str) -> str:
    return _VISIBLE.get(c) or (c if c.isprintable() and c not in _TAKEN else f"\\u{ord(c):04x}")


def inert(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would take it for a formula: =, +, -, @, tab, return.

    Numbers are left as they are.
    """
    with contextlib.suppress(ValueError):
        float(text)
        return text
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def rotation_onto(rows: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthogonal matrix R that minimises |rows @ R - target|: orthogonal Procrustes (Schönemann 1966).

    `target` is (row, dimension), both centred by the caller; `rows` (..., row, dimension) gives one matrix for each
    leading index, (..., dimension, dimension).
    """
    left, _, right = np.linalg.svd(rows.swapaxes(-1, -2) @ target)
    return left @ right


def centred_rows(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows less their mean; zero in a column that is constant, even where its mean is a rounding off."""
    centred: NDArray[np.float64] = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    centred[:, (rows == rows[0]).all(0)] = 0
    return centred


def principal_components(
    rows: NDArray[np.floating], components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The coordinates (row, component) of `rows` on their main components, and the share of variance of each.

    The row farthest from the centre on an axis is on its positive side. Components beyond those that the rows have are
    zero.
    """
    centred = centred_rows(rows)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    found = centred @ axes[:components].T
    outermost = found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])]
    missing = components - found.shape[1]
    explained = sizes[:components] ** 2 / ((sizes**2).sum() or 1.0)
    return np.pad(found * np.where(outermost < 0, -1, 1), ((0, 0), (0, missing))), np.pad(explained, (0, missing))


@dataclass(frozen=True)
class Projection:
    """Rows of an embedding on its main principal components."""

    names: tuple[str, ...]
    coordinates: NDArray[np.float64]
    """(row, component), in units of the embedding."""
    explained: NDArray[np.float64]
    """Fraction of the variance that each component explains, between 0 and 1."""


@dataclass(frozen=True, repr=False)
class EmbeddingTable:
    """One vector per name.

    `vectors` is (row, dimension), float32. `facts` holds further columns with one value per row (for example `count`,
    `target_mean`, `spread`), which pictures use for size and colour.

    Raises InputError if shapes disagree, a name is duplicate or a vector is not finite.

    >>> table = EmbeddingTable(("a", "b", "c"), np.float32([[0, 0], [1, 0], [5, 5]]))
    >>> table.nearest("a", 1)
    [('b', 1.0)]
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    facts: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.names):
            raise InputError(f"{len(self.names)} names need vectors of as many rows, not of shape {self.vectors.shape}")
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(f"duplicate name {twice!r} in this embedding table")
        for name, column in self.facts.items():
            if len(column) != len(self.names):
                raise InputError(f"fact {name!r} has {len(column)} values for {len(self.names)} names")
        if not np.isfinite(self.vectors).all():
            raise InputError("the vectors of an embedding table must be finite")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        facts = f", {', '.join(self.facts)}" if self.facts else ""
        return f"EmbeddingTable({len(self):,} names, {self.vectors.shape[1]} dimensions{facts})"

    def _repr_html_(self) -> str:
        """The first rows with their facts and their nearest names, for a notebook."""
        head = "".join(f"<th>{escape(name)}</th>" for name in ("name", *self.facts, "nearest, with distances"))
        rows = zip(self.names[:SHOWN_ROWS], self._fact_rows(), strict=False)
        body = "".join(self._html_row(name, facts) for name, facts in rows)
        more = f"<p>and {len(self) - SHOWN_ROWS:,} more</p>" if len(self) > SHOWN_ROWS else ""
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{body}</table>{more}"

    def _html_row(self, name: str, facts: tuple[str, ...]) -> str:
        near = ", ".join(f"{visible(other)} {distance:.3g}" for other, distance in self.nearest(name, SHOWN_NEAREST))
        return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in (visible(name), *facts, near)) + "</tr>"

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """The vector of `name`, (dimension,)."""
        return self.vectors[self._row(name)]

    def nearest(self, name: str, k: int = 5) -> list[tuple[str, float]]:
        """The `k` names whose vectors are nearest to that of `name`, with their Euclidean distances, nearest first."""
        check_number("k", k, at_least=1)
        row = self._row(name)
        distance = np.linalg.norm(self.vectors.astype(np.float64) - self.vectors[row], axis=1)
        order = [i for i in np.argsort(distance, kind="stable") if i != row]
        return [(self.names[i], float(distance[i])) for i in order[:k]]

    def pca(self, components: int = 2) -> Projection:
        """The principal components of the vectors, with signs fixed so that two runs can be compared.

        On each axis the name farthest from the origin is on the positive side. This depends only on the geometry of
        the vectors: rotating all of them changes nothing. Components that explain the same variance have no defined
        order. Raises InputError for more components than the smaller of rows and dimensions.
        """
        largest = min(self.vectors.shape)
        if not 1 <= components <= largest:
            raise InputError(
                f"components is {components} for {len(self)} vectors of {self.vectors.shape[1]} dimensions: "
                f"choose 1 to {largest}"
            )
        return Projection(self.names, *principal_components(self.vectors, components))

    def to_csv(self, path: str | Path, *, safe: bool = False) -> None:
        """Write one line per name: the name, its facts and its vector, with enough digits to restore it exactly.

        `safe` makes texts `inert`, for a file that is opened in a spreadsheet; it is then not read back unchanged.
        """
        shown = inert if safe else str
        text = io.StringIO(newline="")
        # "\r\n" makes the writer put quotes around names that hold either; a bare "\r" would be read as a new line
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(["name", *map(shown, self.facts), *_dimensions(self.vectors.shape[1])])
        for name, facts, vector in zip(self.names, self._fact_rows(), self.vectors.astype(str), strict=True):
            writer.writerow([shown(name), *map(shown, facts), *vector])
        write_file(Path(path), text.getvalue().encode())

    @classmethod
    def from_csv(cls, path: str | Path) -> EmbeddingTable:
        """Read what `to_csv` wrote; raises FolderError that names the line for a file of another form.

        A column of facts becomes integers if all its values are, otherwise floats, booleans or text.
        """
        path = Path(path)
        rows = _read_rows(path)
        if not rows or "d0" not in rows[0] or rows[0][0] != "name":
            raise FolderError(f"{path} is not a table of vectors: its first line should be name, facts, d0, d1, ...")
        head = rows[0]
        first = len(head) - 1 - head[::-1].index("d0")
        if head[first:] != _dimensions(len(head) - first):
            raise FolderError(f"{path} is not a table of vectors: the columns from d0 on should be d0, d1, d2, ...")
        for line, row in enumerate(rows[1:], 2):
            if len(row) != len(head):
                raise FolderError(f"{path}, row {line}: {len(row)} fields where the first row has {len(head)}")
        facts = {name: _typed([row[i] for row in rows[1:]]) for i, name in enumerate(head[1:first], 1)}
        vectors = _vectors(path, rows[1:], first, len(head) - first)
        try:
            return cls(tuple(row[0] for row in rows[1:]), vectors, facts)
        except InputError as error:
            raise FolderError(f"{path} is not a table of vectors: {error}") from None

    def _row(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise unknown_name("name", name, self.names) from None

    def _fact_rows(self) -> list[tuple[str, ...]]:
        """The facts of each row as text."""
        columns = [[str(value) for value in column.tolist()] for column in self.facts.values()]
        return list(zip(*columns, strict=True)) if columns else [()] * len(self)


def _dimensions(n: int) -> list[str]:
    return [f"d{i}" for i in range(n)]


def _read_rows(path: Path) -> list[list[str]]:
    try:
        text = path.read_bytes().decode()
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FolderError(f"{path} is not a table of vectors: {error}") from None


def _vectors(path: Path, rows: list[list[str]], first: int, width: int) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # overflows become infinite, which the table rejects
            vectors = np.array([row[first:] for row in rows], np.float64).astype(np.float32)
    except ValueError as error:
        raise FolderError(f"{path} is not a table of vectors: {error}") from None
    return vectors.reshape(len(rows), width)


def _typed(values: list[str]) -> NDArray[np.generic]:
    for kind in (np.int64, np.float64):
        with contextlib.suppress(ValueError, OverflowError):
            return np.array(values, dtype=str).astype(kind)
    if set(values) <= {"True", "False"}:
        return np.array([value == "True" for value in values])
    return np.array(values, dtype=str)
