"""What the lesson's two habits do to its figures: the random split of overlapping windows, and the lower-casing.

Each experiment is run twice, alike but for the habit: `rnn` 8 -> 1 with a random fifth of the windows held out and with
the last fifth; `gru` with carried state on the lower-cased text and on the text as it is. The remarks in the ladder's
table quote these figures.

    python -m benchmarks.lesson_flaws
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.texts import text
from unrolled.learn.experiments.lesson import EXPERIMENTS, Experiment, Rerun
from unrolled.learn.window_task import WindowTask
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import EncodedText, encode_corpus


class LastFifth(Rerun):
    """The experiment with the last fifth of the windows held out instead of a random one."""

    def _task(self) -> Any:
        task = super()._task()
        assert isinstance(task, WindowTask)
        count = len(task.validation_rows)
        rows = np.arange(len(task.inputs))
        task.train_rows, task.validation_rows = rows[:-count], rows[-count:]
        return task


def last_loss(rerun: Rerun) -> float:
    """Validation nats after the last epoch."""
    for _ in rerun.run():
        pass
    return rerun.losses[rerun.experiment.epochs]


def encoded(lower: bool) -> EncodedText:
    """Nietzsche as the lesson reads it."""
    return encode_corpus(open_corpus([text("nietzsche")], lower=lower), min_count=3 if lower else 1)


def main() -> dict[str, Any]:
    """Four runs."""
    windows, carried = (_experiment(rung, setting) for rung, setting in (("rnn", "8 -> 1"), ("gru", "carried state")))
    raw, lower = encoded(False), encoded(True)
    return {
        "benchmark": "flaws of the lesson's protocol, nats",
        "random_fifth": last_loss(Rerun(windows, raw)), "last_fifth": last_loss(LastFifth(windows, raw)),
        "lower_cased": last_loss(Rerun(carried, lower)), "as_it_is": last_loss(Rerun(carried, raw)),
    }  # fmt: skip


def _experiment(rung: str, setting: str) -> Experiment:
    (found,) = (e for e in EXPERIMENTS if (e.rung, e.setting) == (rung, setting))
    return found


if __name__ == "__main__":
    print(json.dumps(main()))
