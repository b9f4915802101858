"""Decoding: universal newlines and marks over any borders, and the sentence for bytes that are no text."""

import io
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.text.encoding import decode, known_encoding, likely_encoding, looks_binary

FRENCH = "Là-bas, où l'été s'achève, l'élève étudie « à côté » de la forêt ; ça va très bien.\n" * 20
GERMAN = "Über die Größe der Möglichkeiten läßt sich streiten, sagt der Förster aus Überlingen.\n" * 20
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n" * 20
CHINESE = "满纸荒唐言，一把辛酸泪。都云作者痴，谁解其中味？此开卷第一回也。作者自云曾历过一番梦幻之后。\n" * 20
TRADITIONAL = "滿紙荒唐言，一把辛酸淚。都云作者癡，誰解其中味？此開卷第一回也。作者自云曾歷過一番夢幻之後。\n" * 20
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n" * 20
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n" * 20


def decoded(data: bytes, cuts: list[int], encoding: str = "utf-8") -> str:
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    blocks = [data[a:b] for a, b in pairwise(borders)]
    return "".join(decode(blocks, encoding, "book.txt", lambda: blocks))


def refusal(data: bytes, cuts: list[int], encoding: str = "utf-8") -> str:
    with pytest.raises(InputError) as caught:
        decoded(data, cuts, encoding)
    return str(caught.value)


@given(
    st.text(st.sampled_from("a\r\né中😀\ufeff")), st.lists(st.integers(0, 40)), st.sampled_from(["utf-8", "utf-16-le"])
)
def test_decoding_is_that_of_python_whatever_the_blocks(text: str, cuts: list[int], encoding: str) -> None:
    data = text.encode(encoding)
    with io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline=None) as oracle:
        assert decoded(data, cuts, encoding) == oracle.read().removeprefix("\ufeff")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_text(encoding: str) -> None:
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    assert decoded("PREFACE".encode(encoding), [1, 2, 3], name) == "PREFACE"


@given(st.text(st.sampled_from("a\r\né中"), max_size=30), st.lists(st.integers(0, 90)))
def test_the_offset_and_the_line_of_a_wrong_byte(text: str, cuts: list[int]) -> None:
    before = text.encode()
    message = refusal(before + b"\xff tail", cuts)
    line = len(re.split("\r\n|\r|\n", text))
    assert f"book.txt is not UTF-8: byte 0xff at offset {len(before):,}, on line {line:,}, is" in message


def test_a_character_cut_off_at_the_end_is_named_where_it_begins() -> None:
    message = refusal("a\nb中".encode()[:-1], [4])
    assert "byte 0xe4 at offset 3, on line 2" in message
    assert "The file ends in the middle of a character" in message


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "cp1252"),
        (GERMAN, "cp1252"),
        (FRENCH, "mac_roman"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (CHINESE, "gb18030"),
        (TRADITIONAL, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (FRENCH, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (RUSSIAN, "utf-32"),
    ],
)
def test_the_likely_encoding(text: str, encoding: str) -> None:
    assert likely_encoding(text.encode(encoding)) == encoding
    if not encoding.endswith(("le", "be")):  # those are valid UTF-8 with a NUL after each letter
        assert f"It looks like {encoding}: read it with --encoding {encoding}" in refusal(text.encode(encoding), [])


def test_no_encoding_is_guessed_for_noise() -> None:
    assert likely_encoding(bytes(range(128, 256)) * 20) is None


def test_a_damaged_utf8_text_is_not_said_to_be_something_else() -> None:
    data = CHINESE.encode()
    assert "the file is damaged there" in refusal(data[:300] + b"\xff" + data[300:], [])


def test_the_guess_looks_around_the_wrong_byte_and_not_at_the_start() -> None:
    message = refusal(b"plain text\n" * 30_000 + RUSSIAN.encode("cp1251"), [])
    assert "at offset 330,000, on line 30,001" in message
    assert "cp1251" in message


@pytest.mark.parametrize("text", [FRENCH, RUSSIAN, CHINESE, "a\tb\n\x1b[1mbold\x1b[0m\f\n", ""])
def test_a_text_is_not_binary(text: str) -> None:
    assert not looks_binary(text.encode(), "utf-8")
    assert not looks_binary(text.encode("utf-16"), "utf-8")  # a text still, to be refused for its encoding
    assert not looks_binary(text.encode("utf-16-le"), "utf-16-le")


@pytest.mark.parametrize(
    "data", [b"text\0text", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", bytes(range(1, 32)), b"%PDF\x01\x02"]
)
def test_a_binary_file_is_not_a_text(data: bytes) -> None:
    assert looks_binary(data, "utf-8")


@pytest.mark.parametrize("name", ["utf8", "UTF-8", "latin-1", "cp1252", "gb18030"])
def test_known_encodings(name: str) -> None:
    assert "é".encode(known_encoding(name)) == "é".encode(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("utf9", "did you mean 'utf"),
        ("rot13", ""),
        ("zlib", ""),
        ("idna", ""),
        ("", ""),
        ("no such thing", "choose one"),
    ],
)
def test_an_unknown_encoding(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"unknown encoding {name!r}: .*{hint}"):
        known_encoding(name)
