"""What a comparison measured, as plain data: a cell for each model with each encoding, and what embeddings changed.

Left out: measuring, the words of the verdict, and pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS
from unrolled.tables.data.target import TargetType

CLEAR = 2.0  # standard errors of the paired differences from which a difference is called one
OWN_NETWORKS = ("network", "native")
"""The model and encoding under which the encoder's own networks, with the embeddings inside, are listed."""


@dataclass(frozen=True)
class ComparisonCell:
    """One model with one encoding: its error in each seed (mean over the folds) and in each fold, and its seconds.

    `seconds` is for one fold, encoding included.
    """

    model: str
    encoding: str
    by_seed: tuple[float, ...]
    by_fold: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """The mean error."""
        return float(np.mean(self.by_seed))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds, NaN for one seed."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else float("nan")

    @property
    def uses_vectors(self) -> bool:
        """Whether learned vectors are in it: as an encoding, or inside the networks they come from."""
        return self.encoding == WITH_EMBEDDINGS or (self.model, self.encoding) == OWN_NETWORKS

    def differs_from(self, other: ComparisonCell) -> bool:
        """Whether the errors differ beyond chance: paired by fold, by more than `CLEAR` standard errors."""
        paired = np.array(self.by_fold) - np.array(other.by_fold)
        return len(paired) > 1 and bool(abs(paired.mean()) > CLEAR * paired.std(ddof=1) / np.sqrt(len(paired)))


@dataclass(frozen=True)
class Effect:
    """What embeddings changed for one model, against the best other encoding of that model.

    `change` is that of `relative_change`; `clear` if it is beyond chance over the folds.
    """

    model: str
    other: str
    change: float | None
    clear: bool

    @property
    def helped(self) -> bool:
        """Whether there is clearly less error with embeddings."""
        return self.clear and self.change is not None and self.change < 0

    @property
    def harmed(self) -> bool:
        """Whether there is clearly more error with embeddings."""
        return self.clear and (self.change is None or self.change > 0)


@dataclass(frozen=True)
class ComparisonResult:
    """The cells, and how they were measured; lower is better in every metric.

    `folds` of each of `seeds` were planned and `folds_done` in all finished: fewer where it was interrupted.
    """

    target: str
    target_type: TargetType
    metric: str
    log_target: bool
    cells: tuple[ComparisonCell, ...]
    notes: tuple[str, ...]
    rows_total: int
    rows_used: int
    folds: int
    seeds: int
    folds_done: int
    seconds: float

    @property
    def interrupted(self) -> bool:
        """Whether it ended before all folds were done."""
        return self.folds_done < self.folds * self.seeds

    @property
    def models(self) -> list[str]:
        """The models in the order of the table."""
        return list(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def encodings(self) -> list[str]:
        """The encodings in the order of the table."""
        present = {cell.encoding for cell in self.cells}
        return [name for name in ENCODINGS if name in present]

    def cell(self, model: str, encoding: str) -> ComparisonCell | None:
        """The cell, or None where that model is not given that encoding."""
        return next((c for c in self.cells if (c.model, c.encoding) == (model, encoding)), None)

    def best(self, model: str) -> ComparisonCell:
        """The best cell in the row of `model`."""
        return _best([c for c in self.cells if c.model == model])

    def best_of_all(self, vectors: bool) -> ComparisonCell | None:
        """The best cell of all models with (`vectors`) or without embeddings, None where there is none."""
        cells = [c for c in self.cells if c.uses_vectors == vectors]
        return _best(cells) if cells else None

    def effects(self) -> list[Effect]:
        """What embeddings changed, model by model, wherever there is something to compare with."""
        pairs = [(self.cell(model, WITH_EMBEDDINGS), self._others(model)) for model in self.models]
        return [_effect(cell, _best(others)) for cell, others in pairs if cell and others]

    def _others(self, model: str) -> list[ComparisonCell]:
        return [c for c in self.cells if c.model == model and not c.uses_vectors]


def relative_change(error: float, other: float) -> float | None:
    """By what share `error` differs from `other`: -0.1 is a tenth less. None where only the other is 0: no share."""
    if other == 0:
        return 0.0 if error == 0 else None
    return error / other - 1


def _best(cells: Sequence[ComparisonCell]) -> ComparisonCell:
    return min(cells, key=lambda c: c.mean)


def _effect(cell: ComparisonCell, other: ComparisonCell) -> Effect:
    return Effect(cell.model, other.encoding, relative_change(cell.mean, other.mean), cell.differs_from(other))
