"""train(): from texts to a trained model in one call, and prepare(), the same with its steps in the caller's hands.

Left out: printing. The command line prints what a `Notice` says and what the records of a session hold.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unrolled.errors import InputError, unknown_name
from unrolled.learn.distributed import World, world
from unrolled.learn.hardware import Choice, available, choose, cores, running
from unrolled.learn.initialization import start_well
from unrolled.learn.loop import Plan, steps_within
from unrolled.learn.networks.dropout import Dropout
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.optimizers import build_optimizer
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.resume import (
    check_same_text,
    resumed_machine,
    resumed_recipe,
    start_vocabulary,
    stored_state,
    warn_of_differences,
    with_sizes_of,
)
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session, Summary
from unrolled.learn.stream_task import TextTask
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts, read_model
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.vocabulary import Vocabulary
from unrolled.text.windows import Split, split, streams

Notice = Callable[[str], None]
DEFAULT_MINUTES = 3.0
TRIAL_SECONDS = 0.5
DROPOUT = ((2.5, 0.0), (5.0, 0.1), (8.0, 0.2), (math.inf, 0.3))
"""(epochs below, share): a text read twice is not learned by heart, one that is read more often would be. Beyond, wide
networks drop 0.1 more. Measured in docs/experiments.md."""
EMBEDDING_DROPOUT = 4
"""How many times less of the embedding is dropped than of a layer's outputs."""


@dataclass(frozen=True)
class Trained:
    """A trained model with the figures of its run."""

    model: CharModel
    summary: Summary


def train(texts: str | Path | Sequence[str | Path], out: str | Path | None = None, **settings: Any) -> Trained:
    """Train a network on `texts` (files, folders, '-', or named sets) and return the model with its figures.

    `out` is the run folder; without it nothing is written. `settings` are the fields of `Recipe` and `Machine`, and
    `resume`, `start_from`, `encoding`, `save_seconds` and `notice` as in `prepare`. Raises UnrolledError with a
    sentence for everything a person can cause; a signal (Ctrl-C) saves a checkpoint and raises KeyboardInterrupt.
    """
    recipe, machine, rest = _sorted_settings(settings)
    sources = [texts] if isinstance(texts, str | Path) else list(texts)
    with world() as processes:
        session = prepare(sources, out, recipe, machine, processes=processes, **rest)
        for _ in session.run():
            pass
        if session.interrupt is not None:
            raise KeyboardInterrupt
        summary, parts = session.finish()
    return Trained(CharModel(parts), summary)


def prepare(
    sources: Sequence[str | Path],
    out: str | Path | None,
    recipe: Recipe,
    machine: Machine,
    *,
    processes: World | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    encoding: str | None = None,
    save_seconds: float = 300.0,
    notice: Notice = lambda message: None,
    look: Callable[[EncodedText], None] = lambda text: None,
) -> Session:
    """Read the text, choose the machine, make the network or take up an unfinished run: a session ready to `run`.

    `resume` goes on with the unfinished run in `out`, or starts one if there is none; texts and settings may then be
    left out. `start_from` is a model folder whose weights and sizes are taken, its vocabulary extended by the
    characters that are new. `encoding` is UTF-8 if not given. `notice` is told every choice in a sentence, `look` is
    shown the text before anything is trained.
    """
    processes = processes or World()
    run = Run(Path(out), resume=resume, warn=notice) if out is not None else None
    stored = stored_state(run, processes)
    asked = recipe
    if run is not None and stored is not None and processes.is_main:
        run.begin()  # before the text is read, which may take long: another process may be training here
    if stored is not None:
        recipe, machine = resumed_recipe(recipe, stored), resumed_machine(machine, stored)
        asked = Recipe.from_json(stored["asked"])
        sources, encoding = sources or stored["sources"], encoding or stored["encoding"]
    if recipe.streams % processes.size:
        raise InputError(
            f"{recipe.streams} streams cannot be divided among {processes.size} processes: choose a multiple"
        )
    start = read_model(Path(start_from)) if start_from is not None else None
    recipe = recipe if start is None else with_sizes_of(recipe, start)
    known = start_vocabulary(start, stored)
    text = _read(sources, recipe, encoding or "utf-8", known, processes)
    if stored is not None:
        check_same_text(stored, text)
    look(text)
    parts = split(text.ids, recipe.validation, recipe.test)
    recipe = recipe if stored is not None else _fitted(recipe, parts, processes, notice)
    setup = _Setup(text, parts, recipe, processes, notice)
    session = setup.session(_network(recipe, text, start), machine, stored)
    if run is not None and processes.is_main:
        run.begin()
    session.run_folder, session.save_seconds = run, save_seconds
    session.asked, session.started_from = asked, known
    session.sources, session.encoding = [str(source) for source in sources], encoding or "utf-8"
    if stored is not None:
        warn_of_differences(stored, session.choice, processes, notice)
        session.restore(stored)
        notice(f"going on from step {session.progress.step:,} of {session.plan.steps:,} on {session.choice}")
    return session


