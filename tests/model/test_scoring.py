"""Scores: the chain rule, PyTorch as oracle, independence of block sizes, stretches against the exact figure."""

import gzip
import lzma
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from oracle import logits_of_torch
from tiny import TEXT, tiny_model, tiny_parts
from unrolled.errors import InputError
from unrolled.model import scoring as score_module
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.vocabulary import Vocabulary

every_rung = pytest.mark.parametrize("rung", CELLS)
FORGETTING = sorted(set(CELLS) - {"linear-attention", "deltanet"})
SOME = ("lstm", "mingru", "mamba")
"""Linear attention has no gate, and the delta rule erases only what it writes over."""
MODEL = tiny_model()
LONG = TEXT * 9


@every_rung
def test_score_is_the_cross_entropy_of_the_network_that_trains(rung: str) -> None:
    parts = tiny_parts(rung, layers=2)
    model = CharModel(parts)
    ids = torch.from_numpy(parts.vocabulary.encode(TEXT).astype(np.int64))
    later = torch.nn.functional.cross_entropy(logits_of_torch(parts, TEXT)[:-1], ids[1:], reduction="none")
    first = -math.log((TEXT.count("t") + 1) / (len(TEXT) + len(parts.vocabulary)))
    measured = model.score(TEXT)
    assert measured.each == pytest.approx([first, *later.tolist()], abs=2e-5)
    assert measured.nats == pytest.approx((first + float(later.sum())) / len(TEXT), abs=1e-6)
    assert measured.bits == pytest.approx(measured.nats / math.log(2))
    assert (measured.characters, measured.stretches, measured.unknown) == (len(TEXT), 1, 0)


def test_score_is_the_sum_of_the_surprises_of_next() -> None:
    """The chain rule; `next` leaves out the unknown character, so its share is put back."""
    measured = MODEL.score(TEXT[:30])
    for place in range(30):
        logits = MODEL.read(TEXT[:place]).logits.astype(np.float64)
        known = np.exp(logits[1:]).sum() / np.exp(logits).sum()
        probability = dict(MODEL.next(TEXT[:place]))[TEXT[place]] * known
        assert measured.each is not None
        assert math.exp(-measured.each[place]) == pytest.approx(probability, rel=1e-4)


def test_compressors_are_those_of_the_standard_library() -> None:
    measured = MODEL.score(TEXT)
    assert measured.gzip_bits == pytest.approx(8 * len(gzip.compress(TEXT.encode(), 9)) / len(TEXT), rel=0.02)
    assert measured.xz_bits == pytest.approx(8 * len(lzma.compress(TEXT.encode())) / len(TEXT), rel=0.02)


@pytest.mark.parametrize("stretches", [1, 5])
def test_the_size_of_blocks_changes_nothing(stretches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MODEL.score(LONG, stretches=stretches)
    monkeypatch.setattr(score_module, "STEPS", 7)
    assert MODEL.score(LONG, stretches=stretches).each == pytest.approx(whole.each, abs=1e-5)
    monkeypatch.setattr(score_module, "LOGITS", 1)
    assert MODEL.score(LONG, stretches=stretches).each == pytest.approx(whole.each, abs=1e-5)


@pytest.mark.parametrize(
    ("rung", "stretches"), [*((rung, 7) for rung in FORGETTING), *((rung, n) for rung in SOME for n in (2, len(LONG)))]
)
def test_stretches_come_near_the_exact_figure_and_count_every_character_once(rung: str, stretches: int) -> None:
    model = tiny_model(rung)
    exact, parallel = model.score(LONG, stretches=1), model.score(LONG, stretches=stretches)
    assert parallel.stretches == stretches
    assert parallel.warm_up == score_module.WARM_UP
    assert parallel.characters == exact.characters == len(LONG)
    assert parallel.nats == pytest.approx(exact.nats, abs=1e-4)
    first = (len(LONG) - 1) // stretches
    assert parallel.each[:first] == pytest.approx(exact.each[:first], abs=1e-5), "the first stretch is exact"
    assert "side by side" in parallel.rule
    assert exact.rule.startswith("exact")


def test_without_warm_up_stretches_would_not_be_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above can fail."""
    monkeypatch.setattr(score_module, "WARM_UP", 0)
    model = tiny_model("lstm")
    assert model.score(LONG, stretches=64).nats != pytest.approx(model.score(LONG, stretches=1).nats, abs=1e-4)


def test_long_texts_are_read_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_module, "EXACT_UP_TO", 100)
    assert MODEL.score(TEXT[:100]).stretches == 1
    assert MODEL.score(TEXT[:101]).stretches == 64


def test_encoded_texts_from_memory_and_disk_score_as_their_text_does(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(LONG, encoding="utf-8")
    corpus = open_corpus([tmp_path / "text.txt"])
    plain = MODEL.score(LONG)
    for limit in (1 << 20, 0):
        encoded = encode_corpus(corpus, MODEL.vocabulary, cache=tmp_path / "cache", in_memory_bytes=limit)
        assert encoded.ids.flags.writeable == (limit != 0)
        measured = MODEL.score(encoded)
        assert measured.to_json() == plain.to_json()
        assert np.array_equal(measured.each, plain.each)


def test_a_text_of_another_vocabulary_is_refused() -> None:
    vocabulary = Vocabulary.of("abc")
    with pytest.raises(InputError, match="another vocabulary"):
        MODEL.score(EncodedText(vocabulary.encode("abc"), vocabulary, ""))


def test_unknown_characters_are_counted() -> None:
    measured = MODEL.score("the Ж cat Ж", unknown="replace")
    assert measured.unknown == 2
    assert measured.characters == 11
    skipped = MODEL.score("the Ж cat Ж", unknown="skip")
    assert (skipped.unknown, skipped.characters) == (0, 9)


def test_the_nats_of_each_character_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_module, "KEPT", 50)
    assert MODEL.score(TEXT[:51]).each is None
    assert len(MODEL.score(TEXT[:50]).each) == 50


def test_one_character_and_none() -> None:
    counts = dict(zip(MODEL.vocabulary.characters, MODEL.vocabulary.counts, strict=True))
    expected = -math.log((counts["a"] + 1) / (sum(counts.values()) + len(MODEL.vocabulary)))
    assert MODEL.score("a").nats == pytest.approx(expected)
    with pytest.raises(InputError, match="the text to score is empty"):
        MODEL.score("")
    with pytest.raises(InputError, match="stretches is 0"):
        MODEL.score("cat", stretches=0)


def test_progress_ends_at_the_number_of_characters() -> None:
    told: list[int] = []
    MODEL.score(LONG, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(LONG)


def test_a_text_is_measured_against_the_compressors_as_it_was_scored() -> None:
    text = "é" * 50 + TEXT
    known = MODEL.score(text, unknown="skip")
    assert (known.gzip_bits, known.xz_bits) == (MODEL.score(TEXT).gzip_bits, MODEL.score(TEXT).xz_bits)
