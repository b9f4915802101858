"""The baselines of a validation part, and the sentence about them."""

import pytest

from unrolled.text.baselines.compressors import compressors, gzip_bits, has_zstd
from unrolled.text.corpus import text_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.report.baselines import Baseline, baselines, seconds_per_character, verdict
from unrolled.text.sample import Sample

LINES = "".join(
    f"{i} bottles of ink, {i * i} drops; the {'odd' if i % 2 else 'even'} one writes.\n" for i in range(400)
)


def encoded(text: str) -> EncodedText:
    return encode_corpus(text_corpus(text))


def test_a_copy_of_the_training_part_costs_next_to_nothing() -> None:
    text = encoded(LINES + LINES)
    found = {baseline.name: baseline for baseline in baselines(text, Sample.of(len(LINES), len(text)), 1.0)}
    assert set(compressors()) < set(found)
    assert found["gzip"].bits == gzip_bits(LINES)
    assert found["xz"].primed_bits < 0.1 < found["xz"].bits
    assert all(baseline.bits is None or baseline.primed_bits < baseline.bits for baseline in found.values())


def test_a_short_window_is_all_that_is_told() -> None:
    text = encoded(LINES + "x" * 5000 + LINES)
    start = len(LINES) + 5000
    near, all_ = (
        {baseline.name: baseline.primed_bits for baseline in baselines(text, Sample.of(start, len(text)), 1.0, window)}
        for window in (4000, 1 << 20)
    )
    assert all_["xz"] < near["xz"]
    assert all_["gzip"] < near["gzip"]


def test_the_sentence_names_the_best() -> None:
    found = (Baseline("xz", 2.0, 1.5), Baseline("counts", None, 1.2))
    assert "better than all" in verdict(1.1, found)
    assert "counts" in verdict(1.1, found)
    assert verdict(1.3, found).startswith("Counting does better (counts")
    assert verdict(1.3, found[:1]).startswith("The model is better")
    assert verdict(1.6, found[:1]).startswith("A compressor does better (xz")


def test_the_time_is_told_from_a_small_trial() -> None:
    assert 0 < seconds_per_character(encoded(LINES)) < 1e-3


@pytest.mark.skipif(has_zstd(), reason="zstd is there")
def test_without_zstd_the_others_are_shown() -> None:
    assert "zstd" not in compressors()
    assert {"gzip", "bz2", "xz"} <= set(compressors())
