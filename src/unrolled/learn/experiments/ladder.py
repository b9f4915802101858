"""Every rung of the ladder on one text, in one table: the honest protocol and the lesson's.

Honest: the same contiguous split, the same characters seen, the same recipe and a carried state for all, with the
baselines that need no network under them. Left out: tuning a recipe for each rung; the ladder compares recurrences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from unrolled.errors import InputError, unknown_name
from unrolled.learn.experiments.lesson import EXPERIMENTS, Experiment, Rerun
from unrolled.learn.hardware import Choice, running
from unrolled.learn.loop import Record
from unrolled.learn.networks import RUNGS, find_recurrence
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.train import prepare
from unrolled.text.baselines.compressors import gzip_bits, xz_bits
from unrolled.text.corpus import open_corpus
from unrolled.text.counts import CountModel
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.windows import split

PROTOCOLS = ("honest", "lesson")
HONEST = Recipe(hidden=256, epochs=2, dropout=0.0, evaluations=1, with_="counts")
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
    rungs: list[str] | None = None,
    recipe: Recipe = HONEST,
    machine: Machine | None = None,
    full: bool = False,
    encoding: str = "utf-8",
    on_record: OnRecord = lambda name, record: None,
) -> Iterator[Row]:
    """The rows of the ladder on `texts`, each as soon as it is there.

    `rungs` chooses some; `full` adds the lesson's hour-long experiment. `on_record` is told every step of training.
    Raises InputError for an unknown protocol or rung, and for settings that the lesson fixes.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    for name in rungs or ():
        find_recurrence(name)
    chosen = rungs or list(RUNGS)
    if protocol == "lesson":
        yield from _lesson(texts, chosen, full, recipe.seed, machine or Machine(), encoding, on_record)
    else:
        yield from _honest(texts, chosen, recipe, machine or Machine(), encoding, on_record)


def _honest(
    texts: list[str], rungs: list[str], recipe: Recipe, machine: Machine, encoding: str, on_record: OnRecord
) -> Iterator[Row]:
    if recipe.epochs is None:
        raise InputError("the ladder compares rungs after the same characters: give epochs, not minutes")
    text = None
    for rung in rungs:
        session = prepare(texts, None, replace(recipe, rung=rung), machine, encoding=encoding)
        for record in session.run():
            on_record(rung, record)
        if session.interrupt is not None:
            raise KeyboardInterrupt
        summary, _ = session.finish(with_baselines=False)  # shown once, under all rungs
        setting = f"hidden {recipe.hidden}"
        nats, text = summary.validation["nats"], session.text
        yield Row(
            rung, setting, nats, _plain(recipe.epochs), summary.parameters, summary.seconds,
            together_nats=summary.members.get("together"),
        )  # fmt: skip
    if text is not None:
        yield from _baselines(text, recipe)


def _plain(epochs: float) -> float:
    return int(epochs) if epochs == int(epochs) else epochs


def _baselines(text: EncodedText, recipe: Recipe) -> Iterator[Row]:
    parts = split(text.ids, recipe.validation, recipe.test)
    written = text.vocabulary.decode(parts.validation)
    counts = CountModel.count(parts.train, len(text.vocabulary))
    nats = float(counts.nats(parts.validation, parts.train).mean())
    yield Row("counts", f"order {counts.order}", nats, 1)
    yield Row("gzip", "that part alone", gzip_bits(written) * math.log(2))
    yield Row("xz", "that part alone", xz_bits(written) * math.log(2))


def _lesson(
    texts: list[str], rungs: list[str], full: bool, seed: int, machine: Machine, encoding: str, on_record: OnRecord
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
