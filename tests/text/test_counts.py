"""Counts against the same formulas with dictionaries, as distributions, and on a text whose figure is known."""

import math
import tracemalloc
from collections import Counter, defaultdict
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from unrolled.errors import FolderError, InputError
from unrolled.text import words
from unrolled.text.counts import counting
from unrolled.text.counts import model as count_model
from unrolled.text.counts.model import CountModel
from unrolled.text.counts.ngrams import checked_order, largest_order
from unrolled.text.counts.table import WORDS_WEIGHT
from unrolled.text.vocabulary import Vocabulary
from unrolled.text.words import START, WordReader

SYMBOLS = 4
ids = st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=60)
orders = st.integers(0, 7)
letters = st.lists(st.booleans(), min_size=SYMBOLS, max_size=SYMBOLS).map(np.array)
maybe = st.none() | letters


def array(values):
    return np.array(values, np.uint8)


def by_hand(train, context, order):
    """The distribution after `context`, with dictionaries: raw counts for the longest contexts, then continuations."""
    padded = [0] * order + train
    grams = Counter(tuple(padded[i : i + order + 1]) for i in range(len(train)))
    levels = [grams]
    for _ in range(order):
        levels.append(Counter(gram[1:] for gram in levels[-1]))
    distribution = [1 / SYMBOLS] * SYMBOLS
    for n, level in enumerate(reversed(levels)):
        last = tuple(([0] * order + context)[order + len(context) - n :])
        distribution = interpolated(level, last, distribution, 1 + (n >= counting.LONG))
    return distribution


def interpolated(level, context, shorter, least=1):
    times = Counter(level.values())
    discounts = [0, 0.5, 1, 1.5]
    if all(times[i] for i in (1, 2, 3, 4)):
        share = times[1] / (times[1] + 2 * times[2])
        estimated = [0] + [i - (i + 1) * share * times[i + 1] / times[i] for i in (1, 2, 3)]
        discounts = [e if e > 0 else d for e, d in zip(estimated, discounts, strict=True)]
    followers = defaultdict(dict)
    for gram, count in level.items():
        followers[gram[:-1]][gram[-1]] = count
    seen = followers.get(context, {})
    kept = {i: (c - discounts[min(c, 3)]) / sum(seen.values()) for i, c in seen.items() if c >= least}
    rest = 1 - sum(kept.values())
    return [rest * shorter[i] + kept.get(i, 0) for i in range(SYMBOLS)]


def place_by_hand(text, letters):
    """The run at the end of a text, a tuple, and the two words that ended before, latest first; None without them."""
    runs = [(is_word, tuple(run)) for is_word, run in groupby(text, lambda i: bool(letters[i]))]
    words = [run for is_word, run in runs[:-1] if is_word]
    return (runs[-1][1], words[-1], words[-2]) if len(words) > 1 else None


def by_hand_with_words(train, context, order, letters):
    """`by_hand`, and above it contexts of the run, the run after a word, and after two: the longest by their counts."""
    places = [place_by_hand(train[:n], letters) for n in range(len(train))]
    levels = [Counter((*place, i) for place, i in zip(places, train, strict=True) if place)]
    levels.append(Counter((run, word, i) for run, word, _, i in levels[0]))
    levels.append(Counter((run, i) for run, _, i in levels[1]))
    characters = distribution = by_hand(train, context, order)
    place = place_by_hand(context, letters)
    for n, level in enumerate(reversed(levels), start=1):
        distribution = interpolated(level, place[:n], distribution) if place else distribution
    weight = WORDS_WEIGHT
    return [weight * one + (1 - weight) * other for one, other in zip(distribution, characters, strict=True)]


@given(ids, ids, orders)
def test_it_is_the_formula(train, context, order):
    model = CountModel.count(array(train), SYMBOLS, order)
    assert model.distribution(context) == pytest.approx(by_hand(train, context, order), abs=1e-6)


@given(ids, ids, orders, letters)
def test_words_are_the_formula(train, context, order, letters):
    context = context + train  # which is likely to hold words that were counted
    model = CountModel.count(array(train), SYMBOLS, order, letters=letters)
    assert model.distribution(context) == pytest.approx(by_hand_with_words(train, context, order, letters), abs=1e-6)


