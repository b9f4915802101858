"""train(): from texts to a trained model in one call, and prepare(), the same with its steps in the caller's hands.

Left out: printing. The command line prints what a `Notice` says and what the records of a session hold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unrolled.embedding import visible
from unrolled.errors import InputError, unknown_name
from unrolled.learn.checkpoint import unpack
from unrolled.learn.loop import Plan, steps_within
from unrolled.learn.machine import Choice, choose, describe, running
from unrolled.learn.networks.dropout import Dropout
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.optim import build_optimizer
from unrolled.learn.processes import World, world
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.run import Run
from unrolled.learn.session import Session, Summary
from unrolled.learn.start import start_well
from unrolled.learn.text_task import TextTask
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts, read_model
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.windows import Split, split, streams

Notice = Callable[[str], None]
DEFAULT_MINUTES = 3.0
TRIAL_SECONDS = 0.5


@dataclass(frozen=True)
class Trained:
    """A trained model with the figures of its run."""

    model: CharModel
    summary: Summary


def train(texts: str | Path | Sequence[str | Path], out: str | Path | None = None, **settings: Any) -> Trained:
    """Train a network on `texts` (files, folders, '-', or named sets) and return the model with its figures.

    `out` is the run folder; without it nothing is written. `settings` are the fields of `Recipe` and `Machine`, and
    `resume`, `start_from`, `encoding` as in `prepare`. Raises UnrolledError with a sentence for everything a person can
    cause; a signal (Ctrl-C) saves a checkpoint and raises KeyboardInterrupt.
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
    encoding: str = "utf-8",
    save_seconds: float = 300.0,
    notice: Notice = lambda message: None,
    look: Callable[[EncodedText], None] = lambda text: None,
) -> Session:
    """Read the text, choose the machine, make the network or take up an unfinished run: a session ready to `run`.

    `resume` goes on with the unfinished run in `out`, or starts one if there is none. `start_from` is a model folder
    whose weights and sizes are taken, its vocabulary extended by the characters that are new. `notice` is told every
    choice in a sentence, `look` is shown the text before anything is trained.
    """
    processes = processes or World()
    run = Run(Path(out), resume=resume, warn=notice) if out is not None else None
    stored = _stored_state(run)
    if stored is not None:
        recipe = _resumed_recipe(recipe, Recipe.from_json(stored["recipe"]))
        sources = sources or stored["sources"]
    if recipe.streams % processes.size:
        raise InputError(
            f"{recipe.streams} streams cannot be divided among {processes.size} processes: choose a multiple"
        )
    start = read_model(Path(start_from)) if start_from is not None else None
    recipe = recipe if start is None else _with_sizes(recipe, start.config)
    text = _read(sources, recipe, encoding, start, processes)
    look(text)
    parts = split(text.ids, recipe.validation, recipe.test)
    recipe = _fitted(recipe, parts, processes, notice)
    setup = _Setup(text, parts, recipe, processes, notice)
    session = setup.session(_network(recipe, text, start), machine, stored)
    if run is not None and processes.is_main:
        run.begin()
    session.run_folder, session.save_seconds = run, save_seconds
    session.sources = [str(source) for source in sources]
    if stored is not None:
        _check_same_text(stored, text)
        _warn_of_differences(stored, session, notice)
        session.restore(stored)
        notice(f"going on from step {session.progress.step:,} of {session.plan.steps:,}")
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
        minutes = plan.steps * seconds / 60
        self.notice(f"{choice}: {plan.steps:,} steps, about {minutes:.1f} minutes by a short trial")
        return Session(self.recipe, choice, self.text, task, optimizer, plan, self.processes)

    def task(self, network: CharNetwork, choice: Choice) -> TextTask:
        network = network.to(choice.device, choice.dtype)
        cut = streams(self.parts.train, self.recipe.streams)
        return TextTask(
            network, self.text.ids, self.parts, cut, self.recipe.length, self.recipe.seed,
            self.processes, choice.autocast, warn=self.notice,
        )  # fmt: skip

    def choose(self, network: CharNetwork, machine: Machine, stored: dict[str, Any] | None) -> tuple[Choice, float]:
        """The choice of a resumed run stands; else the fastest. Several processes do not try out: they must agree."""
        if stored is not None and machine == Machine():
            choice = Choice(**stored["choice"])
            return choice, stored["progress"]["seconds"] / max(1, stored["progress"]["step"])
        if self.processes.size > 1 and machine.precision == "auto":
            machine = replace(machine, precision="float32")

        def seconds(choice: Choice) -> float:
            with running(choice):
                return self.trial(copy.deepcopy(network), choice)

        choice, fastest = choose(machine, seconds, self.processes.size)
        return choice, self.processes.mean(fastest)

    def trial(self, network: CharNetwork, choice: Choice) -> float:
        """Seconds a step, from a few steps of a copy of the network, alone."""
        task = self.task(network, choice)
        task = replace(task, world=World(), streams=task.streams[task.own_streams])
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


