"""prepare(): a run resumed, or started with the sizes that the text and the budget decide, a network and a plan."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from unrolled.errors import InputError
from unrolled.files import is_complete
from unrolled.learn.budget import MEASURING, Budget, Measuring, suited
from unrolled.learn.build import Builder, dropout_of, read_text, with_dropout
from unrolled.learn.checkpoint import TrainingState
from unrolled.learn.corpora import split_text
from unrolled.learn.distributed import World
from unrolled.learn.hardware import Choice, describe
from unrolled.learn.loop import Plan
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.recipe import Recipe
from unrolled.learn.request import Request
from unrolled.learn.resume import resume, stored_state
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session
from unrolled.learn.text_task import TextTask
from unrolled.model.folder import ModelParts, read_model
from unrolled.model.members import COUNTS
from unrolled.text.cache import BASE, base_folder
from unrolled.text.windows import Split

DEFAULT_MINUTES = 3.0
FEW_STEPS, MANY_SYMBOLS = 50, 1000
"""With fewer steps, the budget is remarked on, and a vocabulary of more characters."""
WRITING = 0.2
"""Seconds that a checkpoint or a model folder takes, at first guess."""


def prepare(request: Request, world: World = World()) -> Session:  # noqa: B008 - frozen
    """Read the text, choose the machine, start a network or resume an unfinished run: a session ready to `run`.

    `unrolled.train` is the same in one call. Raises InputError for the rung `counts`, which has no steps.
    """
    if request.recipe.rung == COUNTS:
        raise InputError("the rung counts is not trained in steps: call unrolled.train(rung='counts')")
    if f"{request.start_from}" == BASE and not Path(BASE).exists():
        request = replace(request, start_from=base_folder())
        if not is_complete(base_folder()):
            raise InputError(f"there is no base in {base_folder()} yet: train one with unrolled make-base TEXT...")
    if request.out is None:
        return _start(request, world, None)
    run = Run(Path(request.out), resume=request.resume, notify=request.notify)
    state = stored_state(run, world)
    return _start(request, world, run) if state is None else resume(request, world, run, state)


def _start(request: Request, world: World, run: Run | None) -> Session:
    """A session at step 0. The folder of `run` is made once everything else has succeeded."""
    model = read_model(Path(request.start_from)) if request.start_from is not None else None
    recipe = request.recipe if model is None else _with_sizes_of(model, request)
    text = read_text(request, world, model.vocabulary if model else None)
    request.on_text(text)
    text, cut = split_text(recipe, text)
    build = Builder(text, cut, _shortened(recipe, cut, request, world.size), world, request.notify)
    network = build.network()
    if model is not None:
        _copy_weights(model, network)
    choice, seconds = build.fastest(network, request.machine)
    if model is None and recipe.epochs is None:
        build, network, seconds = _suited_to_minutes(build, network, choice, seconds, request)
    task = build.task(network, choice)
    budget, measuring = _within_minutes(build, task, choice, seconds, request.started)
    task.measured = measuring.while_training
    plan = _plan(build.recipe, task, budget)
    if budget is not None and plan.steps < FEW_STEPS:
        request.say(_few_steps(plan.steps, len(text.vocabulary)))
    recipe = with_dropout(build.recipe, plan.steps / task.steps_per_epoch)
    network.dropout = dropout_of(recipe)
    optimizer = build.optimizer(task, choice)
    if run is not None and world.is_main:
        run.begin()
    state = TrainingState(
        recipe=recipe, requested=request.recipe, choice=choice, plan=plan,
        world=world.size, machine=describe(choice.device),
        corpus=text.sha256, vocabulary=list(text.vocabulary.characters),
        started_from=None if model is None else model.vocabulary,
        sources=[str(source) for source in request.sources], encoding=request.encoding or "utf-8",
        valid=None if request.valid is None else str(request.valid),
        test_file=None if request.test_file is None else str(request.test_file), budget=budget, measuring=measuring,
    )  # fmt: skip
    session = Session(text, task, optimizer, state, run, request.save_seconds)
    request.say(_announced(session, seconds))
    return session


def _announced(session: Session, seconds: float) -> str:
    """What is about to be trained, where a step takes so many seconds."""
    recipe, steps = session.state.recipe, session.state.plan.steps
    epochs = f"{steps / session.task.steps_per_epoch:.2g}"
    work = f"{steps:,} step{'s' * (steps > 1)}, {epochs} epoch{'s' * (epochs != '1')}"
    rest = " (the rest of the minutes is for reading and measuring)" if recipe.minutes else ""
    return (
        f"{recipe.rung} of {recipe.hidden} hidden units, {session.parameters:,} parameters, on {session.state.choice}: "
        f"{work}, about {_duration(steps * seconds)}{rest}"
    )


def _few_steps(steps: int, symbols: int) -> str:
    merge = f", or merge rare ones of the {symbols:,} characters (--min-count, --lower)" * (symbols > MANY_SYMBOLS)
    return f"only {steps:,} step{'s' * (steps > 1)} fit into the time: give more --minutes{merge}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} seconds" if seconds < 10 else f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def _with_sizes_of(model: ModelParts, request: Request) -> Recipe:
    """The recipe with the rung and sizes of a trained model. Raises InputError where another size was given."""
    names = ("rung", "embedding", "hidden", "layers", "nonlinearity")
    sizes = {name: getattr(model.config, name) for name in names}
    for name in sorted(request.chosen & set(names)):
        wanted = getattr(request.recipe, name)
        if wanted != sizes[name]:
            raise InputError(
                f"{name} {wanted} was given, but the model to start from has {sizes[name]}: leave the setting out"
            )
    return replace(request.recipe, **sizes)


def _shortened(recipe: Recipe, parts: Split, request: Request, processes: int) -> Recipe:
    """`recipe` with fewer streams and a shorter BPTT length where the text is short."""
    least, characters = 2 * processes, len(parts.train)
    if characters <= least or len(parts.validation) < 2:
        raise InputError(f"{characters:,} characters are too few to train on: give a text of some thousand at least")
    length = min(recipe.length, max(1, (characters - 1) // least))
    count = max(1, min(recipe.streams, (characters - 1) // (length * 4)) // processes) * processes
    if (count, length) != (recipe.streams, recipe.length):
        request.say(
            f"the text is short: {count} stream{'s' * (count > 1)} of BPTT length {length} instead of "
            f"{recipe.streams} of {recipe.length}"
        )
    return replace(recipe, streams=count, length=length)


def _suited_to_minutes(
    build: Builder, network: CharNetwork, choice: Choice, seconds: float, request: Request
) -> tuple[Builder, CharNetwork, float]:
    """A network of the hidden units that suit the minutes, unless they were given; its builder and seconds a step."""
    recipe = build.recipe
    steps = (1 - 2 * MEASURING) * 60 * (recipe.minutes or DEFAULT_MINUTES) / seconds
    units = suited(steps * recipe.streams * recipe.length, recipe.hidden)
    if "hidden" in request.chosen and not units / 2 < recipe.hidden < 2 * units:
        request.say(f"about {units} hidden units would suit this time on this machine better: --hidden {units}")
    if "hidden" in request.chosen or units == recipe.hidden:
        return build, network, seconds
    build = replace(build, recipe=replace(recipe, hidden=units))
    network = build.network()
    return build, network, build.seconds(network, choice)


def _copy_weights(model: ModelParts, network: CharNetwork) -> None:
    """The weights of `model` into `network`; the rows of characters that `model` lacks stay as they are."""
    state = network.state_dict()
    for name, weights in model.weights.items():
        trained = torch.from_numpy(weights)
        state[name][: len(trained)] = trained  # characters keep their ids: new ones come after
    network.load_state_dict(state)


def _plan(recipe: Recipe, task: TextTask, budget: Budget | None) -> Plan:
    if budget is not None:
        return budget.plan(recipe.evaluations, recipe.warmup, recipe.clip)
    assert recipe.epochs is not None
    steps = max(1, round(recipe.epochs * task.steps_per_epoch))
    every = -(-steps // recipe.evaluations)
    return Plan(steps, warmup=int(recipe.warmup * steps), clip=recipe.clip, evaluate_every=every)


def _within_minutes(
    build: Builder, task: TextTask, choice: Choice, seconds: float, started: float
) -> tuple[Budget | None, Measuring]:
    """The budget of a run that began at `started`, and what is measured in it; no budget where epochs were given."""
    recipe = build.recipe
    if recipe.epochs is not None:
        return None, Measuring()
    allowed, timing, cut = 60 * (recipe.minutes or DEFAULT_MINUTES), build.timing(task, choice, seconds), task.split
    measuring = Measuring.within(allowed, timing, recipe.evaluations)
    start = cut.bounds("validation")[0]
    at_end, mixed = (
        sum(measuring.at_end_of(len(part)) + timing.warm_up for part in parts if len(part))
        for parts in ((cut.validation, cut.test), (cut.validation, cut.mixing))
    )
    sample = min(len(cut.train), measuring.train_sample) + timing.warm_up
    ending = (at_end + sample) * timing.character + WRITING
    ending += (2 * min(measuring.window, start) + 3 * measuring.at_end_of(len(cut.validation))) * timing.baselines
    # Counting takes about as long as a third of the baselines, twice; then the network reads both parts beside it.
    ending += 0.7 * start * timing.baselines
    ending += mixed * timing.mixing
    measured = min(len(cut.validation), measuring.while_training) + timing.warm_up
    budget = Budget(
        seconds=allowed,
        spent=task.world.mean(time.perf_counter() - started),
        step=timing.step,
        pause=measured * timing.character + WRITING,
        ending=ending,
        trial=timing.step,
    )
    return budget, measuring
