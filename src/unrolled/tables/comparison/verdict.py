"""Whether embeddings helped, in words: the best of all models with and without them, and then every model by name.

A single model for which embeddings did well decides nothing. Left out: the figures (see `result`).
"""

from __future__ import annotations

import numpy as np

from unrolled.tables.comparison.encodings import ENCODINGS
from unrolled.tables.comparison.result import (
    OWN_NETWORKS,
    ComparisonCell,
    ComparisonResult,
    Effect,
    relative_change,
    relative_interval,
)


def verdict(result: ComparisonResult) -> str:
    """Whether embeddings helped here: the best of all models with them against the best without, then each model."""
    ours, theirs = result.best_of_all(True), result.best_of_all(False)
    if ours is None or theirs is None:
        return "There is nothing to compare: one of the two sides, with and without embeddings, is missing."
    effects, digits = result.effects(), decimals(result)
    best = (
        f"of all models the best with them is {_named(ours)}, {ours.mean:,.{digits}f}, and the best without "
        f"{_named(theirs)}, {theirs.mean:,.{digits}f} ({_difference(ours, theirs)})"
    )
    return f"{_lead(ours, theirs, effects)}: {best}. {_each(effects)}"


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


def decimals(result: ComparisonResult) -> int:
    """Decimals of every figure of a table: four digits for the smallest error that is not 0."""
    least = min((cell.mean for cell in result.cells if cell.mean > 0), default=1.0)
    return int(np.clip(3 - np.floor(np.log10(least)), 0, 4))


def interval_text(interval: tuple[float, float]) -> str:
    """Both bounds of a change, in per cent."""
    return " to ".join(change_text(bound, 1) for bound in interval)


def change_text(change: float | None, digits: int = 0) -> str:
    """A `relative_change` in per cent, without a sign where nothing but zeros would follow."""
    if change is None:
        return "up from 0"
    return f"{change:+.{digits}%}" if round(change, digits + 2) else f"{0:.{digits}%}"
