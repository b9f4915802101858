"""The lines of files, standard input and growing files, in the groups in which they become available.

Left out: what is done with them (`score`).
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from unrolled.errors import InputError
from unrolled.text.corpus import STANDARD_INPUT, open_corpus
from unrolled.text.encoding import known_encoding

LONGEST = 1 << 20
"""A longer line is divided into pieces of so many characters."""
BLOCK_BYTES = 1 << 16
NEWLINE = b"\n"
PAUSE = 0.2
"""Seconds between two looks at a file that may have grown."""


def lines_of(texts: tuple[str, ...], encoding: str, *, follow: bool = False) -> Iterator[list[str]]:
    """The lines of `texts` without their newlines, in lists that are never empty.

    Standard input is read as it comes, in lists of what has arrived. With `follow`, the one file in `texts` is read on
    when it grows, and from its start when it was replaced or cut. In both, bytes that are not `encoding` become U+FFFD.
    Raises InputError for texts that cannot be read.
    """
    if not texts:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    if follow and len(texts) > 1:
        raise InputError(f"--follow reads one growing file, but {len(texts)} were given")
    if texts == (STANDARD_INPUT,):
        arriving = iter(lambda: os.read(sys.stdin.fileno(), BLOCK_BYTES), b"")
        return _split(_decoded(arriving, encoding))
    if follow:
        return _split(_decoded(_growing(Path(texts[0])), encoding))
    return _split(open_corpus(texts, encoding=encoding).pieces())


def _growing(path: Path) -> Iterator[bytes]:
    """The bytes of a file, for as long as somebody listens."""
    while True:
        try:
            with open(path, "rb", buffering=0) as file:
                yield from _until_replaced(file, path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _until_replaced(file: io.FileIO, path: Path) -> Iterator[bytes]:
    """The bytes of an open file until `path` is another file or was cut; then its last line ends."""
    last = NEWLINE
    while True:
        replaced = _is_replaced(file, path)  # checked first, so that all that was written before is read
        while block := file.read(BLOCK_BYTES):
            last = block[-1:]
            yield block
        if replaced:
            break
        time.sleep(PAUSE)
    if last != NEWLINE:
        yield NEWLINE


def _is_replaced(file: io.FileIO, path: Path) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:  # moved away; the next one is not there yet
        return False
    return now.st_size < file.tell() or now.st_ino != os.fstat(file.fileno()).st_ino


def _decoded(blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(known_encoding(encoding))("replace"), translate=True
    )
    for block in blocks:
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _split(pieces: Iterable[str]) -> Iterator[list[str]]:
    """The complete lines in each piece, and what follows the last newline at the end."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        if lines:
            yield [part for line in lines for part in _pieces(line)]
    if rest:
        yield [rest]


def _pieces(line: str) -> list[str]:
    return [line[i : i + LONGEST] for i in range(0, max(len(line), 1), LONGEST)]