def _stored_state(run: Run | None) -> dict[str, Any] | None:
    newest = run.checkpoints.newest() if run is not None else None
    return None if newest is None else unpack(newest[1])


def _resumed_recipe(given: Recipe, stored: Recipe) -> Recipe:
    """The stored recipe; a setting that was given and differs is refused, because the run would not be the same one."""
    for field in fields(Recipe):
        wanted, had = getattr(given, field.name), getattr(stored, field.name)
        if wanted not in (field.default, had):
            raise InputError(
                f"this run was started with {field.name} {had}, not {wanted}: leave the setting out to resume, "
                "or start a new run in another folder"
            )
    return stored


def _with_sizes(recipe: Recipe, config: ModelConfig) -> Recipe:
    """`recipe` with the rung and sizes of a trained model."""
    sizes = {name: getattr(config, name) for name in ("rung", "embedding", "hidden", "layers", "nonlinearity")}
    return replace(recipe, **sizes)


def _read(
    sources: Sequence[str | Path], recipe: Recipe, encoding: str, start: ModelParts | None, processes: World
) -> EncodedText:
    if not sources:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    corpus = open_corpus(sources, encoding=encoding, lower=recipe.lower)
    if not processes.is_main:
        processes.barrier()  # the main process encodes first; the others find its work in the cache
    text = encode_corpus(corpus, min_count=recipe.min_count)
    if start is not None:
        known = set(start.vocabulary.characters)
        added = [character for character in text.vocabulary.characters if character not in known]
        text = encode_corpus(corpus, start.vocabulary.extended(added))
    if processes.is_main:
        processes.barrier()
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


def _dropout(recipe: Recipe) -> Dropout:
    share = recipe.dropout or None
    return Dropout(between=share if recipe.layers > 1 else None, output=share)


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


def _check_same_text(stored: dict[str, Any], text: EncodedText) -> None:
    if stored["corpus"] == text.sha256 and stored["vocabulary"] == list(text.vocabulary.characters):
        return
    had, has = set(stored["vocabulary"]), set(text.vocabulary.characters)
    change = "its characters are the same"
    if had != has:
        change = f"added: {_listed(has - had)}; missing: {_listed(had - has)}"
    raise InputError(
        f"the text is not the one this run was started on ({change}): give the same text to resume, "
        "or train on from its weights with --from RUN/checkpoints/... in a new folder"
    )


def _listed(characters: set[str]) -> str:
    shown = " ".join(visible(character) for character in sorted(characters)[:20])
    return shown + (" ..." if len(characters) > 20 else "") if characters else "none"


def _warn_of_differences(stored: dict[str, Any], session: Session, notice: Notice) -> None:
    """Say which of the things that decide the last bit of a weight are not as they were."""
    before = stored["machine"] | stored["choice"] | {"processes": stored["world"]}
    now = describe() | asdict(session.choice) | {"processes": session.world.size}
    for name in sorted(now):
        if before.get(name) != now[name]:
            notice(
                f"{name} was {before.get(name)} and is now {now[name]}: the run goes on, "
                "but its weights will not be the same to the last bit as without the interruption"
            )
