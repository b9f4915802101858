"""Single hidden units as classifiers of the text: does the value of one unit tell whether we are inside quotes?

A unit is reported only where it meets `RULE`. Also: what is lost when a unit is ablated. Left out: the questions
(`predicates`), and features that several units represent together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.look.units.activations import Activations, Unit, record, record_network
from unrolled.look.units.predicates import predicates
from unrolled.model.cells import CellNetwork
from unrolled.model.char_model import CharModel

MIN_AUC = 0.9
FALSE_ALARM = 0.01
UNTRAINED = 8
MIN_TRUE = 50
"""Positions at which a question must be true, and false, in each half of the text; other questions are left out."""
BLOCK = 100
"""Characters that count as one observation, since neighbouring positions are correlated."""
MIN_CHARACTERS = 2000
RULE = (
    "a unit is named for a question if, chosen on the first half of the text, it separates yes from no on the second "
    f"half with an AUC of at least {MIN_AUC}; if no unit of {UNTRAINED} untrained networks of the same shape, chosen "
    f"in the same way, reaches {MIN_AUC}; and if, in log odds, the lower end of its confidence interval "
    f"({FALSE_ALARM:.0%} over all questions, blocks of {BLOCK} characters) exceeds the best untrained AUC by more than "
    "twice the range of the untrained AUCs"
)


@dataclass(frozen=True)
class Finding:
    """The best unit for one question."""

    question: str
    unit: Unit
    auc: float
    """On the second half of the text; above 0.5 if the sign in `high` holds there."""
    low: float
    """Lower end of the interval of `auc`."""
    high: bool
    """Whether the unit is high where the answer is yes, as determined on the first half."""
    untrained: float
    """The best AUC of untrained networks."""
    share: float
    """The fraction of positions in the second half where the answer is yes."""
    convincing: bool


@dataclass(frozen=True)
class Scan:
    """The best unit for every question that the text can answer, the highest AUC first."""

    findings: tuple[Finding, ...]
    characters: int
    rule: str = RULE

    @property
    def convincing(self) -> tuple[Finding, ...]:
        """The findings that meet the rule."""
        return tuple(finding for finding in self.findings if finding.convincing)


@dataclass(frozen=True)
class CharacterLoss:
    """How much the loss of a character rose."""

    character: str
    places: int
    nats: float
    """On average over its positions."""


@dataclass(frozen=True)
class Ablation:
    """The effect of setting a unit to zero."""

    unit: Unit
    nats: float
    """The rise of the mean loss per character."""
    by_character: tuple[CharacterLoss, ...]
    """Characters by their total rise over all positions, the largest first."""


def scan_units(model: CharModel, text: str, *, seed: int = 0) -> Scan:
    """Test every hidden unit of every layer against every question of `predicates`.

    `text` should be held out from training. `seed` draws the untrained networks for comparison. Raises InputError for a
    text of fewer than 2,000 characters or with characters the model does not know.
    """
    if len(text) < MIN_CHARACTERS:
        raise InputError(
            f"the text has {len(text):,} characters, but a scan of units needs {MIN_CHARACTERS:,}: give a longer text"
        )
    questions = {name: answer for name, answer in predicates(text).items() if _can_be_answered(answer)}
    if not questions:  # one character over and over
        return Scan((), len(text))
    answers = np.array(list(questions.values()))
    ids = model.vocabulary.encode(text)
    chosen = _best_units(record_network(model.network, ids), answers)
    untrained = [
        _best_units(record_network(network, ids), answers).auc
        for network in _untrained(model, range(seed, seed + UNTRAINED))
    ]
    findings = _judged(list(questions), chosen, np.reshape(untrained, (UNTRAINED, -1)), answers)
    return Scan(tuple(sorted(findings, key=lambda f: (not f.convincing, -f.auc))), len(text))


def ablate(model: CharModel, text: str, unit: Unit) -> Ablation:
    """Set `unit` to zero wherever it is read, and compare the loss of each character of `text`."""
    rise = record(model, text, ablated=unit).nats - record(model, text).nats
    letters = np.array(list(text))
    worse = [
        CharacterLoss(str(c), int((letters == c).sum()), float(rise[letters == c].mean())) for c in np.unique(letters)
    ]
    worse.sort(key=lambda w: -w.nats * w.places)
    return Ablation(unit, float(rise[1:].sum() / max(1, len(text) - 1)), tuple(worse))


def auc(activations: NDArray[np.floating], answers: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The area under the ROC curve of each unit for each question, (question, unit).

    That is the probability that the unit is higher at a yes than at a no, with ties counting half. `activations` is
    (characters, unit), `answers` (question, characters), each with at least one yes and one no.
    """
    ranks = np.column_stack([_count_below(unit, np.sort(unit)) + 0.5 for unit in activations.T])
    yes = answers.sum(1)[:, None].astype(np.float64)
    return (answers @ ranks - yes * (yes + 1) / 2) / (yes * (answers.shape[1] - yes))


