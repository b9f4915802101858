"""A budget of seconds, turned into a count of work once: rows, rounds, columns to drop and trials of the re-check.

After that nothing looks at a clock, so that what is measured, and every verdict, is the same on a busy machine. Left
out: the measuring.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAST_COPIES, MOST_COPIES = 6, 10  # shuffled copies of columns, which set the noise band
SHARE_FOR_ROUNDS = 0.85  # of the budget goes to rounds, the rest to the re-check
LEAST_ROUNDS = 3  # rows are chosen so that so many fit into the budget
LEAST_DROPPED = 3  # columns that are dropped even where the budget is too small for any
TRIAL_ROWS, LEAST_ROWS = 2000, 1000
FIXED_SHARE = 0.5  # of the seconds of a fit of `TRIAL_ROWS`, which does not grow with the rows
ROW_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of every power of ten: near timings lead to the same number of rows


@dataclass(frozen=True)
class Work:
    """What is done: `rounds` at all; `dropped` columns and groups in each of them; `trials` of the re-check."""

    rounds: int
    dropped: int
    trials: int


@dataclass(frozen=True)
class FitCost:
    """What one fit of all `columns` costs: `seconds` on `rows` rows. `groups` are dropped together besides."""

    seconds: float
    rows: int
    columns: int
    groups: int

    def on(self, rows: int) -> float:
        """Seconds of a fit on so many rows."""
        return self.seconds * (FIXED_SHARE + (1 - FIXED_SHARE) * rows / self.rows)

    @property
    def overhead(self) -> float:
        """Fits of a round before a column is dropped: all columns, each alone (a third of a fit), and copies."""
        return 1 + self.columns / 3 + max(LEAST_COPIES, min(self.columns, MOST_COPIES))

    @property
    def round(self) -> float:
        """Fits of a whole round."""
        return self.overhead + self.columns + self.groups

    def affordable_rows(self, most: int, budget: float) -> int:
        """As many rows, at most `most`, as let `LEAST_ROUNDS` rounds end within `budget` seconds; a round number."""
        seconds = SHARE_FOR_ROUNDS * budget / LEAST_ROUNDS / self.round
        rows = self.rows * (seconds / self.seconds - FIXED_SHARE) / (1 - FIXED_SHARE)
        if rows >= most:
            return most
        return min(most, max(LEAST_ROWS, _rounded_down(rows)))

    def work(self, rows: int, rounds: int, budget: float) -> Work:
        """What `budget` seconds allow on so many rows, of `rounds` that are wanted."""
        seconds = self.on(rows)
        fits = SHARE_FOR_ROUNDS * budget / seconds
        done = int(np.clip(fits // self.round, 1, rounds))
        dropped = self.columns + self.groups
        if fits < self.round:
            dropped = int(np.clip(fits - self.overhead, LEAST_DROPPED, dropped))
        trials = int((1 - SHARE_FOR_ROUNDS) * budget / (seconds * done))
        return Work(done, dropped, max(trials, 1))


def timed(fit: Callable[[], object]) -> float:
    """Seconds of a fit on an idle machine: the less of the clock's and the processor's, of the better of two.

    One fit before them is not timed: it pays for imports and for starting threads.
    """
    fit()
    found = []
    for _ in range(2):
        clock, processor = time.perf_counter(), time.process_time()
        fit()
        found += [time.perf_counter() - clock, time.process_time() - processor]
    return max(min(found), 1e-3)


def _rounded_down(rows: float) -> int:
    power = 10.0 ** np.floor(np.log10(max(rows, 1.0)))
    return int(power * max((step for step in ROW_STEPS if step * power <= rows), default=1.0))
