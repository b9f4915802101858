"""What a model writes that is not new: records of its training text, and long runs of characters of it.

A run folder keeps the hashes of its training records, 8 bytes each, in `records.safetensors`. A record is taken for a
copy by its hash; that two of n different records share one has a probability of about n / 2**64.

Of a text that is no records it keeps in `windows.safetensors` which hashes its windows of 16 characters have: 4 to 8
bits a character, 8 MB at most. A window that is there is always found; at most one in five others is too (in texts
beyond 16 million characters more), so a run may seem longer than it is by a character or two, and never shorter, but
for one over a cut where training text was held out (`unrolled.text.windows.hold_out`). Left out: copies of parts of a
record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import FolderError
from unrolled.files import is_complete, read_folder
from unrolled.model.tensors import read_tensors, write_tensors
from unrolled.text.records import Records, record_hash
from unrolled.text.vocabulary import BOUNDARY, Ids, Vocabulary, with_label_end
from unrolled.text.words import mixed

HASHES = "records.safetensors"
TRIES = 1000
"""Copies in a row after which no new record is expected any more."""
WINDOWS = "windows.safetensors"
WINDOW = 16
"""Characters of a window."""
BITS, MOST_BITS = 4, 26
"""Bits a character, at least; and the logarithm of the most bits of all."""
BLOCK = 1 << 20
LONG_RUN = 50
"""Characters of a run that is called a copy."""
SHORT_RUN = 20
"""Shorter runs occur in every text, and may be chance."""


@dataclass
class Novelty:
    """Counts copies among records, and leaves them out on request."""

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
        return int(record_hash(self.vocabulary.encode(with_label_end(record, self.vocabulary) + BOUNDARY)))


def novelty_files(ids: Ids, boundary: int | None, end: int) -> dict[str, bytes]:
    """What a run folder keeps of a training text, (character,), up to `end`: hashes of its records or windows."""
    if boundary is None:
        return {WINDOWS: windows_file(ids[:end])}
    records = Records.of(ids, boundary)
    return {HASHES: write_tensors({"hashes": np.unique(records.hashes()[records.starts < end])})}


def read_novelty(folder: str | Path, vocabulary: Vocabulary) -> Novelty:
    """The hashes in a run folder. Raises FolderError where there are none, as in a run that has not finished."""
    files = read_folder(Path(folder))
    if HASHES not in files:
        raise FolderError(f"{folder} has no {HASHES}: only finished runs on records can tell which records are new")
    known = read_tensors(files[HASHES], f"{folder}/{HASHES}").get("hashes")
    if known is None or known.dtype != np.uint64 or known.ndim != 1:
        raise FolderError(f"{folder}/{HASHES} must hold one row of 64-bit hashes")
    return Novelty(vocabulary, np.sort(known))


class CopiedRuns(NamedTuple):
    """Runs of characters in a text that also occur in the training text."""

    longest: int
    """Characters of the longest; 0 if it is shorter than a window."""
    share: float
    """Of the text, inside runs of `LONG_RUN` characters and more."""

    @property
    def sentence(self) -> str:
        """Both figures in words."""
        if self.longest < SHORT_RUN:
            return f"no run of {SHORT_RUN} characters of this text occurs in the training text"
        return (
            f"the longest run that also occurs in the training text has {self.longest:,} characters; "
            f"{self.share:.0%} of this text is inside runs of {LONG_RUN} and more"
        )


def windows_file(ids: Ids) -> bytes:
    """The content of the file of windows of a training text, (character,)."""
    bits = min(MOST_BITS, max(10, (BITS * len(ids) - 1).bit_length()))
    seen = np.zeros(1 << bits, np.bool_)
    for start in range(0, len(ids), BLOCK):
        seen[_places(ids[start : start + BLOCK + WINDOW - 1], bits)] = True
    return write_tensors({"windows": np.packbits(seen)})


def copied_runs(folder: str | Path, ids: Ids) -> CopiedRuns | None:
    """The runs of a written text, (character,), that occur in the training text of a run folder.

    None for a folder without windows: an unfinished run, or one of records.
    """
    files = read_folder(Path(folder)) if is_complete(Path(folder)) else {}
    if WINDOWS not in files:
        return None
    windows = read_tensors(files[WINDOWS], f"{folder}/{WINDOWS}").get("windows")
    bits = 2 if windows is None else 2 + windows.size.bit_length()
    if windows is None or windows.dtype != np.uint8 or windows.shape != (1 << bits >> 3,) or bits < 3:
        raise FolderError(f"{folder}/{WINDOWS} must hold windows, whose number of bytes is a power of two")
    places = _places(ids, bits)
    found = windows[places >> 3] >> (7 - (places & 7)).astype(np.uint8) & 1
    edges = np.flatnonzero(np.diff(found, prepend=0, append=0))
    lengths = edges[1::2] - edges[::2] + WINDOW - 1
    longest = int(lengths.max(initial=0))
    return CopiedRuns(longest, float(lengths[lengths >= LONG_RUN].sum() / max(1, len(ids))))


def _places(ids: Ids, bits: int) -> NDArray[np.int64]:
    """Where the hash of each window of a text, (window,), is among 2 ** bits."""
    if len(ids) < WINDOW:
        return np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, WINDOW)
    hashes = np.zeros(len(windows), np.uint64)
    for column in windows.T:
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += column.astype(np.uint64) + np.uint64(1)
    return (mixed(hashes) >> np.uint64(64 - bits)).astype(np.int64)
