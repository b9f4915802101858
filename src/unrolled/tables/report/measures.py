"""Asking the model of the column report its questions: what a column explains alone, and what its absence costs.

Everything is measured on the same folds and seeds, round by round, as many as the planned work allows (see
`budget`). Left out: the words in which the answers are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unrolled.learn.signals import Interrupt
from unrolled.progress import OnProgress
from unrolled.tables.report.budget import LEAST_COPIES, MOST_COPIES, Work
from unrolled.tables.report.features import Block
from unrolled.tables.report.model import Round, boosted

LEAST_NOISE = 0.001  # of the share explained: below a thousandth nothing is called a difference
MANY_CANDIDATES = 16  # from there on they are not tried one by one from the first


@dataclass
class Measures:
    """The answers, one a round: `full`, and by column (by group for `without_group`) the share explained.

    `copies` holds what adding a shuffled copy of a column changed, which is noise by construction.
    """

    full: list[float] = field(default_factory=list)
    alone: dict[str, list[float]] = field(default_factory=dict)
    missing_alone: dict[str, list[float]] = field(default_factory=dict)
    without: dict[str, list[float]] = field(default_factory=dict)
    without_group: dict[tuple[str, ...], list[float]] = field(default_factory=dict)
    copies: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    interrupted: bool = False

    def extend(self, round_: Measures) -> None:
        """Add the answers of a further round."""
        self.full += round_.full
        for name in ("alone", "missing_alone", "without", "without_group", "copies"):
            for key, values in getattr(round_, name).items():
                getattr(self, name).setdefault(key, []).extend(values)

    def cost(self, without: Sequence[float]) -> NDArray[np.float64]:
        """(round,) what was lost against the full model."""
        return np.asarray(np.asarray(self.full[: len(without)]) - np.asarray(without))

    @property
    def noise(self) -> tuple[float, float]:
        """Drop costs between these bounds are what a column without information shows.

        Alike on both sides of zero: the luck of the full model, which all costs share, enters the effect of a copy with
        the other sign.
        """
        effects = np.array([np.mean(effect) for effect in self.copies.values()])
        each = np.array([value for effect in self.copies.values() for value in effect])
        if not len(each):
            return -LEAST_NOISE, LEAST_NOISE
        of_means = effects.std(ddof=1) if len(effects) > 1 else 0.0
        of_rounds = each.std(ddof=1) / np.sqrt(len(self.full)) if len(each) > 1 else 0.0
        reach = max(abs(float(effects.mean())) + 2 * max(float(of_means), float(of_rounds)), LEAST_NOISE)
        return -reach, reach


def measure(
    rounds: Sequence[Round],
    names: Sequence[str],
    groups: Sequence[tuple[str, ...]],
    work: Work,
    progress: OnProgress | None = None,
) -> Measures:
    """Ask every question in as many of the `rounds` as `work` allows.

    Ctrl-C, SIGTERM and SIGHUP end it after the question at work; rounds that are whole count. Raises KeyboardInterrupt
    where there is none.
    """
    measures, copied = Measures(), copied_columns(names)
    with Interrupt() as interrupt, suppress(KeyboardInterrupt):
        for number, round_ in enumerate(rounds[: work.rounds]):
            measures.extend(_measure_round(round_, names, groups, copied, work.dropped, interrupt))
            if progress:
                progress(f"round {number + 1} of {work.rounds}", (number + 1) / work.rounds)
    if not measures.full:
        raise KeyboardInterrupt
    measures.interrupted = bool(interrupt)
    return measures


def _measure_round(
    round_: Round,
    names: Sequence[str],
    groups: Sequence[tuple[str, ...]],
    copied: Sequence[tuple[str, int]],
    dropped: int,
    interrupt: Interrupt,
) -> Measures:
    """All questions on one round. Raises KeyboardInterrupt where a signal came before the last.

    So many columns and groups are `dropped`, those that explain most alone first.
    """

    def explained(names: Sequence[str], copy: tuple[str, int] | None = None) -> float:
        if interrupt:
            raise KeyboardInterrupt
        return round_.explained(names, copy)

    full = explained(names)
    found = Measures([full])
    for name in names:
        found.alone[name] = [full if len(names) == 1 else explained([name])]
        found.missing_alone[name] = [round_.missing_alone(name)]
    for copy in copied:
        found.copies[copy] = [explained(names, copy) - full]
    for name in sorted(names, key=lambda n: -found.alone[n][0])[:dropped]:
        found.without[name] = [explained([n for n in names if n != name])]
    for group in groups[: max(dropped - len(names), 0)]:
        found.without_group[group] = [explained([n for n in names if n not in group])]
    return found


def copied_columns(names: Sequence[str]) -> list[tuple[str, int]]:
    """The columns whose shuffled copies set the noise band, and which copy: each column, but so many as are wanted."""
    ordered = sorted(names)  # by name, so that the order of the columns does not matter
    if len(ordered) > MOST_COPIES:
        return [(ordered[i], 0) for i in np.linspace(0, len(ordered) - 1, MOST_COPIES).astype(int)]
    rounds = -(-LEAST_COPIES // max(len(ordered), 1))
    return [(name, copy) for copy in range(rounds) for name in ordered]


@dataclass(frozen=True)
class Recheck:
    """The outcome of dropping columns together: `safe` ones can go for `price`.

    `needed` ones cannot go as well: what dropping each costs once the safe ones before it are gone.
    """

    safe: tuple[str, ...] = ()
    price: float = 0.0
    needed: dict[str, float] = field(default_factory=dict)


def recheck(
    rounds: Sequence[Round],
    names: Sequence[str],
    candidates: Sequence[str],
    measures: Measures,
    largest: float,
    trials: int,
) -> Recheck:
    """Drop `candidates` (least valued first) one after the other, as long as their cost together stays in the noise.

    Nor may it be more than `largest`. At most `trials` columns are tried one by one. What each costs alone says nothing
    about this: of two columns with the same information, each can go, but not both.
    """
    if not candidates:
        return Recheck()
    rounds, high = rounds[: len(measures.full)], min(measures.noise[1], largest)

    def cost(gone: Sequence[str]) -> float:
        left = [name for name in names if name not in gone]
        return float(np.mean(measures.cost([round_.explained(left) for round_ in rounds])))

    together = cost(candidates)
    if together <= high:
        return Recheck(tuple(candidates), together)
    gone, price = _first_gone(candidates, cost, high)
    needed = {}
    for name in candidates[len(gone) :][:trials]:
        trial = cost([*gone, name])
        if trial <= high:
            gone, price = [*gone, name], trial
        else:
            needed[name] = trial - price
    return Recheck(tuple(gone), price, needed)


def _first_gone(
    candidates: Sequence[str], cost: Callable[[Sequence[str]], float], high: float
) -> tuple[list[str], float]:
    """Those to begin with: the least valued one, or where candidates are many the half, quarter, ... that can go."""
    count = len(candidates) // 2 if len(candidates) > MANY_CANDIDATES else 1
    price = cost(candidates[:count])
    while count > 1 and price > high:
        count //= 2
        price = cost(candidates[:count])
    return list(candidates[:count]), price


def outcome_like(round_: Round, names: Sequence[str], name: str) -> tuple[float, float]:
    """Whether a column of numbers behaves like a second outcome: (predicted, together).

    `predicted` is the share of it that the other columns explain, `together` the correlation of what they leave
    unexplained of it with what they leave unexplained of the target. A column that is known only afterwards, such as
    the customers of a day, has both; a property known beforehand has at most one.
    """
    column = round_.columns[name].numbers[:, 0]
    train, test = (rows[~np.isnan(column[rows])] for rows in (round_.train, round_.test))
    others = [n for n in names if n != name]
    if not others or len(test) < 20 or len(train) < 20 or np.ptp(column[train]) == 0:
        return 0.0, 0.0
    outcome = round_.target.values.astype(np.float64)
    blocks = [round_.block(n) for n in others]
    places = [np.isin(round_.train, train), np.isin(round_.test, test)]
    left = [_unexplained(blocks, values, round_, places) for values in (column, outcome)]
    spread = [float(part.std()) for part in left]
    predicted = 1 - spread[0] ** 2 / float(column[test].var() or 1)
    together = float(np.corrcoef(left[0], left[1])[0, 1]) if min(spread) > 0 else 0.0
    return max(predicted, 0.0), abs(together)


def _unexplained(
    blocks: list[Block], values: NDArray[np.float64], round_: Round, places: list[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """What a regression of `values` on `blocks` leaves at the rows it was not fitted on."""
    if not any(b.native for b in blocks):  # no feature at all
        return np.asarray(values[round_.test][places[1]] - values[round_.train][places[0]].mean())
    model = boosted(blocks, None, round_.seed)
    model.fit(np.hstack([b.train for b in blocks])[places[0]], values[round_.train][places[0]])
    predicted = model.predict(np.hstack([b.test for b in blocks])[places[1]])
    return np.asarray(values[round_.test][places[1]] - predicted)
