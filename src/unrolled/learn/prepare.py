"""prepare(): a training session with its steps in the caller's hands; `train` is the same in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from pathlib import Path

from unrolled.errors import InputError
from unrolled.files import is_complete
from unrolled.learn.build import Request
from unrolled.learn.distributed import World
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.resume import resume as resume_run
from unrolled.learn.resume import stored_state
from unrolled.learn.run_folder import Run
from unrolled.learn.session import Session
from unrolled.learn.start import start
from unrolled.model.members import COUNTS
from unrolled.notices import Notify, warn
from unrolled.text.cache import BASE, base_folder
from unrolled.text.encoded import EncodedText


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
    valid: str | Path | None = None,
    test_file: str | Path | None = None,
    encoding: str | None = None,
    save_seconds: float = 300.0,
    notify: Notify = warn,
    on_text: Callable[[EncodedText], None] = lambda text: None,
    started: float | None = None,
) -> Session:
    """Read the text, choose the machine, start a network or resume an unfinished run: a session ready to `run`.

    `resume` continues the unfinished run in `out`, or starts one if there is none; texts and settings may then be left
    out. `given` names the settings of `recipe` that were given, which must be those of the run to resume; if None,
    those that are not at their defaults. `start_from` is a model folder whose weights and sizes are taken, or "base",
    that of `unrolled make-base`; its vocabulary is extended by new characters. `valid` is a file (or folder, or named
    set) to measure on, in place of the end of the text, and `test_file` one to measure on once, at the very end.
    `encoding` is UTF-8 if not given; `save_seconds` is the
    time between checkpoints, beside those at every measurement. `notify` is told each choice in a sentence, `on_text`
    is called with the text before anything is trained. `started` is when the run began, by `time.perf_counter`: minutes
    are counted from there, or from this call if it is None.
    """
    if recipe.rung == COUNTS:
        raise InputError("the rung counts is not trained in steps: call unrolled.train(rung='counts')")
    if f"{start_from}" == BASE and not Path(BASE).exists():
        start_from = base_folder()
        if not is_complete(start_from):
            raise InputError(f"there is no base in {start_from} yet: train one with unrolled make-base TEXT...")
    if text is not None and sources:
        raise InputError("both texts and text were given: choose one")
    names = {entry.name for entry in fields(Recipe)}
    request = Request(
        sources, text, recipe, machine, recipe.changes() if given is None else frozenset(given) & names,
        start_from, valid, test_file, encoding, world or World(), notify, on_text,
        time.perf_counter() if started is None else started,
    )  # fmt: skip
    run = Run(Path(out), resume=resume, notify=notify) if out is not None else None
    state = stored_state(run, request.world)
    session = start(request, run) if run is None or state is None else resume_run(request, run, state)
    session.save_seconds = save_seconds
    return session
