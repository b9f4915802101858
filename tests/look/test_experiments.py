"""Pictures of the ladder: every figure where the table has it."""

import math

import pytest

from unrolled.errors import InputError
from unrolled.learn.experiments.ladder import Row
from unrolled.look.experiments import draw_ladder


def dots(axis, marker):
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() == marker]


def test_rungs_are_dots_and_baselines_are_lines():
    rows = [Row("rnn", "hidden 8", 2.0, 1, 100, 3.0), Row("gru", "hidden 8", 1.5, 1, 200, 4.0), Row("xz", "", 1.8)]
    (axis,) = draw_ladder(rows).axes
    assert dots(axis, "o") == [(2.0 / math.log(2), 0), (1.5 / math.log(2), 1)]
    assert any(list(line.get_xdata()) == [1.8 / math.log(2)] * 2 for line in axis.lines)
    words = {text.get_text() for text in axis.texts}
    assert {"2.885, 100 parameters, 3 s", "2.164, 200 parameters, 4 s", "xz"} <= words


def test_published_losses_stand_beside_ours():
    rows = [Row("rnn", "8 -> 1", 2.0, 1, published_nats=1.9), Row("rnn", "8 -> 1", 1.8, 2, published_nats=1.85)]
    (axis,) = draw_ladder(rows).axes
    assert dots(axis, "D") == [(1.9 / math.log(2), 0), (1.85 / math.log(2), 1)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["rnn, 8 -> 1, epoch 1", "rnn, 8 -> 1, epoch 2"]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["ours", "published"]


def test_no_rows_are_an_error():
    with pytest.raises(InputError, match="no rows"):
        draw_ladder([Row("xz", "", 1.8)])
