"""Bits per character of the compressors, alone and primed."""

import bz2
import gzip
import lzma
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.text.baselines.compressors import bz2_bits, compressors, gzip_bits, xz_bits


@settings(max_examples=30)  # each compresses ten times
@given(st.text(min_size=1), st.integers(0, 20))
def test_they_are_the_sizes_of_the_files(text: str, cut: int) -> None:
    data = text.encode()
    pieces = [text[:cut], text[cut:]]
    assert gzip_bits(text) == gzip_bits(pieces) == 8 * len(gzip.compress(data, 9)) / len(text)
    assert bz2_bits(text) == bz2_bits(pieces) == 8 * len(bz2.compress(data, 9)) / len(text)
    assert xz_bits(text) == xz_bits(pieces) == 8 * len(lzma.compress(data, preset=6)) / len(text)


def test_they_count_characters_and_not_bytes() -> None:
    noise = os.urandom(50_000).decode("latin-1")
    for bits in (gzip_bits, xz_bits):
        assert 8 < bits(noise) < 11  # eight bits of information, written as one or two bytes of UTF-8
        assert bits("中" * 100_000) < 0.1


@pytest.mark.parametrize("bits", [gzip_bits, xz_bits])
@pytest.mark.parametrize("text", ["", [], [""]])
def test_an_empty_text_has_no_bits_per_character(bits: object, text: str | list[str]) -> None:
    assert callable(bits)
    with pytest.raises(InputError, match="the text is empty"):
        bits(text)


@pytest.mark.parametrize("name", list(compressors()))
def test_what_was_told_before_is_not_charged_again(name: str) -> None:
    bits, noise = compressors()[name], os.urandom(3000).hex()
    assert bits(noise, noise.encode()) < 0.5 * bits(noise, b"")  # bz2, which sorts, needs 0.4 for a copy
    assert bits(noise, os.urandom(3000).hex().encode()) == pytest.approx(bits(noise, b""), rel=0.1)
    assert bits(noise, "ü".encode() * 2) > 0
