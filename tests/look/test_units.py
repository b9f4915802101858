"""The unit scan: right where the answer is built in, empty where there is none; AUC against its definition."""

import json
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from small import model_of, network_for, trained_on
from tiny import tiny_parts
from unrolled.errors import InputError
from unrolled.look.units import paint
from unrolled.look.units.activations import Unit, record
from unrolled.look.units.predicates import bracket_depth, distance_since, predicates
from unrolled.look.units.scan import _auc_with_error, ablate, auc, scan_units
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts


def bracket_text(length, seed=0):
    """Letters with brackets up to three deep, of known depth; what stands in brackets looks like the rest."""
    rng, depth, out = np.random.default_rng(seed), 0, []
    for _ in range(length):
        draw = rng.random()
        if draw < 0.06 and depth < 3:
            out.append("(")
            depth += 1
        elif draw > 0.94 and depth > 0:
            out.append(")")
            depth -= 1
        else:
            out.append("abcd"[rng.integers(4)])
    return "".join(out)


@pytest.fixture(scope="module")
def bracket_model():
    return model_of(*trained_on(bracket_text(20000), "lstm", steps=350, hidden=24, window=64, rate=2e-2, seed=3))


def test_the_scan_finds_a_unit_for_brackets_in_a_trained_lstm(bracket_model):
    scan = scan_units(bracket_model, bracket_text(6000, seed=1))
    named = {finding.question: finding for finding in scan.convincing}
    assert "inside brackets" in named
    assert named["inside brackets"].untrained < 0.7
    assert json.loads(json.dumps(asdict(scan)))["rule"]


@pytest.mark.parametrize(("rung", "seed"), [("lstm", 11), ("rnn", 12), ("mingru", 11)])
def test_the_scan_reports_nothing_for_untrained_networks(rung, seed):
    text = bracket_text(4000, seed=2)
    model = model_of(*network_for(text, rung, hidden=24, seed=seed))
    assert scan_units(model, text).convincing == ()


@settings(max_examples=40)
@given(
    hnp.arrays(np.float32, (12, 3), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])),
    hnp.arrays(bool, (2, 12)).filter(lambda a: a.any(1).all() and not a.all(1).any()),
)
def test_auc_is_the_share_of_pairs_in_order(activations, answers):
    found = auc(activations, answers)
    for q, answer in enumerate(answers):
        for unit, values in enumerate(activations.T):
            yes, no = values[answer][:, None], values[~answer][None]
            expected = ((yes > no) + 0.5 * (yes == no)).mean()
            assert found[q, unit] == pytest.approx(expected)
            assert _auc_with_error(values, answer)[0] == pytest.approx(expected)


def test_the_error_of_an_auc_is_that_of_repetition():
    rng, answer = np.random.default_rng(0), np.arange(2000) % 2 == 0
    samples = [_auc_with_error(rng.normal(answer * 1.0, 1), answer) for _ in range(200)]
    areas, errors = np.array(samples).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.2)


@pytest.mark.parametrize("rung", list(CELLS))
def test_recorded_layers_and_losses_are_those_of_the_network(rung):
    text = bracket_text(40)
    network, vocabulary = network_for(text, rung, hidden=7, layers=2)
    recorded = record(model_of(network, vocabulary), text)
    assert [h.shape for h in recorded.hidden] == [(40, 7), (40, 7)]
    ids = torch.from_numpy(vocabulary.encode(text).astype(np.int64))[None]
    with torch.no_grad():
        logits, _ = network(ids, network.initial_state(1))
        hidden, _ = network.features(ids, network.initial_state(1))
    losses = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    assert recorded.nats[0] == 0
    np.testing.assert_allclose(recorded.nats[1:], losses, atol=1e-5)
    np.testing.assert_allclose(recorded.hidden[1], hidden[0], atol=1e-5)
    np.testing.assert_array_equal(recorded.of(Unit(1, 3)), recorded.hidden[1][:, 3])


