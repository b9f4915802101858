"""train(): from texts to a trained model in one call. With its steps in the caller's hands: `learn.start.prepare`."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from unrolled.errors import InputError, unknown_name
from unrolled.learn.committee import CommitteeRun
from unrolled.learn.count_text import count_text
from unrolled.learn.distributed import join_world
from unrolled.learn.history import loss_curve
from unrolled.learn.loop import Record
from unrolled.learn.recipe import Machine, Recipe, Settings
from unrolled.learn.request import Request
from unrolled.learn.session import Session
from unrolled.learn.start import prepare
from unrolled.learn.summary import Summary
from unrolled.model.char_model import CharModel
from unrolled.model.members import COUNTS
from unrolled.notices import Notify, warn
from unrolled.progress import OnProgress

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Trained:
    """A trained model with the figures of its run.

    `history` has an entry for each measurement and some steps between: `step`, `smoothed` loss and `validation`, in
    nats per character. It is empty for several networks and for counts.
    """

    model: CharModel
    summary: Summary
    history: tuple[Mapping[str, Any], ...] = ()

    def plot(self) -> Figure:
        """The losses while it trained, as a matplotlib figure. Raises InputError where there is no history."""
        return loss_curve(self.history)

    def __repr__(self) -> str:
        bits = f"{self.summary.validation['bits']:.3f} bits per character on held-out text"
        return f"Trained({self.model!r}, {bits}, {self.summary.seconds:.0f} s)"


def train(
    texts: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    *,
    text: str | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    valid: str | Path | None = None,
    test_file: str | Path | None = None,
    encoding: str | None = None,
    save_seconds: float = 300.0,
    notify: Notify = warn,
    progress: OnProgress | None = None,
    **settings: Unpack[Settings],
) -> Trained:
    """Train a network on texts and return the model with its figures.

    `texts` are files, folders, '-' for standard input, or named sets (`nietzsche`, `tinyshakespeare`, `python-docs`);
    `text` is a text itself, instead of them; `encoding` is UTF-8 if not given. `out` is the run folder; without it
    nothing is written. `resume` continues the unfinished run there, or starts one; texts and settings may then be left
    out. `start_from` is a model folder whose weights and sizes are taken, or "base", that of `unrolled make-base`.
    `valid` and `test_file` are texts to measure on, while training in place of the end of the text, and once at the
    very end. `save_seconds` is the time between checkpoints. `notify` is told each choice in a sentence; `progress` is
    called after every step with the loss and the share of the steps done, for instance a `progress_bar`. `settings` are
    the fields of `Recipe` (what is trained and how) and `Machine` (where).

        >>> import unrolled
        >>> done = unrolled.train(text="the cat sat on the mat. " * 200, hidden=16, epochs=2)
        >>> done.summary.validation["bits"] < 5
        True
        >>> written = done.model.generate("the ", 40, seed=1)

    Raises UnrolledError, with a sentence, for whatever the arguments or the disk can cause. A signal (Ctrl-C) saves a
    checkpoint and raises KeyboardInterrupt.
    """
    _check_names(settings)
    request = Request(
        _sources(texts), out, Recipe(**_of(Recipe, settings)), Machine(**_of(Machine, settings)), text=text,
        given=settings, resume=resume, start_from=start_from, valid=valid, test_file=test_file, encoding=encoding,
        save_seconds=save_seconds, notify=notify,
    )  # fmt: skip
    if request.recipe.rung == COUNTS:
        summary, model = count_text(request)
        return Trained(CharModel(model), summary)
    with join_world() as world:
        if request.recipe.networks > 1:
            committee = CommitteeRun(request, world)
            for group in committee.groups():
                for session, record in group.run():
                    _tell(progress, session, record)
                if group.interrupt is not None:
                    raise KeyboardInterrupt
            summary, model = committee.finish()
            return Trained(CharModel(model), summary)
        session = prepare(request, world)
        for record in session.run():
            _tell(progress, session, record)
        if session.interrupt is not None:
            raise KeyboardInterrupt
        summary, model = session.finish()
    return Trained(CharModel(model), summary, tuple(session.state.history))


def _tell(progress: OnProgress | None, session: Session, record: Record) -> None:
    if progress:
        bits = record.smoothed / math.log(2)
        progress(f"{bits:.3f} bits per character", min(record.step / session.state.plan.steps, 1.0))


def _check_names(settings: Mapping[str, Any]) -> None:
    known = {entry.name for kind in (Recipe, Machine) for entry in fields(kind)}
    for name in set(settings) - known:
        others = set(inspect.signature(train).parameters) - {"texts", "out", "settings"}
        raise unknown_name("setting", name, known | others)


def _of(kind: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {entry.name: settings[entry.name] for entry in fields(kind) if entry.name in settings}


def _sources(texts: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """`texts` as a list. Raises InputError for a string that looks like the text itself."""
    sources = [texts] if isinstance(texts, str | Path) else list(texts)
    for source in sources:
        if isinstance(source, str) and any(map(str.isspace, source)) and not os.path.exists(os.path.expanduser(source)):
            shown = source if len(source) <= 40 else source[:40] + "..."
            raise InputError(
                f"{shown!r} is neither a file nor a folder: to train on the text itself, write unrolled.train(text=...)"
            )
    return sources
