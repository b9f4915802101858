"""The trigram baseline against the same formula written with dictionaries, and as a probability."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.text.baselines.ngram import trigram_nats


def by_hand(train, context, symbol, symbols):
    """Interpolated Witten-Bell, longest context last."""
    probability = 1 / symbols
    for order in range(3):
        followers = defaultdict(Counter)
        for i in range(order, len(train)):
            followers[tuple(train[i - order : i])][train[i]] += 1
        seen = followers.get(tuple(context[len(context) - order :]))
        if seen:
            total, kinds = sum(seen.values()), len(seen)
            probability = (seen[symbol] + kinds * probability) / (total + kinds)
    return probability


ids = st.lists(st.integers(0, 3), min_size=3, max_size=40)


@given(ids, ids)
def test_it_is_the_formula(train, validation):
    joined = train[-2:] + validation
    wanted = [-math.log(by_hand(train, joined[i - 2 : i], joined[i], 4)) for i in range(2, len(joined))]
    found = trigram_nats(np.array(train, np.uint8), np.array(validation, np.uint8), 4)
    assert found == pytest.approx(sum(wanted) / len(wanted), rel=1e-12)


@given(ids, st.integers(0, 3), st.integers(0, 3))
def test_the_next_characters_share_one_probability(train, before_last, last):
    assert sum(by_hand(train, [before_last, last], symbol, 4) for symbol in range(4)) == pytest.approx(1)


def test_what_was_seen_often_is_expected():
    train = np.tile(np.array([0, 1, 2], np.uint8), 500)
    assert trigram_nats(train, train[:300], 3) < 0.01
    noise = np.random.default_rng(0).integers(0, 3, 30_000).astype(np.uint8)
    assert trigram_nats(noise[:20_000], noise[20_000:], 3) == pytest.approx(math.log(3), abs=0.01)


def test_two_characters_to_learn_from():
    assert trigram_nats(np.array([1, 2], np.uint8), np.array([1], np.uint8), 3) > 0
