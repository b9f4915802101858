"""Kinds of characters, by example, and one for every character there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.text.vocabulary import KINDS, kind


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("aeiouyéøы", "vowel"), ("bcdzñßж", "consonant"), ("AZÉЖ", "capital"), ("09٣", "digit"),
        (".,;!?'\"()-—“$+", "punctuation"), (" \n\t\u00a0", "blank"), ("中ハא\u0301\0\ufffd", "other"),
    ],
)  # fmt: skip
def test_kinds(letters: str, expected: str) -> None:
    assert {kind(letter) for letter in letters} == {expected}


@given(st.characters())
def test_every_character_has_a_kind(character: str) -> None:
    assert kind(character) in KINDS
