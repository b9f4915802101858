"""`unrolled lab`: every rung at a task that needs memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median_low
from typing import TYPE_CHECKING

from unrolled.cli.options import Json, Listed, Picture, Seed
from unrolled.cli.output import messages, print_json
from unrolled.cli.showing import check_picture, print_table, save_picture
from unrolled.errors import InputError

if TYPE_CHECKING:
    from unrolled.learn.experiments.memory_tasks import LabCurve, LabResult


def lab(
    task: str,
    *,
    rung: Listed = ("rnn", "irnn", "gru", "lstm", "mingru"),
    length: Listed = ("100",),
    hidden: int = 64,
    steps: int | None = None,
    learning_rate: float = 3e-3,
    seed: Seed = 0,
    repeats: int = 1,
    out: Picture = None,
    json: Json = False,
) -> None:
    """Train rungs on tasks that cannot be solved without memory.

    Parameters
    ----------
    task
        adding: the sum of two marked numbers among many. copy: repeat what was shown before a long pause. parity and
        modulo: whether the ones so far are odd in number, the sum of digits modulo 3. recall: the value that came with
        a key. race: all of them, at fixed lengths.
    rung
        Rungs, separated by commas; irnn is the paper's (identity start, ReLU), irnn:tanh the lesson's.
    length
        Length of the sequences; several, separated by commas, show where each rung fails.
    hidden
        Size of the hidden state.
    steps
        Maximum number of batches; by default 2,000, and 1,000 in a race.
    learning_rate
        Learning rate of Adam.
    repeats
        Trainings of each rung at each length, each with another seed.
    """
    from unrolled.learn.experiments.memory_tasks import RACE_BATCH, RACE_STEPS, LabSettings, run_lab, run_race
    from unrolled.look.experiments import draw_lab, draw_race

    check_picture(out)
    lengths = tuple(_whole(number, "--length") for number in length)
    most, batch = (RACE_STEPS, RACE_BATCH) if task == "race" else (LabSettings.steps, LabSettings.batch)
    steps = most if steps is None else steps
    settings = LabSettings(lengths, hidden, steps, batch, learning_rate, seed, repeats)
    with messages().status(task) as status:

        def on_point(label: str, at: int, step: int, loss: float) -> None:
            status.update(f"{label}, length {at}: step {step:,}, loss {loss:.4f}")

        results: Sequence[LabResult]
        if task == "race":  # where trainings are shorter than the start of a process, in this one alone
            processes = (os.cpu_count() or 1) if steps >= 100 else 1
            results = run_race(rung, settings, on_point, processes=processes)
        else:
            results = [run_lab(task, rung, settings, on_point)]
    if out:
        save_picture(draw_race(results) if task == "race" else draw_lab(results[0]), out)
    written = [each.to_json() for each in results]
    if json:
        print_json({"race": written} if task == "race" else written[0])
    elif task == "race":
        _print_race(results)
    else:
        _print_lab(results[0])


def _whole(number: str, name: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise InputError(f"{name} has {number!r}, but whole numbers separated by commas were expected") from None


def _print_lab(result: LabResult) -> None:
    lengths, repeats = sorted(result.settings.lengths), result.settings.repeats
    rows = [
        (label, *(_outcome(result.at(label, n)) for n in lengths), f"{result.fails_at(label) or 'none of these'}")
        for label in result.labels
    ]
    print(f"{result.task}: {result.measure}; baseline {result.baseline:.4f} ({result.baseline_meaning})")
    print_table(("length", *map(str, lengths), "fails at"), rows)
    after = f"after {result.settings.steps:,} steps"
    if repeats == 1:
        print(f"step at which it was solved, or the last loss {after}")
    else:
        print(f"how many of {repeats} trainings solved it and the median step, or the median loss {after}")
        print("a rung fails at the first length that at least half of its trainings did not solve")


def _print_race(results: Sequence[LabResult]) -> None:
    """One row a rung: its parameters and seconds, and what came of each task."""
    rows = []
    for label in results[0].labels:
        found = [each.at(label, each.settings.lengths[0]) for each in results]
        trained = [curve for curves in found for curve in curves]
        seconds = sum(curve.seconds for curve in trained)
        rows.append((label, f"{trained[0].parameters:,}", f"{seconds:.0f}", *map(_outcome, found)))
    tasks = [f"{each.task} {each.settings.lengths[0]}" for each in results]
    print_table(("", "parameters", "seconds", *tasks), rows)
    guesses = ", ".join(f"{each.task} {each.baseline:.3f}" for each in results)
    print(f"the step at which it was solved, or the loss at the end; losses without memory: {guesses}")


def _outcome(curves: Sequence[LabCurve]) -> str:
    """What came of one rung at one length: of one training, or of several from different seeds."""
    if not curves:
        return "-"
    solved = [curve.solved_at for curve in curves if curve.solved_at is not None]
    diverged = [curve.diverged_at for curve in curves if curve.diverged_at is not None]
    count = f"{len(solved)} of {len(curves)}: " if len(curves) > 1 else ""
    if solved:
        return f"{count}{'' if count else 'solved at '}{median_low(solved)}"
    if len(diverged) > len(curves) / 2:
        return f"{count}diverged at {median_low(diverged)}"
    return f"{count}{median_low(curve.losses[-1] for curve in curves if curve.losses):.4f}"
