"""Dynamic evaluation: nothing is learned before it was predicted, and what is learned helps."""

import json
from dataclasses import replace

import numpy as np
import pytest

from small import model_of, trained_on
from unrolled.cli.app import main
from unrolled.errors import InputError
from unrolled.learn import adapting
from unrolled.learn.adapting import adapted_nats
from unrolled.model.char_model import CharModel
from unrolled.model.folder import counts_alone
from unrolled.model.gate import Gate
from unrolled.model.members import Members
from unrolled.text.counts.model import CountModel
from unrolled.text.vocabulary import Vocabulary

LEARNED = "the cat sat on the mat, and the dog sat on the cat. " * 6
OTHER = "nineteen teams meet in the tent at ten. then the men eat. " * 8
VOCABULARY = Vocabulary.of(LEARNED + OTHER[:60])
COUNTS = CountModel.count(VOCABULARY.encode(LEARNED), len(VOCABULARY), 4)
IDS = VOCABULARY.encode(OTHER)


@pytest.fixture(scope="module")
def kinds():
    network, vocabulary = trained_on(LEARNED + OTHER[:60], "gru", steps=60)
    alone = model_of(network, vocabulary).parts
    counts = Members((), COUNTS, Gate.between(COUNTS.depth, 0.2, 0.5, -0.5, 0.1))
    return {
        "network": alone,
        "mixture": replace(alone, beside=counts),
        "committee": replace(alone, beside=Members((alone.weights,))),
    }


@pytest.fixture(params=["network", "mixture", "committee"])
def model(request, kinds):
    return kinds[request.param]


def test_without_a_rate_it_is_the_score(model, monkeypatch):
    monkeypatch.setattr(adapting, "RATE", 0.0)
    monkeypatch.setattr(adapting, "GATE_RATE", 0.0)
    assert adapted_nats(model, IDS) == pytest.approx(CharModel(model).score(OTHER).each, abs=1e-4)


def test_what_comes_later_changes_nothing_before(model):
    changed = IDS.copy()
    changed[200:] = changed[200:][::-1]
    assert (adapted_nats(model, changed)[:200] == adapted_nats(model, IDS)[:200]).all()
    assert adapted_nats(model, IDS[:201]) == pytest.approx(adapted_nats(model, IDS)[:201])


def test_a_text_that_repeats_itself_is_learned(model):
    assert adapted_nats(model, IDS).mean() < CharModel(model).score(OTHER).nats - 0.05


def test_a_gate_learns_whom_to_trust(kinds, monkeypatch):
    monkeypatch.setattr(adapting, "RATE", 0.0)
    assert adapted_nats(kinds["mixture"], IDS).mean() < CharModel(kinds["mixture"]).score(OTHER).nats - 0.05


def test_counts_alone_have_nothing_that_learns():
    with pytest.raises(InputError, match="counts alone"):
        adapted_nats(counts_alone(VOCABULARY, COUNTS, {}), IDS)


def test_the_command_shows_it_apart(tmp_path, capsys, kinds):
    mixed = kinds["mixture"]
    CharModel(mixed).save_pretrained(tmp_path / "run")
    (tmp_path / "text.txt").write_text(OTHER)
    words = ["score", str(tmp_path / "run"), str(tmp_path / "text.txt"), "--adapt"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["adaptive_nats"] == pytest.approx(adapted_nats(mixed, IDS).mean())
    assert found["nats"] == pytest.approx(CharModel(mixed).score(OTHER).nats)
    assert main(words) == 0
    assert f"adaptive, learning from the text while reading it: {found['adaptive_nats'] / np.log(2):.3f}" in (
        capsys.readouterr().out
    )
