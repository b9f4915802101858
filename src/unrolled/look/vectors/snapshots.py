"""The embedding of a run at each measurement in training, read from `embeddings.safetensors` in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unrolled.embedding import EmbeddingTable
from unrolled.errors import FolderError
from unrolled.files import read_file
from unrolled.model.folder import SNAPSHOTS
from unrolled.model.tensors import read_tensors

MAX_BYTES = 1 << 30


def read_snapshots(run: str | Path, last: EmbeddingTable) -> list[EmbeddingTable]:
    """The vectors of the names in `last` at each evaluation of `run`, in order.

    The file holds one array (id, dimension) per snapshot, named by its number; `last` has no row for the reserved id 0
    unless rare characters share it. Raises FolderError if the file is missing, damaged or of another network.
    """
    path = Path(run) / SNAPSHOTS
    if not path.is_file():
        raise FolderError(f"{path} does not exist: it is written when a training run has ended")
    arrays = read_tensors(read_file(path, MAX_BYTES), f"{path}")
    rows, dimension = last.vectors.shape
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[1] != dimension or array.shape[0] - rows not in (0, 1):
            raise FolderError(
                f"{path} is of another network: {name} has shape {array.shape}, not {(rows + 1, dimension)}"
            )
    kept = [arrays[name][-rows:].astype(np.float32) for name in sorted(arrays, key=lambda name: (len(name), name))]
    return [EmbeddingTable(last.names, vectors, last.facts) for vectors in kept]
