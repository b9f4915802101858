"""`unrolled lab`: every rung at a task that needs a memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unrolled.cli.output import messages, print_json
from unrolled.cli.showing import check_picture, print_table, save_picture
from unrolled.errors import InputError

if TYPE_CHECKING:
    from unrolled.look.lab import LabResult

Flag = Parameter(negative="")


def lab(
    task: str,
    *,
    rung: str = "rnn,irnn,gru,lstm,mingru",
    length: str = "100",
    hidden: int = 64,
    steps: int = 2000,
    batch: int = 64,
    learning_rate: float = 3e-3,
    clip: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Tasks that a forgetful network cannot win.

    Parameters
    ----------
    task
        adding: the sum of two marked numbers among many. copy: say again what was shown before a long pause.
    rung
        Rungs, separated by commas; irnn is the paper's (identity start, ReLU), irnn:tanh the lesson's.
    length
        Length of the sequences; several, separated by commas, show where each rung fails.
    hidden
        Size of the hidden state.
    steps
        Batches at most.
    batch
        Sequences in a batch.
    learning_rate
        Of Adam.
    clip
        Largest norm of a gradient.
    seed
        Decides the first weights and the sequences.
    out
        A picture of the curves, .png or .svg.
    json
        Print one JSON object.
    """
    from unrolled.look.lab import LabSettings, run_lab
    from unrolled.look.lab_picture import draw_lab

    check_picture(out)
    lengths = tuple(_whole(number, "--length") for number in length.split(","))
    settings = LabSettings(lengths, hidden, steps, batch, learning_rate, clip, seed)
    console = messages()
    with console.status(task) as status:
        result = run_lab(
            task,
            [name.strip() for name in rung.split(",")],
            settings,
            lambda label, at, step, loss: status.update(f"{label}, length {at}: step {step:,}, loss {loss:.4f}"),
        )
    if out:
        save_picture(draw_lab(result), out)
    if json:
        print_json(result.to_json())
        return
    _print_lab(result)


def _whole(number: str, name: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise InputError(f"{name} has {number!r}, but whole numbers separated by commas were expected") from None


def _print_lab(result: LabResult) -> None:
    settings, by_label = result.settings, dict[str, list[str]]()
    for curve in result.curves:
        by_label.setdefault(curve.contestant.label, []).append(
            _outcome(curve.solved_at, curve.diverged_at, curve.losses)
        )
    rows = [(label, *outcomes) for label, outcomes in by_label.items()]
    print(f"{result.task}: {result.measure}; {result.baseline:.4f} is {result.baseline_meaning}")
    print_table(("length", *(f"{length}" for length in settings.lengths)), rows)
    print(f"step at which it was solved, or the last loss after {settings.steps:,} steps")


def _outcome(solved: int | None, diverged: int | None, losses: Sequence[float]) -> str:
    if solved is not None:
        return f"solved at {solved}"
    return f"diverged at {diverged}" if diverged is not None else f"{losses[-1]:.4f}"
