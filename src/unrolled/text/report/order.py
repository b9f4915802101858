"""Does the order of the lines of a text mean anything, or that of its files? Counts decide, in order and shuffled.

Counted characters of every other block of lines predict the blocks between, once as they stand and once with their
lines shuffled: what the beginning of a line then costs more is what the line before it tells. Short files are measured
in the same way. Left out: what the records of the text are where they are neither, except for two formats that are
recognised by their marks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.text.counts.model import CountModel
from unrolled.text.counts.ngrams import MAX_ORDER
from unrolled.text.encoded import EncodedText
from unrolled.text.records import RecordCorpus

BLOCKS, BLOCK_CHARACTERS, BLOCK_LINES = 8, 1 << 16, 500
"""Of the sample: blocks at equal distances, with the lines that are whole in so many characters, at most so many."""
LEAST_LINES = 100
LONGEST = 300.0
"""Bits of a line, on average: what says more is no short thing, but a paragraph."""
TOLD = 0.25
"""Bits that the line before may tell of a line, twice its standard error included."""
SORTED, DIGITS, EMPTY = 0.75, 0.15, 0.05
"""Shares: of neighbours in order, of digits in a table or log, of empty lines in a text with a layout."""
LEAST_FILES = 40
LONGEST_FILE = 4096
"""Characters of a file, on average: a message, not a chapter."""
TOLD_BY_FILE = 0.5
"""Bits that the file before may tell of how a file begins, twice its standard error included."""
BLOCK_FILES, FILE_BYTES = 64, 16 * LONGEST_FILE
"""Of the sample: so many neighbouring files a block, and none that is larger."""

_FASTA, _ABC = re.compile(r">[^\n]*\n[A-Za-z*\n-]+(>|$)"), re.compile(r"X: ?\d")


class Shuffled(NamedTuple):
    """What counts say of lines, in order and shuffled."""

    bits: float
    """Of a line in its place, on average."""
    gain: float
    """Bits more that the beginning of a line costs in a random place, on average, and its standard error."""
    error: float


@dataclass(frozen=True)
class LineOrder:
    """What the sample shows; `records` is the proposal."""

    lines: int
    bits: float
    """Of a line, on average."""
    gain: float
    """Bits that the line before tells of a line."""
    error: float
    """The standard error of `gain`."""
    ascending: float
    """Share of the neighbouring lines that differ which are in ascending order: a half where lines are not sorted."""
    run: float
    """Lines in a row that are in ascending order, on average."""
    digits: float
    """Share of the characters."""
    empty: float
    """Share of the lines."""
    records: str | None
    """The separator of records to propose, "lines", or None for a text that is read in its order."""

    @property
    def is_told(self) -> bool:
        """Whether a line tells something of the next, or may do so."""
        return self.gain + 2 * self.error > TOLD

    @property
    def is_sorted(self) -> bool:
        """Whether the lines are in sorted order, or in sorted runs."""
        return self.ascending >= SORTED


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
        return self.gain is not None and self.gain + 2 * self.error <= TOLD_BY_FILE


def line_order(encoded: EncodedText) -> LineOrder | None:
    """The order of the lines of a text; None for a text with fewer than a hundred, too few to tell."""
    blocks = _sample(encoded)
    lines = [line for block in blocks for line in block]
    if len(lines) < LEAST_LINES:
        return None
    head = encoded.vocabulary.decode(encoded.ids[:BLOCK_CHARACTERS])
    told = shuffled(encoded, blocks)
    ascending, run = _sortedness(blocks)
    text = "".join(lines)
    digits = sum(map(str.isdigit, text)) / max(1, len(text))
    empty = sum(not line.strip() for line in lines) / len(lines)
    found = LineOrder(len(lines), *told, ascending, run, digits, empty, _marked(head))
    is_list = found.is_sorted or digits >= DIGITS or not found.is_told
    if found.records is None and is_list and found.bits <= LONGEST and empty <= EMPTY:
        return replace(found, records="lines")
    return found


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


def _marked(head: str) -> str | None:
    """The separator in a text of a known format: sequences in FASTA, tunes in ABC."""
    if _FASTA.match(head):
        return ">"
    tunes = [bool(_ABC.match(block)) for block in head.split("\n\n")]
    return "\n\n" if len(tunes) > 1 and tunes[0] and 2 * sum(tunes) > len(tunes) else None


def _sample(encoded: EncodedText) -> list[list[str]]:
    size = min(BLOCK_CHARACTERS, len(encoded) // BLOCKS)
    starts = np.linspace(0, len(encoded) - size, BLOCKS).astype(int)
    pieces = [encoded.vocabulary.decode(encoded.ids[start : start + size]) for start in starts]
    encoded.release()
    return [piece.split("\n")[1:-1][:BLOCK_LINES] for piece in pieces]


def shuffled(encoded: EncodedText, blocks: Sequence[Sequence[str]]) -> Shuffled:
    """What the order of the lines in the blocks tells: every other block is counted, the others are judged."""
    known, judged = ([line + "\n" for block in blocks[i::2] for line in block] for i in (0, 1))
    counts = CountModel.count(encoded.vocabulary.encode("".join(known), "replace"), len(encoded.vocabulary))
    order = np.random.default_rng(0).permutation(len(judged))
    begun, whole = _bits(encoded, counts, judged)
    elsewhere, _ = _bits(encoded, counts, [judged[i] for i in order])
    gain = elsewhere - begun[order]
    return Shuffled(float(whole.mean()), float(gain.mean()), float(gain.std() / math.sqrt(len(gain))))


def _bits(
    encoded: EncodedText, counts: CountModel, lines: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bits of the beginning of each line, whose contexts reach into the line before, and of the whole: (line,)."""
    ids = encoded.vocabulary.encode("".join(lines), "replace")
    sums = np.concatenate([[0.0], np.cumsum(counts.nats(ids))]) / math.log(2)
    ends = np.cumsum([len(line) for line in lines])
    starts = np.concatenate([[0], ends[:-1]])
    return sums[np.minimum(starts + MAX_ORDER, ends)] - sums[starts], sums[ends] - sums[starts]


def _sortedness(blocks: Sequence[Sequence[str]]) -> tuple[float, float]:
    """The share of neighbours that differ which are in ascending order, and the mean length of a run of them."""
    pairs = [(one, other) for block in blocks for one, other in pairwise(filter(str.strip, block)) if one != other]
    descending = sum(one > other for one, other in pairs)
    if not pairs:
        return 0.5, 1.0
    return 1 - descending / len(pairs), (len(pairs) + 1) / (descending + 1)
