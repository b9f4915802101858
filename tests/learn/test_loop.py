"""fit(): its schedule, its guard, its records, on a task small enough to know the answer."""

import math

import pytest
import torch
from torch import nn

from unrolled.errors import TrainingError
from unrolled.learn.loop import FitState, Plan, fit


class Parabola:
    """Loss |w - 3|^2, whose minimum is known; from step `breaks_at` on it is not finite."""

    def __init__(self, breaks_at=None):
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.breaks_at = breaks_at

    def backward(self, step):
        loss = (self.network.weight - 3).square().sum()
        if self.breaks_at is not None and step >= self.breaks_at:
            loss = loss * math.nan
        loss.backward()
        return float(loss.detach())

    def evaluate(self):
        return float((self.network.weight - 3).square().sum())


class Descent:
    """Plain gradient descent."""

    def __init__(self, network, rate):
        self.network, self.rate = network, rate

    @torch.no_grad()
    def step(self, factor):
        for parameter in self.network.parameters():
            parameter -= self.rate * factor * parameter.grad

    def zero_grad(self):
        self.network.zero_grad()


def run(task, rate=0.1, **plan):
    progress = FitState()
    return list(fit(task, Descent(task.network, rate), Plan(**plan), progress)), progress


def test_it_finds_the_minimum_and_says_so():
    task = Parabola()
    records, progress = run(task, steps=50, evaluate_every=20, shape="constant")
    assert [r.step for r in records if r.validation is not None] == [20, 40, 50]
    assert abs(task.network.weight.item() - 3) < 1e-4
    assert progress.best == records[-1].validation
    assert records[-1].is_best


def test_a_loss_that_is_not_finite_stops_at_once_and_leaves_the_weights():
    task = Parabola(breaks_at=5)
    with pytest.raises(TrainingError, match="step 6"):
        run(task, steps=10, clip=1.0)
    assert torch.isfinite(task.network.weight).all()


def test_a_growing_loss_is_met_by_a_smaller_step_and_then_by_an_error():
    task = Parabola()
    with pytest.raises(TrainingError, match="halved 4 times"):
        run(task, rate=40.0, steps=1000, shape="constant")


def test_the_guard_saves_a_run_that_is_only_a_little_too_fast():
    task = Parabola()
    records, progress = run(task, rate=1.02, steps=400, shape="constant")
    assert [r for r in records if r.remark]
    assert progress.scale < 1
    assert records[-1].loss < 1e-3


def test_schedules_begin_and_end_where_they_say():
    linear = Plan(100, warmup=10)
    assert 0 < linear.factor(0) < linear.factor(5) < linear.factor(10) == 1.0
    assert linear.factor(99) == pytest.approx(1 / 90)
    restarts = Plan(70, shape="restarts", cycle=10)
    assert [round(restarts.factor(step), 6) for step in (0, 5, 10, 20, 30)] == [1.0, 0.5, 1.0, 0.5, 1.0]
    assert Plan(5, shape="constant").factor(4) == 1.0


def test_a_run_taken_up_in_the_middle_ends_the_same():
    whole = Parabola()
    run(whole, steps=50)
    parted, progress, plan = Parabola(), FitState(), Plan(50)
    descent = Descent(parted.network, 0.1)
    for record in fit(parted, descent, plan, progress):
        if record.step == 20:
            break
    rest = list(fit(parted, descent, plan, progress))
    assert [rest[0].step, rest[-1].step] == [21, 50]
    assert torch.equal(whole.network.weight, parted.network.weight)
