"""Characters and their ids. Id 0 is reserved: the unknown character of a model, the padding of the lesson.

Texts are processed as arrays of code points, at a few milliseconds per megabyte. Left out: texts larger than memory
(`encoded`).
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.typed import typed

UNKNOWN = 0
UNKNOWN_CHARACTER = "\ufffd"  # what id 0 is shown as
BOUNDARY = "\ufdd0"
"""What stands on each side of a record: a noncharacter of Unicode, reserved for such uses and never part of a text."""
LABEL_END = "\ufdd1"
"""What stands after the label at the head of a record: another noncharacter."""
Ids = NDArray[np.unsignedinteger[Any]]
OnUnknown = Literal["error", "replace", "skip"]
_COUNT_BLOCK = 1 << 18
ON_UNKNOWN = ("error", "replace", "skip")
KINDS = ("vowel", "consonant", "capital", "digit", "punctuation", "blank", "other")
VOWELS = "aeiouyæœøıаеёиоуыэюяіїєαεηιουω"


def code_points(text: str) -> Ids:
    """The code point of each character, as 8, 16 or 32 bit integers, whichever is fast to obtain."""
    with contextlib.suppress(UnicodeEncodeError):
        return np.frombuffer(text.encode("latin-1"), np.uint8)
    narrow = text.encode("utf-16-le", "surrogatepass")
    if len(narrow) == 2 * len(text):  # no character needs two units
        return np.frombuffer(narrow, "<u2")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


class Tally:
    """How often each character was seen in the pieces given to `add`."""

    def __init__(self) -> None:
        self._counts = np.zeros(1, np.int64)  # by code point, as far as the highest one seen

    def add(self, piece: str) -> None:
        """Count the characters of one more piece."""
        codes = code_points(piece)
        for start in range(0, len(codes), _COUNT_BLOCK):
            counts = np.bincount(codes[start : start + _COUNT_BLOCK])
            self._reach(len(counts))
            self._counts[: len(counts)] += counts

    def vocabulary(self, min_count: int = 1, known: Sequence[str] = ()) -> Vocabulary:
        """The vocabulary of the counted characters, without those seen fewer than `min_count` times.

        Characters `known` from another text come first, in their order, and are kept however rare they are here.
        """
        check_number("min_count", min_count, at_least=1)
        first = np.array([ord(character) for character in known], np.int64)
        self._reach(1 + int(first.max(initial=0)))
        every = self._counts
        seen = np.flatnonzero(every)
        kept = np.concatenate([first, np.setdiff1d(np.flatnonzero(every >= min_count), first)])
        if not len(kept):
            raise InputError(
                f"every character occurs fewer than {min_count} times in the text: lower min_count"
                if len(seen)
                else "the text is empty, so there is no character to learn"
            )
        counts = every[kept]
        return Vocabulary(
            tuple(map(chr, kept.tolist())),
            tuple(counts.tolist()),
            merged=len(np.setdiff1d(seen, kept)),
            merged_count=int(every.sum() - counts.sum()),
        )

    def _reach(self, length: int) -> None:
        """Have counts of at least so many code points."""
        self._counts.resize(max(len(self._counts), length), refcheck=False)


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows. The character at index i of `characters` has id i + 1.

    `counts` is how often each occurs in the training text. `merged` is the number of different characters of that text
    that were too rare to keep, `merged_count` how often they occur. Raises InputError for lists of different lengths, a
    duplicate character and a lone surrogate.

    >>> vocabulary = Vocabulary.of("banana")
    >>> vocabulary.characters, vocabulary.encode("ban").tolist()
    (('a', 'b', 'n'), [2, 1, 3])
    """

    characters: tuple[str, ...]
    counts: tuple[int, ...]
    merged: int = 0
    merged_count: int = 0

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.characters):
            raise InputError(f"{len(self.characters)} characters need as many counts, not {len(self.counts)}")
        if len(set(self.characters)) != len(self.characters):
            raise InputError("duplicate character in this vocabulary")
        for character in self.characters:
            if len(character) != 1 or "\ud800" <= character <= "\udfff":
                raise InputError(f"{character!r} in this vocabulary is not one character")
        if min((*self.counts, self.merged, self.merged_count)) < 0:
            raise InputError("a count in this vocabulary is below 0")

    def __len__(self) -> int:
        """The number of ids, including the reserved one."""
        return len(self.characters) + 1

    @classmethod
    def of(cls, text: str | Iterable[str], min_count: int = 1) -> Vocabulary:
        """The vocabulary of a text or of its pieces, in code point order."""
        tally = Tally()
        for piece in [text] if isinstance(text, str) else text:
            tally.add(piece)
        return tally.vocabulary(min_count)

    @property
    def boundary(self) -> int | None:
        """The id of the boundary, or None for a vocabulary of texts without records."""
        return self.characters.index(BOUNDARY) + 1 if BOUNDARY in self.characters else None

    @property
    def label_end(self) -> int | None:
        """The id of what stands between a label and its record, or None where records have no labels."""
        return self.characters.index(LABEL_END) + 1 if LABEL_END in self.characters else None

    @cached_property
    def letters(self) -> NDArray[np.bool_]:
        """Whether each id is a character of words: a letter, a digit or an apostrophe, (vocabulary,).

        Not those of scripts that are as wide as high, as Chinese: they are hardly ever apart from each other.
        """
        return np.array([False, *map(_is_of_words, self.characters)])

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned type that holds every id."""
        smallest: np.dtype[np.unsignedinteger[Any]] = np.min_scalar_type(len(self) - 1)
        return smallest

    def encode(self, text: str, unknown: OnUnknown = "error") -> Ids:
        """The ids of `text`, (character,), in `self.dtype`.

        For a character that is not in the vocabulary, raises InputError with its position, or uses id 0
        (`unknown="replace"`), or leaves it out ("skip").
        """
        if unknown not in ON_UNKNOWN:
            raise InputError(f"unknown is {unknown!r}, but must be 'error', 'skip' or 'replace'")
        ids: Ids = self._table.take(code_points(text), mode="clip")
        if unknown == "replace" or ids.all():
            return ids
        if unknown == "skip":
            known: Ids = ids[ids != UNKNOWN]
            return known
        raise unknown_character(text, int(np.flatnonzero(ids == UNKNOWN)[0]))

    def decode(self, ids: Iterable[int] | NDArray[np.integer[Any]]) -> str:
        """The text of `ids`; id 0 is shown as U+FFFD. Raises InputError for an id outside the vocabulary."""
        array = ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
        if len(array) and not 0 <= array.min() <= array.max() < len(self):
            raise InputError(f"ids from {array.min()} to {array.max()} were given, but a vocabulary of {len(self)} "
                             f"has ids from 0 to {len(self) - 1}")  # fmt: skip
        return self._code_points[array].tobytes().decode("utf-32-le")

    def missing(self, other: Vocabulary) -> tuple[str, ...]:
        """The characters of `other` that are not in this vocabulary."""
        return tuple(sorted(set(other.characters) - set(self.characters)))

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "characters": list(self.characters),
            "counts": list(self.counts),
            "merged": self.merged,
            "merged_count": self.merged_count,
        }

    @classmethod
    def from_json(cls, value: object, file: str) -> Vocabulary:
        """The vocabulary that `to_json` gave, read from `file`; raises FolderError for anything else."""
        return typed(cls, value, file, whole=True)

    @cached_property
    def _code_points(self) -> NDArray[np.uint32]:
        return np.frombuffer((UNKNOWN_CHARACTER + "".join(self.characters)).encode("utf-32-le"), "<u4")

    @cached_property
    def _table(self) -> Ids:
        """Code point to id; the last entry, for all code points beyond, is the unknown id."""
        codes = self._code_points[1:]
        table = np.zeros(int(codes.max(initial=0)) + 2, self.dtype)
        table[codes] = np.arange(1, len(self))
        return table


def kind(character: str) -> str:
    """The kind of a character, one of `KINDS`: the groups by which vectors are coloured and lists are sorted.

    Accents do not matter (é is a vowel); letters of scripts without cases, and unprintable characters, are other.
    """
    if character.isspace():
        return "blank"
    if character.isdigit():
        return "digit"
    if character.isupper() or character.istitle():
        return "capital"
    if character.islower():
        return "vowel" if unicodedata.normalize("NFD", character)[0] in VOWELS else "consonant"
    return "punctuation" if unicodedata.category(character)[0] in "PS" and character != "\ufffd" else "other"


def _is_of_words(character: str) -> bool:
    return (character.isalnum() or character == "'") and unicodedata.east_asian_width(character) not in "WF"


def with_label_end(record: str, vocabulary: Vocabulary) -> str:
    """A record as it is read: where there are labels, the tab after its label becomes `LABEL_END`."""
    is_read_so = vocabulary.label_end is None or LABEL_END in record
    return record if is_read_so else record.replace("\t", LABEL_END, 1)


def unknown_character(text: str, position: int, before: int = 0, line: int = 1) -> InputError:
    """The error for a character that a vocabulary lacks; `before` characters and `line` - 1 newlines precede `text`."""
    character = text[position]
    line += text.count("\n", 0, position)
    return InputError(
        f"{visible(character)!r} (U+{ord(character):04X}) at position {before + position:,}, line {line:,}, is not in "
        "the vocabulary: remove it, or choose unknown='replace' or 'skip' (on the command line --unknown replace)"
    )