@given(ids, ids, orders, maybe)
def test_every_distribution_sums_to_one_and_leaves_nothing_impossible(train, context, order, letters):
    distribution = CountModel.count(array(train), SYMBOLS, order, letters=letters).distribution(context)
    assert abs(distribution.sum() - 1) < 1e-12
    assert distribution.min() > 0


@given(ids, ids, ids, orders, maybe)
def test_a_text_is_scored_as_its_distributions_say(train, before, text, order, letters):
    model = CountModel.count(array(train), SYMBOLS, order, letters=letters)
    joined = before + text
    wanted = [-math.log(model.distribution(joined[:i])[joined[i]]) for i in range(len(before), len(joined))]
    assert model.nats(array(text), array(before)) == pytest.approx(wanted, rel=1e-9)


@given(st.lists(st.lists(st.integers(0, SYMBOLS - 2), max_size=5), min_size=1, max_size=8), orders, maybe, st.randoms())
def test_records_are_counted_each_from_its_start(records, order, letters, random):
    boundary = SYMBOLS - 1
    if letters is not None:
        letters[boundary] = False
    shuffled = random.sample(records, len(records))
    texts = [[boundary, *(i for record in some for i in (*record, boundary))] for some in (records, shuffled)]
    model, again = (CountModel.count(array(text), SYMBOLS, order, letters=letters, boundary=boundary) for text in texts)
    nats, other = (model.nats(array(text[1:]), array(text[:1]), boundary).sum() for text in texts)
    assert nats == pytest.approx(other, rel=1e-9)
    assert again.nats(array(texts[0]), (), boundary).sum() == pytest.approx(
        model.nats(array(texts[0]), (), boundary).sum()
    )
    for record in records:
        context = [boundary, *record]
        alone = model.nats(array([*context[1:], boundary]), array(context[:1]), boundary)
        wanted = [
            -math.log(model.distribution(context[:n])[i]) for n, i in enumerate([*context[1:], boundary], start=1)
        ]
        assert alone == pytest.approx(wanted, rel=1e-9)
        assert abs(model.distribution(context).sum() - 1) < 1e-12
    positions = np.arange(1, len(texts[0]))
    probabilities = model.after_all(model.contexts(array(texts[0]), positions, boundary)).mean
    assert -np.log(probabilities[positions - 1, texts[0][1:]]).sum() == pytest.approx(nats, rel=1e-9)


@given(ids, ids, orders, maybe)
def test_chunks_change_nothing(train, text, order, letters):
    whole = CountModel.count(array(train), SYMBOLS, order, letters=letters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "CHUNK", 7)
        patch.setattr(count_model, "CHUNK", 7)
        pieces = CountModel.count(array(train), SYMBOLS, order, letters=letters)
        assert (pieces.nats(array(text)) == whole.nats(array(text))).all()
    assert all((pieces.to_tensors()[name] == tensor).all() for name, tensor in whole.to_tensors().items())


@given(ids, ids, orders, maybe)
def test_arrays_give_the_model_back(train, text, order, letters):
    model = CountModel.count(array(train), SYMBOLS, order, letters=letters)
    again = CountModel.from_tensors(model.to_tensors(), SYMBOLS)
    assert again.order == order
    assert (again.nats(array(text)) == model.nats(array(text))).all()


@pytest.mark.parametrize("damage", ["weight", "negative", "order", "large", "missing", "dtype", "letters", "words"])
def test_damaged_arrays_are_refused(damage):
    letters = np.array([False, False, True, True])
    tensors = CountModel.count(array([1, 2, 1, 3, 1, 2, 1, 3, 2, 1]), SYMBOLS, 2, letters=letters).to_tensors()
    codes, weights = tensors["1.codes"].copy(), tensors["1.weights"].copy()
    if damage == "weight":
        weights[0] = 1.5
    elif damage == "negative":
        weights[0] = -0.5
    elif damage == "order":
        codes[:2] = codes[1::-1]
    elif damage == "large":
        codes[-1] = SYMBOLS**2
    elif damage == "dtype":
        codes = codes.astype(np.int64)
    changed = tensors | {"1.codes": codes, "1.weights": weights}
    if damage == "missing":
        del changed["1.weights"]
    elif damage == "letters":
        changed["letters"] = np.array([0, 0, 1, 2], np.uint8)
    elif damage == "words":
        changed["words.2.weights"] = -changed["words.2.weights"]
    with pytest.raises(FolderError, match="counts"):
        CountModel.from_tensors(changed, SYMBOLS)


