"""Characters and ids: round trips, an oracle of plain Python, and hostile JSON."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from unrolled.errors import FolderError, InputError
from unrolled.text.vocabulary import UNKNOWN, Tally, Vocabulary, code_points

# Characters of one byte, of Latin-1, of 16 bits, and beyond 16 bits: each takes another way through the arrays.
TEXTS = st.text(st.sampled_from("ab\n \0é\xff€中\uffff😀\U0010ffff"), min_size=1)


@given(st.text())
def test_code_points_are_those_of_python(text: str) -> None:
    assert code_points(text).tolist() == [ord(character) for character in text]


@given(TEXTS, st.integers(0, 30), st.integers(1, 4))
def test_counts_are_those_of_a_counter_however_the_text_is_cut(text: str, cut: int, min_count: int) -> None:
    oracle = Counter(text)
    kept = sorted(character for character, count in oracle.items() if count >= min_count)
    if not kept:
        with pytest.raises(InputError, match="lower min_count"):
            Vocabulary.of(text, min_count)
        return
    vocabulary = Vocabulary.of([text[:cut], text[cut:]], min_count)
    assert vocabulary.characters == tuple(kept)
    assert vocabulary.counts == tuple(oracle[character] for character in kept)
    assert vocabulary.merged == len(oracle) - len(kept)
    assert vocabulary.merged_count == len(text) - sum(vocabulary.counts)
    assert Vocabulary.of(text, min_count) == vocabulary


@given(TEXTS)
def test_encoding_and_decoding_is_the_identity(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == vocabulary.decode(ids.tolist()) == text
    assert ids.tolist() == [vocabulary.characters.index(character) + 1 for character in text]
    assert ids.dtype == vocabulary.dtype


@given(TEXTS, TEXTS)
def test_unknown_characters_are_replaced_skipped_or_named(known: str, text: str) -> None:
    vocabulary = Vocabulary.of(known)
    expected = "".join(character if character in known else "\ufffd" for character in text)
    assert vocabulary.decode(vocabulary.encode(text, "replace")) == expected
    assert vocabulary.decode(vocabulary.encode(text, "skip")) == expected.replace("\ufffd", "")
    if expected != text:
        with pytest.raises(InputError, match=f"at position {expected.index(chr(0xFFFD))}, line"):
            vocabulary.encode(text)


def test_an_unknown_character_is_named_with_its_place_and_the_way_out() -> None:
    with pytest.raises(InputError) as caught:
        Vocabulary.of("ab\n").encode("a\nb\nb\taa")
    assert str(caught.value).startswith("'⇥' (U+0009) at position 5, line 3, is not in the vocabulary")
    assert "--unknown replace" in str(caught.value)


def test_a_prompt_of_bytes_that_are_no_characters_is_an_unknown_character() -> None:
    with pytest.raises(InputError, match=r"U\+DCE9\) at position 1,"):
        Vocabulary.of("ab").encode("a\udce9")


def test_an_unknown_way_to_meet_unknown_characters() -> None:
    with pytest.raises(InputError, match="must be 'error', 'skip' or 'replace'"):
        Vocabulary.of("ab").encode("a", "replaced")


@pytest.mark.parametrize(("symbols", "dtype"), [(1, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4")])
def test_ids_take_the_smallest_type(symbols: int, dtype: str) -> None:
    # Beginning above the surrogates, of which there are 2,048.
    vocabulary = Vocabulary(tuple(chr(0xE000 + i) for i in range(symbols)), (1,) * symbols)
    assert vocabulary.dtype == np.dtype(dtype)
    assert vocabulary.encode(vocabulary.characters[-1]).tolist() == [symbols] == [len(vocabulary) - 1]


def test_the_first_ids_of_nietzsche() -> None:
    text = shared_data("nietzsche.txt").read_text(encoding="utf-8")
    vocabulary = Vocabulary.of(text)
    assert len(vocabulary) == 85
    assert vocabulary.encode(text)[:10].tolist() == [40, 42, 29, 30, 25, 27, 29, 1, 1, 1]


def test_rare_characters_of_a_chinese_novel() -> None:
    text = shared_data("hongloumeng_zh.txt").read_text(encoding="utf-8")
    oracle = Counter(text)
    vocabulary = Vocabulary.of(text, min_count=5)
    rare = [count for count in oracle.values() if count < 5]
    assert (vocabulary.merged, vocabulary.merged_count) == (len(rare), sum(rare)) == (1528, 2938)
    assert int((vocabulary.encode(text, "replace") == UNKNOWN).sum()) == sum(rare)


@given(TEXTS, TEXTS, st.integers(1, 3))
def test_an_extended_vocabulary_keeps_its_ids_and_counts_the_new_text(text: str, more: str, min_count: int) -> None:
    vocabulary, oracle, tally = Vocabulary.of(text), Counter(more), Tally()
    tally.add(more)
    extended = tally.vocabulary(min_count, vocabulary.characters)
    assert extended.encode(text).tolist() == vocabulary.encode(text).tolist()
    new = sorted(c for c, count in oracle.items() if count >= min_count and c not in vocabulary.characters)
    assert extended.characters == (*vocabulary.characters, *new)
    assert extended.counts == tuple(oracle[character] for character in extended.characters)
    assert extended.merged == len(set(more) - set(extended.characters))
    assert extended.merged_count == len(more) - sum(extended.counts)


@given(TEXTS, st.integers(1, 2))
def test_json_and_back(text: str, min_count: int) -> None:
    vocabulary = Vocabulary.of(text + "aaa", min_count)
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())), "x.json") == vocabulary


@pytest.mark.parametrize(
    "change",
    [
        {"characters": None},
        {"characters": "ab"},
        {"characters": ["a", "a"]},
        {"characters": ["a", ""]},
        {"characters": ["a", "bc"]},
        {"characters": ["a", "\ud800"]},
        {"characters": ["a", 1]},
        {"characters": ["a"]},
        {"counts": None},
        {"counts": [1]},
        {"counts": [1, -1]},
        {"counts": [1, 1.5]},
        {"counts": [1, True]},
        {"counts": [1, "1"]},
        {"merged": None},
        {"merged": -1},
        {"merged_count": "none"},
    ],
)
def test_damaged_json_is_refused(change: dict[str, Any]) -> None:
    value = Vocabulary.of("ab").to_json()
    assert Vocabulary.from_json(value, "x.json") == Vocabulary.of("ab")
    with pytest.raises(FolderError, match=r"^x\.json: "):
        Vocabulary.from_json(value | change, "x.json")


@pytest.mark.parametrize("ids", [[3], [-1], np.array([0, 3], np.uint8), np.array([-1, 2])])
def test_ids_outside_the_vocabulary(ids: Any) -> None:
    with pytest.raises(InputError, match="a vocabulary of 3 has ids from 0 to 2"):
        Vocabulary.of("ab").decode(ids)


@pytest.mark.parametrize("text", ["", []])
def test_an_empty_text_has_no_vocabulary(text: str | list[str]) -> None:
    with pytest.raises(InputError, match="the text is empty"):
        Vocabulary.of(text)


@pytest.mark.parametrize("min_count", [0, -1])
def test_a_least_count_below_one(min_count: int) -> None:
    with pytest.raises(InputError, match=f"min_count is {min_count}"):
        Vocabulary.of("ab", min_count)


def test_a_tally_takes_long_pieces_of_any_kind() -> None:
    tally, text = Tally(), "a" * 700_001 + "é" * 3 + "中" * 300_000 + "😀" * 2
    tally.add(text)
    tally.add("a" * 3)
    assert dict(zip(*(lambda v: (v.characters, v.counts))(tally.vocabulary()), strict=True)) == Counter(text + "aaa")
