"""Counts beside a network: what decides, what it may see, and a run from text to folder."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from small import echoing_text, model_of, network_for
from unrolled import train
from unrolled.cli.app import main
from unrolled.errors import InputError
from unrolled.learn.mixing import mix, observe
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts, counts_alone
from unrolled.text.corpus import text_corpus
from unrolled.text.counts.model import CountModel
from unrolled.text.records import cut_text, record_corpus
from unrolled.text.sample import Sample
from unrolled.text.vocabulary import BOUNDARY

TEXT = "".join(f"{i} bottles of ink, {i * i} drops; the {'odd' if i % 2 else 'even'} one writes.\n" for i in range(400))
NETWORK = model_of(*network_for(TEXT, "lstm", hidden=8)).parts
IDS = NETWORK.vocabulary.encode(TEXT)


def test_observed_is_what_each_side_says_alone():
    counts = CountModel.count(IDS[:5000], len(NETWORK.vocabulary), 4)
    seen = observe(CharModel(NETWORK).predictor, counts, IDS, Sample.of(5000, 5300))
    assert -np.log(seen.counts) == pytest.approx(counts.nats(IDS[5000:5300], IDS[:5000]))
    each = CharModel(NETWORK).score(TEXT[5000 - 600 : 5300], stretches=1).each[-300:]
    assert -np.log(seen.probabilities[:, 0]) == pytest.approx(each, abs=1e-3)


def test_the_gate_and_the_choice_never_see_the_validation_part():
    ids, cut = cut_text(IDS, None, 0.1, mixing=1 / 16)
    changed = ids.copy()
    changed[-len(cut.validation) :] = np.random.default_rng(0).permutation(cut.validation)
    one, other = mix(NETWORK, ids, cut, "auto"), mix(NETWORK, changed, cut, "auto")
    assert one.model.fingerprint == other.model.fingerprint
    assert one.gain == other.gain > 1
    assert one.counts < other.counts


def test_what_is_asked_for_is_done():
    ids, cut = cut_text(IDS, None, 0.1, mixing=1 / 16)
    assert mix(NETWORK, ids, cut, "auto").model.members == ["network", "counts"]
    assert mix(NETWORK, ids, cut, "counts").model.members == ["network", "counts"]
    alone = mix(NETWORK, ids, cut, "none")
    assert alone.model.members == ["network"]
    assert alone.to_json().keys() == {"network", "counts"}
    assert "alone" in alone.sentence


def test_counts_that_do_not_help_are_left_out():
    text = echoing_text(20_000, 12, faithful=0)  # every character is drawn alone, which this network says exactly
    network, vocabulary = network_for(text, "gru", hidden=4)
    weights = {name: np.zeros_like(array) for name, array in model_of(network, vocabulary).parts.weights.items()}
    weights["head.bias"][0] = -20
    model, ids = ModelParts(network.config, vocabulary, weights, {}), vocabulary.encode(text)
    mixed = mix(model, *cut_text(ids, None, 0.1, mixing=1 / 8), "auto")
    assert mixed.network < mixed.counts
    assert mixed.model.members == ["network"]
    assert "the network predicts alone" in mixed.sentence


def test_a_run_from_text_to_folder(tmp_path):
    done = train(text=TEXT, out=tmp_path / "run", hidden=16, epochs=1, streams=4, threads=1, evaluations=1)
    model = CharModel.from_pretrained(tmp_path / "run")
    assert model.members == done.model.members == ["network", "counts"]
    found = done.summary.members
    assert found["together"] < found["network"]
    assert found["network"] == pytest.approx(done.summary.validation["nats"], abs=2e-3)
    validation = model.training["split"]["validation"]
    scored = model.score(TEXT[validation[0] - 300 : validation[1]]).each[300:].mean()
    assert scored == pytest.approx(found["together"], abs=2e-3)


def test_a_network_reads_the_end_of_the_training_part_too():
    text = TEXT * 4
    place = int(len(text) * 0.9 * (1 - 1 / 40))  # in the last 1/32 before the validation part
    text = text[:place] + "PETRUCHIO" + text[place:]
    session = prepare(Request([], None, Recipe(hidden=4, epochs=1), Machine(device="cpu", threads=1), text=text))
    read = session.text.vocabulary.decode(session.task.split.train)
    assert "PETRUCHIO" in read
    assert len(session.task.split.mixing) == int(int(len(text) * 0.9) / 32)
    assert session.text.vocabulary.decode(session.task.split.validation) == text[-len(session.task.split.validation) :]


def test_records_are_mixed_each_from_its_start():
    read = record_corpus(text_corpus(TEXT), "lines").read()
    network, vocabulary = network_for(read, "gru", hidden=8)
    model = model_of(network, vocabulary)
    ids, cut = cut_text(vocabulary.encode(read), vocabulary.boundary, 0.1, mixing=0.1)
    counts = CountModel.count(cut.train, len(vocabulary), boundary=vocabulary.boundary)
    sample = cut.sample(ids, "mixing", boundary=vocabulary.boundary)
    seen = observe(model.predictor, counts, ids, sample, vocabulary.boundary)
    lines = vocabulary.decode(cut.mixing).strip(BOUNDARY).split(BOUNDARY)
    beside = CharModel(counts_alone(vocabulary, counts, {}))
    for side, probabilities in ((model, seen.probabilities[:, 0]), (beside, seen.counts)):
        each = np.concatenate([line.nats for line in side.score_lines(lines)])
        assert -np.log(probabilities) == pytest.approx(each, abs=1e-4)
    mixed = mix(model.parts, ids, cut, "auto")
    assert mixed.model.members == ["network", "counts"]
    end = cut.bounds("mixing")[1]
    changed = np.concatenate([ids[:end], np.full(len(cut.validation), vocabulary.boundary, ids.dtype)])
    assert mix(model.parts, changed, replace(cut, validation=changed[end:]), "auto").gain == mixed.gain


def test_counts_alone_need_no_pytorch(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    code = (
        "import sys; sys.modules['torch'] = None; from unrolled.cli.app import main; "
        f"sys.exit(main(['train', '{tmp_path}/text.txt', '--out', '{tmp_path}/run', '--rung', 'counts', '--json']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    figures = json.loads(result.stdout)
    model = CharModel.from_pretrained(tmp_path / "run")
    assert figures["validation"]["nats"] == figures["members"]["counts"]
    assert model.members == ["counts"]
    assert model.training["losses"]["validation"] == figures["validation"]
    assert len(model.generate("1 ", 30)) == 30


def test_settings_of_networks_are_refused_for_counts(tmp_path, capsys):
    with pytest.raises(InputError, match="has no network, so it has no epochs, hidden"):
        train(text=TEXT, rung="counts", hidden=3, epochs=1)
    assert main(["train", "--out", str(tmp_path / "run"), "--rung", "counts"]) == 1
    assert "no text was given" in capsys.readouterr().err
    assert train(text=TEXT, rung="counts", test=0.1).summary.test is not None
