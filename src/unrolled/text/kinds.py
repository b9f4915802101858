"""The kind of a character: the groups by which vectors are coloured and lists are sorted.

Left out: words and their kinds.
"""

from __future__ import annotations

import unicodedata

KINDS = ("vowel", "consonant", "capital", "digit", "punctuation", "blank", "other")
VOWELS = "aeiouyæœøıаеёиоуыэюяіїєαεηιουω"


def kind(character: str) -> str:
    """One of `KINDS`.

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
