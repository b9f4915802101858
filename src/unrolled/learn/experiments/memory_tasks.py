"""The memory lab: tasks that a network without memory cannot solve, and every rung of the ladder trained on them.

`adding` (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015) and `copy` (Arjovsky, Shah and
Bengio 2016) ask how far a network remembers, `parity` and `modulo` whether it can count (Grazzi et al. 2024), `recall`
whether it can look something up (Arora et al. 2023). The recurrences are those of the ladder, with a linear head and
real-valued inputs. Left out: text, and anything that tunes a rung: all run with the same settings.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Thread
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.bounds import check_number, check_whole
from unrolled.errors import InputError, TrainingError, unknown_name
from unrolled.learn.loop import FitState, Plan, fit
from unrolled.learn.networks import find_recurrence
from unrolled.learn.networks.recurrence import uniform_as_linear
from unrolled.learn.optimizers import AdamW, Optimizers

TEST_SEQUENCES = 512
DIVERGED = 1e3
"""Times the baseline, above which a loss ends a training."""
CLIP = 1.0
"""Largest norm of a gradient."""
EVERY = 50
"""Steps between two measurements of the loss."""


class MemoryTask(ABC):
    """Sequences with real-valued inputs (batch, time, inputs) and a target that needs their first part at their end."""

    name: ClassVar[str]
    inputs: ClassVar[int]
    outputs: ClassVar[int]
    measure: ClassVar[str]
    """What the loss is, with its unit."""
    baseline: ClassVar[float]
    """The loss of the best answer that remembers nothing."""
    baseline_meaning: ClassVar[str]
    solved: ClassVar[float]
    """The loss below which a network counts as having solved the task."""

    @abstractmethod
    def batch(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` sequences and their targets."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of outputs (batch, time, outputs), of which the last are for `targets`, (batch, answers)."""
        return functional.cross_entropy(outputs[:, -targets.shape[1] :].flatten(0, 1), targets.flatten())


