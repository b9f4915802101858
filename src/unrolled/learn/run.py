"""A run folder on disk: begun, unfinished or finished; its checkpoints, its history, and in the end its model.

Left out: what is in a checkpoint (learn.session) and how it is packed (learn.checkpoint).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unrolled.errors import FolderError
from unrolled.files import is_complete, remove_folder, sweep_orphans, write_file, write_into
from unrolled.learn.checkpoint import Checkpoints

HISTORY = "history.jsonl"


class Run:
    """The folder `path` of one training run.

    Raises FolderError if the folder cannot be used: it holds a finished run or something else, it holds an unfinished
    run and `resume` was not asked for, or it cannot be written.
    """

    def __init__(self, path: Path, *, resume: bool, warn: Callable[[str], None]) -> None:
        self.path = path
        self.checkpoints = Checkpoints.of(path, warn)
        if is_complete(path):
            raise FolderError(
                f"{path} holds a finished run: choose another --out, or train on from it with --from {path} --out OTHER"
            )
        if self.checkpoints.steps() and not resume:
            raise FolderError(
                f"{path} holds an unfinished run (step {self.checkpoints.steps()[-1]:,}): go on with --resume, "
                "or choose another --out"
            )
        self._check_own(path)

    def _check_own(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise FolderError(f"{path} is a file: choose an --out that is empty or new")
        if self.checkpoints.folder.is_dir():
            return  # ours, and perhaps with parts of a model whose writing was cut short
        items = path.iterdir() if path.exists() else ()
        foreign = sorted(i.name for i in items if i.name not in (HISTORY, "checkpoints") and i.name[0] != ".")
        if foreign:
            raise FolderError(f"{path} holds other files ({foreign[0]}): choose an --out that is empty or new")

    def begin(self) -> None:
        """Make the folder, clear it of what a killed process left, and find out whether it can be written."""
        path = self.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            sweep_orphans(path)
            self.checkpoints.sweep()
            probe = path / ".unrolled-probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise FolderError(f"{path} cannot be written: {error.strerror}") from None

    def write_history(self, entries: list[dict[str, Any]]) -> None:
        """Replace the history: one JSON object a line. An unwritable history never stops training."""
        text = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in entries)
        try:
            write_file(self.path / HISTORY, text.encode())
        except OSError as error:
            self.checkpoints.warn(f"the history could not be written ({error.strerror}): training goes on")

    def finish(self, files: Mapping[str, bytes]) -> None:
        """Write the model; only with its manifest, written last, does the run count as finished.

        Raises FolderError when the disk refuses: the run can then be finished later, by its checkpoints.
        """
        try:
            write_into(self.path, files)
        except OSError as error:
            raise FolderError(
                f"the model could not be written to {self.path} ({error.strerror}), but its training is kept in the "
                "checkpoints: make room and run the same again with --resume"
            ) from None

    def discard(self) -> None:
        """Remove the checkpoints of a finished run: its model is all that is needed from here on."""
        with contextlib.suppress(OSError):
            remove_folder(self.checkpoints.folder)  # renamed first: killed here, no checkpoint is left half removed
