"""A budget of time: a run that is given minutes ends when they are over, whatever else the machine does meanwhile.

Everything counts: reading the text, the trial, steps, measurements, checkpoints, and the last measurement with its
baselines. The clock is watched after every step; where the expected end is off, the number of steps is changed and the
schedule bends towards its new end. Each such decision is kept in the checkpoint that is written at once.
Left out: what a step is, and which of the figures at the end can be had more cheaply.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from unrolled.bounds import check_number, check_whole
from unrolled.learn.loop import Plan
from unrolled.text.baselines.compressors import WINDOW

MEASURING = 0.1
"""Share of the budget for the measurements while training, and the same for the last one."""
SMALLEST, SMALLEST_OF_ALL = 5_000, 1_000
"""Characters that a measurement reads at least, if the validation part has them; fewer where the last would take more
than twice its share of the time, as with tens of thousands of symbols."""
TOLERANCE = 0.02
"""Share of the budget by which the expected end may be off before the plan is changed."""
HORIZON = 0.05
"""Share of the budget over which the seconds of a step are averaged."""
STALL = 4
"""Times the mean that one step counts as in it, at most: one long pause of the machine says nothing of the rest."""
INTERVAL = 0.01
"""Share of the budget between two decisions, at least: each costs a checkpoint."""
SIZES = (64, 96, 128, 192, 256, 320)
UNITS, CHARACTERS, POWER = 320, 3e6, 0.35
"""So many units suit so many characters, and others in proportion to this power of their number."""
LARGEST, MANY = 512, 17e6
"""Units whose matrices leave a core's cache, and the characters from which on they pay nevertheless."""
COST = 1.3
"""The power of the units to which the time of a step is proportional, about."""


@dataclass
class Budget:
    """The seconds of a run, what they were spent on so far, and what is expected of the rest."""

    seconds: float
    """Allowed for everything."""
    spent: float
    """Until now."""
    step: float
    """Seconds of a step with all that belongs to it, averaged."""
    pause: float
    """Seconds of a measurement with its checkpoint, as last seen."""
    ending: float
    """Seconds from the last step's measurement to the end, as expected while a step took `trial` seconds."""
    trial: float
    decided: float = 0.0
    """The seconds that were spent when the plan was last changed."""

    def __post_init__(self) -> None:
        for name in ("seconds", "step", "trial"):
            check_number(name, getattr(self, name), above=0)
        for name in ("spent", "pause", "ending", "decided"):
            check_number(name, getattr(self, name), at_least=0)

    def plan(self, measurements: int, warmup: float, clip: float | None) -> Plan:
        """The plan of a run that begins now."""
        measurements = max(1, min(measurements, int(MEASURING * self.seconds / self.pause)))
        steps = max(1, int((self._left() - measurements * self.pause) / self.step))
        return Plan(steps, warmup=int(warmup * steps), clip=clip, evaluate_every=-(-steps // measurements))

    def count(self, seconds: float, is_measured: bool) -> None:
        """Note that a step took `seconds`, with the measurement after it if there was one."""
        self.spent += seconds
        if is_measured:
            self.pause = max(0.0, seconds - self.step)
            return
        seconds = min(seconds, STALL * self.step)
        self.step += min(0.5, seconds / (HORIZON * self.seconds)) * (seconds - self.step)

    def count_pause(self, seconds: float, is_measured: bool) -> None:
        """Note what came between two steps: a checkpoint, and after a measurement whatever the caller did with it."""
        self.spent += seconds
        self.pause += seconds * is_measured

    def revised(self, plan: Plan, step: int) -> Plan:
        """`plan` as it is, or after `step` steps one that ends in time, where the expected end is off by too much."""
        to_come = sum(plan.is_measured(later) for later in _measurable(plan, step))
        expected = (plan.steps - step) * self.step + to_come * self.pause
        is_time = self.spent >= self.decided + INTERVAL * self.seconds
        if plan.steps <= step or not is_time or abs(expected - self._left()) <= TOLERANCE * self.seconds:
            return plan
        measurements = max(1, min(to_come, int(MEASURING * self.seconds / max(self.pause, 1e-9))))
        more = max(1, int((self._left() - measurements * self.pause) / self.step))
        if step + more == plan.steps:
            return plan
        self.decided = self.spent
        return plan.replanned(step, step + more, -(-more // measurements))

    def _left(self) -> float:
        """Seconds for steps and measurements from here on: the end takes as much longer as steps do."""
        return self.seconds - self.spent - self.ending * self.step / self.trial


def _measurable(plan: Plan, step: int) -> list[int]:
    every = plan.evaluate_every or plan.steps
    first = step - (step - plan.replanned_at) % every + every
    return sorted({*range(first, plan.steps, every), plan.steps})


class Timing(NamedTuple):
    """What short trials measured, in seconds."""

    step: float
    character: float
    """Of a measurement, a character that is read."""
    baselines: float
    """Of the baselines, a character."""
    mixing: float
    """Of the choice between counts and the network, or all of a committee, a character that is read."""
    warm_up: int
    """Characters that a measurement reads beside those that it judges."""


@dataclass(frozen=True)
class Measuring:
    """How much is measured, in characters."""

    while_training: int = 1_000_000
    """Of the validation part, each time, at most."""
    at_end: int | None = None
    """Of the validation and of the test part, once, at most; None is all."""
    train_sample: int = 100_000
    """Of the end of the training part, once."""
    window: int = WINDOW
    """Of the training part, that the baselines are told, at most."""

    def __post_init__(self) -> None:
        for name in ("while_training", "train_sample", "window"):
            check_whole(name, getattr(self, name), 1)
        if self.at_end is not None:
            check_whole("at_end", self.at_end, 1)

    @classmethod
    def within(cls, seconds: float, timing: Timing, measurements: int) -> Measuring:
        """What a budget of `seconds` has time for, where so many `measurements` are wanted."""
        share = MEASURING * seconds
        affordable = int(share / (timing.character + 2 * timing.mixing))
        smallest = max(SMALLEST_OF_ALL, min(SMALLEST, 2 * affordable))
        at_end = max(smallest, affordable - timing.warm_up)
        each = max(smallest, int(share / measurements / timing.character) - timing.warm_up)
        window = max(SMALLEST, int(share / 4 / timing.baselines))
        return cls(min(cls.while_training, each), at_end, min(cls.train_sample, at_end), min(WINDOW, window))

    def at_end_of(self, available: int) -> int:
        """How many of the `available` characters of a part are measured at the end."""
        return available if self.at_end is None else min(available, self.at_end)


def suited(characters: float, units: int = UNITS) -> int:
    """The hidden units for a time in which a network of so many `units` could read `characters`.

    A rule that was fitted to measurements (docs/experiments.md): a large network learns more from a character and reads
    fewer of them. What machine, vocabulary and recurrence cost enters through that one number of characters.

    >>> [suited(characters) for characters in (1e4, 2e5, 3e6, 1e7, 2e7)]
    [64, 128, 320, 320, 512]
    """
    read = max(characters, 1.0) * (units / UNITS) ** COST
    if read >= MANY:
        return LARGEST
    best = UNITS * (read / CHARACTERS) ** POWER
    return min(SIZES, key=lambda size: abs(math.log(size / best)))
