"""What a checkpoint holds, as a typed `TrainingState`, and the folders that checkpoints lie in.

A checkpoint is a whole model folder with two files added, the state as `learn.packing` writes it. The last few
checkpoints and the best one are kept; an old one is removed only after the new one was read back whole.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unrolled.bounds import check_whole
from unrolled.errors import FolderError
from unrolled.files import read_folder, reason, remove_folder, sweep_orphans, write_folder
from unrolled.learn.budget import Budget, Measuring
from unrolled.learn.hardware import Choice
from unrolled.learn.loop import FitState, Plan, Record
from unrolled.learn.packing import STATE, pack, unpack
from unrolled.learn.recipe import Recipe
from unrolled.model.folder import checkpoint_steps
from unrolled.notices import Notice, Notify, warn
from unrolled.text.vocabulary import Vocabulary
from unrolled.typed import check_format, typed

STATE_FORMAT = 1
"""Counted up when a key of `state.json` changes its meaning."""


@dataclass(kw_only=True)
class TrainingState:
    """All that decides the rest of a run.

    Its fields are the keys of `state.json`. A field with a default may be missing there, so that older checkpoints are
    read by newer versions; a key that is no field is refused.
    """

    recipe: Recipe
    """As used: with the sizes that the text and the model to start from decided."""
    requested: Recipe
    """As given by the caller."""
    choice: Choice
    world: int
    """Processes."""
    machine: dict[str, Any]
    """What the last bits of the weights depend on beside `choice`: `hardware.describe`."""
    corpus: str
    """SHA-256 of the text."""
    vocabulary: list[str]
    """Its characters in id order."""
    started_from: Vocabulary | None
    """The vocabulary of the model that the run was started from."""
    sources: list[str]
    encoding: str
    valid: str | None = None
    """The file of the validation part, where it is not the end of the text."""
    test_file: str | None = None
    """The file of the test part, likewise."""

    plan: Plan
    progress: FitState = field(default_factory=FitState)
    budget: Budget | None = None
    """Of a run that was given minutes."""
    measuring: Measuring = field(default_factory=Measuring)
    micro_batches: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)
    """Records of some steps, with every measurement."""

    network: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    carried: list[Tensor] = field(default_factory=list)
    """The states of all streams."""
    best: dict[str, Tensor] | None = None
    """The best weights so far, where no checkpoint of their own holds them."""

    def __post_init__(self) -> None:
        check_whole("world", self.world, 1)
        check_whole("progress.step", self.progress.step, 0, self.plan.steps)
        check_whole("parts", self.micro_batches, 1, self.recipe.streams)

    def to_files(self) -> dict[str, bytes]:
        """The two files of this state, by name."""
        content = {_key(entry): _plain(getattr(self, entry.name)) for entry in fields(self)}
        return pack(content | {"format": STATE_FORMAT})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TrainingState:
        """The state in `files`. Raises FolderError if they are damaged or of a version that is not known here."""
        content = unpack(files)
        check_format(content.pop("format", None), STATE_FORMAT, STATE)
        content.pop("embeddings", None)  # of older versions
        for entry in fields(cls):
            if _key(entry) in content:
                value, read = content.pop(_key(entry)), _READERS.get(entry.name)
                content[entry.name] = value if read is None else read(value, STATE, entry.name)
        typed(list[Record], content.get("history"), STATE, "history")
        for name in ("progress", "history", "network", "optimizer"):  # which have defaults for a state that begins
            if name not in content:
                raise FolderError(f"{STATE}: {name} is missing")
        return typed(cls, content, STATE)


_KEYS = {"requested": "asked", "micro_batches": "parts"}
"""Where the key in the file is not the name of the field."""
BEFORE = {"loss": math.nan, "is_due": False}
"""What the progress of older versions lacks."""
_READERS: dict[str, Callable[[Any, str, str], Any]] = {
    "recipe": Recipe.from_json,
    "requested": Recipe.from_json,
    "progress": lambda value, file, path: typed(
        FitState, BEFORE | typed(dict[str, Any], value, file, path), file, path, whole=True
    ),
}
"""Of the fields that older versions wrote otherwise; the others are what their annotations say."""


def _key(entry: Field[Any]) -> str:
    return _KEYS.get(entry.name, entry.name)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


@dataclass
class Checkpoints:
    """The checkpoints of one run folder, newest last."""

    folder: Path
    keep: int = 2
    notify: Notify = warn
    """Told about damaged ones and full disks."""

    def steps(self) -> list[int]:
        """The steps of which a checkpoint was written to its end, ascending."""
        return list(checkpoint_steps(self.folder))

    def path(self, step: int) -> Path:
        """The folder of the checkpoint of `step`."""
        return self.folder / f"step-{step:08d}"

    def save(self, step: int, files: Mapping[str, bytes], best_step: int) -> bool:
        """Write the checkpoint of `step`, verify it and remove old ones; False, with a warning, if the disk refuses.

        Training goes on after a failure: the older checkpoints are still whole, and the next one tries again.
        """
        try:
            if not self.is_whole(step):
                self._write(step, files)
        except (OSError, FolderError) as error:
            self._warn(
                f"the checkpoint of step {step:,} could not be written ({reason(error)}): training goes on, "
                "the one before it is kept, and the next checkpoint tries again"
            )
            return False
        try:
            self._remove_old(step, best_step)
        except OSError as error:
            self._warn(f"an old checkpoint could not be removed ({reason(error)}): training goes on")
        return True

    def newest(self) -> tuple[int, dict[str, bytes]] | None:
        """Step and files of the newest whole checkpoint; each damaged one on the way is reported."""
        for step in reversed(self.steps()):
            try:
                return step, read_folder(self.path(step))
            except FolderError as error:
                self._warn(f"{error}; an older checkpoint is used instead")
        return None

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        sweep_orphans(self.folder)

    def remove_all(self) -> None:
        """Remove every checkpoint, and the folder unless something else was put into it."""
        for step in self.steps():
            remove_folder(self.path(step))
        self.sweep()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _warn(self, sentence: str) -> None:
        self.notify(Notice(sentence, is_warning=True))

    def is_whole(self, step: int) -> bool:
        """Whether there is a checkpoint of `step`, and every byte of it is as it was written."""
        try:
            read_folder(self.path(step))
        except FolderError:
            return False
        return True

    def _write(self, step: int, files: Mapping[str, bytes]) -> None:
        """Raises OSError, or FolderError when it does not come back as it was written."""
        path = self.path(step)
        if path.exists():  # a damaged one, from before the run was resumed at an earlier step
            remove_folder(path)
        write_folder(path, files)
        read_folder(path)

    def _remove_old(self, newest: int, best_step: int) -> None:
        """Remove old checkpoints, and damaged ones of steps that the run, resumed before them, has yet to reach."""
        steps = self.steps()
        kept = [step for step in steps if step <= newest][-self.keep :]
        for step in steps:
            if step not in (*kept, best_step):
                remove_folder(self.path(step))
