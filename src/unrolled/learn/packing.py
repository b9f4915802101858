"""A nested state of numbers, names and tensors as two files: `state.json` and `state.safetensors`. No pickle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from unrolled.errors import FolderError
from unrolled.files import from_json, to_json

STATE, TENSORS = "state.json", "state.safetensors"
_TENSOR = "$tensor"  # in the JSON, {"$tensor": name} takes the place of a tensor
_FLOAT = "$float"  # and {"$float": "inf"} that of the numbers that JSON lacks
_ODD_NUMBERS = ("inf", "-inf", "nan")


def pack(state: Mapping[str, Any]) -> dict[str, bytes]:
    """`state`, made of dicts, lists, tuples, numbers, strings, None and tensors, as two files by name."""
    tensors: dict[str, Tensor] = {}
    content = _without_tensors(state, "", tensors)
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
    state = {key: _with_tensors(item, tensors) for key, item in from_json(files[STATE], STATE).items()}
    if tensors:
        raise FolderError(f"the checkpoint is damaged: {STATE} does not name the tensor {min(tensors)!r}")
    return state


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()  # shared memory would be refused
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        assert all(isinstance(key, str) for key in value), "JSON keys are strings"
        assert not {_TENSOR, _FLOAT} & set(value), "these names are reserved"
        return {key: _without_tensors(item, f"{name}/{_escaped(key)}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")  # as in a JSON pointer: no two places share a name


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` with the tensors back in their places, taken out of `tensors`."""
    if isinstance(value, dict):
        if _TENSOR in value:
            return _taken(value, tensors)
        if _FLOAT in value:
            return _number(value)
        return {key: _with_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    return value


def _taken(value: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    name = value[_TENSOR]
    if len(value) > 1 or not isinstance(name, str) or name not in tensors:
        raise FolderError(f"the checkpoint is damaged: {STATE} names a tensor {name!r} that is not in {TENSORS}")
    return tensors.pop(name)


def _number(value: dict[str, Any]) -> float:
    if len(value) > 1 or value[_FLOAT] not in _ODD_NUMBERS:
        raise FolderError(f"the checkpoint is damaged: {STATE} holds {value!r}, which is not a number")
    return float(value[_FLOAT])
