"""A corpus as ids: two passes over the text, one that counts characters and hashes, one that writes ids.

Small texts are kept in memory, larger ones in a memory-mapped file in the cache folder, so a text may be larger than
memory. The file is named by a hash of its content. Left out: what the ids are used for (`windows`).
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from unrolled.errors import FolderError, InputError
from unrolled.files import from_json, sha256, to_json, write_file
from unrolled.text.cache import CACHE_VARIABLE, cache_folder, make_room
from unrolled.text.corpus import Corpus
from unrolled.text.vocabulary import UNKNOWN, Ids, OnUnknown, Tally, Vocabulary, unknown_character

IN_MEMORY_BYTES = 64 << 20  # more bytes of ids than this are mapped from a file
FORMAT = 1
Progress = Callable[[str, int, int], None]
"""Called with ("counting" or "encoding", bytes read, bytes to read)."""


@dataclass(frozen=True, eq=False)
class EncodedText:
    """The ids of a text.

    `ids` is (character,), in the smallest unsigned type, read-only if it is mapped from a file. `sha256` is that of
    the decoded text with its newlines as "\\n" (and in lower case if requested), encoded as UTF-8.
    """

    ids: Ids
    vocabulary: Vocabulary
    sha256: str
    corpus: Corpus | None = field(default=None, repr=False)
    """Where it was read."""
    _mapping: mmap.mmap | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """The number of ids."""
        return len(self.ids)

    def release(self) -> None:
        """Release the memory of the parts of a mapped file that were read; they are read again when needed.

        The system does this when memory is short; until then they count as used by this process.
        """
        if self._mapping is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._mapping.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class _Count:
    """What the first pass learns."""

    characters: int
    sha256: str
    tally: Tally


def encode_corpus(
    corpus: Corpus,
    vocabulary: Vocabulary | None = None,
    *,
    min_count: int = 1,
    extend: bool = False,
    unknown: OnUnknown = "error",
    cache: Path | None = None,
    progress: Progress | None = None,
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> EncodedText:
    """Encode `corpus` with `vocabulary`, or with its own, where characters under `min_count` occurrences are unknown.

    With `extend`, the given vocabulary keeps its ids, is counted again, and is extended by the characters of the text
    that it lacks, except those seen fewer than `min_count` times. Otherwise `unknown` decides what happens to a
    character that a given vocabulary lacks, as in `Vocabulary.encode`; rare characters of the text's own vocabulary
    always become the unknown id.

    Ids of more than `in_memory_bytes` are mapped from a file in `cache` (the usual cache folder if None), which is
    reused for the same text and vocabulary; a part written by a killed process is kept. Raises InputError for a text
    that is empty, repeats a single character, or changes while it is read, and FolderError if the cache cannot be
    written.
    """
    stamp = corpus.stamp()
    count = _count(corpus, progress)
    if vocabulary is None or extend:
        known = () if vocabulary is None else vocabulary.characters
        vocabulary, unknown = _own_vocabulary(count, corpus.name, min_count, known), "replace"
    parts = _parts(corpus, vocabulary, unknown, _reporter("encoding", corpus, progress))
    if unknown == "error" and vocabulary.missing(count.tally.vocabulary()):
        collections.deque(parts, maxlen=0)  # raises at the first; ids of the same text in the cache would not
    if count.characters * vocabulary.dtype.itemsize <= in_memory_bytes:
        encoded = EncodedText(_gathered(parts, count.characters, vocabulary), vocabulary, count.sha256, corpus)
    else:
        file = _CacheFile(cache or cache_folder(), _key(count, vocabulary, unknown))
        encoded = replace(_mapped(parts, vocabulary, count, file), corpus=corpus)
    if not len(encoded):
        raise InputError(f"no character of {corpus.name} is in the vocabulary, so no text remains")
    if corpus.stamp() != stamp or (unknown != "skip" and len(encoded) != count.characters):
        raise InputError(f"{corpus.name} changed while it was read: try again when nothing writes to it")
    return encoded


def _count(corpus: Corpus, progress: Progress | None) -> _Count:
    tally, digest, characters = Tally(), hashlib.sha256(), 0
    for piece in corpus.pieces(_reporter("counting", corpus, progress)):
        tally.add(piece)
        digest.update(piece.encode("utf-8"))
        characters += len(piece)
    return _Count(characters, digest.hexdigest(), tally)


def _own_vocabulary(count: _Count, name: str, min_count: int, known: Sequence[str]) -> Vocabulary:
    vocabulary = count.tally.vocabulary(min_count, known)
    present = [c for c, times in zip(vocabulary.characters, vocabulary.counts, strict=True) if times]
    if len(present) == 1 and not vocabulary.merged:
        raise InputError(
            f"{name} is {present[0]!r} {count.characters:,} times over: with a single character there "
            "is nothing to predict, so give a text with more"
        )
    return vocabulary


def _mapped(parts: Iterator[Ids], vocabulary: Vocabulary, count: _Count, file: _CacheFile) -> EncodedText:
    if file.is_whole():
        with contextlib.suppress(OSError):
            os.utime(file.facts_path)  # what was used longest ago is deleted first
    else:
        make_room(file.folder, file.key, count.characters * vocabulary.dtype.itemsize)
        file.write(parts)
    if not file.ids_path.stat().st_size:  # an empty file cannot be mapped
        return EncodedText(np.empty(0, vocabulary.dtype), vocabulary, count.sha256)
    with open(file.ids_path, "rb") as ids:
        mapping = mmap.mmap(ids.fileno(), 0, access=mmap.ACCESS_READ)
    return EncodedText(np.frombuffer(mapping, vocabulary.dtype), vocabulary, count.sha256, _mapping=mapping)


def _parts(
    corpus: Corpus, vocabulary: Vocabulary, unknown: OnUnknown, on_read: Callable[[int], None] | None
) -> Iterator[Ids]:
    """The ids piece by piece; an error about an unknown character gives its position in the whole text."""
    before = 0
    for piece in corpus.pieces(on_read):
        ids = vocabulary.encode(piece, "replace" if unknown == "error" else unknown)
        if unknown == "error" and not ids.all():
            place = int(np.argmin(ids))  # the first unknown: its id is the least
            raise unknown_character(piece, place, before, _line(corpus, before))
        before += len(piece)
        yield ids


def _line(corpus: Corpus, position: int) -> int:
    """The line, counted from 1, of a position in the text; counted only for errors, since counting is slow."""
    line = 1
    for piece in corpus.pieces():
        line += piece.count("\n", 0, position)
        position -= len(piece)
        if position <= 0:
            break
    return line


def _gathered(parts: Iterator[Ids], characters: int, vocabulary: Vocabulary) -> Ids:
    ids = np.full(characters, UNKNOWN, vocabulary.dtype)
    end = 0
    for part in parts:
        fitting = part[: characters - end]  # a text that grew meanwhile is refused later
        ids[end : end + len(fitting)] = fitting
        end += len(part)
    return ids[:end]


def _key(count: _Count, vocabulary: Vocabulary, unknown: OnUnknown) -> str:
    characters = "".join(vocabulary.characters)  # the counts do not change an id
    return sha256(
        to_json({"format": FORMAT, "text": count.sha256, "characters": characters, "skip": unknown == "skip"})
    )


def _reporter(stage: str, corpus: Corpus, progress: Progress | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done, total = 0, corpus.bytes_total

    def on_read(size: int) -> None:
        nonlocal done
        done += size
        progress(stage, done, total)

    return on_read


@dataclass(frozen=True)
class _CacheFile:
    """An id file in the cache: `<key>.ids`, and `<key>.json` with its size and SHA-256, written last."""

    folder: Path
    key: str

    @property
    def ids_path(self) -> Path:
        return self.folder / f"{self.key}.ids"

    @property
    def facts_path(self) -> Path:
        return self.folder / f"{self.key}.json"

    def is_whole(self) -> bool:
        """Whether the file is complete and intact; a damaged file is treated as unfinished."""
        try:
            facts = from_json(self.facts_path.read_bytes(), f"{self.facts_path}")
            return facts.get("bytes") == self.ids_path.stat().st_size and facts == self._facts()
        except (OSError, FolderError):
            return False

    def write(self, parts: Iterator[Ids]) -> None:
        """Write the ids, keeping the correct part that is already there.

        Comparing costs no more than skipping, since the text has to be decoded anyway. Equal keys mean equal bytes, so
        several processes can do this at once. Raises FolderError if the disk is full or not writable.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.facts_path.unlink(missing_ok=True)
            with open(self.ids_path, "a+b"):  # makes it without cutting off what another process has written
                pass
            with open(self.ids_path, "r+b") as file:
                _write_where_different(file, parts)
            write_file(self.facts_path, to_json(self._facts()))
        except OSError as error:
            raise FolderError(
                f"the ids of the text cannot be written to {self.folder}: {error.strerror}. Make room there "
                f"(`unrolled cache --clear` empties it), or set {CACHE_VARIABLE} to another folder; what is written "
                "already is kept"
            ) from None

    def _facts(self) -> dict[str, int | str]:
        with open(self.ids_path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"format": FORMAT, "bytes": file.tell(), "sha256": digest}


def _write_where_different(file: BinaryIO, parts: Iterator[Ids]) -> None:
    position = 0
    for part in parts:
        data = part.tobytes()
        file.seek(position)
        if file.read(len(data)) != data:
            file.seek(position)
            file.write(data)
        position += len(data)
    if file.seek(0, os.SEEK_END) != position:
        file.truncate(position)
    file.flush()
    os.fsync(file.fileno())
