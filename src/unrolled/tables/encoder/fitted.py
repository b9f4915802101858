"""Everything that a fit has learned, frozen: a table becomes vectors and predictions. NumPy only.

Left out: learning it (`fitting`, `parquet`), its folder (`folder`), and scikit-learn's conventions (`estimator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import EmbeddingTable
from unrolled.tables.data.columns import Column
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.alignment import DistanceCheck, distance_check, neighbours_kept
from unrolled.tables.encoder.coding import SPECIAL
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.schema import Encoded, Schema
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

    def describe(self) -> list[str]:
        """One sentence per column on how it is coded and why, and one on the target."""
        log = ", its logarithm learned" if self.target.log else ""
        return [*self.schema.describe(), f"target: {self.target.kind}{log}"]


@dataclass(frozen=True)
class Fitted:
    """A fitted encoder. `interrupted` is set if Ctrl-C ended its training early.

    Tables are given as `Column`s under the fitted names; predictions and vectors are float, rows in the order given.
    """

    statistics: Statistics
    config: EncoderConfig
    weights: NetworkWeights
    vectors: Vectors
    interrupted: bool = False

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
        return self.schema.encode(columns, refuse_unknown)

    def transform(self, table: Encoded) -> NDArray[np.float32]:
        """Vectors in place of categories, float32 (row, `schema.names_out()`)."""
        return self.assemble([vectors[table.codes[:, i]] for i, vectors in enumerate(self.vectors.tables)], table)

    def assemble(self, vectors: Sequence[NDArray[np.float32]], table: Encoded) -> NDArray[np.float32]:
        """The output for given `vectors`, (row, dimension) per category field, beside the scaled numbers of `table`."""
        return self.schema.assemble(vectors, table.numbers * self.vectors.scales.numbers)

    def predict(self, table: Encoded) -> NDArray[np.float64]:
        """The networks' mean prediction: (row,) or (row, output) numbers, or (row, class) probabilities."""
        mean: NDArray[np.float64] = self.target.decode(self.weights.outputs(table)).mean(axis=0)
        return mean[:, 0] if self.target.single and not self.target.is_classification else mean

    def table(self, column: str) -> EmbeddingTable:
        """The vectors of one column with facts on each row, see `EntityEncoder.table`."""
        i = self.schema.position(column)
        coding = self.schema.codings[i]
        aligned = self.vectors.alignments[i].apply(self.weights.tables[i])
        special = np.arange(coding.rows) < len(SPECIAL)
        facts = {"count": coding.counts, "target_mean": self.statistics.target_means[i],
                 "spread": self.vectors.spreads[i], "neighbours_kept": neighbours_kept(aligned),
                 "special": special}  # fmt: skip
        return EmbeddingTable(coding.names, self.vectors.tables[i], facts)

    def distance_check(self, column: str) -> DistanceCheck:
        """Distances between the vectors of known categories against differences of their mean targets."""
        i = self.schema.position(column)
        known = slice(len(SPECIAL), None)
        return distance_check(self.vectors.tables[i][known], self.statistics.target_means[i][known])

    def describe(self) -> list[str]:
        """One sentence per column on how it is coded and why, and one on the target."""
        return self.statistics.describe()
