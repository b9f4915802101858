"""Vectors of strings: the network's own outputs, independent of the batch, in the right scale."""

import numpy as np
import pytest

from tiny import TEXT, tiny_model
from unrolled.model.string_vectors import BATCH, STEPS, STREAMS
from unrolled.text.vocabulary import BOUNDARY, LABEL_END

MODEL = tiny_model("lstm", layers=2, hidden=7)
NAMES = ["the cat", "the mat", "", "t", "naïve", "Ж unknown"]


def outputs_of(string: str) -> np.ndarray:
    """The last layer's h after a newline and after each character, read one by one."""
    state, outputs = MODEL.network.initial_state(), []
    for i in MODEL.vocabulary.encode("\n" + string, "replace"):
        h, state = MODEL.network.hidden(int(i), state)
        outputs.append(h)
    return np.array(outputs)


def test_vectors_are_the_standardised_outputs_of_the_network() -> None:
    text = MODEL.generate("", STREAMS * STEPS, seed=0)
    every = []
    for stream in range(STREAMS):
        state = MODEL.network.initial_state()
        for i in MODEL.vocabulary.encode(text[stream * STEPS : (stream + 1) * STEPS]):
            h, state = MODEL.network.hidden(int(i), state)
            every.append(h)
    mean, deviation = np.mean(every, axis=0), np.std(every, axis=0)
    vectors = MODEL.embed(NAMES)
    assert vectors.shape == (6, 14)
    assert vectors.dtype == np.float32
    for name, vector in zip(NAMES, vectors, strict=True):
        outputs = outputs_of(name)
        counted = outputs[1:] if name else outputs
        np.testing.assert_allclose(vector[:7], (counted[-1] - mean) / deviation, atol=1e-4)
        np.testing.assert_allclose(vector[7:], (counted.mean(axis=0) - mean) / deviation, atol=1e-4)


def test_a_vector_does_not_depend_on_the_other_strings() -> None:
    many = [TEXT[i : i + i % 11] for i in range(BATCH // 2)] * 3
    together = MODEL.embed(many)
    np.testing.assert_allclose(together[:8], MODEL.embed(many[:8]), atol=1e-5)
    np.testing.assert_allclose(together[: BATCH // 2], together[-(BATCH // 2) :], atol=1e-5)


def test_no_strings_and_no_newline() -> None:
    assert MODEL.embed([]).shape == (0, 14)
    model = tiny_model("gru", text="abcabc")
    assert model.embed(["", "abc"]).shape == (2, 10)


@pytest.mark.parametrize("label", ["", f"pop{LABEL_END}"])
def test_strings_are_read_as_records_are(label: str) -> None:
    model = tiny_model("gru", text=f"{BOUNDARY}{label}blue{BOUNDARY}{label}note{BOUNDARY}")
    state, outputs = model.network.initial_state(), []
    for i in model.vocabulary.encode(f"{BOUNDARY}blue"):
        h, state = model.network.hidden(int(i), state)
        outputs.append(h)
    one, two = model.embed(["blue", "note"])
    scale = (outputs[-1] - np.mean(outputs[1:], axis=0)) / (one[:5] - one[5:])
    assert (scale > 0).all()
    assert not np.allclose(one, two)


@pytest.mark.parametrize("rung", ["three-char", "rnn", "mingru"])
def test_every_rung_has_vectors(rung: str) -> None:
    vectors = tiny_model(rung).embed(["the cat", "cat"])
    assert vectors.shape == (2, 10)
    assert np.isfinite(vectors).all()
