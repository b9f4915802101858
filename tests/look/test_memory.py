"""Memory measured on networks whose memory is known."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small import echoing_text, network_for, shift_register, trained_on
from unrolled.errors import InputError
from unrolled.look.intervals import beyond_chance, binned, bins, mean_with_interval
from unrolled.look.memory.influence import Probes, choose_probes, influence
from unrolled.look.memory.measure import MEASURES, measure_memory
from unrolled.look.memory.picture import draw_memories
from unrolled.text.vocabulary import Vocabulary


def probes_at(places, distance, warm_up, others=None):
    others = np.zeros(len(places), np.int64) if others is None else np.array(others)
    return Probes(np.array(places), others, distance, warm_up)


@pytest.mark.parametrize("rung", ["rnn", "lstm", "mingru"])
def test_influence_equals_reading_every_variant_from_the_start(rung):
    text = echoing_text(60, 2, seed=6)
    network, vocabulary = network_for(text, rung, hidden=9)
    network.double().eval().requires_grad_(False)
    ids, distance, warm_up, place, other = vocabulary.encode(text).astype(np.int64), 5, 11, 20, 3
    found = influence(network, ids, probes_at([place], distance, warm_up, [other]))

    def predict(window):
        logits, _ = network(torch.tensor(window)[None], network.initial_state(1))
        return torch.log_softmax(logits[0, -1], 0).numpy()

    for k in range(1, distance + 1):
        window = ids[place - warm_up : place + k]
        changed = np.concatenate([window[:warm_up], ids[[other]], window[warm_up + 1 :]])
        p, q, short, real = predict(window), predict(changed), predict(window[warm_up:]), ids[place + k]
        assert found.divergence[0, k - 1] == pytest.approx((np.exp(p) * (p - q)).sum(), abs=1e-12)
        assert found.cost[0, k - 1] == pytest.approx(p[real] - q[real], abs=1e-12)
        assert found.missing[0, k - 1] == pytest.approx(p[real] - short[real], abs=1e-12)
        assert found.loss[0, k - 1] == pytest.approx(-p[real], abs=1e-12)


@pytest.mark.parametrize("length", [1, 2, 7, 19, 40])
def test_the_ruler_finds_the_length_of_a_shift_register(length):
    text = echoing_text(1500, length, seed=length)
    vocabulary = Vocabulary.of(text)
    network = shift_register(vocabulary, length)
    memory = measure_memory(network, vocabulary.encode(text), text, distance=64, places=300, seed=1)
    assert memory.characters == length
    causal, bin_of_length = memory.curves["causal"], None
    for b, (near, far) in enumerate(zip(causal.near, causal.far, strict=True)):
        if near <= length <= far:
            bin_of_length = b
        else:
            assert causal.mean[b] == pytest.approx(0, abs=1e-6)
    assert causal.low[bin_of_length] > 0.005
    context = memory.curves["context"]
    assert (context.mean[context.far < length] > 0.02).all()
    assert context.mean[context.near >= length] == pytest.approx(0, abs=1e-6)


def test_the_ruler_finds_what_a_network_learned():
    delay = 5
    text = echoing_text(12000, delay, faithful=0.9, seed=3)
    network, vocabulary = trained_on(text[:8000], "gru", steps=200, hidden=24, window=24, seed=1)
    held_out = text[8000:]
    memory = measure_memory(network, vocabulary.encode(held_out), held_out, distance=32, places=400)
    cost = memory.curves["cost"]
    assert cost.near[cost.mean.argmax()] == delay
    assert memory.characters is not None
    assert delay <= memory.characters <= 2 * delay  # what is copied, not the noise behind it


def test_the_ruler_finds_nothing_where_characters_are_independent():
    text = echoing_text(12000, 1, faithful=0.0, seed=8)
    network, vocabulary = trained_on(text[:6000], "gru", steps=80, hidden=24, window=16, seed=2)
    held_out = text[6000:]
    memory = measure_memory(network, vocabulary.encode(held_out), held_out, distance=64, places=500)
    assert memory.characters is None
    assert memory.curves["causal"].mean[0] > 1e-6  # the network reacts, but to no avail


def test_the_ruler_finds_nothing_in_an_untrained_network():
    text = echoing_text(3000, 4, faithful=0.9)
    network, vocabulary = network_for(text, "lstm")
    assert measure_memory(network.eval(), vocabulary.encode(text), text, distance=32, places=300).characters is None


def test_chance_is_exceeded_as_rarely_as_stated():
    """100 sets of 40 columns without effect, heavy-tailed as costs are: 5 or more alarms have probability < 0.004."""
    rng = np.random.default_rng(0)
    alarms = sum(beyond_chance(rng.standard_t(3, (200, 40)), rng, 0.01, 400)[0].any() for _ in range(100))
    assert alarms < 5
    values = rng.standard_t(3, (200, 40)) + np.linspace(0, 1, 40)
    exceeding, needed = beyond_chance(values, rng)
    assert exceeding[-5:].all()
    np.testing.assert_array_equal(exceeding, values.mean(0) > needed)


def test_bootstrap_interval_of_a_mean_is_that_of_theory():
    rng = np.random.default_rng(1)
    values = rng.normal(3, 2, (2000, 1))
    mean, low, high = mean_with_interval(values, rng, resamples=2000)
    error = 1.96 * values.std() / np.sqrt(2000)
    assert mean == pytest.approx(values.mean())
    assert (low[0], high[0]) == pytest.approx((mean[0] - error, mean[0] + error), abs=0.15 * error)


@given(st.floats(-1e6, 1e6), st.integers(1, 30), st.integers(0, 9))
def test_an_interval_contains_its_mean_even_of_equal_numbers(value, rows, seed):
    """There every resampled mean is the same number but for its rounding, which differs between processors."""
    values = np.full((rows, 1), value)
    mean, low, high = mean_with_interval(values, np.random.default_rng(seed))
    assert low[0] <= mean[0] <= high[0]
    assert (low[0], high[0]) == pytest.approx((mean[0], mean[0]), rel=1e-12, abs=1e-300)


@given(st.integers(1, 400))
def test_bins_cover_every_distance_once(distance):
    edges = bins(distance)
    assert edges[0] == 1
    assert edges[-1] == distance + 1
    assert (np.diff(edges) >= 1).all()
    assert (binned(np.ones((2, distance)), edges) == 1).all()


def test_every_measure_has_a_curve_and_all_is_json():
    text = echoing_text(1000, 2)
    vocabulary = Vocabulary.of(text)
    memory = measure_memory(shift_register(vocabulary, 2), vocabulary.encode(text), text, distance=8, places=200)
    assert set(memory.curves) == set(MEASURES)
    written = json.loads(json.dumps(memory.to_json(), allow_nan=False))
    assert written["memory"] == memory.characters
    assert len(written["curves"]["cost"]["mean"]) == len(memory.threshold)


def test_probes_are_exchanged_for_different_characters_of_the_text():
    text = echoing_text(500, 1, symbols="aab")
    probes = choose_probes(text, 100, 50, np.random.default_rng(0))
    assert len(probes) == 100
    assert all(text[i] != text[j] for i, j in zip(probes.positions, probes.replacements, strict=True))
    assert probes.positions.min() >= 50
    assert probes.positions.max() + 50 < 500


def test_the_picture_shows_the_memory_and_what_the_cost_must_exceed():
    text = echoing_text(3000, 4)
    network, vocabulary = network_for(text, "rnn", hidden=8)
    memory = measure_memory(network.eval(), vocabulary.encode(text), text, name="a", distance=12, places=200)
    memory = replace(memory, characters=3, threshold=np.linspace(1, 0.5, len(memory.threshold)))
    drawn = [(line.get_xdata(), line.get_ydata()) for line in draw_memories([memory]).axes[0].lines]
    assert any(list(x) == [3, 3] for x, _ in drawn)
    assert any(np.array_equal(y, memory.threshold) for _, y in drawn)
    assert memory.to_json()["threshold"] == memory.threshold.tolist()


def test_same_seed_same_probes():
    text = echoing_text(500, 1)
    first, second, other = (choose_probes(text, 100, 20, np.random.default_rng(s)).positions for s in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("text", "distance", "message"),
    [
        ("abc" * 50, 100, "has 150 characters, but measuring 100 back needs 300"),
        ("abc" * 50, 100, "distance of at most 25"),
        ("abc", 5, "give a longer text"),
        ("a" * 1000, 5, "nearly every character of the text is 'a'"),
        ("abc" * 50, 0, "distance 0"),
    ],
)
def test_texts_that_cannot_be_measured(text, distance, message):
    with pytest.raises(InputError, match=message):
        choose_probes(text, 100, distance, np.random.default_rng(0))


@pytest.mark.soak
def test_20_000_characters_and_an_lstm_of_256_take_less_than_a_minute_of_one_core():
    text = echoing_text(20_000, 5, symbols="abcdefghijklmnopqrstuvwxyz .,\n")
    network, vocabulary = network_for(text, "lstm", hidden=256, embedding=64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.process_time()
    memory = measure_memory(network.eval().requires_grad_(False), vocabulary.encode(text), text)
    seconds = time.process_time() - started
    torch.set_num_threads(threads)
    assert memory.probes == 1000
    assert seconds < 60
