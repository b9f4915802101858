"""EmbeddingTable: names and their vectors, for characters and categories alike.

The one object that both halves of the library hand out: look at it (`nearest`, `pca`), hand it on (`to_csv`,
`to_tensorboard`, `to_word2vec`). Pictures of it are drawn elsewhere (`unrolled.look.plots`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra, unknown_name
from unrolled.files import write_file

_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\0": "␀", "": "∅"}


def visible(name: str) -> str:
    """`name` with blank characters made visible: space as ␣, newline as ⏎, other unprintables as their code."""
    return "".join(_VISIBLE.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in name) or _VISIBLE[""]


@dataclass(frozen=True)
class Projection:
    """Rows of an embedding in the plane or space of its main components."""

    names: tuple[str, ...]
    coordinates: NDArray[np.float64]
    """(row, component), in units of the embedding."""
    explained: NDArray[np.float64]
    """Share of the variance that each component explains, between 0 and 1."""


@dataclass(frozen=True)
class EmbeddingTable:
    """One vector per name.

    `vectors` is (row, dimension), float32. `facts` holds further columns, each with one value a row (for example
    `count`, `target_mean`, `spread`); pictures use them for size and colour and neighbour lists print them.

    Raises InputError when the shapes disagree, a name stands twice or a vector is not finite.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    facts: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.names):
            raise InputError(f"{len(self.names)} names need vectors of as many rows, not of shape {self.vectors.shape}")
        if len(set(self.names)) != len(self.names):
            raise InputError("a name stands twice in this embedding table")
        for name, column in self.facts.items():
            if len(column) != len(self.names):
                raise InputError(f"fact {name!r} has {len(column)} values for {len(self.names)} names")
        if not np.isfinite(self.vectors).all():
            raise InputError("an embedding table holds finite numbers only")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """The vector of `name`, (dimension,)."""
        vector: NDArray[np.float32] = self.vectors[self._row(name)]
        return vector

    def nearest(self, name: str, k: int = 5) -> list[tuple[str, float]]:
        """The `k` names whose vectors are nearest to that of `name`, with their Euclidean distances, nearest first."""
        if k < 1:
            raise InputError(f"k is {k}, but at least 1 neighbour must be asked for")
        row = self._row(name)
        distance = np.linalg.norm(self.vectors.astype(np.float64) - self.vectors[row], axis=1)
        order = [i for i in np.argsort(distance, kind="stable") if i != row]
        return [(self.names[i], float(distance[i])) for i in order[:k]]

    def pca(self, components: int = 2) -> Projection:
        """The main components of the vectors (scikit-learn's PCA), signs fixed so that two runs can be compared.

        The sign of each component is such that its largest loading by absolute value is positive.
        """
        largest = min(self.vectors.shape)
        if not 1 <= components <= largest:
            raise InputError(
                f"{components} components asked of {len(self)} vectors of {self.vectors.shape[1]}: "
                f"choose 1 to {largest}"
            )
        decomposition = import_extra("sklearn.decomposition", "plot")
        pca = decomposition.PCA(components, svd_solver="full")
        coordinates = pca.fit_transform(self.vectors.astype(np.float64))
        largest_loading = np.abs(pca.components_).argmax(axis=1)
        signs = np.sign(pca.components_[np.arange(components), largest_loading])
        explained = np.nan_to_num(pca.explained_variance_ratio_)  # all vectors equal: no variance to explain
        return Projection(self.names, coordinates * np.where(signs == 0, 1, signs), explained)

    def to_csv(self, path: str | Path) -> None:
        """Write one line a name: the name, its facts, its vector."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", *self.facts, *(f"d{i}" for i in range(self.vectors.shape[1]))])
        for i, name in enumerate(self.names):
            writer.writerow([name, *(column[i] for column in self.facts.values()), *self.vectors[i].tolist()])
        write_file(Path(path), text.getvalue().encode())

    def to_word2vec(self, path: str | Path) -> None:
        """Write the text format of word2vec, which has no blanks in names: they are written visibly (␣, ⏎)."""
        lines = [
            f"{visible(name)} {_numbers(vector, ' ')}" for name, vector in zip(self.names, self.vectors, strict=True)
        ]
        head = f"{len(self)} {self.vectors.shape[1]}"
        write_file(Path(path), ("\n".join([head, *lines]) + "\n").encode())

    def to_tensorboard(self, folder: str | Path) -> None:
        """Write `vectors.tsv` and `metadata.tsv` as the TensorBoard projector reads them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        vectors = "".join(_numbers(vector, "\t") + "\n" for vector in self.vectors)
        names = [visible(name) for name in self.names]
        if self.facts:  # the projector wants a header exactly when there is more than one column
            rows = [
                ["name", *self.facts],
                *([n, *map(str, row)] for n, *row in zip(names, *self.facts.values(), strict=True)),
            ]
            names = ["\t".join(row) for row in rows]
        write_file(folder / "vectors.tsv", vectors.encode())
        write_file(folder / "metadata.tsv", ("\n".join(names) + "\n").encode())

    def _row(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise unknown_name("name", name, self.names) from None


def _numbers(vector: NDArray[np.float32], separator: str) -> str:
    return separator.join(map(str, vector.tolist()))
