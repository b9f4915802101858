"""Starting a new run: the sizes that the text and the budget decide, the network, and the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from unrolled.errors import InputError
from unrolled.learn.build import Builder, Request, check_streams, cut_for, dropout_of, read_text, with_dropout
from unrolled.learn.checkpoint import TrainingState
from unrolled.learn.hardware import describe
from unrolled.learn.loop import Plan
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.recipe import Recipe
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session
from unrolled.learn.stream_task import StreamTask
from unrolled.model.folder import ModelParts, read_model
from unrolled.text.windows import Split

DEFAULT_MINUTES = 3.0


def start(request: Request, run: Run | None) -> Session:
    """A session at step 0. The folder of `run` is made once everything else has succeeded."""
    model = read_model(Path(request.start_from)) if request.start_from is not None else None
    recipe = request.recipe if model is None else _with_sizes_of(model, request)
    check_streams(recipe, request.world)
    text = read_text(request, recipe, model.vocabulary if model else None)
    request.on_text(text)
    cut = cut_for(recipe, text)
    recipe = _shortened(recipe, cut, request)
    build = Builder(text, cut, recipe, request.world, request.notify)
    network = build.network()
    if model is not None:
        _copy_weights(model, network)
    choice, seconds = build.fastest(network, request.machine)
    task = build.task(network, choice)
    plan = _plan(recipe, task, seconds)
    recipe = with_dropout(recipe, plan.steps / task.steps_per_epoch)
    network.dropout = dropout_of(recipe)
    optimizer = build.optimizer(task, choice)
    if run is not None and request.world.is_main:
        run.begin()
    state = TrainingState(
        recipe=recipe, requested=request.recipe, choice=choice, plan=plan,
        world=request.world.size, machine=describe(choice.device),
        corpus=text.sha256, vocabulary=list(text.vocabulary.characters),
        started_from=None if model is None else model.vocabulary,
        sources=[str(source) for source in request.sources], encoding=request.encoding or "utf-8",
    )  # fmt: skip
    session = Session(text, task, optimizer, state, run)
    minutes = plan.steps * seconds / 60
    request.say(
        f"{recipe.rung} of {recipe.hidden} hidden units, {session.parameters:,} parameters, on {choice}: "
        f"{plan.steps:,} steps, about {minutes:.1f} minutes by a short trial"
    )
    return session


def _with_sizes_of(model: ModelParts, request: Request) -> Recipe:
    """The recipe with the rung and sizes of a trained model. Raises InputError where another size was given."""
    names = ("rung", "embedding", "hidden", "layers", "nonlinearity")
    sizes = {name: getattr(model.config, name) for name in names}
    for name in sorted(request.given & set(names)):
        wanted = getattr(request.recipe, name)
        if wanted != sizes[name]:
            raise InputError(
                f"{name} {wanted} was given, but the model to start from has {sizes[name]}: leave the setting out"
            )
    return replace(request.recipe, **sizes)


def _shortened(recipe: Recipe, parts: Split, request: Request) -> Recipe:
    """`recipe` with fewer streams and a shorter BPTT length where the text is short."""
    processes = request.world.size
    least, characters = 2 * processes, len(parts.train)
    if characters <= least or len(parts.validation) < 2:
        raise InputError(f"{characters:,} characters are too few to train on: give a text of some thousand at least")
    length = min(recipe.length, max(1, (characters - 1) // least))
    count = max(1, min(recipe.streams, (characters - 1) // (length * 4)) // processes) * processes
    if (count, length) != (recipe.streams, recipe.length):
        request.say(
            f"the text is short: {count} streams of BPTT length {length} instead of {recipe.streams} of {recipe.length}"
        )
    return replace(recipe, streams=count, length=length)


def _copy_weights(model: ModelParts, network: CharNetwork) -> None:
    """The weights of `model` into `network`; the rows of characters that `model` lacks stay as they are."""
    state = network.state_dict()
    for name, weights in model.weights.items():
        trained = torch.from_numpy(weights)
        state[name][: len(trained)] = trained  # characters keep their ids: new ones come after
    network.load_state_dict(state)


def _plan(recipe: Recipe, task: StreamTask, seconds_per_step: float) -> Plan:
    if recipe.epochs is not None:
        steps = recipe.epochs * task.steps_per_epoch
    else:
        steps = 60 * (recipe.minutes or DEFAULT_MINUTES) / seconds_per_step
    steps = max(1, round(steps))
    every = -(-steps // recipe.evaluations)
    return Plan(steps, warmup=int(recipe.warmup * steps), clip=recipe.clip, evaluate_every=every)