class Adding(MemoryTask):
    """Add the two marked ones of `length` uniform numbers, one of them in each half; the sum is read at the end.

    The literature prints 0.1767 for always answering 1; the variance of the sum of two uniform numbers is 1/6 = 0.1667.
    """

    name, inputs, outputs = "adding", 2, 1
    measure = "mean squared error"
    baseline = 1 / 6
    baseline_meaning = "always answering 1"
    solved = 0.01

    def batch(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if length < 2:
            raise InputError(f"the adding problem needs a length of at least 2, not {length}: two numbers are added")
        numbers, marks, rows = torch.rand(count, length, generator=generator), torch.zeros(count, length), range(count)
        first = torch.randint(0, length // 2, (count,), generator=generator)
        second = torch.randint(length // 2, length, (count,), generator=generator)
        marks[rows, first] = marks[rows, second] = 1
        return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(1)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.mse_loss(outputs[:, -1, 0], targets)


class Copy(MemoryTask):
    """Repeat `ITEMS` symbols of 8 after `length` blanks; only the repetition is scored."""

    SYMBOLS, ITEMS = 8, 5
    name, inputs, outputs = "copy", SYMBOLS + 2, SYMBOLS
    measure = "nats per repeated symbol"
    baseline = math.log(SYMBOLS)
    baseline_meaning = "guessing among 8 symbols"
    solved = 0.1

    def batch(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        symbols = torch.randint(0, self.SYMBOLS, (count, self.ITEMS), generator=generator)
        blank, ask = self.SYMBOLS, self.SYMBOLS + 1
        ids = torch.cat([symbols, torch.full((count, length), blank), torch.full_like(symbols, ask)], dim=1)
        return functional.one_hot(ids, self.inputs).float(), symbols


class Modulo(MemoryTask):
    """The sum of all digits so far, modulo 3, asked at every position of a row of random digits 0, 1 and 2.

    The state to be kept is one of three, but every digit changes it: nothing may fade, and a sum that only grows does
    not help. A recurrence that is linear in its state, with factors between 0 and 1, cannot do it.
    """

    BASE = 3
    name, inputs, outputs = "modulo", BASE, BASE
    measure = "nats per digit"
    baseline = math.log(BASE)
    baseline_meaning = "guessing among 3 remainders"
    solved = 0.05

    def batch(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        digits = torch.randint(0, self.BASE, (count, length), generator=generator)
        return functional.one_hot(digits, self.BASE).float(), digits.cumsum(1) % self.BASE


class Parity(Modulo):
    """`Modulo` of random bits: whether the number of ones so far is odd. A coin toss has 0.693 nats."""

    BASE = 2
    name, inputs, outputs = "parity", BASE, BASE
    baseline = math.log(BASE)
    baseline_meaning = "a coin toss"


class Recall(MemoryTask):
    """`length` pairs of a key and a value, all keys different; then one of the keys, whose value is to be named."""

    VALUES, KEYS = 8, 64
    name, inputs, outputs = "recall", KEYS + VALUES, VALUES
    measure = "nats per value"
    baseline = math.log(VALUES)
    baseline_meaning = "guessing among 8 values"
    solved = 0.1

    def batch(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if not 1 <= length <= self.KEYS:
            raise InputError(f"the recall task takes a length from 1 to {self.KEYS} pairs, not {length}: keys differ")
        keys = torch.rand(count, self.KEYS, generator=generator).argsort(1)[:, :length]
        values = torch.randint(0, self.VALUES, (count, length), generator=generator)
        wanted = torch.randint(0, length, (count, 1), generator=generator)
        pairs = functional.one_hot(keys, self.inputs) + functional.one_hot(self.KEYS + values, self.inputs)
        query = functional.one_hot(keys.gather(1, wanted), self.inputs)
        return torch.cat([pairs, query], dim=1).float(), values.gather(1, wanted)


TASKS: dict[str, type[MemoryTask]] = {task.name: task for task in (Adding, Copy, Parity, Modulo, Recall)}
RACE = {"adding": 30, "copy": 10, "parity": 20, "modulo": 20, "recall": 8}
"""The tasks of `race`, and the length of each."""
RACE_STEPS = 1000
"""Batches at most: what is learned at all at these lengths shows by then."""
RACE_BATCH = 32
"""Sequences in a batch: the rungs whose state is a matrix take half of the time that they need for 64."""


@dataclass(frozen=True)
class RungVariant:
    """A rung, and its nonlinearity where the rung offers a choice."""

    rung: str
    nonlinearity: str | None = None

    @classmethod
    def of(cls, name: str) -> RungVariant:
        """Read `"gru"` or `"irnn:tanh"`. `irnn` alone is the paper's, with ReLU. Raises InputError."""
        rung, _, nonlinearity = name.partition(":")
        find_recurrence(rung)
        if rung == "three-char":
            raise InputError("three-char sees three characters and has no memory to test: choose another rung")
        return cls(rung, nonlinearity or ("relu" if rung == "irnn" else None))

    @property
    def label(self) -> str:
        """How curves and tables call it."""
        starts = {
            "rnn": f"rnn, {self.nonlinearity or 'tanh'}, default start",
            "irnn": f"irnn, {self.nonlinearity}, identity start",
        }
        return starts.get(self.rung, self.rung + (f":{self.nonlinearity}" if self.nonlinearity else ""))


@dataclass(frozen=True)
class LabSettings:
    """How each rung is trained: Adam, fresh sequences in every batch, gradients clipped by their norm."""

    lengths: tuple[int, ...] = (100,)
    """Lengths of the sequences (of the wait, for `copy`)."""
    hidden: int = 64
    """Size of the hidden state."""
    steps: int = 2000
    """Batches at most; training ends early where the task is solved."""
    batch: int = 64
    """Sequences in a batch."""
    learning_rate: float = 3e-3
    """Of Adam."""
    seed: int = 0
    """Of the start weights and the sequences."""
    repeats: int = 1
    """How often each is trained, from the seeds `seed`, `seed + 1` and so on."""

    def __post_init__(self) -> None:
        check_whole("length", min(self.lengths, default=0), 1)
        for name in ("hidden", "steps", "batch", "repeats"):
            check_whole(name, getattr(self, name), 1)
        check_number("learning rate", self.learning_rate, above=0)
        check_whole("seed", self.seed, 0)

    @property
    def plan(self) -> Plan:
        """A constant learning rate, not halved where the loss grows: that a rung diverges is a result here."""
        return Plan(self.steps, clip=CLIP, evaluate_every=EVERY, shape="constant", guarded=False)

    @property
    def seeds(self) -> range:
        """The seeds of the repeats."""
        return range(self.seed, self.seed + self.repeats)


@dataclass(frozen=True)
class LabCurve:
    """One rung at one length, trained once."""

    variant: RungVariant
    length: int
    seed: int
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    """On sequences that were never trained on, after each of `steps`."""
    solved_at: int | None
    """The step at which the loss was below the task's `solved`, or None."""
    diverged_at: int | None
    """The step at which the loss had grown out of all bounds, or None. The curve ends before it."""
    seconds: float
    parameters: int
    """Numbers that were trained, the head's among them."""


@dataclass(frozen=True)
class LabResult:
    """A task, its settings and a curve per rung and length."""

    task: str
    measure: str
    baseline: float
    baseline_meaning: str
    settings: LabSettings
    curves: tuple[LabCurve, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The rungs."""
        return tuple(dict.fromkeys(curve.variant.label for curve in self.curves))

    def at(self, label: str, length: int) -> tuple[LabCurve, ...]:
        """The curves of one rung at one length, one for each seed; none where it was not tried."""
        return tuple(curve for curve in self.curves if (curve.variant.label, curve.length) == (label, length))

    def fails_at(self, label: str) -> int | None:
        """The smallest length that was tried and not solved by most of the seeds; None if every length was solved."""
        failed = [length for length in self.settings.lengths if failure(self.at(label, length))]
        return min(failed, default=None)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self) | {"fails_at": {label: self.fails_at(label) for label in self.labels}}


OnPoint = Callable[[str, int, int, float], None]
"""Called with the label, the length, the step and the loss of each measurement."""


def run_lab(task: str, rungs: Sequence[str], settings: LabSettings, on_point: OnPoint | None = None) -> LabResult:
    """Train every rung of `rungs` at every length. Raises InputError for a task or rung that is not known."""
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    (result,) = _run({task: settings}, rungs, on_point, processes=1)
    return result


def run_race(
    rungs: Sequence[str], settings: LabSettings, on_point: OnPoint | None = None, *, processes: int = 1
) -> tuple[LabResult, ...]:
    """Every rung of `rungs` at every task of `RACE`; the lengths of `settings` are not used.

    With several `processes` the trainings are divided among them, each with one thread and the same result, and
    `on_point` is told of each training at its end.
    """
    return _run(
        {task: replace(settings, lengths=(length,)) for task, length in RACE.items()}, rungs, on_point, processes
    )


def _run(
    tasks: Mapping[str, LabSettings], rungs: Sequence[str], on_point: OnPoint | None, processes: int
) -> tuple[LabResult, ...]:
    variants = list(dict.fromkeys(map(RungVariant.of, rungs)))
    trials = [
        LabTrial(task, variant, length, seed, settings)
        for task, settings in tasks.items()
        for length in sorted(settings.lengths)
        for variant in variants
        for seed in settings.seeds
    ]
    one_by_one = (trial.curve(on_point) for trial in trials)
    curves = one_by_one if processes == 1 else _in_processes(trials, on_point, processes)
    found = dict(zip(trials, curves, strict=True))
    return tuple(
        LabResult(
            task, TASKS[task].measure, TASKS[task].baseline, TASKS[task].baseline_meaning, settings,
            tuple(curve for trial, curve in found.items() if trial.task == task),
        )
        for task, settings in tasks.items()
    )  # fmt: skip


def _in_processes(trials: Sequence[LabTrial], on_point: OnPoint | None, processes: int) -> Iterator[LabCurve]:
    # Begun anew, not forked: threads of PyTorch do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(processes, _begin) as pool:
        for curve in pool.imap(LabTrial.curve, trials):
            if on_point and curve.losses:
                on_point(curve.variant.label, curve.length, curve.steps[-1], curve.losses[-1])
            yield curve


def _begin() -> None:
    """In a new process: one thread; the process that began it decides when it ends, and takes it along."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def failure(curves: Sequence[LabCurve]) -> bool:
    """Whether at least half of these trainings did not solve their task; False where there are none."""
    return bool(curves) and sum(curve.solved_at is not None for curve in curves) <= len(curves) / 2


@dataclass(frozen=True)
class LabTrial:
    """One rung to be trained once at a task and a length; `seed` decides its start weights and the sequences."""

    task: str
    variant: RungVariant
    length: int
    seed: int
    settings: LabSettings

    def curve(self, on_point: OnPoint | None = None) -> LabCurve:
        """Train it: the curve ends where the task is solved."""
        training = LabTraining(self)
        parameters = list(training.network.parameters())
        adam = AdamW(parameters, self.settings.learning_rate, betas=(0.9, 0.999), decoupled=False)
        task, points, diverged, state = training.task, list[tuple[int, float]](), None, FitState()
        try:
            for record in fit(training, Optimizers(training.network, {"adam": adam}), self.settings.plan, state):
                loss = record.validation
                if loss is None:
                    continue
                if loss >= DIVERGED * task.baseline:
                    diverged = record.step
                    break
                points.append((record.step, loss))
                if on_point:
                    on_point(self.variant.label, self.length, record.step, loss)
                if loss < task.solved:
                    break
        except TrainingError:  # a loss or a gradient that is no longer a finite number
            diverged = state.step
        steps, losses = zip(*points, strict=True) if points else ((), ())
        solved = steps[-1] if losses and losses[-1] < task.solved else None
        size = sum(parameter.numel() for parameter in parameters)
        return LabCurve(self.variant, self.length, self.seed, steps, losses, solved, diverged, state.seconds, size)


class LabTraining:
    """A new network at one task, as `fit` wants it; every step draws new sequences, the test sequences never."""

    def __init__(self, trial: LabTrial) -> None:
        self.task, self.length, self.batch = TASKS[trial.task](), trial.length, trial.settings.batch
        self.generator = torch.Generator().manual_seed(trial.seed)
        self.network = LabNetwork(self.task, trial.variant, trial.settings.hidden, self.generator)
        self.test = self.task.batch(TEST_SEQUENCES, self.length, torch.Generator().manual_seed(trial.seed + 1))

    def backward(self, step: int) -> float:
        """Gradients of the next batch; its mean loss."""
        x, target = self.task.batch(self.batch, self.length, self.generator)
        loss = self.task.loss(self.network(x), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def evaluate(self) -> float:
        """The mean loss on the test sequences."""
        x, target = self.test
        return float(self.task.loss(self.network(x), target))


class LabNetwork(nn.Module):
    """One recurrence of the ladder and a linear head, on real-valued inputs."""

    def __init__(self, task: MemoryTask, variant: RungVariant, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = find_recurrence(variant.rung)(task.inputs, hidden, variant.nonlinearity)
        self.layer.initialise(generator)
        with torch.random.fork_rng([]):  # the constructor draws from the ambient generator
            self.head = nn.Linear(hidden, task.outputs)
        uniform_as_linear(self.head.weight, self.head.bias, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, inputs) -> (batch, time, outputs)."""
        h, _ = self.layer(x, self.layer.initial_state(len(x)))
        outputs: Tensor = self.head(h)
        return outputs
