"""Taking up an unfinished run: what its checkpoint holds, set against what was given, and every difference said.

What would make it another run is refused; what only changes the last bits of its weights is a warning. Left out:
putting the state back (learn.session).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from unrolled.embedding import visible
from unrolled.errors import FolderError, InputError
from unrolled.learn.checkpoint import STATE, TENSORS, unpack
from unrolled.learn.distributed import World
from unrolled.learn.hardware import Choice, describe
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.run_folder import Run
from unrolled.learn.session import STATE_FORMAT, STATE_KEYS
from unrolled.model.folder import ModelParts
from unrolled.text.encoded import EncodedText
from unrolled.text.vocabulary import Vocabulary


def stored_state(run: Run | None, processes: World) -> dict[str, Any] | None:
    """The newest whole checkpoint of `run`, or None; read by the main process and handed to all.

    Raises FolderError for a checkpoint of another version.
    """
    if run is None:
        return None
    newest = run.checkpoints.newest() if processes.is_main else None
    files = {} if newest is None else newest[1]
    shared = {name: processes.from_main(files.get(name)) for name in (STATE, TENSORS)}
    found = {name: data for name, data in shared.items() if data is not None}
    if newest is None and not found:
        return None
    state = unpack(found)
    _check_format(state)
    return state


def _check_format(state: Mapping[str, Any]) -> None:
    version = state.get("format")
    if type(version) is int and version > STATE_FORMAT:
        raise FolderError(
            f"the checkpoint has format {version}, newer than the {STATE_FORMAT} known here: upgrade unrolled"
        )
    odd = sorted(STATE_KEYS ^ set(state))
    if version != STATE_FORMAT or odd:
        raise FolderError(f"the checkpoint is not one of this version ({', '.join(odd) or version}): start a new run")


def resumed_recipe(given: Recipe, stored: Mapping[str, Any]) -> Recipe:
    """The stored recipe; a setting that was given and differs is refused, because the run would not be the same one."""
    used, asked = Recipe.from_json(stored["recipe"]), Recipe.from_json(stored["asked"])
    for name in sorted(given.given):
        wanted = getattr(given, name)
        had = [getattr(recipe, name) for recipe in (used, asked)]
        if wanted not in had:
            raise InputError(
                f"this run was started with {name} {had[0]}, not {wanted}: leave the setting out to resume, "
                "or start a new run in another folder"
            )
    return used


def resumed_machine(given: Machine, stored: Mapping[str, Any]) -> Machine:
    """What was chosen when the run began, where nothing else was given."""
    before = Choice(**stored["choice"])
    return Machine(
        device=before.device if given.device == "auto" else given.device,
        precision=before.precision if given.precision == "auto" else given.precision,
        threads=given.threads or before.threads,
    )


def start_vocabulary(start: ModelParts | None, stored: Mapping[str, Any] | None) -> Vocabulary | None:
    """The vocabulary of the model that the run was started from, whose ids its characters keep."""
    if start is not None:
        return start.vocabulary
    content = None if stored is None else stored["started_from"]
    return None if content is None else Vocabulary.from_json(content)


def with_sizes_of(recipe: Recipe, start: ModelParts) -> Recipe:
    """`recipe` with the rung and sizes of a trained model. Raises InputError where another size was asked for."""
    names = ("rung", "embedding", "hidden", "layers", "nonlinearity")
    sizes = {name: getattr(start.config, name) for name in names}
    for name in sorted(recipe.given & set(names)):
        if getattr(recipe, name) != sizes[name]:
            raise InputError(
                f"{name} {getattr(recipe, name)} was asked for, but the model to start from has {sizes[name]}: "
                "leave the setting out"
            )
    return replace(recipe, **sizes)


def check_same_text(stored: Mapping[str, Any], text: EncodedText) -> None:
    """Raises InputError, naming the characters added and missing, if the run was started on another text."""
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


def warn_of_differences(
    stored: Mapping[str, Any], choice: Choice, processes: World, notice: Callable[[str], None]
) -> None:
    """Say which of the things that decide the last bit of a weight are not as they were."""
    before = stored["machine"] | stored["choice"] | {"processes": stored["world"]}
    now = describe(choice.device) | asdict(choice) | {"processes": processes.size}
    for name in sorted(now):
        if before.get(name) != now[name]:
            notice(
                f"{name} was {before.get(name)} and is now {now[name]}: the run goes on, "
                "but its weights will not be the same to the last bit as without the interruption"
            )
