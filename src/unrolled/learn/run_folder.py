"""A run folder on disk: begun, unfinished or finished; its checkpoints, its history, and in the end its model.

Left out: what is in a checkpoint (learn.checkpoint).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unrolled.errors import FolderError
from unrolled.files import NO_LINKS, is_complete, reason, sweep_orphans, write_file, write_into
from unrolled.learn.checkpoint import Checkpoints
from unrolled.learn.history import HISTORY
from unrolled.model.folder import CHECKPOINTS
from unrolled.notices import Notice, Notify, warn

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
NETWORKS = "networks"
"""The folder of the networks of a committee until the whole is written."""


class Run:
    """The folder `path` of one training run.

    Raises FolderError if the folder cannot be used: it holds a finished run or something else, it holds an unfinished
    run and `resume` is False, or it cannot be written.
    """

    def __init__(self, path: Path, *, resume: bool, notify: Notify = warn) -> None:
        self.path = path
        self._is_locked = False
        self.checkpoints = Checkpoints(path / CHECKPOINTS, notify=notify)
        self._check(resume)
        self._goes_on = bool(self.checkpoints.steps())

    def _check(self, resume: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise FolderError(f"{self.path} is a file: choose an --out that is empty or new")
        if self.checkpoints.folder.is_symlink():
            raise FolderError(f"{self.checkpoints.folder} is a symbolic link: choose an --out that is empty or new")
        if is_complete(self.path):
            raise FolderError(
                f"{self.path} holds a finished run: choose another --out, or train on from it with "
                f"--from {self.path} --out OTHER"
            )
        steps = self.checkpoints.steps()
        if steps and not resume:
            raise FolderError(
                f"{self.path} holds an unfinished run (step {steps[-1]:,}): continue with --resume, "
                "or choose another --out"
            )
        if (self.path / NETWORKS).is_dir():
            raise FolderError(f"{self.path} holds an unfinished committee: continue with its --networks and --resume")
        if not steps and (foreign := self._foreign()):
            raise FolderError(f"{self.path} holds other files ({foreign[0]}): choose an --out that is empty or new")

    def _foreign(self) -> list[str]:
        """What is in the folder and cannot come from a run that was ended before its first checkpoint."""
        ours = (HISTORY, self.checkpoints.folder.name)
        found = [path.relative_to(self.path) for path in (*self.path.glob("*"), *self.checkpoints.folder.glob("*"))]
        return sorted(str(path) for path in found if path.name[0] != "." and path.name not in ours)

    def begin(self) -> None:
        """Make the folder, or take it over from a process that is gone: clear it of what that one left half-written.

        Raises FolderError if it cannot be written, if another process is training in it, or if one has since.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._check(self._goes_on)  # while the text was read, another process may have trained here
            sweep_orphans(self.path)
            self.checkpoints.sweep()
        except OSError as error:
            raise FolderError(f"{self.path} cannot be written: {reason(error)}") from None

    def _lock(self) -> None:
        """Lock the folder until this object or its process is gone, however it ends.

        Where files cannot be locked (Windows, some network disks) it only finds out whether the folder can be written.
        """
        if self._is_locked:
            return
        if (self.path / LOCK).is_symlink():
            raise FolderError(f"{self.path / LOCK} is a symbolic link, and what it leads to is not written: remove it")
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | NO_LINKS, 0o666)
        weakref.finalize(self, os.close, descriptor)
        self._is_locked = True
        if sys.platform == "win32":
            return
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise FolderError(
                    f"another process is training in {self.path}: wait until it ends, or stop it "
                    "and continue with --resume"
                ) from None

    def write_history(self, entries: list[dict[str, Any]]) -> None:
        """Replace the history: one JSON object a line. An unwritable history never stops training."""
        text = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in entries)
        try:
            write_file(self.path / HISTORY, text.encode())
        except OSError as error:
            sentence = f"the history could not be written ({reason(error)}): training goes on"
            self.checkpoints.notify(Notice(sentence, is_warning=True))

    def finish(self, files: Mapping[str, bytes]) -> None:
        """Write the model; only with its manifest, written last, does the run count as finished.

        Raises FolderError when the disk refuses: the run can then be finished later, by its checkpoints.
        """
        try:
            write_into(self.path, files)
        except OSError as error:
            raise FolderError(
                f"the model could not be written to {self.path} ({reason(error)}), but its training is kept in the "
                "checkpoints: make room and run the same again with --resume"
            ) from None

    def discard(self) -> None:
        """Remove the checkpoints of a finished run: its model is all that is needed from here on."""
        with contextlib.suppress(OSError):
            self.checkpoints.remove_all()
            (self.path / LOCK).unlink(missing_ok=True)
