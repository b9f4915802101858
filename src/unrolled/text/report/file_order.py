"""Is a folder of many short files one text, or are its files records? Measured as the order of lines is.

Left out: files so long that each is a text of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unrolled.text.encoded import EncodedText
from unrolled.text.records import RecordCorpus
from unrolled.text.report.line_order import BLOCKS, shuffled

LEAST_FILES = 40
LONGEST_FILE = 4096
"""Characters of a file, on average: a message, not a chapter."""
TOLD = 0.5
"""Bits that the file before may tell of how a file begins, twice its standard error included."""
BLOCK_FILES, FILE_BYTES = 64, 16 * LONGEST_FILE
"""Of the sample: so many neighbouring files a block, and none that is larger."""


@dataclass(frozen=True)
class FileOrder:
    """What the sample shows."""

    files: int
    characters: float
    """Of a file, on average."""
    gain: float | None = None
    """Bits that the file before tells of a file's beginning; None for long files, which are not asked."""
    error: float = 0.0
    """The standard error of `gain`."""

    @property
    def are_records(self) -> bool:
        """Whether each file is better read from a state of its own."""
        return self.gain is not None and self.gain + 2 * self.error <= TOLD


def file_order(encoded: EncodedText) -> FileOrder | None:
    """The order of the files of a text; None for few files, for records, and where files are held out already."""
    corpus = encoded.corpus
    if corpus is None or isinstance(corpus, RecordCorpus) or len(corpus.sources) < LEAST_FILES or any(corpus.held_out):
        return None
    characters = len(encoded) / len(corpus.sources)
    if characters > LONGEST_FILE:
        return FileOrder(len(corpus.sources), characters)
    size = min(BLOCK_FILES, len(corpus.sources) // BLOCKS)
    starts = np.linspace(0, len(corpus.sources) - size, BLOCKS).astype(int)
    blocks = []
    for start in starts:
        some = [source for source in corpus.sources[start : start + size] if 0 < source.size <= FILE_BYTES]
        blocks.append([replace(corpus, sources=(source,)).read().rstrip("\n") for source in some])
    found = shuffled(encoded, blocks)
    return FileOrder(len(corpus.sources), characters, found.gain, found.error)