@dataclass(frozen=True)
class _Setup:
    """What stays the same while machines are tried out."""

    text: EncodedText
    parts: Split
    recipe: Recipe
    processes: World
    notice: Notice

    def session(self, network: CharNetwork, machine: Machine, stored: dict[str, Any] | None) -> Session:
        choice, seconds = self.choose(network, machine, stored)
        task = self.task(network, choice)
        if self.processes.size > 1:
            task.forward = nn.parallel.DistributedDataParallel(task.network)
        optimizer = build_optimizer(task.network, self.recipe, self.processes, _muon_dtype(choice))
        plan = _plan(self.recipe, task, seconds)
        recipe = _with_dropout(self.recipe, plan.steps / task.steps_per_epoch)
        network.dropout = _dropout(recipe)
        if stored is None:
            minutes = plan.steps * seconds / 60
            self.notice(f"{choice}: {plan.steps:,} steps, about {minutes:.1f} minutes by a short trial")
        return Session(recipe, choice, self.text, task, optimizer, plan, self.processes)

    def task(self, network: CharNetwork, choice: Choice) -> TextTask:
        network = network.to(choice.device, choice.dtype)
        cut = streams(self.parts.train, self.recipe.streams)
        return TextTask(
            network, self.text.ids, self.parts, cut, self.recipe.length, self.recipe.seed,
            self.processes, choice.autocast, warn=self.notice, release=self.text.release,
        )  # fmt: skip

    def choose(self, network: CharNetwork, machine: Machine, stored: dict[str, Any] | None) -> tuple[Choice, float]:
        """The choice of a resumed run stands; else the fastest, by the mean over the processes, so that all agree."""
        if stored is not None and asdict(machine) == stored["choice"]:
            available(machine.device)
            return Choice(**stored["choice"]), stored["progress"]["seconds"] / max(1, stored["progress"]["step"])
        if self.processes.size > 1:
            machine = replace(machine, threads=machine.threads or max(1, cores() // self.processes.local_size))

        def seconds(choice: Choice) -> float:
            taken, refused = 0.0, ""
            try:
                with running(choice):
                    taken = self.trial(copy.deepcopy(network), choice)
            except RuntimeError as error:
                refused = f"{error}"
            if self.processes.any(bool(refused)):
                raise RuntimeError(refused or "another process refused it")
            return self.processes.mean(taken)

        return choose(machine, seconds)

    def trial(self, network: CharNetwork, choice: Choice) -> float:
        """Seconds a step, from a few steps of a copy of the network, alone; with dropout, if it may come to that."""
        network.dropout = _dropout(_with_dropout(self.recipe, self.recipe.epochs or math.inf))
        task = self.task(network, choice)
        task = replace(task, world=World(), streams=task.streams[task.own_streams], warn=lambda message: None)
        optimizer = build_optimizer(task.network, self.recipe, World(), _muon_dtype(choice))

        def step() -> None:
            optimizer.zero_grad()
            task.backward(0)
            optimizer.step(0.0)

        return steps_within(TRIAL_SECONDS, step, at_most=20)[1]


def _sorted_settings(settings: dict[str, Any]) -> tuple[Recipe, Machine, dict[str, Any]]:
    def pick(kind: type[Any]) -> dict[str, Any]:
        return {field.name: settings.pop(field.name) for field in fields(kind) if field.name in settings}

    recipe, machine = Recipe(**pick(Recipe)), Machine(**pick(Machine))
    known = {"resume", "start_from", "encoding", "save_seconds", "notice"}
    for name in set(settings) - known:
        raise unknown_name(
            "setting", name, known | {field.name for kind in (Recipe, Machine) for field in fields(kind)}
        )
    return recipe, machine, settings


def _read(
    sources: Sequence[str | Path], recipe: Recipe, encoding: str, known: Vocabulary | None, processes: World
) -> EncodedText:
    if not sources:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    if processes.size > 1 and "-" in map(str, sources):
        raise InputError("standard input can be read by one process alone: give several processes a file")
    corpus = open_corpus(sources, encoding=encoding, lower=recipe.lower)
    if not processes.is_main:
        processes.barrier()  # the main process encodes first; the others find its work in the cache
    text = encode_corpus(corpus, known, extend=True, min_count=recipe.min_count)
    if processes.is_main:
        processes.barrier()
    if processes.any(processes.from_main(text.sha256.encode()) != text.sha256.encode()):
        raise InputError("the processes do not read the same text: give all of them the same files")
    return text


def _fitted(recipe: Recipe, parts: Split, processes: World, notice: Notice) -> Recipe:
    """`recipe` with fewer streams and a shorter BPTT length where the text is short; said aloud."""
    least, characters = 2 * processes.size, len(parts.train)
    if characters <= least or len(parts.validation) < 2:
        raise InputError(f"{characters:,} characters are too few to train on: give a text of some thousand at least")
    length = min(recipe.length, max(1, (characters - 1) // least))
    count = max(1, min(recipe.streams, (characters - 1) // (length * 4)) // processes.size) * processes.size
    if (count, length) != (recipe.streams, recipe.length):
        notice(
            f"the text is short: {count} streams of BPTT length {length} instead of {recipe.streams} of {recipe.length}"
        )
    return replace(recipe, streams=count, length=length)


def _network(recipe: Recipe, text: EncodedText, start: ModelParts | None) -> CharNetwork:
    """A new network, a function of the seed; with `start`, its weights, and new rows for new characters."""
    config = ModelConfig(
        recipe.rung, len(text.vocabulary), recipe.embedding, recipe.hidden, recipe.layers, recipe.nonlinearity
    )
    network = CharNetwork(config, dropout=_dropout(recipe), seed=recipe.seed)
    start_well(network, recipe.seed)
    if start is not None:
        state = network.state_dict()
        for name, weights in start.weights.items():
            trained = torch.from_numpy(weights)
            state[name][: len(trained)] = trained  # characters keep their ids: new ones come after
        network.load_state_dict(state)
    return network


def _with_dropout(recipe: Recipe, epochs: float) -> Recipe:
    """`recipe` with the dropout that belongs to so many epochs, if it does not say its own."""
    if recipe.dropout is not None:
        return recipe
    share = next((share for below, share in DROPOUT if epochs < below), DROPOUT[-1][1])
    return replace(recipe, dropout=share + 0.1 if epochs >= 8 and recipe.hidden > 400 else share)


def _dropout(recipe: Recipe) -> Dropout:
    """Less of the embedding is dropped than of the hidden state: what is lost there is lost to all that follows."""
    share = recipe.dropout or None
    return Dropout(
        embedding=None if share is None else share / EMBEDDING_DROPOUT,
        between=share if recipe.layers > 1 else None,
        output=share,
    )


def _muon_dtype(choice: Choice) -> torch.dtype:
    """bfloat16 is precise enough for a direction of descent, and fast where the processor has it."""
    return torch.bfloat16 if choice.precision == "bfloat16" else choice.dtype


def _plan(recipe: Recipe, task: TextTask, seconds_per_step: float) -> Plan:
    if recipe.epochs is not None:
        steps = recipe.epochs * task.steps_per_epoch
    else:
        steps = 60 * (recipe.minutes or DEFAULT_MINUTES) / seconds_per_step
    steps = max(1, round(steps))
    every = -(-steps // recipe.evaluations)
    return Plan(steps, warmup=int(recipe.warmup * steps), clip=recipe.clip, evaluate_every=every)