@pytest.mark.parametrize("rung", ["rnn", "loop", "gru", "lstm", "mingru"])
def test_ablation_equals_zero_weights_from_the_unit(rung):
    """Setting a unit to zero gives what weights of zero from it give."""
    text, unit = bracket_text(60), Unit(0, 2)
    network, vocabulary = network_for(text, rung, hidden=6, layers=2)
    model = model_of(network, vocabulary)
    ablated = record(model, text, ablated=unit)
    assert (ablated.of(unit) == 0).all()
    assert not np.allclose(ablated.nats, record(model, text).nats)
    if rung in ("rnn", "lstm"):
        weights = dict(model.parts.weights)
        for name in ("layers.0.weight_hh", "layers.1.weight_ih"):
            weights[name] = weights[name].copy()
            weights[name][:, unit.number] = 0
        without = CharModel(ModelParts(network.config, vocabulary, weights, {}))
        np.testing.assert_allclose(ablated.nats, record(without, text).nats, atol=1e-6)


def test_the_rises_of_an_ablation_add_up(bracket_model):
    text = bracket_text(500, seed=5)
    found = ablate(bracket_model, text, Unit(0, 0))
    assert sum(w.nats * w.places for w in found.by_character) == pytest.approx(found.nats * (len(text) - 1))
    totals = [w.nats * w.places for w in found.by_character]
    assert totals == sorted(totals, reverse=True)


def test_bad_requests_are_explained(bracket_model):
    with pytest.raises(InputError, match="needs 2,000"):
        scan_units(bracket_model, "abc")
    with pytest.raises(InputError, match="'X'"):
        scan_units(bracket_model, "abcX" * 1000)
    with pytest.raises(InputError, match="no unit 99 of layer 0"):
        ablate(bracket_model, "abc", Unit(0, 99))
    with pytest.raises(InputError, match="empty"):
        record(bracket_model, "")


def test_bracket_depth_of_a_known_text():
    text = bracket_text(500, seed=9)
    depth = [text[: t + 1].count("(") - text[: t + 1].count(")") for t in range(len(text))]
    assert bracket_depth(text).tolist() == depth
    assert bracket_depth(")a(b[c]").tolist() == [0, 0, 1, 1, 2, 2, 1]


def test_answers_about_a_small_text():
    text = 'He said "No!" in\nALL (or)\n\n"open\n\nx'
    answers = predicates(text)

    def where(name):
        return "".join(c for c, yes in zip(text, answers[name], strict=True) if yes)

    assert where("inside quotes") == '"No!"open\n'
    assert where("inside brackets") == "(or"
    assert where("in a word of capitals") == "LL"
    assert where("upper case") == "HNALL"
    assert where("third letter of a word or later") == "idLen"
    assert where("after 'a'") == "a"


@given(st.text("ab\n", max_size=30))
def test_distance_since_counts_from_the_last(text):
    for place, distance in enumerate(distance_since(text, lambda c: c == "\n")):
        before = text[: place + 1]
        last = before.rfind("\n")
        assert distance == place - last


@given(st.text(max_size=80))
def test_every_predicate_answers_for_every_character(text):
    assert {len(answer) for answer in predicates(text).values()} <= {len(text)}


class Letters(HTMLParser):
    """The text between <pre> and </pre>."""

    def __init__(self):
        super().__init__()
        self.inside, self.text = False, ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag in ("pre", "span") if tag == "pre" else self.inside

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "pre"

    def handle_data(self, data):
        self.text += data if self.inside else ""


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60), st.integers(0, 99))
def test_painted_pages_hold_the_text_and_nothing_from_elsewhere(text, seed):
    page = paint.painted_page(text, np.random.default_rng(seed).normal(size=len(text)), "a <title>", "a note")
    parser = Letters()
    parser.feed(page)
    assert parser.text.replace("⏎", "") == text.replace("⏎", "")
    assert "<script" not in page
    assert "://" not in page.replace(text, "")


def test_painted_terminal_text_is_the_text():
    text = "ab\ncd"
    painted = paint.painted_text(text, np.array([-1, 0, 1, 0.5, 0.0]))
    assert painted.plain == text
    assert {str(span.style) for span in painted.spans} >= {"black on #5ea0d6", "black on #ffffff", "black on #f19a50"}


@pytest.mark.parametrize("text", ['"Ja" x', "“Ja” x", "„Ja“ x", "«Ja» x", "»Ja« x"])
def test_quotation_marks_of_several_languages(text):
    assert predicates(text)["inside quotes"].tolist() == [True, True, True, False, False, False]


def test_of_one_character_nothing_can_be_asked():
    model = CharModel(tiny_parts("rnn"))
    assert scan_units(model, model.vocabulary.characters[0] * 3000).findings == ()
