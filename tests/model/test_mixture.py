"""Mixtures and committees as predictors: distributions, one text against many side by side, and the fit of a gate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small import model_of, network_for
from unrolled.model.gate import Experts, Gate
from unrolled.model.mixture import Committee, CountPredictor, Mixture
from unrolled.model.probabilities import log_softmax, softmax
from unrolled.text.counts.model import CountModel

TEXT = "the quick brown fox jumps over the lazy dog and the cat sat on the mat. " * 4
SYMBOLS = len(set(TEXT)) + 1


def networks(count):
    return [model_of(*network_for(TEXT, "lstm", hidden=8, seed=seed)).network for seed in range(count)]


VOCABULARY = network_for(TEXT, "lstm", hidden=8)[1]
IDS = VOCABULARY.encode(TEXT)
COUNTS = CountModel.count(IDS, SYMBOLS, 4, letters=VOCABULARY.letters)
WITHOUT = CountModel.count(IDS, SYMBOLS, 4)


def a_gate(tables, seed=0):
    weights = np.random.default_rng(seed).normal(size=(5 + tables, 3)) * 0.3
    return Gate(tuple(map(tuple, weights.tolist())))


GATE = a_gate(COUNTS.depth)
PREDICTORS = {
    "counts": CountPredictor(COUNTS),
    "counts without words": CountPredictor(WITHOUT),
    "mixture": Mixture(networks(1)[0], COUNTS, GATE),
    "mixture without words": Mixture(networks(1)[0], WITHOUT, a_gate(WITHOUT.depth)),
    "mixture of format 1": Mixture(networks(1)[0], COUNTS, Gate.between(COUNTS.depth, -0.3, 0.5, -0.8, 0.4)),
    "committee": Committee(tuple(networks(3))),
    "committee and counts": Mixture(Committee(tuple(networks(3))), COUNTS, GATE),
}
every = pytest.mark.parametrize("predictor", PREDICTORS.values(), ids=PREDICTORS)
texts = st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=12)


@every
@given(ids=texts)
@settings(max_examples=25)
def test_a_text_alone_and_beside_others(predictor, ids):
    alone = predictor.initial_state()
    steps = []
    for i in ids:
        logits, alone = predictor.step(i, alone)
        steps.append(logits)
    whole, last = predictor.read(np.array(ids), predictor.initial_state())
    others = np.array([ids, ids[::-1], ids]).T  # (time, batch)
    batch, after = predictor.read(others, predictor.initial_state(3))
    for side, state in ((whole, last), (batch[:, 0], tuple(part[0] for part in after)), (batch[:, 2], None)):
        np.testing.assert_allclose(side, steps, atol=1e-5)
        for part, wanted in zip(state or alone, alone, strict=True):
            np.testing.assert_allclose(part, wanted, atol=1e-6)
            assert part.dtype == wanted.dtype
    np.testing.assert_allclose(predictor.advance(others[-1], predictor.initial_state(3))[0].shape[0], 3)


@every
def test_logits_are_log_probabilities(predictor):
    logits, _ = predictor.read(IDS[:50], predictor.initial_state())
    assert np.exp(logits).sum(axis=-1) == pytest.approx(1, abs=1e-6)


def test_a_closed_gate_leaves_one_side():
    network = networks(1)[0]
    for bias, wanted in ((50, network), (-50, CountPredictor(COUNTS))):
        mixture = Mixture(network, COUNTS, Gate.between(COUNTS.depth, bias))
        found, _ = mixture.read(IDS[:30], mixture.initial_state())
        expected, _ = wanted.read(IDS[:30], wanted.initial_state())
        np.testing.assert_allclose(found, log_softmax(expected), atol=1e-5)


def test_a_committee_is_the_mean_of_its_members():
    members = networks(3)
    found, _ = Committee(tuple(members)).read(IDS[:30], Committee(tuple(members)).initial_state())
    each = [np.exp(log_softmax(member.read(IDS[:30], member.initial_state())[0])) for member in members]
    np.testing.assert_allclose(np.exp(found), np.mean(each, axis=0), atol=1e-6)


def test_contexts_one_by_one_and_all_together():
    predictor, positions = CountPredictor(COUNTS), np.arange(1, len(IDS) + 1)
    known = predictor.contexts(IDS[:, None], predictor.initial_state(1))[:, 0]
    np.testing.assert_array_equal(COUNTS.contexts(IDS, positions), known)
    unknown = np.random.default_rng(0).integers(0, SYMBOLS**4, known.shape).astype(np.uint64)
    both = np.concatenate([known, unknown])
    for context, characters, words, logs in zip(both, *COUNTS.after_all(both), strict=True):
        single = COUNTS.after(tuple(context.tolist()))
        np.testing.assert_allclose(single.characters, characters, rtol=1e-12)
        np.testing.assert_allclose(single.words, words, rtol=1e-12)
        np.testing.assert_allclose(single.log_backoffs, logs, rtol=1e-9)


def the_experts(ids):
    logits, _ = networks(1)[0].read(ids[:-1], networks(1)[0].initial_state())
    contexts = CountPredictor(COUNTS).contexts(ids[:-1], CountPredictor(COUNTS).initial_state())
    return Experts.of(softmax(logits), COUNTS.after_all(contexts))


def test_a_gate_of_format_1_is_a_logistic_function_of_the_mean_of_counts():
    experts = the_experts(IDS[:60])
    network, characters, product, words = experts.each
    z = -0.3 + experts.features[:, 1:4] @ [0.5, -0.8, 0.4]
    share = 1 / (1 + np.exp(-z))[:, None]
    found = experts.mixed(Gate.between(COUNTS.depth, -0.3, 0.5, -0.8, 0.4))
    np.testing.assert_allclose(found, share * network + (1 - share) * (characters / 3 + words * 2 / 3), rtol=1e-12)
    np.testing.assert_allclose(product, np.sqrt(network * (characters / 3 + words * 2 / 3)) / np.sqrt(
        network * (characters / 3 + words * 2 / 3)).sum(axis=1, keepdims=True), rtol=1e-12)  # fmt: skip
    with np.errstate(divide="ignore"):
        assert experts.features[:, 3] == pytest.approx([row[row < 0][-1] for row in experts.features[:, 5:]])


def test_a_gate_is_found_again():
    rng = np.random.default_rng(0)
    experts = the_experts(np.tile(IDS, 20))
    true = Gate.between(COUNTS.depth, 1.0, 0.5, -2.0, 1.0)
    mixed = experts.mixed(true)
    drawn = (mixed.cumsum(axis=1) < rng.random((len(mixed), 1))).sum(axis=1).clip(max=SYMBOLS - 1)
    given = experts.of_targets(drawn)
    found = Gate.fit(given, experts.features)
    even = Gate(((0.0, 0.0, 0.0),) * (5 + COUNTS.depth))
    nats = [-np.log((gate.shares(experts.features) * given).sum(axis=1)).mean() for gate in (found, true, even)]
    assert nats[0] - 1e-3 < nats[1] < nats[2] - 0.01  # its weights are pulled to zero a little


def test_what_hardly_varies_gets_no_large_weight():
    given, features = np.full((200, 4), 0.1), np.zeros((200, 5 + COUNTS.depth))
    features[:, 0], features[7, -1], given[7] = 1, -1e-7, [0.9, 0.001, 0.001, 0.001]
    assert np.abs(Gate.fit(given, features).weights).max() < 10


def test_shares_agree_and_extreme_weights_stay_finite():
    features = the_experts(IDS[:60]).features
    assert GATE.shares(features) == pytest.approx(np.array([GATE.share(row) for row in features.tolist()]))
    extreme = Gate(((1e6, -1e6, 1e6),) * (5 + COUNTS.depth))
    assert np.isfinite(extreme.shares(features)).all()
    assert GATE.shares(features).sum(axis=1) == pytest.approx(1)
