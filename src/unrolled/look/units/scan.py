"""Single hidden units against plain questions about the text: which unit knows whether we are inside quotes?

A unit is named only where it is convincing, by the rule in `RULE`; elsewhere the scan is silent. Left out: the
questions (`predicates`), and several units that know something together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.look.units.activations import Reading, Unit, watch, watch_network
from unrolled.look.units.predicates import predicates
from unrolled.model.cells import CellNetwork
from unrolled.model.char_model import CharModel

LEAST_AUC = 0.9
FALSE_ALARM = 0.01
UNTRAINED = 8
LEAST_TRUE = 50
"""Places at which a question must be true, and false, in either half of the text for it to be asked."""
BLOCK = 100
"""Characters that count as one observation, since neighbours are alike."""
LEAST_CHARACTERS = 2000
RULE = (
    "a unit is named for a question if, chosen on the first half of the text, it tells yes from no on the second half "
    f"with an AUC of at least {LEAST_AUC}; if no unit of {UNTRAINED} untrained networks of the same shape, chosen in "
    f"the same way, reaches {LEAST_AUC}; and if even the lower end of the AUC's interval ({FALSE_ALARM:.0%} over all "
    f"questions, blocks of {BLOCK} characters) is above the best of those by more than twice what they differ among "
    "themselves, in log odds"
)


@dataclass(frozen=True)
class Finding:
    """The best unit for one question."""

    question: str
    unit: Unit
    auc: float
    """On the second half of the text; above 0.5 if `high` was right."""
    low: float
    """Lower end of the interval of `auc`."""
    high: bool
    """Whether the unit is high where the answer is yes, as the first half has it."""
    untrained: float
    """The best AUC of untrained networks."""
    share: float
    """Of the second half, where the answer is yes."""
    convincing: bool


@dataclass(frozen=True)
class Scan:
    """All questions that could be asked of a text, the best answered first."""

    findings: tuple[Finding, ...]
    characters: int
    rule: str = RULE

    @property
    def convincing(self) -> tuple[Finding, ...]:
        """Those that may be named."""
        return tuple(finding for finding in self.findings if finding.convincing)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True)
class Worse:
    """How much less expected a character became."""

    character: str
    places: int
    nats: float
    """On average over its places."""


@dataclass(frozen=True)
class Silencing:
    """What switching a unit off does."""

    unit: Unit
    nats: float
    """By which the mean loss per character rose."""
    by_character: tuple[Worse, ...]
    """Characters by the nats that all their places together lost, the worst first."""
    each: NDArray[np.float64]
    """The rise at each character, (characters,)."""

    def to_json(self) -> dict[str, Any]:
        """Without `each`, which has one number per character."""
        return {"unit": asdict(self.unit), "nats": self.nats, "by_character": [asdict(w) for w in self.by_character]}


def scan_units(model: CharModel, text: str, *, seed: int = 0) -> Scan:
    """Ask every question of `predicates` of every hidden unit of every layer.

    `text` should be one that the model was not trained on. `seed` draws the untrained networks. Raises InputError for a
    text of fewer than 2,000 characters or with unknown ones.
    """
    if len(text) < LEAST_CHARACTERS:
        raise InputError(
            f"the text has {len(text):,} characters, but a scan of units needs {LEAST_CHARACTERS:,}: give a longer text"
        )
    asked = {name: answer for name, answer in predicates(text).items() if _can_be_asked(answer)}
    if not asked:  # one character over and over
        return Scan((), len(text))
    answers = np.array(list(asked.values()))
    ids = model.vocabulary.encode(text)
    chosen = _choose(watch_network(model.network, ids), answers)
    untrained = [
        _choose(watch_network(network, ids), answers).auc
        for network in _untrained(model, range(seed, seed + UNTRAINED))
    ]
    findings = _judged(list(asked), chosen, np.reshape(untrained, (UNTRAINED, -1)), answers)
    return Scan(tuple(sorted(findings, key=lambda f: (not f.convincing, -f.auc))), len(text))


def silence(model: CharModel, text: str, unit: Unit) -> Silencing:
    """Switch `unit` off, everywhere it is read, and compare how expected each character of `text` is."""
    rise = watch(model, text, silent=unit).nats - watch(model, text).nats
    letters = np.array(list(text))
    worse = [Worse(str(c), int((letters == c).sum()), float(rise[letters == c].mean())) for c in np.unique(letters)]
    worse.sort(key=lambda w: -w.nats * w.places)
    return Silencing(unit, float(rise[1:].sum() / max(1, len(text) - 1)), tuple(worse), rise)


def auc(activations: NDArray[np.floating], answers: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The probability that a unit is higher at a yes than at a no, equal values counting half: (question, unit).

    `activations` (characters, unit), `answers` (question, characters), each with a yes and a no.
    """
    ranks, yes = _ranks(activations), answers.sum(1)[:, None].astype(np.float64)
    result: NDArray[np.float64] = (answers @ ranks - yes * (yes + 1) / 2) / (yes * (answers.shape[1] - yes))
    return result


