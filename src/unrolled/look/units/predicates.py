"""Yes-or-no questions about every position of a text: inside quotes? how deep in brackets? which letter came last?

The answer at position t concerns the text up to and including character t, which is what a network has read when its
state is examined. Each question is a boolean array over the text. Left out: anything that would need a grammar.
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
DEPTHS = {1: "", 2: ", 2 deep or more", 3: ", 3 deep or more"}
COLUMNS = (20, 40, 60)
MOST_LETTERS = 30
SENTENCE_END = ".!?"


def predicates(text: str) -> dict[str, Answer]:
    """The answers to every question, each (characters,), by name."""
    return {name: answer for family in FAMILIES for name, answer in family(text).items()}


CLOSED_BY = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«"}
"""Opening double quotation marks, and the marks that close each."""


def in_quotes(text: str) -> dict[str, Answer]:
    """Inside double quotation marks: straight, “curly”, „German“, «French» or »reversed«; a blank line ends them.

    Single quotation marks are left out: they cannot be told from apostrophes, as in "don't".
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
    """Inside brackets of any kind, at each least depth."""
    depth = bracket_depth(text)
    return {f"inside brackets{deep}": depth >= least for least, deep in DEPTHS.items()}


def bracket_depth(text: str) -> NDArray[np.int64]:
    """The number of brackets open after each character; a surplus closing bracket is ignored."""
    depth, now = np.zeros(len(text), np.int64), 0
    for place, c in enumerate(text):
        now = max(0, now + (c in OPENING) - (c in CLOSING))
        depth[place] = now
    return depth


def in_line(text: str) -> dict[str, Answer]:
    """The column of a position; a line break is column 0 of the line after it."""
    column = distance_since(text, lambda c: c == "\n")
    return {"start of a line": column < 5} | {f"past column {least} of a line": column > least for least in COLUMNS}


def in_word(text: str) -> dict[str, Answer]:
    """The position within a word."""
    length = distance_since(text, lambda c: not c.isalpha())
    return {
        "inside a word": length >= 1,
        "third letter of a word or later": length >= 3,
        "sixth letter of a word or later": length >= 6,
    }


def in_sentence(text: str) -> dict[str, Answer]:
    """The distance from the last end of a sentence."""
    since = distance_since(text, lambda c: c in SENTENCE_END)
    return {"start of a sentence": since < 5, "past 60 characters of a sentence": since > 60}


def by_kind(text: str) -> dict[str, Answer]:
    """The kind of the last character."""
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
    """Whether the last character is a given one, for the most frequent characters."""
    common = [c for c, _ in Counter(text).most_common(MOST_LETTERS)]
    return {f"after {visible(c)!r}": _each(text, c.__eq__) for c in sorted(common)}


def distance_since(text: str, test: Callable[[str], bool]) -> NDArray[np.int64]:
    """Characters since `test` was last true, 0 where it is; before the first, counted from the start of the text."""
    places = np.arange(len(text))
    last = np.maximum.accumulate(np.where(_each(text, test), places, -1)) if text else places
    return places - last


FAMILIES = (in_quotes, in_brackets, in_line, in_word, in_sentence, by_kind, after_letters)


def _each(text: str, test: Callable[[str], bool]) -> Answer:
    return np.fromiter((test(c) for c in text), bool, len(text))