def test_n_grams_that_fit_no_number_are_refused_with_their_size():
    assert (largest_order(66), largest_order(256), largest_order(32_074)) == (8, 7, 3)
    with pytest.raises(InputError, match=r"order 6 over 32,074 ids needs n-grams of 105 bits.*order 3 or less"):
        checked_order(6, 32_074)
    with pytest.raises(InputError, match="from 0 to 8"):
        checked_order(9, 3)
    with pytest.raises(InputError, match="no character"):
        CountModel.count(array([]), SYMBOLS)


def test_n_grams_may_fill_64_bits():
    text = np.random.default_rng(0).integers(0, 256, 300).astype(np.uint8)
    model = CountModel.count(text, 256)
    assert model.order == 7
    assert model.nats(text, text[-7:])[-1] == pytest.approx(-math.log(model.distribution(text[-8:-1])[text[-1]]))


def test_memory_is_bounded_by_forgetting_what_is_rare():
    rng = np.random.default_rng(0)
    common = np.tile(array([1, 2, 3, 0, 3, 2]), 300)
    text = np.concatenate([rng.integers(0, SYMBOLS, 3000).astype(np.uint8), common])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "CHUNK", 500)
        model = CountModel.count(text, SYMBOLS, 6, most=200)
        words = CountModel.count(text, SYMBOLS, 6, letters=np.arange(SYMBOLS) > 0, most=200).word_tables
    assert len(model.tables[-1].codes) <= 200
    assert all(0 < len(table.codes) <= 50 for table in words)
    assert model.nats(common).mean() < 0.1
    assert abs(model.distribution([3, 3, 3, 1, 0, 0]).sum() - 1) < 1e-12


def bytes_at_most(characters, symbols, order, most=counting.MAX_ENTRIES):
    """Memory that counting characters and words takes; real texts, which repeat themselves, take a third of it."""
    longest, with_words = (min(characters, n + 2 * counting.CHUNK) for n in (most, most // counting.WORD_SHARE))
    entries = [min(longest, int(symbols ** (n + 1))) >> (n >= counting.LONG) for n in range(order + 1)]
    return 64 * longest + 12 * sum(entries) + 200 * with_words


@pytest.mark.parametrize(("symbols", "most"), [(4, 1 << 23), (90, 1 << 23), (90, 1 << 15), (3000, 1 << 23)])
def test_the_memory_is_bounded(symbols, most):
    text = np.random.default_rng(0).integers(0, symbols, 200_000).astype(np.uint16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "CHUNK", 1 << 15)
        most_bytes = bytes_at_most(len(text), symbols, largest_order(symbols), most)
        tracemalloc.start()
        CountModel.count(text, symbols, letters=np.arange(symbols) % 4 > 0, most=most)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most_bytes / 8 < peak < most_bytes
    assert bytes_at_most(10**9, symbols, 3) == bytes_at_most(10**10, symbols, 3) < 2 << 30


def test_more_ids_than_a_text_has_characters():
    text = np.arange(5000, dtype=np.uint16)
    model = CountModel.count(text, 5000)
    assert model.order == 4
    assert model.distribution([17]).argmax() == 18


def test_tiny_shakespeare_in_about_a_second():
    text = shared_data("tinyshakespeare.txt").read_text()
    vocabulary = Vocabulary.of(text)
    encoded = vocabulary.encode(text)
    cut = round(0.9 * len(encoded))
    model = CountModel.count(encoded[:cut], len(vocabulary))
    assert model.nats(encoded[cut:], encoded[:cut]).mean() < 1.504
    assert model.entries < 520_000


@given(ids, ids, letters, st.data())
def test_words_are_read_one_by_one_and_all_together(text, other, letters, data):
    reader, text = WordReader(letters), array(text)
    place: tuple[int, ...] = START
    places = [place]
    for i in text.tolist():
        place = reader.follow(place, i)
        places.append(place)
    several = np.zeros((2, 4), np.uint64)
    for i, j in zip(text, array(other), strict=False):
        several = reader.append(several, np.array([i, j]))
    positions = np.array(data.draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "REACH", 60)
        assert reader.before(text, positions).tolist() == [list(places[n]) for n in positions]
        between = reader.between(text, min(positions), len(text) + 1)
        assert np.column_stack(between).tolist() == [list(place) for place in places[min(positions) :]]
    assert several[0].tolist() == list(places[min(len(text), len(other))])
