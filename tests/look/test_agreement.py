"""Minimal pairs against sums over all texts, and lines that are no pairs."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from small import model_of, network_for, trained_on
from unrolled.errors import InputError
from unrolled.look.agreement.cues import by_distance, cue_effects, pairs_from_text
from unrolled.look.agreement.pairs import agreement, read_pairs
from unrolled.look.agreement.picture import draw_agreement


@pytest.fixture(scope="module")
def untrained():
    return model_of(*network_for("ab c", "lstm", hidden=8))


@pytest.fixture(scope="module")
def polite():
    """Knows two sentences: a rex says he, a una says she."""
    text = "rex said he did. una said she did. " * 20
    text += "una said she did. rex said he did. " * 20
    return model_of(*trained_on(text, "gru", steps=120, hidden=24, window=36, seed=1))


def test_probabilities_follow_the_chain_rule(untrained):
    """The words of two letters over a, b, c and blank: the probabilities of all sixteen sum to 1."""
    total = 0.0
    for first, second in itertools.product("ab c", repeat=2):
        other = "a" if first + second != "aa" else "b"
        (pair,) = read_pairs([f"b[{first + second} |{other}] "])
        by_hand = dict(untrained.next("b"))[first] * dict(untrained.next("b" + first))[second]
        by_hand *= (
            dict(untrained.next("b" + first + second))[" "] ** 2 / dict(untrained.next("b" + first + second))[" "]
        )
        by_hand *= dict(untrained.next("b" + first + second + " "))[" "]
        found = agreement(untrained, pair)
        assert found.probabilities[0] == pytest.approx(by_hand, rel=1e-5)
        total += (
            found.probabilities[0]
            / dict(untrained.next("b" + first + second))[" "]
            / dict(untrained.next("b" + first + second + " "))[" "]
        )
    assert total == pytest.approx(1, rel=1e-5)


def test_a_word_counts_only_where_it_ends(untrained):
    (pair,) = read_pairs(["[a|b]"])
    after = dict(untrained.next("a"))
    expected = dict(untrained.next(""))["a"] * after[" "]
    assert agreement(untrained, pair).probabilities[0] == pytest.approx(expected, rel=1e-6)


def test_shares_sum_to_one(untrained):
    (pair,) = read_pairs(["ab [a|b|ab|ba c]c"])
    assert sum(agreement(untrained, pair).shares) == pytest.approx(1)


def test_the_cue_decides_after_training(polite):
    rex, una = (agreement(polite, pair) for pair in read_pairs(["{rex|una} said [he|she]"]))
    assert (rex.preferred, una.preferred) == ("he", "she")
    assert rex.shares[0] > 0.9
    assert una.shares[1] > 0.9
    assert cue_effects([rex, una])[0].nats > math.log(9 * 9)
    assert json.loads(json.dumps(rex.to_json()))["preferred"] == "he"


def test_the_shift_is_the_change_of_the_log_odds(polite):
    rex, una = (agreement(polite, pair) for pair in read_pairs(["{rex|una} said [he|she]"]))
    odds = [math.log(one.probabilities[0] / one.probabilities[1]) for one in (rex, una)]
    (found,) = cue_effects([rex, una])
    assert found.nats == pytest.approx(odds[0] - odds[1])
    assert (found.cues, found.distance) == (("rex", "una"), len(" said "))
    (other_way,) = cue_effects([una, rex])
    assert other_way.nats == pytest.approx(-found.nats)


def test_a_shift_of_three_is_the_mean_of_its_twos(untrained):
    threes = [agreement(untrained, pair) for pair in read_pairs(["c{a|b|c} [a|b|c]"])]
    twos = []
    for i, j in itertools.combinations(range(3), 2):
        lines = [f"c{{{'abc'[i]}|{'abc'[j]}}} [{'abc'[i]}|{'abc'[j]}]"]
        twos += cue_effects([agreement(untrained, pair) for pair in read_pairs(lines)])
    assert cue_effects(threes)[0].nats == pytest.approx(sum(two.nats for two in twos) / 3)


def test_lines_without_a_cue_have_no_shift(untrained):
    pairs = read_pairs(["a [a|b]", "{a} [a|b]", "{a|b} [a|b]"])
    assert [one.line for one in cue_effects([agreement(untrained, pair) for pair in pairs])] == [3]


def test_a_text_gives_its_own_pairs(polite):
    text = "rex and una did. una said she did. rex did. did. did. he said. he did. " * 12
    pairs = pairs_from_text(text, [("rex", "una")], ("he", "she"), places=100, seed=0)
    lines = [list(group) for _, group in itertools.groupby(pairs, key=lambda pair: pair.line)]
    assert len(lines) == 3 * 12
    for first, second in lines:
        assert first.choices == ("he", "she")
        assert {first.cue.lower(), second.cue.lower()} == {"rex", "una"}
        assert first.context.replace("rex", "una").replace("Rex", "Una") == second.context.replace("rex", "una")
    assert {pair.distance for pair in pairs} == {
        len(" said "),
        len(" did. did. did. "),
        len(" did. did. did. he said. "),
    }
    bands = by_distance(cue_effects([agreement(polite, pair) for pair in pairs]))
    assert [(band.near, band.lines) for band in bands] == [(4, 12), (16, 24)]
    assert bands[0].low > 1
    assert all(band.low <= band.nats <= band.high for band in bands)


def test_a_text_without_a_place_is_explained():
    with pytest.raises(InputError, match="has no he or she"):
        pairs_from_text("rex did. ", [("rex", "una")], ("he", "she"), 10, 0)


def test_capitals_stay_capitals():
    pairs = pairs_from_text("A Man came. He went.", [("man", "woman")], ("he", "she"), 10, 0)
    assert [(pair.context, pair.choices) for pair in pairs] == [
        ("A Man came. ", ("He", "She")),
        ("A Woman came. ", ("He", "She")),
    ]


def test_no_more_than_so_many_places_are_taken():
    text = "rex said he did. " * 50
    assert len(pairs_from_text(text, [("rex", "una")], ("he", "she"), places=7, seed=1)) == 14
    assert pairs_from_text(text, [("rex", "una")], ("he", "she"), places=7, seed=1)[0].cue == "rex"


def test_pairs_of_a_line():
    man, woman = read_pairs(["# a remark", "", "The {man|woman} said that [he|she|it] was\n"])
    assert (man.cue, woman.cue) == ("man", "woman")
    assert man.context == "The man said that "
    assert man.choices == ("he", "she", "it")
    assert man.rest == " was"
    assert man.distance == woman.distance == len(" said that ")


@given(st.text("abc ", max_size=8), st.text("abc ", max_size=8), st.text("abc ", max_size=8))
def test_nothing_of_a_line_is_lost(before, between, rest):
    (pair,) = read_pairs([before + "{man}" + between + "[he|she]" + rest])
    assert pair.context + pair.choices[1] + pair.rest == before + "man" + between + "she" + rest
    assert pair.distance == len(between)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["The man said that he"], "line 1 needs one choice"),
        (["[a|b]", "[a|b] and [c|d]"], "line 2 needs one choice"),
        (["{a} {b} [a|b]"], "at most one cue"),
        (["[he]"], "two or more different words"),
        (["[he|]"], "two or more different words"),
        (["[he|he]"], "two or more different words"),
        (["[he|she] said the {man|woman}"], "follows the choice"),
        ([], "no line has a choice"),
        (["# nothing"], "no line has a choice"),
    ],
)
def test_lines_that_are_no_pairs(lines, message):
    with pytest.raises(InputError, match=message):
        read_pairs(lines)


def test_characters_the_model_does_not_know_are_named(untrained):
    (pair,) = read_pairs(["a [x|b]"])
    with pytest.raises(InputError, match="'x'"):
        agreement(untrained, pair)


def test_the_end_of_a_word_at_the_edge_of_a_context_is_no_cue():
    text = "The woman" + " x" * 98 + " he"  # the window of 200 characters begins with "man"
    with pytest.raises(InputError, match="no he"):
        pairs_from_text(text, [("man", "boy")], ("he", "she"), 10, 0)


def test_few_lines_are_drawn_as_their_probabilities(polite):
    found = [agreement(polite, pair) for pair in read_pairs(["{rex|una} said [he|she]", "rex [did|said]."])]
    (axis,) = draw_agreement(found, cue_effects(found), []).axes
    widths = np.array([bar.get_width() for bar in axis.patches if isinstance(bar, Rectangle)]).reshape(3, 2)
    np.testing.assert_allclose(widths, [one.shares for one in found])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["rex said", "una said", "rex"]


def test_many_lines_are_drawn_by_distance(polite):
    text = "rex and una did. una said she did. rex did. did. did. he said. he did. " * 12
    pairs = pairs_from_text(text, [("rex", "una")], ("he", "she"), places=100, seed=0)
    found = [agreement(polite, pair) for pair in pairs]
    effects = cue_effects(found)
    bands = by_distance(effects)
    (axis,) = draw_agreement(found, effects, bands).axes
    (dots,) = (line for line in axis.lines if line.get_label() == "line")
    assert dots.get_xdata().tolist() == [one.distance for one in effects]
    assert dots.get_ydata().tolist() == [one.nats for one in effects]
    (means,) = (line for line in axis.lines if len(line.get_xdata()) == len(bands) and line.get_marker() == "o")
    assert means.get_ydata().tolist() == [band.nats for band in bands]