@dataclass(frozen=True)
class _BestUnits:
    """For each question the unit chosen on the first half and its AUC on the second, all (question,)."""

    units: list[Unit]
    high: NDArray[np.bool_]
    auc: NDArray[np.float64]
    low: NDArray[np.float64]


def _best_units(recorded: Activations, answers: NDArray[np.bool_]) -> _BestUnits:
    activations, half = np.hstack(recorded.hidden), answers.shape[1] // 2
    first = auc(activations[:half], answers[:, :half]) - 0.5
    best = np.abs(first).argmax(1)
    high = np.take_along_axis(first, best[:, None], 1)[:, 0] >= 0
    oriented = activations[half:, best] * np.where(high, 1, -1)
    level = NormalDist().inv_cdf(1 - FALSE_ALARM / len(answers))
    pairs = [_auc_with_error(oriented[:, q], answers[q, half:]) for q in range(len(answers))]
    area, error = np.array(pairs).T.reshape(2, -1)
    width = recorded.hidden[0].shape[1]
    return _BestUnits([Unit(int(i) // width, int(i) % width) for i in best], high, area, area - level * error)


def _judged(
    names: list[str], chosen: _BestUnits, untrained: NDArray[np.float64], answers: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Apply the rule; `untrained` is (network, question)."""
    half, least, best = answers.shape[1] // 2, untrained.min(0), untrained.max(0)
    ahead = _log_odds(chosen.low) - _log_odds(best) > 2 * (_log_odds(best) - _log_odds(least))
    for q, name in enumerate(names):
        area, low, null = float(chosen.auc[q]), float(chosen.low[q]), float(best[q])
        convincing = area >= MIN_AUC > null and bool(ahead[q])
        share = float(answers[q, half:].mean())
        yield Finding(name, chosen.units[q], area, low, bool(chosen.high[q]), null, share, convincing)


def _log_odds(auc: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(auc, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _auc_with_error(activation: NDArray[np.floating], answer: NDArray[np.bool_]) -> tuple[float, float]:
    """The AUC of one unit and its standard error (DeLong et al. 1988, over blocks of correlated neighbours)."""
    yes, no = np.sort(activation[answer]), np.sort(activation[~answer])
    other = np.where(answer, _share_below(activation, no), 1 - _share_below(activation, yes))
    area = float(other[answer].mean())
    parts = (other - area) / np.where(answer, len(yes), len(no))
    blocks = np.add.reduceat(parts, np.arange(0, len(parts), BLOCK))
    return area, float(np.sqrt((blocks**2).sum()))


def _share_below(values: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """The fraction of sorted `others` below each value, ties counting half."""
    return _count_below(values, others) / len(others)


def _count_below(values: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    left, right = np.searchsorted(others, values, "left"), np.searchsorted(others, values, "right")
    return (left + right) / 2


def _can_be_answered(answer: NDArray[np.bool_]) -> bool:
    half = len(answer) // 2
    return all(min(part.sum(), (~part).sum()) >= MIN_TRUE for part in (answer[:half], answer[half:]))


def _untrained(model: CharModel, seeds: range) -> Iterator[CellNetwork]:
    from unrolled.learn.networks.network import CharNetwork

    config = model.config
    for seed in seeds:
        weights = {name: w.detach().numpy() for name, w in CharNetwork(config, seed=seed).state_dict().items()}
        yield CellNetwork(config.rung, weights, config.nonlinearity)
