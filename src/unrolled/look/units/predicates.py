"""Plain questions about every place of a text: inside quotes? how deep in brackets? which letter came last?

An answer at place t speaks of the text up to and with character t, which is what a network has read when its state is
looked at. Each question is a boolean array over the text. Left out: anything that would need a grammar.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import visible

Answer = NDArray[np.bool_]

OPENING, CLOSING = "([{", ")]}"
DEPTHS = (1, 2, 3)
COLUMNS = (20, 40, 60)
LETTERS_ASKED = 30
SENTENCE_END = ".!?"


def predicates(text: str) -> dict[str, Answer]:
    """Every question with its answers, each (characters,), by its plain name."""
    return {name: answer for family in FAMILIES for name, answer in family(text).items()}


CLOSED_BY = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«"}
"""Double quotation marks that open, and those that then close."""


def in_quotes(text: str) -> dict[str, Answer]:
    """Between a pair of double quotation marks, straight, “curly”, „German“, «French» or »turned«; a blank line closes.

    Apostrophes are left out: as quotation marks they cannot be told from those in "don't".
    """
    answer, closing = np.zeros(len(text), bool), ""
    for place, c in enumerate(text):
        if closing:
            closing = "" if c in closing or text[place - 1 : place + 1] == "\n\n" else closing
        else:
            closing = CLOSED_BY.get(c, "")
        answer[place] = bool(closing)
    return {"inside quotes": answer}


def in_brackets(text: str) -> dict[str, Answer]:
    """Inside brackets of any kind, at least so many deep."""
    depth = bracket_depth(text)
    return {_bracket_name(least): depth >= least for least in DEPTHS}


def bracket_depth(text: str) -> NDArray[np.int64]:
    """The number of brackets open after each character; a closing one too many is ignored."""
    depth, now = np.zeros(len(text), np.int64), 0
    for place, c in enumerate(text):
        now = max(0, now + (c in OPENING) - (c in CLOSING))
        depth[place] = now
    return depth


def in_line(text: str) -> dict[str, Answer]:
    """How far in its line a place is; a line break is place 0 of the line after it."""
    column = distance_since(text, lambda c: c == "\n")
    return {"start of a line": column < 5} | {f"past column {least} of a line": column > least for least in COLUMNS}


def in_word(text: str) -> dict[str, Answer]:
    """How far in its word a place is."""
    length = distance_since(text, lambda c: not c.isalpha())
    return {
        "inside a word": length >= 1,
        "third letter of a word or later": length >= 3,
        "sixth letter of a word or later": length >= 6,
    }


def in_sentence(text: str) -> dict[str, Answer]:
    """How far a place is from the last end of a sentence."""
    since = distance_since(text, lambda c: c in SENTENCE_END)
    return {"start of a sentence": since < 5, "past 60 characters of a sentence": since > 60}


def by_kind(text: str) -> dict[str, Answer]:
    """What kind of character came last."""
    kinds: dict[str, Callable[[str], bool]] = {
        "upper case": str.isupper,
        "after a digit": str.isdigit,
        "after a vowel": lambda c: c.lower() in "aeiou",
        "after white space": str.isspace,
        "after a punctuation mark": lambda c: not c.isalnum() and not c.isspace(),
    }
    runs = np.zeros(len(text), bool)
    for match in re.finditer(r"[^\W\d_]{2,}", text):
        runs[match.start() + 1 : match.end()] = match.group().isupper()
    return {name: _each(text, test) for name, test in kinds.items()} | {"in a word of capitals": runs}


def after_letters(text: str) -> dict[str, Answer]:
    """Which character came last, asked of the most frequent ones."""
    common = [c for c, _ in Counter(text).most_common(LETTERS_ASKED)]
    return {f"after {visible(c)!r}": _each(text, c.__eq__) for c in sorted(common)}


def distance_since(text: str, test: Callable[[str], bool]) -> NDArray[np.int64]:
    """Characters since `test` was last true, 0 where it is true; counted from the text's start before the first."""
    places = np.arange(len(text))
    last = np.maximum.accumulate(np.where(_each(text, test), places, -1)) if text else places
    distance: NDArray[np.int64] = places - last
    return distance


FAMILIES = (in_quotes, in_brackets, in_line, in_word, in_sentence, by_kind, after_letters)


def _bracket_name(least: int) -> str:
    return "inside brackets" if least == 1 else f"inside brackets, {least} deep or more"


def _each(text: str, test: Callable[[str], bool]) -> Answer:
    return np.fromiter((test(c) for c in text), bool, len(text))
