"""fit(): the one training loop, a generator of records, the same for texts and tables.

A task computes gradients and measures; an optimizer steps; the loop does the rest: schedule, clipping, the guard
against divergence, and when to measure. What is printed, kept or saved is the business of whoever reads the records.
Left out: devices, data, files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import nn

from unrolled.bounds import check_name, check_number, check_whole
from unrolled.errors import TrainingError
from unrolled.typed import AnyFloat


class Task(Protocol):
    """What is trained: a network with its data."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    def backward(self, step: int) -> float:
        """Add the gradients of batch `step` (a function of the seed and `step` alone); returns its mean loss."""

    def evaluate(self) -> float:
        """The mean loss on the validation part."""


class Optimizer(Protocol):
    """What moves the weights."""

    def step(self, factor: float) -> None:
        """One update by the gradients, with the learning rate times `factor`."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that decides the next update, apart from weights and gradients."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`."""


@dataclass(frozen=True)
class Plan:
    """How long, and how the learning rate goes: up over `warmup` steps, then as `shape` says."""

    steps: int
    warmup: int = 0
    clip: float | None = None
    evaluate_every: int | None = None
    """Steps between measurements of the validation part; the last step is always measured."""
    shape: str = "linear"
    """linear (straight down to zero at the last step), constant, or restarts (of a cosine, each twice as long)."""
    cycle: int | None = None
    """Steps of the first cosine."""
    replanned_at: int = 0
    """The step after which this plan took the place of another."""
    height: float = 1.0
    """The schedule's factor at that step, from which `linear` goes down."""
    guarded: bool = True
    """Whether the learning rate is halved when the loss grows; after the fourth time, training ends."""

    def __post_init__(self) -> None:
        check_name("shape", self.shape, SHAPES)
        check_whole("steps", self.steps, 1)
        for name in ("warmup", "replanned_at"):
            check_whole(name, getattr(self, name), 0)
        for name in ("evaluate_every", "cycle"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_number("clip", self.clip, above=0)
        check_number("height", self.height, at_least=0, at_most=1)

    def factor(self, step: int) -> float:
        """The schedule's factor for the step after `step` steps, between 0 and 1."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        return SHAPES[self.shape](self, step)

    def is_measured(self, step: int) -> bool:
        """Whether the validation part is measured after `step` steps."""
        if step == self.steps:
            return True
        return self.evaluate_every is not None and (step - self.replanned_at) % self.evaluate_every == 0

    def replanned(self, step: int, steps: int, evaluate_every: int) -> Plan:
        """The plan after `step` steps for an end at `steps`: the schedule goes on from the factor it has reached."""
        height = self.factor(step) if step >= self.warmup else 1.0
        return replace(self, steps=steps, evaluate_every=evaluate_every, replanned_at=step, height=height)


def _linear(plan: Plan, step: int) -> float:
    return plan.height * (plan.steps - step) / max(1, plan.steps - max(plan.warmup, plan.replanned_at))


def _restarts(plan: Plan, step: int) -> float:
    length = plan.cycle or plan.steps
    step -= plan.warmup
    while step >= length:
        step, length = step - length, 2 * length
    return (1 + math.cos(math.pi * step / length)) / 2


SHAPES: dict[str, Callable[[Plan, int], float]] = {
    "linear": _linear, "constant": lambda plan, step: 1.0, "restarts": _restarts,
}  # fmt: skip


@dataclass
class FitState:
    """All that the loop itself must remember to continue exactly."""

    step: int = 0
    seconds: float = 0.0
    smoothed: AnyFloat = math.nan
    """Mean training loss, weighting the last 50 steps or so."""
    first: AnyFloat = math.nan
    """The loss of the first step."""
    lowest: AnyFloat = math.inf
    """The lowest smoothed loss so far."""
    scale: float = 1.0
    """Factor on the learning rate, halved each time the guard acts."""
    best: AnyFloat = math.inf
    """The lowest validation loss so far."""
    best_step: int = 0
    loss: AnyFloat = math.nan
    """Of the last step."""
    is_due: bool = False
    """Whether the last step was made, but not the measurement that comes after it."""

    def __post_init__(self) -> None:
        check_whole("step", self.step, 0)
        check_whole("best_step", self.best_step, 0, self.step)
        check_number("seconds", self.seconds, at_least=0)
        check_number("scale", self.scale, above=0, at_most=1)


@dataclass(frozen=True)
class Record:
    """One step of training, after it was done."""

    step: int
    loss: float
    """Mean loss of the batch (nats for texts)."""
    smoothed: float
    seconds: float
    """Seconds of training so far, over all parts of a resumed run."""
    factor: float
    """Of the learning rate: schedule times guard."""
    validation: float | None = None
    """Mean loss on the validation part, where it was measured after this step."""
    is_best: bool = False
    remark: str | None = None
    """A sentence about something out of the ordinary, such as a halved learning rate."""


def fit(task: Task, optimizer: Optimizer, plan: Plan, progress: FitState) -> Iterator[Record]:
    """Train from `progress.step` to `plan.steps`, yielding one record a step; `progress` is kept up to date.

    An exception that `task.evaluate` raises leaves `progress` such that another call begins with that measurement.
    Raises TrainingError when the loss is not finite, or grows again and again; the weights are then not worth keeping.
    """
    start = time.perf_counter() - progress.seconds
    while progress.step < plan.steps or progress.is_due:
        factor = plan.factor(progress.step - progress.is_due) * progress.scale
        remark = None
        if not progress.is_due:
            remark = _step(task, optimizer, plan, progress, factor)
            progress.is_due = plan.is_measured(progress.step)
        validation = _measure(task, progress) if progress.is_due else None
        progress.is_due = False
        progress.seconds = time.perf_counter() - start
        is_best = validation is not None and progress.best_step == progress.step
        yield Record(
            progress.step, progress.loss, progress.smoothed, progress.seconds, factor, validation, is_best, remark
        )


def _step(task: Task, optimizer: Optimizer, plan: Plan, progress: FitState, factor: float) -> str | None:
    """One step at `factor`; returns what the guard did, in a sentence."""
    optimizer.zero_grad()
    progress.loss = task.backward(progress.step)
    _check_finite(progress.loss, progress.step)
    if plan.clip is not None:
        norm = nn.utils.clip_grad_norm_(task.network.parameters(), plan.clip)
        _check_finite(float(norm), progress.step, "the norm of its gradients")
    optimizer.step(factor)
    progress.step += 1
    return _guard(progress, progress.loss, plan.guarded)


def _measure(task: Task, progress: FitState) -> float:
    with torch.no_grad():
        validation = task.evaluate()
    _check_finite(validation, progress.step - 1, "the validation loss")  # the step was counted already
    if validation < progress.best:
        progress.best, progress.best_step = validation, progress.step
    return validation


def _check_finite(value: float, step: int, what: str = "the loss") -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"{what} became {value} in step {step + 1}: nothing of it was saved; the last checkpoint is whole. "
            "Try a smaller learning rate, or clip gradients."
        )


# A network that diverges under too large a step does so slowly at first. Three tenths above the lowest level is far
# outside the noise of a mean over some 50 batches; a harder stretch of text stays within it. Where the loss is next to
# nothing, a part of the first loss is the measure instead.
_GUARD_MARGIN, _GUARD_FLOOR = 0.3, 0.05
_GUARD_HALVINGS = 4
_SMOOTHING = 0.98


def _guard(progress: FitState, loss: float, is_guarded: bool) -> str | None:
    """Smooth the loss and halve the learning rate when it has clearly grown; returns what was done, in a sentence."""
    if math.isnan(progress.first):
        progress.first = progress.smoothed = loss
    progress.smoothed = _SMOOTHING * progress.smoothed + (1 - _SMOOTHING) * loss
    progress.lowest = min(progress.lowest, progress.smoothed)
    margin = max(_GUARD_MARGIN * abs(progress.lowest), _GUARD_FLOOR * abs(progress.first))
    if not is_guarded or progress.smoothed <= progress.lowest + margin:
        return None
    progress.scale /= 2
    progress.lowest = progress.smoothed
    if progress.scale < 0.5**_GUARD_HALVINGS:
        raise TrainingError(
            f"the loss grew again after its learning rate was halved {_GUARD_HALVINGS} times (step {progress.step}): "
            "start again with a smaller learning rate"
        )
    return f"the loss is growing ({progress.smoothed:.3f}): learning rate halved from here on"


def steps_within(
    seconds: float, step: Callable[[], None], at_most: int, give_up: float = math.inf
) -> tuple[int, float]:
    """Call `step` for about `seconds`, at most `at_most` times; returns the calls made and seconds a call.

    The first call is not counted: it pays for memory that later ones reuse. If it takes more than `give_up` seconds, it
    is the only one.
    """
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    if first > give_up:
        return 1, first
    start, done = time.perf_counter(), 0
    while done < at_most and time.perf_counter() - start < seconds:
        step()
        done += 1
    return done, (time.perf_counter() - start) / max(1, done)
