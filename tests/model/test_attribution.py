"""Exchanging characters before a prediction: against reading every exchanged text by itself, and known memories."""

import math

import numpy as np
import pytest

from tiny import TEXT, tiny_model
from unrolled.errors import InputError
from unrolled.model.attribution import exchange
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.text.vocabulary import Vocabulary


def by_reading_again(model: CharModel, text: str, position: int, alternatives: int) -> float:
    """The same measure with nothing shared: every exchanged text is read whole."""
    own = dict(model.next(text))
    expected = [(c, p) for c, p in model.next(text[:position]) if c != text[position]][:alternatives]
    total = sum(p for _, p in expected)
    bits = 0.0
    for character, p in expected:
        moved = dict(model.next(text[:position] + character + text[position + 1 :]))
        bits += p / total * sum(q * math.log2(q / moved[c]) for c, q in own.items())
    return bits


@pytest.mark.parametrize(("rung", "layers"), [*((rung, 2) for rung in CELLS), ("lstm", 1)])
def test_it_is_what_reading_every_exchanged_text_gives(rung: str, layers: int) -> None:
    model, text = tiny_model(rung, layers=layers), TEXT[:20]
    found = exchange(model, text, 8, alternatives=3)
    assert (found.start, found.characters) == (12, text[12:])
    expected = [by_reading_again(model, text, position, 3) for position in range(12, 20)]
    np.testing.assert_allclose(found.bits, expected, rtol=1e-3, atol=1e-6)
    assert found.instead == tuple(
        next(c for c, _ in model.next(text[:position]) if c != text[position]) for position in range(12, 20)
    )


def shift_register(length: int) -> CharModel:
    """A network whose prediction is decided by the character `length` back, and by no other."""
    vocabulary = Vocabulary.of("abcd")
    size = len(vocabulary)
    hidden = size * length
    weights = {
        "embedding.weight": np.eye(size),
        "layers.0.weight_ih": np.eye(hidden, size),
        "layers.0.weight_hh": np.eye(hidden, k=-size),
        "layers.0.bias_ih": np.zeros(hidden),
        "layers.0.bias_hh": np.zeros(hidden),
        "head.weight": np.eye(size, hidden, k=hidden - size),
        "head.bias": np.zeros(size),
    }
    parts = {name: array.astype(np.float32) for name, array in weights.items()}
    return CharModel(ModelParts(ModelConfig("irnn", size, size, hidden, 1, "relu"), vocabulary, parts, {}))


@pytest.mark.parametrize("length", [1, 3, 7])
def test_a_network_that_remembers_one_character_owes_it_everything(length: int) -> None:
    found = exchange(shift_register(length), "abcdabdcacbd")
    assert np.flatnonzero(found.bits).tolist() == [12 - length]


def test_texts_shorter_than_asked_and_empty_ones() -> None:
    model = tiny_model()
    assert len(exchange(model, "the", 80).bits) == 3
    assert exchange(model, "").to_json() == {"start": 0, "characters": "", "bits": [], "instead": []}


def test_a_vocabulary_of_one_character_has_nothing_to_exchange() -> None:
    found = exchange(tiny_model(text="aaa"), "aaa")
    assert found.bits.tolist() == [0, 0, 0]
    assert found.instead == ("", "", "")


def test_unknown_characters_and_numbers_below_one() -> None:
    model = tiny_model()
    with pytest.raises(InputError, match=r"U\+007A"):
        exchange(model, "the z")
    replaced = exchange(model, "the z", unknown="replace")
    assert replaced.characters == "the \ufffd"
    assert np.isfinite(replaced.bits).all()
    with pytest.raises(InputError, match="at least 1"):
        exchange(model, "the", back=0)
    with pytest.raises(InputError, match="at least 1"):
        exchange(model, "the", alternatives=0)
