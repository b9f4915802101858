"""Asking the model of the column report its questions: what a column explains alone, and what its absence costs.

Every question is asked on the same folds and seeds, round by round, until the rounds or the budget of seconds end.
Left out: the words in which the answers are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.tables.progress import OnProgress
from unrolled.tables.report.features import Block, ColumnData
from unrolled.tables.report.model import Deadline, Round, boosted

LEAST_COPIES, MOST_COPIES = 6, 10  # shuffled copies of columns, which set the noise band
LEAST_NOISE = 0.001  # of the share explained: below a thousandth nothing is called a difference
SHARE_FOR_CHECKS = 0.85  # of the budget goes to rounds, the rest to the re-check
LEAST_TRIED = 3  # columns that are dropped even where the budget is too small for any
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
    stopped: bool = False
    """Whether the budget ended before all questions of all rounds were asked."""

    def cost(self, without: Sequence[float]) -> NDArray[np.float64]:
        """(round,) what was lost against the full model."""
        return np.asarray(np.asarray(self.full[: len(without)]) - np.asarray(without))

    @property
    def noise(self) -> tuple[float, float]:
        """Drop costs between these bounds are what a column that tells nothing shows.

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
    groups: Iterable[tuple[str, ...]],
    deadline: Deadline,
    progress: OnProgress | None = None,
) -> Measures:
    """Ask every question in every round; stops before a round that the budget does not have time for.

    The first round is begun in any case, and ended early where the columns are too many for the budget.
    """
    measures, groups = Measures(), list(groups)
    copied = copied_columns(names)
    longest = 0.0
    for number, round_ in enumerate(rounds):
        started = deadline.used
        if measures.stopped or (number and deadline.used + longest > SHARE_FOR_CHECKS * deadline.seconds):
            measures.stopped = True
            break
        _measure_round(round_, names, groups, copied, measures, deadline if number == 0 else None)
        longest = max(longest, deadline.used - started)
        if progress:
            progress(f"round {number + 1} of {len(rounds)}", (number + 1) / len(rounds))
    return measures


def _measure_round(
    round_: Round,
    names: Sequence[str],
    groups: Sequence[tuple[str, ...]],
    copied: Sequence[tuple[str, int]],
    measures: Measures,
    deadline: Deadline | None,
) -> None:
    """All questions on one round; with a deadline, as many columns are dropped as there is time for, the best first."""
    full = round_.explained(names)
    measures.full.append(full)
    for name in names:
        _append(measures.alone, name, full if len(names) == 1 else round_.explained([name]))
        _append(measures.missing_alone, name, round_.missing_alone(name))
    for copy in copied:
        _append(measures.copies, copy, round_.explained(names, copy) - full)
    for name in _in_time(sorted(names, key=lambda n: -measures.alone[n][-1]), measures, deadline):
        _append(measures.without, name, round_.explained([n for n in names if n != name]))
    for group in _in_time(groups, measures, deadline):
        _append(measures.without_group, group, round_.explained([n for n in names if n not in group]))


def _in_time(items: Iterable[Any], measures: Measures, deadline: Deadline | None) -> Iterator[Any]:
    """The first of `items`, and more as long as there is time."""
    for number, item in enumerate(items):
        if number >= LEAST_TRIED and deadline is not None and deadline.used > SHARE_FOR_CHECKS * deadline.seconds:
            measures.stopped = True
            return
        yield item


def _append(answers: dict[Any, list[float]], key: Any, value: float) -> None:
    answers.setdefault(key, []).append(value)


def copied_columns(names: Sequence[str]) -> list[tuple[str, int]]:
    """The columns whose shuffled copies set the noise band, and which copy: each column, but so many as are wanted."""
    ordered = sorted(names)  # by name, so that the order of the columns does not matter
    if len(ordered) > MOST_COPIES:
        return [(ordered[i], 0) for i in np.linspace(0, len(ordered) - 1, MOST_COPIES).astype(int)]
    rounds = -(-LEAST_COPIES // max(len(ordered), 1))
    return [(name, copy) for copy in range(rounds) for name in ordered]


def questions(columns: int, groups: int) -> float:
    """How many fits of the full model a round is worth (a fit of one column takes a third of it)."""
    return 1 + columns + columns / 3 + groups + max(LEAST_COPIES, min(columns, MOST_COPIES))


def affordable_rows(columns: dict[str, ColumnData], first: Callable[[int], Round], most: int, budget: float) -> int:
    """As many rows, at most `most`, as let three rounds end within the budget; `first(rows)` makes a trial round."""
    few = min(most, 2000)
    trial = first(few)
    names = [name for name, column in columns.items() if column.useful]
    trial.explained(names)  # the first fit also pays for imports and for starting threads
    watch = Deadline(budget)
    trial.explained(names)
    longest = SHARE_FOR_CHECKS * budget / 3 / questions(len(names), len(names) // 3)
    growth = (longest / max(watch.used, 1e-3) - 0.5) * 2  # half of a small fit does not grow with the rows
    return int(np.clip(few * growth, min(few, 1000), most))


def recheck(
    rounds: Sequence[Round], names: Sequence[str], candidates: Sequence[str], measures: Measures, deadline: Deadline
) -> tuple[list[str], float, list[str]]:
    """Drop `candidates` (least valued first) one after the other, as long as their cost together stays in the noise.

    Returns those that can go together, what that costs, and those not tried before the budget ended. What each costs
    alone says nothing about this: of two columns that tell the same, each can go, but not both.
    """
    if not candidates:
        return [], 0.0, []
    rounds, high = rounds[: len(measures.full)], measures.noise[1]

    def cost(gone: Sequence[str]) -> float:
        left = [name for name in names if name not in gone]
        return float(np.mean(measures.cost([round_.explained(left) for round_ in rounds])))

    together = cost(candidates)
    if together <= high:
        return list(candidates), together, []
    gone, price = _first_gone(candidates, cost, high)
    for tried, name in enumerate(candidates[len(gone) :], len(gone)):
        if deadline.left < 0:
            return gone, price, list(candidates[tried:])
        trial = cost([*gone, name])
        if trial <= high:
            gone, price = [*gone, name], trial
    return gone, price, []


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
    """Whether a column of numbers behaves like a second outcome: (told, together).

    `told` is the share of it that the other columns explain, `together` the correlation of what they leave unexplained
    of it with what they leave unexplained of the target. A column that is known only afterwards, such as the customers
    of a day, has both; a property known beforehand has at most one.
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
    told = 1 - spread[0] ** 2 / float(column[test].var() or 1)
    together = float(np.corrcoef(left[0], left[1])[0, 1]) if min(spread) > 0 else 0.0
    return max(told, 0.0), abs(together)


def _unexplained(
    blocks: list[Block], values: NDArray[np.float64], round_: Round, places: list[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """What a regression of `values` on `blocks` leaves at the rows it was not fitted on."""
    model = boosted(blocks, None, round_.seed)
    model.fit(np.hstack([b.train for b in blocks])[places[0]], values[round_.train][places[0]])
    predicted = model.predict(np.hstack([b.test for b in blocks])[places[1]])
    return np.asarray(values[round_.test][places[1]] - predicted)
