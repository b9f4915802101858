"""What the identity start is worth: both starts, tanh and ReLU, four learning rates and three seeds, on two tasks.

On nietzsche, windows of eight characters, eight predicted, two epochs of the lesson's protocol (embedding 42, hidden
256, batch 512, Adam at a constant rate); and on the adding problem of length 50 (hidden 64, at most 2,000 steps,
gradients clipped at norm 1). Left out: schedules, and every other rung.

Each of the 96 trainings is one line of `--out`; started again, it goes on with the first that is missing.

    python -m benchmarks.identity [--out FILE] [--table]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.texts import text
from unrolled.errors import TrainingError
from unrolled.learn.experiments.lesson import Experiment, Phase, Rerun
from unrolled.learn.experiments.memory_tasks import LabSettings, LabTrial, RungVariant
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.windows import EIGHT_TO_EIGHT

RATES = {"text": (1e-3, 3e-3, 1e-2, 3e-2), "adding": (3e-4, 1e-3, 3e-3, 1e-2)}
KINDS = tuple(itertools.product(("rnn", "irnn"), ("tanh", "relu")))
"""Start and function: `rnn` is the default start of torch.nn, `irnn` the identity."""
SEEDS = (0, 1, 2)
LENGTH = 50


class Cell(NamedTuple):
    """One training."""

    task: str
    rung: str
    nonlinearity: str
    rate: float
    seed: int


def cells() -> Iterator[Cell]:
    """All of them, seed by seed, so that a study cut short has every setting."""
    for seed, task in itertools.product(SEEDS, RATES):
        for (rung, nonlinearity), rate in itertools.product(KINDS, RATES[task]):
            yield Cell(task, rung, nonlinearity, rate, seed)


def on_text(cell: Cell, encoded: EncodedText) -> float:
    """Validation nats after two epochs; infinite if the loss left all bounds."""
    phases, name = (Phase(2, cell.rate),), f"8 -> 8, {cell.nonlinearity}"
    experiment = Experiment(cell.rung, name, phases, {}, "", EIGHT_TO_EIGHT, nonlinearity=cell.nonlinearity)
    rerun = Rerun(experiment, encoded, cell.seed)
    try:
        for _ in rerun.run():
            pass
    except TrainingError:
        return float("inf")
    return rerun.losses[2]


def on_adding(cell: Cell) -> float:
    """The mean squared error at the end, below 0.01 if the task was solved; infinite if it diverged."""
    settings = LabSettings((LENGTH,), learning_rate=cell.rate)
    curve = LabTrial("adding", RungVariant(cell.rung, cell.nonlinearity), LENGTH, cell.seed, settings).curve()
    return float("inf") if curve.diverged_at else curve.losses[-1]


def table(found: dict[Cell, float]) -> str:
    """Markdown: a table for each task, a row for each rate; mean of the seeds, and half of their range."""
    lines = []
    for task, rates in RATES.items():
        lines += [f"\n| {task} | " + " | ".join(map(":".join, KINDS)) + " |", "|---" * (len(KINDS) + 1) + "|"]
        for rate in rates:
            values: dict[Any, list[float]] = defaultdict(list)
            for cell, value in found.items():
                if (cell.task, cell.rate) == (task, rate):
                    values[cell.rung, cell.nonlinearity].append(value)
            lines.append(f"| {rate:g} | " + " | ".join(_spread(values[kind]) for kind in KINDS) + " |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    if not values or not np.isfinite(values).any():
        return "diverged" if values else ""
    finite = np.array(values)[np.isfinite(values)]
    lost = f", {len(values) - len(finite)} diverged" if len(finite) < len(values) else ""
    return f"{finite.mean():.3f} ± {np.ptp(finite) / 2:.3f}{lost}"


def main(out: Path, only_table: bool) -> str:
    """Train what is missing in `out`, one line each, and return the tables."""
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    found = {Cell(*cell): value for cell, value in map(json.loads, lines)}
    encoded = None
    for cell in cells() if not only_table else ():
        if cell in found:
            continue
        encoded = encoded or encode_corpus(open_corpus([text("nietzsche")]))
        found[cell] = on_text(cell, encoded) if cell.task == "text" else on_adding(cell)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps([cell, found[cell]]) + "\n")
    return table(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("identity.jsonl"))
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(main(given.out, given.table))
