"""Scores of lines: those of `CharModel.score`, whatever the batch; escapes, masks, order."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unrolled.model.lines as lines_module
from tiny import TEXT, tiny_model, tiny_parts
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.model.lines import PEAK, escape_nats, score_lines
from unrolled.model.prefixes import prefix_levels
from unrolled.text.variables import Kinds, masked, masked_pieces, variable
from unrolled.text.vocabulary import Vocabulary

MODEL = tiny_model("lstm", layers=2)
KNOWN = st.text(alphabet=MODEL.vocabulary.characters, max_size=12)


@given(texts=st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=8))
def test_the_levels_are_the_distinct_prefixes(texts: list[list[int]]) -> None:
    rows: dict[tuple[int, ...], int] = {(): 0}
    for length, level in enumerate(prefix_levels([np.array(text, np.uint8) for text in texts]), 1):
        assert level.texts.tolist() == [i for i, text in enumerate(texts) if len(text) >= length]
        assert len(level.ids) == len({tuple(text[:length]) for text in texts if len(text) >= length})
        for i, row in zip(level.texts, level.prefixes, strict=True):
            prefix = tuple(texts[i][:length])
            assert level.ids[row] == prefix[-1]
            assert level.parents[row] == rows[prefix[:-1]]
            assert rows.setdefault(prefix, row) == row
    assert max(map(len, texts), default=0) == max(map(len, rows))


@given(lines=st.lists(KNOWN, max_size=9))
def test_bits_are_those_of_each_line_alone(lines: list[str]) -> None:
    scored = list(MODEL.score_lines(lines, after=""))
    assert [one.line for one in scored] == lines
    for one in scored:
        if one.line:
            expected = MODEL.score(one.line)
            assert expected.each is not None
            np.testing.assert_allclose(one.nats, expected.each, atol=1e-5)
            assert one.bits == pytest.approx(expected.bits, abs=1e-5)
            assert one.total_bits == pytest.approx(expected.bits * len(one.line), abs=1e-4)
            assert one.position == int(one.nats.argmax())
        else:
            assert (one.bits, one.total_bits, one.position) == (0, 0, None)


def test_a_line_is_read_after_a_newline() -> None:
    (one,) = MODEL.score_lines(["the cat"])
    whole = MODEL.score("\nthe cat").each
    assert whole is not None
    np.testing.assert_allclose(one.nats, whole[1:], atol=1e-5)


@pytest.mark.parametrize("rung", ["three-char", "gru", "mingru"])
def test_every_rung_can_score_lines(rung: str) -> None:
    model = tiny_model(rung)
    lines = TEXT.splitlines()
    for one in model.score_lines(lines, after=""):
        assert one.bits == pytest.approx(model.score(one.line).bits, abs=1e-5)


def test_small_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [TEXT[i : i + 3 * (i % 9)] for i in range(0, 200, 7)]
    whole = [one.total_bits for one in MODEL.score_lines(lines)]
    monkeypatch.setattr(lines_module, "BATCH_LINES", 3)
    monkeypatch.setattr(lines_module, "BATCH_CHARACTERS", 20)
    assert [one.total_bits for one in MODEL.score_lines(lines)] == pytest.approx(whole, abs=1e-4)


def test_lines_are_taken_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "BATCH_LINES", 2)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "the cat"

    scores = score_lines(MODEL, endless())
    next(scores)
    assert taken == 2


def test_an_unknown_character_costs_its_escape() -> None:
    plain, strange = MODEL.score_lines(["the cat", "the Ж cat"])
    assert (plain.unknown, strange.unknown) == (0, 1)
    assert strange.position == 4
    unseen = math.log(sum(MODEL.vocabulary.counts) + 1)
    which = math.log(0x110000 - len(MODEL.vocabulary.characters))
    assert strange.nats[4] == pytest.approx(unseen + which)
    np.testing.assert_array_equal(plain.nats[:4], strange.nats[:4])


def test_where_rare_characters_were_merged_the_model_predicts_the_escape() -> None:
    vocabulary = Vocabulary.of(TEXT, min_count=10)
    assert vocabulary.merged_count
    config = ModelConfig("rnn", len(vocabulary), 3, 5, 1)
    weights = tiny_parts("rnn").weights
    weights = {name: array[: len(vocabulary)] if len(array) > 20 else array for name, array in weights.items()}
    model = CharModel(ModelParts(config, vocabulary, weights, {}))
    (one,) = model.score_lines(["aЖ"], after="")
    replaced = model.score("aЖ", unknown="replace").each
    assert replaced is not None
    assert escape_nats(vocabulary) == (None, math.log(0x110000 - len(vocabulary.characters)))
    assert one.nats[1] == pytest.approx(replaced[1] + escape_nats(vocabulary)[1], rel=1e-5)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("took 12 ms", "12"),
        ("from 173.234.31.186 port 38926", "173.234.31.186|38926"),
        ("2005-06-03-15.42.50.675872 R02", "2005-06-03-15.42.50.675872|02"),
        ("Dec 10 06:55:46 LabSZ sshd[24200]:", "Dec 10 06:55:46|24200"),
        ("- [01/Mar/2026:00:00:05 +0000] Sun, 3 May 2026 12:00", "01/Mar/2026:00:00:05 +0000|Sun, 3 May 2026 12:00"),
        ("at 0x7ffe03 and deadbeef1 bad", "0x7ffe03|deadbeef1"),
        ("id 550e8400-e29b-41d4-a716-446655440000.", "550e8400-e29b-41d4-a716-446655440000"),
        ('status "200", size "1,024"', "200|1,024"),
        ("a decade of facade, added beef", ""),
        ("3 cats", "3"),
    ],
)
def test_the_variable_parts_of_a_line(line: str, found: str) -> None:
    marked = "".join(c if is_variable else "\0" for c, is_variable in zip(line, variable(line), strict=True))
    assert "|".join(filter(None, marked.split("\0"))) == found


def test_masked_characters_are_read_but_not_counted() -> None:
    line = "the 3 cats"
    (plain,), (masked,) = MODEL.score_lines([line]), MODEL.score_lines([line], mask=True)
    assert (plain.counted, masked.counted) == (10, 9)
    assert masked.nats[4] == 0
    assert np.delete(masked.nats, 4).tolist() == np.delete(plain.nats, 4).tolist()
    assert masked.bits == pytest.approx(masked.total_bits / 9)


LOG = st.text(alphabet="a1f:. \nx", max_size=30)


@given(text=LOG, cuts=st.lists(st.integers(0, 30)))
def test_a_text_is_masked_as_its_lines_are(text: str, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]
    assert "".join(masked_pieces(pieces)) == "\n".join(masked(line)[0] for line in text.split("\n"))
    for line in text.split("\n"):
        read, places = masked(line)
        assert len(read) == len(places)
        assert all(c == line[i] or (c == "#" and variable(line)[i]) for c, i in zip(read, places, strict=True))
        assert set(np.flatnonzero(~variable(line))) <= set(places)


def test_a_model_of_masked_lines_reads_them_masked() -> None:
    parts = replace(tiny_parts(text=TEXT + "#0123456789"), training={"recipe": {"mask": True}})
    model, plain = CharModel(parts), CharModel(replace(parts, training={}))
    for line in ("the 12:30 cat 7", "no number", "", "99"):
        (one,), (other,) = model.score_lines([line]), plain.score_lines([masked(line)[0]])
        assert (one.line, one.counted, one.peak) == (line, other.counted, other.peak)
        assert np.array_equal(one.nats[masked(line)[1]], other.nats)
        assert one.total_bits == other.total_bits


@given(line=KNOWN)
def test_the_peak_is_the_most_surprising_run(line: str) -> None:
    (one,) = MODEL.score_lines([line])
    bits = one.nats.astype(np.float64) / math.log(2)
    size = min(PEAK, len(line))
    runs = [bits[i : i + size].mean() for i in range(len(line) - size + 1)] if line else [0.0]
    assert one.peak == pytest.approx(max(runs), rel=1e-5)


@pytest.mark.parametrize("replace", [False, True])
def test_a_line_whose_kind_came_before_costs_no_more_than_naming_it(replace: bool) -> None:
    lines = ["the 12:30 cat 7", "no number", "the 9 cat 88", "the 7 dog 7", "the 1 cat 1"]
    kinds = Kinds()
    limits = [math.inf, math.inf, math.log(2 * 3), math.inf, math.log(2 * 5 / 2)]
    plain = list(score_lines(MODEL, lines, replace=replace))
    halves = [*score_lines(MODEL, lines[:2], replace=replace, kinds=kinds)]
    halves += score_lines(MODEL, lines[2:], replace=replace, kinds=kinds)
    for one, before, limit in zip(halves, plain, limits, strict=True):
        fixed = ~variable(one.line)
        assert np.array_equal(one.nats[~fixed], before.nats[~fixed])
        assert one.nats[fixed].sum() == pytest.approx(min(limit, before.nats[fixed].sum()), rel=1e-5)
        assert before.nats[fixed].sum() > 2, "or nothing was limited"
