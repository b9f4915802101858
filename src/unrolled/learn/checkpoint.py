"""Checkpoints: all that decides the next step, as JSON and safetensors, in folders that are whole or absent.

A checkpoint is a whole model folder with two files added: `state.json` (numbers, names and the shape of everything) and
`state.safetensors` (every tensor). The last few and the best one are kept; an old one goes only after the new one was
read back whole. No pickle.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from unrolled.errors import FolderError
from unrolled.files import from_json, is_complete, read_folder, remove_folder, sweep_orphans, to_json, write_folder

STATE, TENSORS = "state.json", "state.safetensors"
_TENSOR = "$tensor"  # in the JSON, {"$tensor": name} stands where a tensor was
_FLOAT = "$float"  # and {"$float": "inf"} for the numbers that JSON lacks
_ODD_NUMBERS = ("inf", "-inf", "nan")


def pack(state: Mapping[str, Any]) -> dict[str, bytes]:
    """`state`, made of dicts, lists, tuples, numbers, strings, None and tensors, as the two files of a checkpoint."""
    tensors: dict[str, Tensor] = {}
    content = _take_tensors(state, "", tensors)
    return {STATE: to_json(content), TENSORS: safetensors.torch.save(tensors)}


def unpack(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What was packed; tuples come back as lists. Raises FolderError if the two files do not belong together."""
    for name in (STATE, TENSORS):
        if name not in files:
            raise FolderError(f"the checkpoint is damaged: {name} is missing")
    try:
        tensors = safetensors.torch.load(files[TENSORS])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # KeyError: a type of number torch lacks
        raise FolderError(f"the checkpoint is damaged: {TENSORS}: {error}") from None
    state = {key: _put_tensors(item, tensors) for key, item in from_json(files[STATE], STATE).items()}
    if tensors:
        raise FolderError(f"the checkpoint is damaged: {STATE} does not name the tensor {min(tensors)!r}")
    return state


def _take_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()  # shared memory would be refused
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        assert all(isinstance(key, str) for key in value), "JSON keys are strings"
        assert not {_TENSOR, _FLOAT} & set(value), "these names stand for something else"
        return {key: _take_tensors(item, f"{name}/{_escaped(key)}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_take_tensors(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")  # as in a JSON pointer: no two places share a name


def _put_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` with the tensors in their places again, taken out of `tensors`."""
    if isinstance(value, dict):
        if _TENSOR in value:
            return _taken(value, tensors)
        if _FLOAT in value:
            return _number(value)
        return {key: _put_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_tensors(item, tensors) for item in value]
    return value


def _taken(value: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    name = value[_TENSOR]
    if len(value) > 1 or not isinstance(name, str) or name not in tensors:
        raise FolderError(f"the checkpoint is damaged: {STATE} names a tensor {name!r} that is not in {TENSORS}")
    return tensors.pop(name)


def _number(value: dict[str, Any]) -> float:
    if len(value) > 1 or value[_FLOAT] not in _ODD_NUMBERS:
        raise FolderError(f"the checkpoint is damaged: {STATE} holds {value!r}, which is no number")
    return float(value[_FLOAT])


@dataclass
class Checkpoints:
    """The checkpoints of one run folder, newest last."""

    folder: Path
    keep: int = 2
    warn: Callable[[str], None] = field(default=lambda message: None)

    @classmethod
    def of(cls, run: Path, warn: Callable[[str], None]) -> Checkpoints:
        """The checkpoints of the run folder `run`; `warn` is told about damaged ones and full disks."""
        return cls(run / "checkpoints", warn=warn)

    def steps(self) -> list[int]:
        """The steps of which a checkpoint was written to its end, ascending."""
        found = self.folder.glob("step-*") if self.folder.is_dir() else ()
        return sorted(int(path.name[5:]) for path in found if path.name[5:].isdigit() and is_complete(path))

    def path(self, step: int) -> Path:
        """The folder of the checkpoint of `step`."""
        return self.folder / f"step-{step:08d}"

    def save(self, step: int, files: Mapping[str, bytes], best_step: int) -> bool:
        """Write the checkpoint of `step`, verify it and let old ones go; False, with a warning, if the disk refuses.

        Training goes on after a failure: the older checkpoints are still whole, and the next one tries again.
        """
        try:
            if not self.is_whole(step):
                self._write(step, files)
        except (OSError, FolderError) as error:
            self.warn(
                f"the checkpoint of step {step:,} could not be written ({_reason(error)}): training goes on, "
                "the one before it is kept, and the next checkpoint tries again"
            )
            return False
        try:
            self._let_go(step, best_step)
        except OSError as error:
            self.warn(f"an old checkpoint could not be removed ({_reason(error)}): training goes on")
        return True

    def newest(self) -> tuple[int, dict[str, bytes]] | None:
        """Step and files of the newest whole checkpoint; each damaged one on the way is named to `warn`."""
        for step in reversed(self.steps()):
            try:
                return step, read_folder(self.path(step))
            except FolderError as error:
                self.warn(f"{error}; an older checkpoint is used instead")
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
        if path.exists():  # a damaged one, from before the run was taken up at an earlier step
            remove_folder(path)
        write_folder(path, files)
        read_folder(path)

    def _let_go(self, newest: int, best_step: int) -> None:
        """Remove old checkpoints, and damaged ones of steps to which the run, taken up before them, has yet to come."""
        steps = self.steps()
        kept = [step for step in steps if step <= newest][-self.keep :]
        for step in steps:
            if step not in (*kept, best_step):
                remove_folder(self.path(step))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or f"{error}"
