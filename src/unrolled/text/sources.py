"""Where the bytes of a corpus come from: files, folders, pipes and standard input, each readable more than once.

Gzip is recognised by its first bytes, not by the file name. Input from a pipe is kept in a temporary file, so that it
can be read twice. Left out: what the bytes mean (`encoding`).
"""

from __future__ import annotations

import functools
import gzip
import os
import shutil
import stat
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unrolled.errors import InputError
from unrolled.text.encoding import SAMPLE_BYTES, likely_encoding, looks_binary

BLOCK_BYTES = 1 << 17  # larger blocks exceed the processor's cache, smaller ones cost more Python loops
GZIP_MAGIC = b"\x1f\x8b"
TEXT_FILES = (
    "in a folder and the folders below it, every file counts as text whose name does not begin with a dot "
    "and that is not binary; .gz is unpacked"
)


@dataclass(frozen=True)
class TextSource:
    """A text that is in memory already."""

    name: str
    text: str
    encoding: str = "utf-8"

    @property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))  # a lone surrogate is refused when it is read

    def stamp(self) -> tuple[int, ...]:
        """A value that changes when the source is written to: empty, as a text in memory never is."""
        return ()

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """All bytes in one block, and their number. Raises InputError for a lone surrogate, which is no UTF-8."""
        try:
            data = self.text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = ord(self.text[error.start])
            raise InputError(
                f"{self.name} has a lone surrogate (U+{half:04X}) at position {error.start:,}, "
                "which is not a character: remove it"
            ) from None
        yield data, len(data)


@dataclass(frozen=True)
class FileSource:
    """A file that can be read again, plain or gzip. `label` is shown instead of the path."""

    path: str | Path
    label: str | None = None
    encoding: str | None = None

    @property
    def name(self) -> str:
        """The path, or the label."""
        return self.label or f"{self.path}"

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return os.stat(self.path).st_size

    def stamp(self) -> tuple[int, ...]:
        """Size and time of the last change."""
        status = os.stat(self.path)
        return status.st_size, status.st_mtime_ns

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """The bytes in blocks, decompressed if they are gzip, each with how many of `size` it took.

        Raises InputError for a file that cannot be read.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:
                before, block = 0, file.read(BLOCK_BYTES)
                if block.startswith(GZIP_MAGIC):
                    file.seek(0)
                    stream = gzip.GzipFile(fileobj=file)
                    while unpacked := stream.read(BLOCK_BYTES):
                        yield unpacked, file.tell() - before
                        before = file.tell()
                    return
                while block:
                    yield block, len(block)
                    block = file.read(BLOCK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{self.name} is a damaged gzip file: {error}. Download or compress it again") from None
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}") from None

    def head(self) -> bytes:
        """The first bytes, enough to distinguish text from binary files."""
        data = b""
        for block, _ in self.blocks():
            data += block
            if len(data) >= SAMPLE_BYTES:
                break
        return data[:SAMPLE_BYTES]


Source = TextSource | FileSource
"""A text as bytes, read in blocks; the size is that on disk, compressed for gzip."""


def find_sources(path: Path, encoding: str) -> list[FileSource]:
    """The text files at `path`: itself, or those in the folder and below it, sorted by their names.

    Raises InputError for a path that is missing, no file or folder, binary, or a folder without text files.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist: give a file, a folder, '-' or the name of a data set") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(mode):
        return _in_folder(path, encoding)
    if stat.S_ISFIFO(mode):
        with open(path, "rb") as pipe:
            return [checked(spooled(pipe, f"{path}"), encoding)]
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is neither a file nor a folder: give a text file")
    return [checked(FileSource(path), encoding)]


def standard_input() -> FileSource:
    """All of standard input, readable more than once. Raises InputError if standard input is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("'-' reads a text from standard input, but nothing was piped into it: cat book.txt | unrolled")
    return _kept(sys.stdin.buffer)


@functools.lru_cache(maxsize=1)
def _kept(stream: BinaryIO) -> FileSource:
    """Cached, since several networks may read the same standard input."""
    return spooled(stream, "standard input")


def spooled(stream: BinaryIO, label: str) -> FileSource:
    """A stream that can be read only once, kept in a temporary file for as long as the source lives."""
    folder = Path(tempfile.mkdtemp(prefix="unrolled-"))
    source = FileSource(folder / "text", label)
    weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
    with open(source.path, "wb") as copy:
        shutil.copyfileobj(stream, copy, BLOCK_BYTES)
    return source


def checked(source: FileSource, encoding: str) -> FileSource:
    """`source` itself; raises InputError if it is a binary file."""
    head = source.head()
    if not looks_binary(head, encoding):
        return source
    guess = likely_encoding(head)
    if guess is not None and guess.startswith("utf-16"):
        raise InputError(
            f"{source.name} is not {encoding.upper()}: it looks like {guess}: read it with --encoding {guess}"
        )
    zero = head.find(0)
    what = f"byte 0x00 at offset {zero:,}" if zero >= 0 else "many control characters"
    raise InputError(f"{source.name} is a binary file, not a text ({what}): give a text file, plain or gzip")


def _in_folder(folder: Path, encoding: str) -> list[FileSource]:
    sources = [FileSource(path) for path in _visible_files(folder)]
    texts = [source for source in sources if not looks_binary(source.head(), encoding)]
    if not texts:
        found = f"none of its {len(sources):,} files is a text" if sources else "it holds no files"
        raise InputError(f"the folder {folder} has no text files: {found} ({TEXT_FILES})")
    return texts


def _visible_files(folder: Path) -> list[str]:
    found = []
    for above, folders, names in os.walk(folder, onerror=_refused):
        folders[:] = filter(_is_visible, folders)
        found += [path for name in filter(_is_visible, names) if os.path.isfile(path := os.path.join(above, name))]
    return sorted(found, key=lambda path: path.split(os.sep))  # as strings, the order would depend on the separator


def _is_visible(name: str) -> bool:
    return not name.startswith(".")


def _refused(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}") from None
