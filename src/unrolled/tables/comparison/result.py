"""What a comparison measured, as plain data: a cell for each model with each encoding, and what embeddings changed.

Left out: measuring, the words of the verdict, and pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.errors import import_extra
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS
from unrolled.tables.data.target import TargetType

CERTAINTY = 0.95  # of every interval; a difference whose interval holds no zero is called clear
OWN_NETWORKS = ("network", "native")
"""The model and encoding under which the encoder's own networks, with the embeddings inside, are listed."""


@dataclass(frozen=True)
class ComparisonCell:
    """One model with one encoding: its error in each seed (mean over the folds) and in each fold, and its seconds.

    `seconds` is for one fold, encoding included; `beside` is the mean of a second metric, where there is one.
    """

    model: str
    encoding: str
    by_seed: tuple[float, ...]
    by_fold: tuple[float, ...]
    seconds: float
    beside: float | None = None

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

    def difference(self, other: ComparisonCell) -> tuple[float, float]:
        """The bounds of `CERTAINTY` for the difference of the errors, paired by fold; infinite for a single fold.

        Folds share most of the rows that are learned from, so their differences are not independent: the variance of
        the mean is taken for (1/n + rows judged / rows learned from) times theirs, the corrected resampled t-test
        (Nadeau and Bengio, Machine Learning 52, 2003). Without it chance is called clear in a third of all cases.
        """
        paired = np.array(self.by_fold) - np.array(other.by_fold)
        count = len(paired)
        if count < 2:
            return -np.inf, np.inf
        judged = 1 / max(round(count / len(self.by_seed)) - 1, 1)
        error = float(paired.std(ddof=1)) * np.sqrt(1 / count + judged)
        reach = float(import_extra("scipy.special").stdtrit(count - 1, (1 + CERTAINTY) / 2)) * error
        return float(paired.mean()) - reach, float(paired.mean()) + reach

    def differs_from(self, other: ComparisonCell) -> bool:
        """Whether the errors differ beyond chance: the interval of their difference holds no zero."""
        low, high = self.difference(other)
        return bool(low > 0 or high < 0)


@dataclass(frozen=True)
class Effect:
    """What embeddings changed for one model, against the best other encoding of that model.

    `change` is that of `relative_change`, between the bounds of `CERTAINTY` in `interval`; `clear` if it is beyond
    chance over the folds.
    """

    model: str
    other: str
    change: float | None
    interval: tuple[float, float] | None
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
    beside: str | None = None
    """The metric of `ComparisonCell.beside`."""

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
        return best_of_all(self.cells, vectors)

    def effects(self) -> list[Effect]:
        """What embeddings changed, model by model, wherever there is something to compare with."""
        found = []
        for model in self.models:
            cell = self.cell(model, WITH_EMBEDDINGS)
            others = [c for c in self.cells if c.model == model and not c.uses_vectors]
            if cell and others:
                other = _best(others)
                change, interval = relative_change(cell.mean, other.mean), relative_interval(cell, other)
                found.append(Effect(model, other.encoding, change, interval, cell.differs_from(other)))
        return found


def best_of_all(cells: Sequence[ComparisonCell], vectors: bool) -> ComparisonCell | None:
    """The best of the cells with (`vectors`) or without embeddings, None where there is none."""
    chosen = [c for c in cells if c.uses_vectors == vectors]
    return _best(chosen) if chosen else None


def is_settled(cells: Sequence[ComparisonCell]) -> bool:
    """Whether the best with embeddings and the best without differ clearly, so that more folds would say the same."""
    ours, theirs = best_of_all(cells, True), best_of_all(cells, False)
    return ours is not None and theirs is not None and ours.differs_from(theirs)


def relative_interval(cell: ComparisonCell, other: ComparisonCell) -> tuple[float, float] | None:
    """The bounds of `relative_change`, for an error of `other` taken as exact. None for one fold or an error of 0."""
    low, high = cell.difference(other)
    return (float(low / other.mean), float(high / other.mean)) if np.isfinite(low) and other.mean else None


def relative_change(error: float, other: float) -> float | None:
    """By what share `error` differs from `other`: -0.1 is a tenth less. None where only the other is 0: no share."""
    if other == 0:
        return 0.0 if error == 0 else None
    return error / other - 1


def _best(cells: Sequence[ComparisonCell]) -> ComparisonCell:
    return min(cells, key=lambda c: c.mean)
