"""Everything that a fit has learned, frozen: a table becomes vectors and predictions. NumPy only.

Left out: learning it (`fitting`, `parquet`), its folder (`folder`), and scikit-learn's conventions (`estimator`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import EmbeddingTable
from unrolled.errors import FolderError
from unrolled.tables.data.columns import Column
from unrolled.tables.data.files import dates_in
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.coding import SPECIAL, UNKNOWN, Coding, Scaling
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.schema import Encoded, Schema, numbered
from unrolled.tables.encoder.spelling import ROWS_OF_SPELLING, Spelling
from unrolled.tables.encoder.vectors import Vectors
from unrolled.tables.encoder.weights import NetworkWeights


@dataclass(frozen=True)
class Statistics:
    """What is known of a table before any network is trained.

    `target_means` holds the mean target of each row of each embedding, (row,) per category field; `features` counts
    the table's columns, and `feature_names` has their names where it is a data frame.
    """

    schema: Schema
    target: Target
    target_means: list[NDArray[np.float64]]
    features: int
    feature_names: tuple[str, ...] | None
    rows: int = 0
    """Rows in memory that it was learned from."""

    def describe(self) -> list[str]:
        """One sentence per column on how it is coded and why, and one on the target."""
        log = ", its logarithm learned" if self.target.log else ""
        return [*self.schema.describe(), f"target: {self.target.kind}{log}"]


@dataclass(frozen=True)
class Fitted:
    """A fitted encoder. `interrupted` is set if Ctrl-C ended its training early.

    `spellings` holds, by position of a category field, how names without a row of their own are read; `explained` has
    what the spelling explains of held-out vectors, for all fields where that was tried, and `components` those of the
    spelling of each known category, (row, component), which stand beside its vector.

    Tables are given as `Column`s under the fitted names; predictions and vectors are float, rows in the order given.
    """

    statistics: Statistics
    config: EncoderConfig
    weights: NetworkWeights
    vectors: Vectors
    interrupted: bool = False
    spellings: Mapping[int, Spelling] = dataclasses.field(default_factory=dict)
    explained: Mapping[int, float] = dataclasses.field(default_factory=dict)
    components: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)
    means: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)
    """By position of a category field the shrunk mean target of each category, (row, output), handed on beside it."""
    predicts: bool = False
    """Whether the networks' raw prediction is handed on beside the vectors."""

    @property
    def schema(self) -> Schema:
        """The codings of the columns."""
        return self.statistics.schema

    @property
    def target(self) -> Target:
        """The coding of the target."""
        return self.statistics.target

    def encode(self, columns: Sequence[Column], refuse_unknown: bool = False) -> Encoded:
        """The table as network input. Raises InputError for another type of column, and for unknown categories if so
        wished."""
        split = {field.source for field in self.schema.fields if field.part is not None and field.form is None}
        columns = [dates_in(column) if column.name in split else column for column in columns]
        table = self.schema.encode(columns, refuse_unknown)
        values = {column.name: column.values for column in columns}
        spelled: dict[int, NDArray[np.floating]] = {}
        for i, spelling in self.spellings.items():
            coding = self.schema.codings[i]
            unseen = np.flatnonzero(table.codes[:, i] == UNKNOWN)
            names = values[coding.name][unseen].tolist()
            with np.errstate(over="ignore", invalid="ignore"):
                read = zip(names, spelling.read(names), strict=True)
            vectors = {name: vector for name, vector in read if vector is not None}
            if vectors:
                codes = {name: coding.rows + place for place, name in enumerate(vectors)}
                table.codes[unseen, i] = [codes.get(name, UNKNOWN) for name in names]
                spelled[i] = np.stack(list(vectors.values()))
        return replace(table, spelled=spelled)

    def in_networks(self, table: Encoded, networks: slice = slice(None)) -> Encoded:
        """`table` with the vectors of names read by their spelling in the coordinates of each of `networks`."""
        vectors = {i: spelled[:, : self.schema.dimensions[i]] for i, spelled in table.spelled.items()}
        spelled = {i: self.vectors.alignments[i].undo(own, networks) for i, own in vectors.items()}
        return replace(table, spelled=spelled)

    def transform(self, table: Encoded) -> NDArray[np.float32]:
        """Vectors in place of categories, float32 (row, `names_out()`)."""
        spelled = {i: self.vectors.handed_on(i, own) for i, own in table.spelled.items()}
        vectors = replace(table, spelled=spelled).look_up(self._outputs)
        prediction = self.raw_prediction(table).mean(axis=0).astype(np.float32) if self.predicts else None
        codes = self.schema.with_rows(table.codes)
        means = {i: own[codes[:, i]] for i, own in self.means.items()}
        return self._assemble(vectors, table, means, prediction)

    def assemble(self, vectors: Sequence[NDArray[np.float32]], table: Encoded, means: Mapping[int, NDArray[np.float32]],
                 prediction: NDArray[np.float32] | None) -> NDArray[np.float32]:  # fmt: skip
        """The output for given `vectors` of known categories, (row, dimension) per category field.

        Beside them stand the components of their spelling, the `means` of the target (row, output) by field, the scaled
        numbers of `table`, and the `prediction`.
        """
        beside = {i: own[table.codes[:, i]] for i, own in self.components.items()}
        joined = [np.concatenate([v, beside[i]], axis=1) if i in beside else v for i, v in enumerate(vectors)]
        handed_on = [self.vectors.handed_on(i, own) for i, own in enumerate(joined)]
        return self._assemble(handed_on, table, means, prediction if self.predicts else None)

    def _assemble(self, vectors: Sequence[NDArray[np.float32]], table: Encoded,
                  means: Mapping[int, NDArray[np.float32]],
                  prediction: NDArray[np.float32] | None) -> NDArray[np.float32]:  # fmt: skip
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = [np.concatenate([v, means[i]], axis=1) if i in means else v for i, v in enumerate(vectors)]
            out = self.schema.assemble(vectors, table.numbers * self.vectors.scales.numbers)
            return _finite(out if prediction is None else np.concatenate([out, prediction], axis=1))

    def raw_prediction(self, table: Encoded, networks: slice = slice(None), exact: bool = True) -> NDArray[np.floating]:
        """(network, row, output) what the networks put out: scaled numbers, or log odds; of classes around 0.

        In float64 where `exact`, so that the bits of a row in float32 do not depend on the rows beside it.
        """
        own = self.in_networks(table, networks)
        weights = self.weights if networks == slice(None) else self.weights.only(networks)
        raw = weights.outputs(own, exact=exact)
        return raw - raw.mean(axis=-1, keepdims=True) if self.target.kind == "multiclass" else raw

    @cached_property
    def _outputs(self) -> list[NDArray[np.float32]]:
        """Per category field the output of each known category, (row, dimension + component)."""
        beside = self.components
        joined = (np.concatenate([own, beside[i]], axis=1) if i in beside else own
                  for i, own in enumerate(self.vectors.tables))  # fmt: skip
        return [self.vectors.handed_on(i, own) for i, own in enumerate(joined)]

    def names_out(self) -> list[str]:
        """Names of the output columns; those of the components of a column's spelling: Title_spelling_0, ..."""
        widths = [axes.shape[1] for axes in self.vectors.axes] or self.schema.dimensions
        beside = {i: own.shape[1] for i, own in self.components.items()}
        names = self.schema.names_out(widths, beside, {i: own.shape[1] for i, own in self.means.items()})
        return names + numbered("prediction", self.target.outputs if self.predicts else 0)

    def predict(self, table: Encoded) -> NDArray[np.float64]:
        """The networks' mean prediction: (row,) or (row, output) numbers, or (row, class) probabilities."""
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self.weights.outputs(self.in_networks(table))
            mean: NDArray[np.float64] = _finite(self.target.decode(outputs).mean(axis=0))
        return mean[:, 0] if self.target.single and not self.target.is_classification else mean

    def explain(self, columns: Sequence[Column]) -> list[tuple[str, float]]:
        """What each column of a single row moves in the prediction, see `EntityEncoder.explain`."""
        sources = list(dict.fromkeys(field.source for field in self.schema.fields))
        row = self.encode(columns)
        table = row.take(np.zeros(1 + len(sources), np.int64))
        for place, source in enumerate(sources, 1):
            for coding in (field.coding for field in self.schema.fields if field.source == source):
                if isinstance(coding, Coding):
                    table.codes[place, self.schema.position(coding.name)] = UNKNOWN
                else:
                    hidden = coding.at_mean if isinstance(coding, Scaling) else 0.0
                    table.numbers[place, self.schema.places[coding.name]] = hidden
        predicted = self.predict(table)
        if self.target.is_classification:
            predicted = predicted[:, predicted[0].argmax()]
        moved = (predicted[0] - predicted[1:]).tolist()
        return sorted(zip(sources, moved, strict=True), key=lambda pair: (-abs(pair[1]), pair[0]))

    def table(self, column: str) -> EmbeddingTable:
        """The vectors of one column with facts on each row, see `EntityEncoder.table`."""
        i = self.schema.position(column)
        coding = self.schema.codings[i]
        special = np.arange(coding.rows) < len(SPECIAL)
        facts = {"count": coding.counts, "target_mean": self.statistics.target_means[i],
                 "spread": self.vectors.spreads[i], "special": special}  # fmt: skip
        if i in self.spellings:
            facts["spelling_share"] = np.where(special, 0.0, ROWS_OF_SPELLING / (ROWS_OF_SPELLING + coding.counts))
        return EmbeddingTable(coding.names, self.vectors.tables[i], facts)

    def describe(self) -> list[str]:
        """One sentence per column on how it is coded and why, and one on the target."""
        lines = self.statistics.describe()
        names = [field.coding.name for field in self.schema.fields]
        for i, share in self.explained.items():
            coding = self.schema.codings[i]
            lines[names.index(coding.name)] += _described(coding, share, i in self.spellings)
        for coding, axes in zip(self.schema.codings, self.vectors.axes, strict=bool(self.vectors.axes)):
            place = names.index(coding.name)
            if axes.shape[1] == 0 and self.schema.fields[place].handed_on:
                lines[place] += "; its vectors are not handed on: the networks predict held-out rows as well without"
        return lines


def _described(coding: Coding, explained: float, read: bool) -> str:
    if read:
        return f"; its names are read: their spelling explains {explained:.0%} of the vectors of held-out categories"
    return "; its names are not read: their spelling explains nothing clear of the vectors of held-out categories"


def _finite(numbers: NDArray[Any]) -> NDArray[Any]:
    """Raises FolderError for numbers that are not finite, which only damaged weights give."""
    if not np.isfinite(numbers).all():
        raise FolderError("this encoder's weights are damaged: what it gives for this table is not finite")
    return numbers
