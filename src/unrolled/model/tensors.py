"""Tensors of a model folder: safetensors files, read with suspicion.

A header is measured before anything is allocated by it, and no tensor is believed before its name, shape, dtype and
numbers are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from unrolled.errors import FolderError

MAX_HEADER_BYTES = 1 << 20
"""The largest header of a safetensors file that is parsed; ours have a few KB."""

Weights = dict[str, NDArray[np.float32]]


def write_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a safetensors file."""
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def read_tensors(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The tensors in the content of the file called `name`. Raises FolderError if it is not a safetensors file."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise FolderError(f"{name} is not a valid safetensors file: its header cannot be {size:,} bytes long")
    try:
        return dict(safetensors.numpy.load(data))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # KeyError: a dtype that NumPy lacks
        raise FolderError(f"{name} is not a valid safetensors file: {error}") from None


def check_weights(name: str, weights: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises FolderError, naming the file, unless the weights have these shapes and are finite numbers."""
    foreign, missing = sorted(weights.keys() - shapes.keys()), sorted(shapes.keys() - weights.keys())
    if foreign or missing:
        first = f"{foreign[0]} is foreign" if foreign else f"{missing[0]} is missing"
        raise FolderError(f"{name} does not fit config.json: {first}")
    for key, shape in shapes.items():
        array = weights[key]
        if array.shape != shape or array.dtype != np.float32:
            given = f"{array.dtype} of shape {array.shape}"
            raise FolderError(f"{name} does not fit config.json: {key} is {given} instead of float32 of {shape}")
        if not np.isfinite(array).all():
            raise FolderError(f"{name} holds numbers in {key} that are not finite: its training went wrong")
