"""A corpus: text in pieces, however large, from files, folders, standard input and named data sets.

All text is read here: decoded, without byte order marks, with one kind of newline. Left out: what is done with it
(`vocabulary`, `encoded`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from unicodedata import normalize as normalized

from unrolled.errors import InputError
from unrolled.text.columns import PARQUET
from unrolled.text.datasets import NAMES, named_source
from unrolled.text.encoding import OnDamage, decode, known_encoding
from unrolled.text.sources import FileSource, Source, TextSource, find_sources, standard_input
from unrolled.text.variables import masked_pieces

STANDARD_INPUT = "-"
_LAST_ASCII = re.compile(r"[\x00-\x7f](?=[^\x00-\x7f]*\Z)")
PIECE_CHARACTERS = 1 << 15  # small files are put together up to here: each piece costs as much as so many characters


@dataclass(frozen=True)
class Corpus:
    """A sequence of texts that is read again at each pass. Made by `open_corpus` or `text_corpus`.

    A newline is inserted between two texts if the first does not end in one.
    """

    sources: tuple[Source, ...]
    encoding: str = "utf-8"
    lower: bool = False
    errors: OnDamage = "error"
    """What happens to bytes that are not of the encoding."""
    normalize: bool = False
    """Whether characters are composed as far as possible, which is Unicode's normal form NFC."""
    mask: bool = False
    """Whether each number, date, address and id is read as one mark (`unrolled.text.variables`)."""
    held_out: tuple[int, int] = (0, 0)
    """How many of the sources, at the end, are the validation part, and how many after them the test part."""

    @property
    def name(self) -> str:
        """A name for messages: the first source, and how many more there are."""
        more = len(self.sources) - 1
        return self.sources[0].name + (f" and {more:,} more" if more else "")

    @cached_property
    def bytes_total(self) -> int:
        """Bytes to read from the disk (compressed, for gzip)."""
        return sum(source.size for source in self.sources)

    def last(self, count: int) -> Corpus:
        """The corpus of the last `count` sources."""
        return replace(self, sources=self.sources[len(self.sources) - count :], held_out=(0, 0))

    def stamp(self) -> tuple[tuple[int, ...], ...]:
        """A value that changes when any of the files is written to."""
        return tuple(source.stamp() for source in self.sources)

    def pieces(self, on_read: Callable[[int], None] | None = None) -> Iterator[str]:
        """The text in pieces of 100 KB or so, several small files in one, with "\\n" for every newline.

        `on_read` is called with the number of bytes of each block that was read, `bytes_total` in all. The boundaries
        between pieces have no meaning.
        Raises InputError for a source that cannot be read or decoded and for an empty corpus.
        """
        last, held, characters = "", [], 0
        for source in self.sources:
            separator = "\n" if last not in ("", "\n") else ""
            for piece in self._decoded(source, on_read):
                text = separator + (lower_case(piece) if self.lower else piece)
                separator, last = "", text[-1]
                held.append(text)
                characters += len(text)
                if characters >= PIECE_CHARACTERS:
                    yield "".join(held)
                    held, characters = [], 0
        if not last:
            raise InputError(f"{self.name} is empty: it has no text to learn from or to score")
        if held:
            yield "".join(held)

    def _decoded(self, source: Source, on_read: Callable[[int], None] | None) -> Iterator[str]:
        def blocks(on_read: Callable[[int], None] | None = None) -> Iterator[bytes]:
            for block, size in source.blocks():
                yield block
                if on_read is not None:
                    on_read(size)

        pieces = decode(blocks(on_read), source.encoding or self.encoding, source.name, blocks, self.errors)
        pieces = _composed(pieces) if self.normalize else pieces
        return masked_pieces(pieces) if self.mask else pieces

    def read(self) -> str:
        """The whole text as one string."""
        return "".join(self.pieces())


def open_corpus(
    sources: Sequence[str | Path], *, encoding: str = "utf-8", lower: bool = False, errors: OnDamage = "error",
    normalize: bool = False, mask: bool = False, tables: bool = False,
) -> Corpus:  # fmt: skip
    """The corpus of the files, folders, "-" (standard input) and named data sets in `sources`, in that order.

    A string that names a data set is the data set ("./nietzsche" and Path("nietzsche") are the file). A folder stands
    for all files below it that are neither hidden nor binary. UTF-8 may have a byte order mark. With `tables`, Parquet
    files may be given too. The other settings are fields of `Corpus`. Raises InputError for anything that is missing,
    binary, unreadable or not text.
    """
    if not sources:
        raise InputError("no text was given: name a file, a folder, '-' or a data set such as 'python-docs'")
    if [str(source) for source in sources].count(STANDARD_INPUT) > 1:
        raise InputError("duplicate '-': standard input can be read only once")
    encoding = known_encoding(encoding)
    found = [source for given in sources for source in _open(given, encoding, tables)]
    return Corpus(tuple(found), encoding, lower, errors, normalize, mask)


def text_corpus(
    text: str, *, name: str = "the text", lower: bool = False, normalize: bool = False, mask: bool = False
) -> Corpus:
    """The corpus of a text that is in memory already."""
    return Corpus((TextSource(name, text),), lower=lower, normalize=normalize, mask=mask)


def _open(given: str | Path, encoding: str, tables: bool) -> Sequence[Source]:
    if given == STANDARD_INPUT:
        return [standard_input()]
    if isinstance(given, str) and given in NAMES:
        return [named_source(given)]
    path = Path(given).expanduser()
    if isinstance(given, str) and not os.path.exists(path) and (near := difflib.get_close_matches(given, NAMES, n=1)):
        raise InputError(f"{given} does not exist: did you mean the data set {near[0]!r}?")
    if tables and path.suffix.lower() == PARQUET and path.is_file():
        return [FileSource(path)]  # binary, but read by its columns
    return find_sources(path, encoding)


def _composed(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces in NFC: what follows the last ASCII character of one may still be composed with the next."""
    held = ""
    for piece in pieces:
        text = held + piece
        safe = max((place.start() for place in _LAST_ASCII.finditer(text)), default=0)
        held = text[safe:]
        if safe:
            yield normalized("NFC", text[:safe])
    if held:
        yield normalized("NFC", held)


def lower_case(piece: str) -> str:
    """Lower case, character by character: Python's rule for a final sigma would depend on the piece boundaries."""
    return piece.replace("Σ", "σ").lower()
