"""Which of the records that a model writes are new: neither records of its training text nor written before.

A run folder keeps the hashes of its training records, 8 bytes each, in `records.safetensors`. A record is taken for a
copy by its hash; that two of n different records share one has a probability of about n / 2**64. Left out: copies of
parts of a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.files import read_folder
from unrolled.text.records import record_hash
from unrolled.text.vocabulary import BOUNDARY, Vocabulary

HASHES = "records.safetensors"
TRIES = 1000
"""Copies in a row after which no new record is expected any more."""


@dataclass
class Novelty:
    """Counts copies among records, and leaves them out if asked to."""

    vocabulary: Vocabulary
    known: NDArray[np.uint64]
    """The hashes of the training records, (record,), sorted."""
    drawn: int = 0
    copies: int = 0
    """Of those drawn, the training records."""
    exhausted: bool = False
    """Whether `new` gave up."""
    _written: set[int] = field(default_factory=set, repr=False)

    def counted(self, records: Iterable[str]) -> Iterator[str]:
        """All `records`, counted."""
        for record in records:
            self._count(self._hash(record))
            yield record

    def new(self, records: Iterable[str]) -> Iterator[str]:
        """Those of `records` that are new; ends where the last `TRIES` of them were not."""
        tries = 0
        for record in records:
            tries += 1
            key = self._hash(record)
            if not self._count(key) and key not in self._written:
                self._written.add(key)
                tries = 0
                yield record
            if tries == TRIES:
                self.exhausted = True
                return

    def _count(self, key: int) -> bool:
        """Count one record that was drawn; whether it is a training record."""
        place = int(np.searchsorted(self.known, np.uint64(key)))
        is_known = place < len(self.known) and int(self.known[place]) == key
        self.drawn += 1
        self.copies += is_known
        return bool(is_known)

    def _hash(self, record: str) -> int:
        return int(record_hash(self.vocabulary.encode(record + BOUNDARY)))


def novelty_file(hashes: NDArray[np.uint64]) -> bytes:
    """The content of the file of hashes."""
    return safetensors.numpy.save({"hashes": hashes})


def read_novelty(folder: str | Path, vocabulary: Vocabulary) -> Novelty:
    """The hashes in a run folder. Raises FolderError where there are none, as in a run that has not finished."""
    files = read_folder(Path(folder))
    if HASHES not in files:
        raise FolderError(f"{folder} holds no {HASHES}: what is new is known of finished runs on records only")
    try:
        known = safetensors.numpy.load(files[HASHES])["hashes"]
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise FolderError(f"{folder}: {HASHES} is damaged: {error}") from None
    if known.dtype != np.uint64 or known.ndim != 1:
        raise FolderError(f"{folder}: {HASHES} should hold one row of 64-bit hashes, not {known.dtype}{known.shape}")
    return Novelty(vocabulary, np.sort(known))
