"""What a training run is asked for: its text, its settings, its folder, and whom it tells. Left out: PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path

from unrolled.errors import InputError
from unrolled.learn.recipe import Machine, Recipe
from unrolled.notices import Notice, Notify, warn
from unrolled.text.encoded import EncodedText


@dataclass(frozen=True)
class Request:
    """One run, of a network, of several or of counts. Raises InputError if both texts and a text are given."""

    sources: Sequence[str | Path] = ()
    """Files, folders, '-' for standard input, or named sets."""
    out: str | Path | None = None
    """The run folder; without it nothing is written."""
    recipe: Recipe = field(default_factory=Recipe)
    machine: Machine = field(default_factory=Machine)
    _: KW_ONLY
    text: str | None = None
    """The text itself, instead of sources."""
    given: Collection[str] | None = None
    """The settings that were given, at whatever value; if None, those of the recipe that are not at their defaults."""
    resume: bool = False
    """Continue the unfinished run in `out`, or start one if there is none; texts and settings may then be left out."""
    start_from: str | Path | None = None
    """A model folder whose weights and sizes are taken, its vocabulary extended by new characters; or "base", that of
    `unrolled make-base`."""
    valid: str | Path | None = None
    """A file, a folder or a named set to measure on, instead of the end of the text."""
    test_file: str | Path | None = None
    """One to measure on once, at the very end."""
    encoding: str | None = None
    """UTF-8 if not given."""
    save_seconds: float = 300.0
    """Seconds between checkpoints, beside those at every measurement."""
    notify: Notify = warn
    """Told each choice in a sentence."""
    on_text: Callable[[EncodedText], None] = lambda text: None
    """Called with the text before anything is trained."""
    started: float = field(default_factory=time.perf_counter)
    """When the run began, by that clock: its minutes are counted from there."""

    def __post_init__(self) -> None:
        if self.text is not None and self.sources:
            raise InputError("both texts and text were given: choose one")

    @property
    def chosen(self) -> frozenset[str]:
        """The settings of the recipe that were given: a run to resume must have the same."""
        if self.given is None:
            return self.recipe.changes()
        return frozenset(self.given) & {entry.name for entry in fields(Recipe)}

    def say(self, sentence: str) -> None:
        """Report something ordinary."""
        self.notify(Notice(sentence))
