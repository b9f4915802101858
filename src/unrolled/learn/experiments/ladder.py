"""Every rung of the ladder on one text, in one table: the honest protocol and the lesson's.

Honest: the same contiguous split, the same budget (characters seen, or minutes), the same recipe and a carried state
for all, with the baselines that need no network under them. What suits one rung need not suit another: `tuned`, each
trains at its own best learning rate, found on the end of the training part, from three seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from statistics import fmean
from typing import Any

import torch

from unrolled.errors import InputError, TrainingError, unknown_name
from unrolled.learn.experiments.lesson import EXPERIMENTS, Experiment, Rerun
from unrolled.learn.hardware import Choice, running
from unrolled.learn.loop import Record
from unrolled.learn.networks import RUNGS, find_recurrence
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.learn.summary import Summary
from unrolled.text.corpus import open_corpus
from unrolled.text.counts.model import CountModel
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.report.baselines import baselines
from unrolled.text.windows import split

PROTOCOLS = ("honest", "lesson")
STEP = 3.0
"""By which `tuned` raises and lowers the learning rates of the recipe."""
SEEDS = 3
"""Trainings of each rung where `tuned`."""
HONEST = Recipe(hidden=256, epochs=2, dropout=0.0, evaluations=1, with_="counts")
PRIMED = "these were given the training part first; PPMd goes on learning from what it compresses."
OnRecord = Callable[[str, Record], None]


@dataclass(frozen=True)
class Row:
    """One line of the table; losses are per character of the validation part."""

    rung: str
    setting: str
    validation_nats: float
    epochs: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    published_nats: float | None = None
    remark: str | None = None
    together_nats: float | None = None
    """Of the rung mixed with counts."""
    spread_nats: float | None = None
    """Of several seeds, from the lowest loss to the highest; the losses are then their means."""

    @property
    def validation_bits(self) -> float:
        """bits per character"""
        return self.validation_nats / math.log(2)

    def to_json(self) -> dict[str, Any]:
        """JSON object with every field, and the bits."""
        return asdict(self) | {"validation_bits": self.validation_bits}


def ladder(
    texts: list[str],
    protocol: str,
    *,
    rungs: Sequence[str] = (),
    recipe: Recipe = HONEST,
    machine: Machine | None = None,
    full: bool = False,
    tuned: bool = False,
    encoding: str = "utf-8",
    on_record: OnRecord = lambda name, record: None,
) -> Iterator[Row]:
    """The rows of the ladder on `texts`, each as soon as it is there.

    `rungs` chooses some; `full` adds the lesson's hour-long experiment; `tuned` makes some six trainings of each rung
    in the honest protocol, for its learning rate and from three seeds. `on_record` is told every step of training.
    Raises InputError for an unknown protocol or rung, and for settings that the lesson fixes.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    for name in rungs:
        find_recurrence(name)
    chosen = rungs or list(RUNGS)
    if protocol == "lesson":
        yield from _lesson(texts, chosen, full, recipe.seed, machine or Machine(), encoding, on_record)
    else:
        yield from _honest(_Honest(texts, recipe, machine or Machine(), encoding, on_record), chosen, tuned)


@dataclass
class _Honest:
    """What all trainings of the honest protocol share."""

    texts: list[str]
    recipe: Recipe
    machine: Machine
    encoding: str
    on_record: OnRecord
    text: EncodedText | None = None

    def train(self, **changes: Any) -> Summary:
        """The summary of one training with `changes` to the recipe."""
        recipe = replace(self.recipe, **changes)
        session = prepare(Request(self.texts, None, recipe, self.machine, encoding=self.encoding))
        for record in session.run():
            self.on_record(session.state.recipe.rung, record)
        if session.interrupt is not None:
            raise KeyboardInterrupt
        self.text = session.text
        return session.finish(with_baselines=False)[0]  # shown once, under all rungs

    def best_rate(self, rung: str) -> float:
        """The factor of the learning rates that is best on the end of the training part; what is judged is not read.

        From 1 on, by `STEP`, up or down, as long as it gets better.
        """
        held_out = self.recipe.validation

        @cache
        def loss(factor: float) -> float:
            changes = self.rates(factor) | {"test": held_out, "validation": held_out}
            try:
                return self.train(rung=rung, **changes).validation["nats"]
            except TrainingError:  # too large a step
                return math.inf

        best = 1.0
        for step in (STEP, 1 / STEP):
            while loss(round(best * step, 6)) < loss(best):
                best = round(best * step, 6)
        return best

    def rates(self, factor: float) -> dict[str, float]:
        """The recipe's learning rates, times `factor`."""
        return {name: getattr(self.recipe, name) * factor for name in ("learning_rate", "muon_rate")}


