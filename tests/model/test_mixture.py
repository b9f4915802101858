"""Mixtures and committees as predictors: distributions, one text against many side by side, and the fit of a gate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small import model_of, network_for
from unrolled.model.mixture import Committee, CountPredictor, Gate, Mixture
from unrolled.model.probabilities import log_softmax
from unrolled.text.counts.model import CountModel

TEXT = "the quick brown fox jumps over the lazy dog and the cat sat on the mat. " * 4
SYMBOLS = len(set(TEXT)) + 1
GATE = Gate(-0.3, 0.5, -0.8, 0.4)


def networks(count):
    return [model_of(*network_for(TEXT, "lstm", hidden=8, seed=seed)).network for seed in range(count)]


VOCABULARY = network_for(TEXT, "lstm", hidden=8)[1]
IDS = VOCABULARY.encode(TEXT)
COUNTS = CountModel.count(IDS, SYMBOLS, 4, letters=VOCABULARY.letters)
PREDICTORS = {
    "counts": CountPredictor(COUNTS),
    "counts without words": CountPredictor(CountModel.count(IDS, SYMBOLS, 4)),
    "mixture": Mixture(networks(1)[0], COUNTS, GATE),
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
        found, _ = Mixture(network, COUNTS, Gate(bias)).read(IDS[:30], Mixture(network, COUNTS, GATE).initial_state())
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
    for context, distribution, backoff in zip(
        both := np.concatenate([known, unknown]), *COUNTS.after_all(both), strict=True
    ):
        single = COUNTS.after(tuple(context.tolist()))
        np.testing.assert_allclose(single.probabilities, distribution, rtol=1e-12)
        assert single.log_backoff == pytest.approx(backoff, rel=1e-12)


def test_a_gate_is_found_again():
    rng = np.random.default_rng(0)
    features = -rng.exponential(1.0, (40_000, 3))
    one, other = rng.uniform(0.01, 1, (2, 40_000))
    share = GATE.shares(features)
    # rejection sampling: what is kept was drawn by the mixture
    kept = rng.random(40_000) < share * one + (1 - share) * other
    found = Gate.fit(one[kept], other[kept], features[kept])
    mixed = [np.log(g.shares(features[kept]) * one[kept] + (1 - g.shares(features[kept])) * other[kept]).mean()
             for g in (found, GATE, Gate())]  # fmt: skip
    assert mixed[0] >= mixed[1] - 1e-4 > mixed[2]


def test_shares_agree():
    features = np.array([[-0.1, -2.0, -0.3], [-1.0, -1.0, 0.0], [-800.0, -800.0, -9.0]])
    assert GATE.shares(features) == pytest.approx([GATE.share(*row) for row in features.tolist()])
    assert Gate(0, 1e3, 0, 0).share(-800.0, 0, 0) == 0
