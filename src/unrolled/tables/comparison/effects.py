"""What embeddings changed: the error of each model with each encoding, the effect on each model, and the verdict.

The verdict speaks of the best of all models with embeddings and without, and then of every model by name, since a
single model for which embeddings did well decides nothing. Left out: measuring, and pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.errors import import_extra
from unrolled.tables.comparison.encodings import ENCODINGS, WITH_EMBEDDINGS

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

    def text(self, digits: int) -> str:
        """The mean error and its spread over seeds, with so many decimals."""
        spread = "" if np.isnan(self.spread) else f" ± {self.spread:,.{digits}f}"
        return f"{self.mean:,.{digits}f}{spread}"

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


def effects(cells: Sequence[ComparisonCell]) -> list[Effect]:
    """What embeddings changed, model by model, wherever there is something to compare with."""
    found = []
    for cell in cells:
        others = [c for c in cells if c.model == cell.model and not c.uses_vectors]
        if cell.encoding == WITH_EMBEDDINGS and others:
            other = best(others)
            change, interval = relative_change(cell.mean, other.mean), relative_interval(cell, other)
            found.append(Effect(cell.model, other.encoding, change, interval, cell.differs_from(other)))
    return found


def best(cells: Sequence[ComparisonCell]) -> ComparisonCell:
    """The cell with the least error."""
    return min(cells, key=lambda c: c.mean)


def best_of_all(cells: Sequence[ComparisonCell], vectors: bool) -> ComparisonCell | None:
    """The best of the cells with (`vectors`) or without embeddings, None where there is none."""
    chosen = [c for c in cells if c.uses_vectors == vectors]
    return best(chosen) if chosen else None


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


def verdict(cells: Sequence[ComparisonCell]) -> str:
    """Whether embeddings helped here: the best of all models with them against the best without, then each model."""
    ours, theirs = best_of_all(cells, True), best_of_all(cells, False)
    if ours is None or theirs is None:
        return "There is nothing to compare: one of the two sides, with and without embeddings, is missing."
    changed, digits = effects(cells), decimals(cells)
    both = (
        f"of all models the best with them is {_named(ours)}, {ours.mean:,.{digits}f}, and the best without "
        f"{_named(theirs)}, {theirs.mean:,.{digits}f} ({_difference(ours, theirs)})"
    )
    return f"{_lead(ours, theirs, changed)}: {both}. {_each(changed)}"


def _lead(ours: ComparisonCell, theirs: ComparisonCell, effects: list[Effect]) -> str:
    if not ours.differs_from(theirs):
        return "Embeddings made no clear difference to the best result"
    if ours.mean > theirs.mean:
        return "Embeddings did not help here"
    helped, harmed = sum(e.helped for e in effects), sum(e.harmed for e in effects)
    if effects and helped <= harmed:
        return "Embeddings gave the lowest error here, but did not help most models"
    return "Embeddings helped here"


def _difference(ours: ComparisonCell, theirs: ComparisonCell) -> str:
    change, interval = relative_change(ours.mean, theirs.mean), relative_interval(ours, theirs)
    if change is None:
        return "some error where there was none"
    bounds = f", 95% interval {interval_text(interval)}" if interval else ""
    if not ours.differs_from(theirs):
        return f"{change_text(change, 1)} error{bounds}: within chance over the folds"
    return f"{abs(change):.1%} {'less' if change < 0 else 'more'} error{bounds}"


def _each(effects: list[Effect]) -> str:
    if not effects:
        return "No model was given both."
    groups = {
        "less error": [e for e in effects if e.helped],
        "no clear difference": [e for e in effects if not (e.helped or e.harmed)],
        "more error": [e for e in effects if e.harmed],
    }
    count = len(effects)
    told = [f"{words} for {len(group)} of {count} ({_listed(group)})" for words, group in groups.items() if group]
    return f"Model by model, against the best other encoding of the same model: {'; '.join(told)}."


def _listed(effects: list[Effect]) -> str:
    return ", ".join(f"{effect.model} {change_text(effect.change, 1)}" for effect in effects)


def _named(cell: ComparisonCell) -> str:
    if (cell.model, cell.encoding) == OWN_NETWORKS:
        return "the network with embeddings inside"
    return f"{cell.model} with {ENCODINGS[cell.encoding].title}{' categories' if cell.encoding == 'native' else ''}"


def decimals(cells: Sequence[ComparisonCell]) -> int:
    """Decimals of every figure of a table: four digits for the smallest error that is not 0."""
    least = min((cell.mean for cell in cells if cell.mean > 0), default=1.0)
    return int(np.clip(3 - np.floor(np.log10(least)), 0, 4))


def interval_text(interval: tuple[float, float]) -> str:
    """Both bounds of a change, in per cent."""
    return " to ".join(change_text(bound, 1) for bound in interval)


def change_text(change: float | None, digits: int = 0) -> str:
    """A `relative_change` in per cent, without a sign where nothing but zeros would follow."""
    if change is None:
        return "up from 0"
    return f"{change:+.{digits}%}" if round(change, digits + 2) else f"{0:.{digits}%}"
