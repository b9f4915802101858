"""The lesson's public face: any module is fitted as the ladder's networks are, and asked for the next character."""

import doctest

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from unrolled import lesson
from unrolled.errors import InputError

TEXT = "the cat sat on the mat. " * 60
VOCABULARY = lesson.Vocabulary.of(TEXT)


class OneOutput(nn.Module):
    """The library's `rnn` as a reader would write it: ids -> logits of the next character (batch, vocabulary)."""

    def __init__(self, like):
        super().__init__()
        self.embedding, self.head = like.embedding, like.head
        self.rnn = nn.RNN(8, 16, batch_first=True)
        with torch.no_grad():
            for name, parameter in self.rnn.named_parameters():
                parameter.copy_(getattr(like.layers[0], name.removesuffix("_l0")))

    def forward(self, ids):
        return self.head(self.rnn(self.embedding(ids))[0][:, -1])


def small(seed=0):
    return lesson.network("rnn", VOCABULARY, embedding=8, hidden=16, seed=seed)


def test_a_module_of_your_own_is_fitted_like_the_network_of_the_ladder():
    inputs, targets = lesson.windows(VOCABULARY.encode(TEXT), 8, 1, 1)
    ours, own = small(), OneOutput(small())
    rates = [1e-2, 1e-2, 1e-3]
    first, second = (list(lesson.fit(network, inputs, targets, rates)) for network in (ours, own))
    assert [epoch.number for epoch in first] == [1, 2, 3]
    assert [epoch.validation for epoch in first] == pytest.approx([epoch.validation for epoch in second], abs=1e-4)
    assert first[2].validation < first[0].validation
    for start in ("the ca", "sat o"):
        assert lesson.next_character(ours, VOCABULARY, start) == lesson.next_character(own, VOCABULARY, start)


def test_every_output_can_be_fitted_and_drawn():
    inputs, targets = lesson.windows(VOCABULARY.encode(TEXT), 8, 8, 8)
    network = small()
    epochs = list(lesson.fit(network, inputs, targets, [1e-2]))
    assert isinstance(lesson.draw_losses({"rnn": epochs}), Figure)
    table = lesson.vectors(network, VOCABULARY)
    assert table.names == VOCABULARY.characters
    assert isinstance(lesson.draw_vectors(table, 3), Figure)
    assert lesson.diagram(network, "cat")._repr_svg_().startswith("<svg")
    assert str(epochs[0]).startswith("epoch 1: training ")


def test_a_character_that_was_never_seen_is_said():
    with pytest.raises(InputError, match="'z'"):
        lesson.next_character(small(), VOCABULARY, "zoo")


def test_the_example_at_its_top_runs():
    assert doctest.testmod(lesson) == (0, 6)
