"""Completions: their probabilities against products of `next`, the beam against all words, and where they end."""

import itertools
import math

import numpy as np
import pytest

from tiny import tiny_model
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.completion import Unit, complete
from unrolled.text.vocabulary import BOUNDARY

SMALL = tiny_model("lstm", text="ab \nab \n", hidden=6)
MODEL = tiny_model("gru", hidden=12)


def probability(model: CharModel, prompt: str, text: str, ends: str) -> float:
    """That `text` comes after `prompt`, and after it one of `ends`."""
    state, product = model.read(prompt), 1.0
    for character in text:
        product *= dict(state.next())[character]
        state = state.read(character)
    return product * sum(p for character, p in state.next() if character in ends)


@pytest.mark.parametrize("prompt", ["ab", "ab ", ""])
def test_words_are_the_likeliest_of_all_words(prompt: str) -> None:
    found = complete(SMALL.read(prompt), "word", 4)
    shortest = 0 if prompt[-1:] in ("a", "b") else 1
    words = ["".join(letters) for n in range(shortest, 9) for letters in itertools.product("ab", repeat=n)]
    expected = sorted(((probability(SMALL, prompt, word, " \n"), word) for word in words), reverse=True)[:4]
    assert [one.text for one in found] == [word for _, word in expected]
    assert [one.probability for one in found] == pytest.approx([p for p, _ in expected], rel=1e-4)


def test_lines_end_before_a_newline() -> None:
    for one in complete(SMALL.read("ab"), "line", 3):
        assert "\n" not in one.text
        assert one.probability == pytest.approx(probability(SMALL, "ab", one.text, "\n"), rel=1e-4)


@pytest.mark.parametrize("unit", ["word", "line"])
def test_a_record_is_finished_at_its_end(unit: Unit) -> None:
    model = tiny_model("lstm", text=f"{BOUNDARY}abc{BOUNDARY}bca{BOUNDARY}", hidden=6)
    found = complete(model.read("a"), unit, 3)
    assert len(found) == 3
    for one in found:
        assert one.probability == pytest.approx(probability(model, "a", one.text, BOUNDARY), rel=1e-4)


@pytest.mark.parametrize("prompt", ["the c", "the ", "The dog, na"])
def test_probabilities_are_those_of_next(prompt: str) -> None:
    ends = "".join(c for c in MODEL.vocabulary.characters if not (c.isalnum() or c in "_'’-"))
    found = complete(MODEL.read(prompt), "word", 10)
    probabilities = [one.probability for one in found]
    assert len(found) == 10
    assert probabilities == sorted(probabilities, reverse=True)
    assert math.fsum(probabilities) <= 1
    assert len({one.text for one in found}) == 10
    for one in found:
        assert one.probability == pytest.approx(probability(MODEL, prompt, one.text, ends), rel=1e-3)


def test_the_state_stays_where_it_is() -> None:
    state = MODEL.read("the c")
    before = state.to_bytes()
    complete(state)
    assert state.to_bytes() == before


@pytest.mark.parametrize("count", [0, 51])
def test_counts_out_of_bounds(count: int) -> None:
    with pytest.raises(InputError, match=f"count is {count}, but must be from 1 to 50"):
        complete(MODEL.read("a"), "word", count)


def test_a_line_needs_a_newline() -> None:
    model = tiny_model("rnn", text="ab ab")
    with pytest.raises(InputError, match="has no newline"):
        complete(model.read("a"), "line")
    assert np.isfinite([one.probability for one in complete(model.read("a"), "word")]).all()
