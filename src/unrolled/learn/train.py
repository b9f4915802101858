"""train(): from texts to a trained model in one call, and prepare(), the same with its steps in the caller's hands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Unpack

from unrolled.errors import InputError, unknown_name
from unrolled.learn.build import Request
from unrolled.learn.count_text import count_text
from unrolled.learn.distributed import World, join_world
from unrolled.learn.recipe import Machine, Recipe, Settings
from unrolled.learn.resume import resume as resume_run
from unrolled.learn.resume import stored_state
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session
from unrolled.learn.start import start
from unrolled.learn.summary import Summary
from unrolled.model.char_model import CharModel
from unrolled.model.members import COUNTS
from unrolled.notices import Notify, warn
from unrolled.text.encoded import EncodedText


@dataclass(frozen=True)
class Trained:
    """A trained model with the figures of its run."""

    model: CharModel
    summary: Summary


def train(
    texts: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    *,
    text: str | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    encoding: str | None = None,
    save_seconds: float = 300.0,
    notify: Notify = warn,
    **settings: Unpack[Settings],
) -> Trained:
    """Train a network on texts and return the model with its figures.

    `texts` are files, folders, '-' for standard input, or named sets (`nietzsche`, `tinyshakespeare`, `python-docs`);
    `text` is a text itself, instead of them. `out` is the run folder; without it nothing is written. `settings` are
    the fields of `Recipe` (what is trained and how) and `Machine` (where). The other parameters are those of
    `prepare`.

        >>> import unrolled
        >>> done = unrolled.train(text="the cat sat on the mat. " * 200, hidden=16, epochs=2)
        >>> done.summary.validation["bits"] < 5
        True
        >>> written = done.model.generate("the ", 40, seed=1)

    Raises UnrolledError, with a sentence, for whatever the arguments or the disk can cause. A signal (Ctrl-C) saves a
    checkpoint and raises KeyboardInterrupt.
    """
    _check_names(settings)
    recipe, machine = Recipe(**_of(Recipe, settings)), Machine(**_of(Machine, settings))
    if recipe.rung == COUNTS:
        summary, model = count_text(_sources(texts), out, recipe, text=text, given=settings, encoding=encoding)
        return Trained(CharModel(model), summary)
    with join_world() as world:
        session = prepare(
            _sources(texts), out, recipe, machine, text=text, given=settings, world=world, resume=resume,
            start_from=start_from, encoding=encoding, save_seconds=save_seconds, notify=notify,
        )  # fmt: skip
        for _ in session.run():
            pass
        if session.interrupt is not None:
            raise KeyboardInterrupt
        summary, model = session.finish()
    return Trained(CharModel(model), summary)


def prepare(
    sources: Sequence[str | Path],
    out: str | Path | None,
    recipe: Recipe,
    machine: Machine,
    *,
    text: str | None = None,
    given: Collection[str] | None = None,
    world: World | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    encoding: str | None = None,
    save_seconds: float = 300.0,
    notify: Notify = warn,
    on_text: Callable[[EncodedText], None] = lambda text: None,
) -> Session:
    """Read the text, choose the machine, start a network or resume an unfinished run: a session ready to `run`.

    `resume` continues the unfinished run in `out`, or starts one if there is none; texts and settings may then be left
    out. `given` names the settings of `recipe` that were given, which must be those of the run to resume; if None,
    those that are not at their defaults. `start_from` is a model folder whose weights and sizes are taken; its
    vocabulary is extended by characters that are new. `encoding` is UTF-8 if not given; `save_seconds` is the time
    between checkpoints, beside those at every measurement. `notify` is told each choice in a sentence, `on_text` is
    called with the text before anything is trained.
    """
    if recipe.rung == COUNTS:
        raise InputError("the rung counts is not trained in steps: call unrolled.train(rung='counts')")
    if text is not None and sources:
        raise InputError("both texts and text were given: choose one")
    names = {entry.name for entry in fields(Recipe)}
    request = Request(
        sources, text, recipe, machine, recipe.changes() if given is None else frozenset(given) & names,
        start_from, encoding, world or World(), notify, on_text,
    )  # fmt: skip
    run = Run(Path(out), resume=resume, notify=notify) if out is not None else None
    state = stored_state(run, request.world)
    session = start(request, run) if run is None or state is None else resume_run(request, run, state)
    session.save_seconds = save_seconds
    return session


def _check_names(settings: Mapping[str, Any]) -> None:
    known = {entry.name for kind in (Recipe, Machine) for entry in fields(kind)}
    for name in set(settings) - known:
        others = {"text", "resume", "start_from", "encoding", "save_seconds", "notify"}
        raise unknown_name("setting", name, known | others)


def _of(kind: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {entry.name: settings[entry.name] for entry in fields(kind) if entry.name in settings}


def _sources(texts: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """`texts` as a list. Raises InputError for a string that looks like the text itself."""
    sources = [texts] if isinstance(texts, str | Path) else list(texts)
    for source in sources:
        if isinstance(source, str) and any(map(str.isspace, source)) and not _exists(source):
            shown = source if len(source) <= 40 else source[:40] + "..."
            raise InputError(
                f"{shown!r} is neither a file nor a folder: to train on the text itself, write unrolled.train(text=...)"
            )
    return sources


def _exists(source: str) -> bool:
    try:
        return Path(source).expanduser().exists()
    except (OSError, ValueError):  # too long for a name, or with a null character
        return False