def _honest(study: _Honest, rungs: Sequence[str], tuned: bool) -> Iterator[Row]:
    recipe = study.recipe
    for rung in rungs:
        factor = study.best_rate(rung) if tuned else 1.0
        seeds = range(recipe.seed, recipe.seed + (SEEDS if tuned else 1))
        found = [study.train(rung=rung, seed=seed, **study.rates(factor)) for seed in seeds]
        nats = [summary.validation["nats"] for summary in found]
        together = [summary.members["together"] for summary in found if "together" in summary.members]
        yield Row(
            rung, f"hidden {recipe.hidden}" + (f", rate × {factor:.2g}" if tuned else ""), fmean(nats),
            _plain(fmean(summary.epochs for summary in found)), found[0].parameters,
            fmean(summary.seconds for summary in found),
            together_nats=fmean(together) if together else None,
            spread_nats=max(nats) - min(nats) if tuned else None,
        )  # fmt: skip
    if study.text is not None:
        yield from _baselines(study.text, recipe)


def _plain(epochs: float) -> float:
    return int(epochs) if epochs == int(epochs) else round(epochs, 2)


def _baselines(text: EncodedText, recipe: Recipe) -> Iterator[Row]:
    """Counts, and compressors that were given the training part."""
    parts = split(text.ids, recipe.validation, recipe.test)
    counts = CountModel.count(parts.train, len(text.vocabulary), letters=text.vocabulary.letters)
    bits = float(counts.nats(parts.validation, parts.train).mean()) / math.log(2)
    for entry in reversed(baselines(text, parts.sample(text.ids, "validation"), bits)):
        primed = entry.bits is not None
        setting, remark = ("primed", PRIMED) if primed else (f"order {counts.order}", None)
        yield Row(entry.name, setting, entry.primed_bits * math.log(2), remark=remark)


def _lesson(
    texts: list[str], rungs: Sequence[str], full: bool, seed: int, machine: Machine, encoding: str, on_record: OnRecord
) -> Iterator[Row]:
    if machine.device not in ("auto", "cpu") or machine.precision == "float64":
        raise InputError("the lesson protocol runs on the processor, in float32 or bfloat16: leave the rest out")
    precision = "float32" if machine.precision == "auto" else machine.precision
    choice = Choice("cpu", precision, machine.threads or torch.get_num_threads())
    wanted = [e for e in EXPERIMENTS if e.rung in rungs and (full or not e.only_full)]
    corpora = {}
    for lower in {experiment.lower for experiment in wanted}:
        corpus = open_corpus(texts, encoding=encoding, lower=lower)
        corpora[lower] = encode_corpus(corpus, min_count=3 if lower else 1)
    for experiment in wanted:
        rerun = Rerun(experiment, corpora[experiment.lower], seed, autocast=choice.autocast)
        with running(choice):
            for record in rerun.run():
                on_record(f"{experiment.rung}, {experiment.setting}", record)
        yield from _published_rows(experiment, rerun)


def _published_rows(experiment: Experiment, rerun: Rerun) -> Iterator[Row]:
    for epoch, published in experiment.published.items():
        last = epoch == experiment.epochs
        yield Row(
            experiment.rung, experiment.setting, rerun.losses[epoch], epoch, published_nats=published,
            seconds=rerun.seconds if last else None, remark=experiment.flaw if last else None,
        )  # fmt: skip