@dataclass(frozen=True)
class _Choice:
    """For each question the unit chosen on the first half, and how it does on the second, all (question,)."""

    units: list[Unit]
    high: NDArray[np.bool_]
    auc: NDArray[np.float64]
    low: NDArray[np.float64]


def _choose(reading: Reading, answers: NDArray[np.bool_]) -> _Choice:
    activations, half = np.hstack(reading.hidden), answers.shape[1] // 2
    first = auc(activations[:half], answers[:, :half]) - 0.5
    best = np.abs(first).argmax(1)
    high = np.take_along_axis(first, best[:, None], 1)[:, 0] >= 0
    oriented = activations[half:, best] * np.where(high, 1, -1)
    level = NormalDist().inv_cdf(1 - FALSE_ALARM / len(answers))
    pairs = [_auc_with_error(oriented[:, q], answers[q, half:]) for q in range(len(answers))]
    area, error = np.array(pairs).T.reshape(2, -1)
    width = reading.hidden[0].shape[1]
    return _Choice([Unit(int(i) // width, int(i) % width) for i in best], high, area, area - level * error)


def _judged(
    names: list[str], chosen: _Choice, untrained: NDArray[np.float64], answers: NDArray[np.bool_]
) -> Iterator[Finding]:
    """The rule; `untrained` is (network, question)."""
    half, least, best = answers.shape[1] // 2, untrained.min(0), untrained.max(0)
    ahead = _log_odds(chosen.low) - _log_odds(best) > 2 * (_log_odds(best) - _log_odds(least))
    for q, name in enumerate(names):
        area, low, null = float(chosen.auc[q]), float(chosen.low[q]), float(best[q])
        convincing = area >= LEAST_AUC > null and bool(ahead[q])
        share = float(answers[q, half:].mean())
        yield Finding(name, chosen.units[q], area, low, bool(chosen.high[q]), null, share, convincing)


def _log_odds(auc: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(auc, 1e-6, 1 - 1e-6)
    result: NDArray[np.float64] = np.log(inside / (1 - inside))
    return result


def _auc_with_error(activation: NDArray[np.floating], answer: NDArray[np.bool_]) -> tuple[float, float]:
    """The AUC of one unit and its standard error (DeLong et al. 1988, over blocks since neighbours are alike)."""
    yes, no = np.sort(activation[answer]), np.sort(activation[~answer])
    other = np.where(answer, _share_below(activation, no), 1 - _share_below(activation, yes))
    area = float(other[answer].mean())
    parts = (other - area) / np.where(answer, len(yes), len(no))
    blocks = np.add.reduceat(parts, np.arange(0, len(parts), BLOCK))
    return area, float(np.sqrt((blocks**2).sum()))


def _share_below(values: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """The share of sorted `others` below each value, equal ones counting half."""
    left, right = np.searchsorted(others, values, "left"), np.searchsorted(others, values, "right")
    share: NDArray[np.float64] = (left + right) / (2 * len(others))
    return share


def _ranks(columns: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks from 1 within each column of (n, column), equal values sharing their mean rank."""
    ranks = np.empty(columns.shape)
    for c, column in enumerate(columns.T):
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks[:, c] = (ends - (counts - 1) / 2)[inverse]
    return ranks


def _can_be_asked(answer: NDArray[np.bool_]) -> bool:
    half = len(answer) // 2
    return all(min(part.sum(), (~part).sum()) >= LEAST_TRUE for part in (answer[:half], answer[half:]))


def _untrained(model: CharModel, seeds: range) -> Iterator[CellNetwork]:
    from unrolled.learn.networks.network import CharNetwork

    config = model.config
    for seed in seeds:
        weights = {name: w.detach().numpy() for name, w in CharNetwork(config, seed=seed).state_dict().items()}
        yield CellNetwork(config.rung, weights, config.nonlinearity)
