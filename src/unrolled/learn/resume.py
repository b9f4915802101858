"""Resuming an unfinished run: its checkpoint compared with what was given, and everything put back as it was.

What would make it another run is refused; what only changes the last bits of its weights is a warning.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from unrolled.embedding import visible
from unrolled.errors import FolderError, InputError
from unrolled.files import read_folder
from unrolled.learn.build import Builder, dropout_of, read_text
from unrolled.learn.checkpoint import TrainingState
from unrolled.learn.corpora import split_text
from unrolled.learn.distributed import World
from unrolled.learn.hardware import Choice, available, describe
from unrolled.learn.packing import STATE, TENSORS
from unrolled.learn.recipe import Machine
from unrolled.learn.request import Request
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session
from unrolled.model.folder import WEIGHTS, ModelConfig, read_model
from unrolled.model.tensors import check_weights, read_tensors
from unrolled.notices import Notice
from unrolled.text.encoded import EncodedText


def stored_state(run: Run, world: World) -> TrainingState | None:
    """The newest whole checkpoint of `run`, or None; read by the main process and handed to all.

    Raises FolderError for a checkpoint of another version.
    """
    newest = run.checkpoints.newest() if world.is_main else None
    files = {} if newest is None else newest[1]
    shared = {name: world.from_main(files.get(name)) for name in (STATE, TENSORS)}
    found = {name: data for name, data in shared.items() if data is not None}
    return TrainingState.from_files(found) if found or newest is not None else None


def resume(request: Request, world: World, run: Run, state: TrainingState) -> Session:
    """The session of `state`, at the step it was saved after."""
    if world.is_main:
        run.begin()  # before the text is read, which may take long: another process may be training here
    _check_settings(request, state)
    _check_sizes(state)
    request = _completed(request, state)
    text = read_text(request, world, state.started_from)
    _check_text(text, state)
    request.on_text(text)
    text, cut = split_text(state.recipe, text)
    build = Builder(text, cut, state.recipe, world, request.notify)
    network = build.network()
    network.dropout = dropout_of(state.recipe)
    machine = _machine(request.machine, state)
    available(machine.device)
    choice = state.choice if asdict(machine) == asdict(state.choice) else build.fastest(network, machine)[0]
    task = build.task(network, choice)
    session = Session(text, task, build.optimizer(task, choice), state, run, request.save_seconds)
    _warn_of_differences(request, world, state, choice)
    state.choice, state.world, state.machine = choice, world.size, describe(choice.device)
    _put_back(session)
    request.say(f"resuming at step {state.progress.step:,} of {state.plan.steps:,} on {choice}")
    return session


def _check_settings(request: Request, state: TrainingState) -> None:
    """A setting that was given and differs is refused, because the run would not be the same one."""
    for name in sorted(request.chosen):
        wanted, used = getattr(request.recipe, name), getattr(state.recipe, name)
        if wanted not in (used, getattr(state.requested, name)):
            raise InputError(
                f"this run was started with {name} {used}, not {wanted}: leave the setting out to resume, "
                "or start a new run in another folder"
            )
    if request.start_from is not None and read_model(Path(request.start_from)).vocabulary != state.started_from:
        raise InputError(f"this run was not started from {request.start_from}: leave --from out to resume")


def _check_sizes(state: TrainingState) -> None:
    """Raises FolderError if the weights are not those of the recipe, before a network of its sizes is made."""
    recipe, symbols = state.recipe, len(state.vocabulary) + 1
    config = ModelConfig(recipe.rung, symbols, recipe.embedding, recipe.hidden, recipe.layers, recipe.nonlinearity)
    for weights in (state.network, state.network if state.best is None else state.best):
        if {name: tuple(tensor.shape) for name, tensor in weights.items()} != config.shapes():
            raise FolderError("the checkpoint does not fit this run: its weights are not of the sizes in its recipe")
        if not all(tensor.is_floating_point() and tensor.isfinite().all() for tensor in weights.values()):
            raise FolderError("the checkpoint does not fit this run: its weights are not finite numbers")


def _completed(request: Request, state: TrainingState) -> Request:
    """`request` with the recipe of the run, and with the text that it was started on where `request` names none."""
    if request.text is None and not request.sources:
        request = replace(request, sources=state.sources)
    state.sources = [str(source) for source in request.sources]
    state.encoding = request.encoding or state.encoding
    return replace(
        request, recipe=state.recipe, encoding=state.encoding, valid=request.valid or state.valid,
        test_file=request.test_file or state.test_file,
    )  # fmt: skip


def _check_text(text: EncodedText, state: TrainingState) -> None:
    """Raises InputError, naming the characters added and missing, if the run was started on another text."""
    if state.corpus == text.sha256 and state.vocabulary == list(text.vocabulary.characters):
        return
    had, has = set(state.vocabulary), set(text.vocabulary.characters)
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


def _machine(given: Machine, state: TrainingState) -> Machine:
    """What was chosen when the run began, where nothing else was given."""
    before = state.choice
    return Machine(
        device=before.device if given.device == "auto" else given.device,
        precision=before.precision if given.precision == "auto" else given.precision,
        threads=given.threads or before.threads,
    )


def _warn_of_differences(request: Request, world: World, state: TrainingState, choice: Choice) -> None:
    """Report which of the things that decide the last bit of a weight have changed."""
    before = state.machine | asdict(state.choice) | {"processes": state.world}
    now = describe(choice.device) | asdict(choice) | {"processes": world.size}
    for name in sorted(now):
        if before.get(name) != now[name]:
            sentence = (
                f"{name} was {before.get(name)} and is now {now[name]}: the run continues, "
                "but its weights will not be the same to the last bit as without the interruption"
            )
            request.notify(Notice(sentence, is_warning=True))


def _put_back(session: Session) -> None:
    """Move the tensors of the checkpoint into the network, the optimizer and the streams.

    Raises FolderError if it is not the checkpoint of such a network.
    """
    task, state = session.task, session.state
    try:
        task.network.load_state_dict(state.network)
        session.optimizer.load_state_dict(state.optimizer)
        device = task.network.head.weight.device
        _check_carried(state, task.network.initial_state(1))
        task.carried = tuple(tensor[task.own_rows].to(device) for tensor in state.carried) or None
        task.micro_batches, task.measured = state.micro_batches, state.measuring.while_training
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise FolderError(f"the checkpoint does not fit this run: {error}") from error
    state.network, state.optimizer, state.carried = {}, {}, []
    if state.progress.best_step > 0 and state.best is None:
        state.best = _stored_best(session)


def _check_carried(state: TrainingState, like: tuple[Tensor, ...]) -> None:
    if state.carried and [part.shape[1:] for part in state.carried] != [part.shape[1:] for part in like]:
        raise ValueError("the states of its streams are not those of its network")
    if len({len(part) for part in state.carried}) > 1 or not all(part.isfinite().all() for part in state.carried):
        raise ValueError("the states of its streams differ in number or are not finite")


def _stored_best(session: Session) -> dict[str, Tensor] | None:
    """The best weights so far, from their own checkpoint; without one, the next measurement begins anew."""
    state, world = session.state, session.task.world
    assert session.run_folder is not None
    found = None
    if world.is_main:
        try:
            found = read_folder(session.run_folder.checkpoints.path(state.progress.best_step))[WEIGHTS]
        except FolderError as error:
            sentence = f"{error}: the best weights so far are lost, the best from here on take their place"
            session.task.notify(Notice(sentence, is_warning=True))
    data = world.from_main(found)
    if data is None:
        state.progress.best, state.progress.best_step = math.inf, 0
        return None
    weights = read_tensors(data, WEIGHTS)
    check_weights(WEIGHTS, weights, session.task.network.config.shapes())
    return {name: torch.from_numpy(value).to(state.choice.dtype) for name, value in weights.items()}
