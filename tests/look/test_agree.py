"""Minimal pairs against sums over all texts, and lines that are no pairs."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small import model_of, network_for, trained_on
from unrolled.errors import InputError
from unrolled.look.agree import agreement, read_pairs, shift


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
    assert shift(rex, una) > math.log(9 * 9)
    assert json.loads(json.dumps(rex.to_json()))["preferred"] == "he"


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
        (["[he|she] said the {man|woman}"], "stands behind the choice"),
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
