"""Models of several members: folders, states, one member alone, and what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from small import model_of, network_for
from unrolled.errors import FolderError, InputError
from unrolled.files import write_folder
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts, counts_alone
from unrolled.model.gate import Gate
from unrolled.model.members import MIXTURE, Members
from unrolled.model.state import State
from unrolled.text.counts.model import CountModel

TEXT = "the quick brown fox jumps over the lazy dog. the cat sat on the mat, and the dog sat on the cat.\n" * 5
NETWORKS = [model_of(*network_for(TEXT, "gru", hidden=8, seed=seed)).parts for seed in range(3)]
VOCABULARY = NETWORKS[0].vocabulary
COUNTS = CountModel.count(VOCABULARY.encode(TEXT), len(VOCABULARY), 5)
GATE = Gate.between(COUNTS.depth, -0.5, 0.3, -0.4, 0.2)


def parts(networks=1, counts=True):
    others = tuple(network.weights for network in NETWORKS[1:networks])
    beside = Members(others, COUNTS if counts else None, GATE if counts else None)
    return ModelParts(NETWORKS[0].config, VOCABULARY, NETWORKS[0].weights, {}, beside)


KINDS = {
    "mixture": parts(),
    "committee": parts(3, counts=False),
    "both": parts(3),
    "counts": counts_alone(VOCABULARY, COUNTS, {}),
}
kinds = pytest.mark.parametrize("model", KINDS.values(), ids=KINDS)


@kinds
def test_a_folder_gives_the_model_back(model, tmp_path):
    CharModel(model).save_pretrained(tmp_path / "run")
    again = CharModel.from_pretrained(tmp_path / "run")
    assert again.parts.to_files() == model.to_files()
    assert again.fingerprint == model.fingerprint
    assert again.members == model.members
    assert again.next("the c") == CharModel(model).next("the c")
    assert again.generate("the ", 60, seed=3) == CharModel(model).generate("the ", 60, seed=3)


@kinds
def test_a_stored_state_goes_on_as_if_nothing_had_happened(model, tmp_path):
    model = CharModel(model)
    state = model.read("the quick ")
    state.generate(20, seed=1)
    state.save(tmp_path / "state")
    again = State.load(tmp_path / "state", model)
    assert again.generate(50) == state.generate(50)
    assert again.next() == state.next()


@kinds
def test_probabilities_sum_to_one_and_score_reads_the_same(model):
    model = CharModel(model)
    assert sum(p for _, p in model.next("the dog ")) == pytest.approx(1)
    each = model.score("the dog sat").each
    state = model.read("the dog")
    assert -np.log(softmaxed(state.logits)[VOCABULARY.encode(" ")[0]]) == pytest.approx(each[7], abs=1e-4)


def softmaxed(logits):
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def test_one_member_alone():
    both = CharModel(KINDS["both"])
    assert both.members == ["network", "network-2", "network-3", "counts"]
    for i, name in enumerate(both.members[:3]):
        assert both.only(name).next("the ") == CharModel(NETWORKS[i]).next("the ")
    assert both.only("counts").next("the ") == CharModel(KINDS["counts"]).next("the ")
    assert both.only("network").fingerprint == NETWORKS[0].fingerprint
    alone = both.score(TEXT[:200]).alone
    assert alone.keys() == set(both.members)
    assert alone["counts"] == pytest.approx(both.only("counts").score(TEXT[:200]).nats)
    with pytest.raises(InputError, match="unknown member 'count': did you mean 'counts'"):
        both.only("count")


def test_counts_have_no_network_to_look_into():
    model = CharModel(KINDS["counts"])
    for look in (lambda: model.network, lambda: model.embedding):
        with pytest.raises(InputError, match="counts alone"):
            look()


def test_a_fingerprint_covers_every_member():
    changed = parts().to_files() | {MIXTURE: parts().to_files()[MIXTURE].replace(b"-0.4", b"-0.5")}
    models = [*KINDS.values(), NETWORKS[0], parts(2), ModelParts.from_files(changed)]
    assert len({model.fingerprint for model in models}) == len(models)


OLD_GATE = {"bias": -0.5, "network_peak": 0.3, "counts_peak": -0.4, "counts_backoff": 0.2}


def mixture_json(**changes):
    content = json.loads(KINDS["both"].to_files()[MIXTURE]) | changes
    return {MIXTURE: json.dumps(content).encode()}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"counts.safetensors": None}, "counts.safetensors is missing, but the model has the members"),
        ({"network-3.safetensors": None}, "network-3.safetensors is missing"),
        ({"network-2.safetensors": b"1"}, "network-2.safetensors is not a valid safetensors file"),
        (
            {"counts.safetensors": KINDS["both"].to_files()["network-2.safetensors"]},
            "counts.safetensors: unexpected",
        ),
        ({"network-2.safetensors": KINDS["both"].to_files()["counts.safetensors"]}, "does not fit config.json"),
        (mixture_json(format=3), "mixture.json has format 3, newer"),
        (mixture_json(members=["network", "counts", "network-2"]), "networks in order"),
        (mixture_json(members=[]), "networks in order"),
        (mixture_json(members="network"), "members should be a list"),
        (mixture_json(members=["network", "network-2"]), "a gate needs counts"),
        (mixture_json(gate=None), "need a gate"),
        (mixture_json(gate=OLD_GATE | {"bias": "0"}), "gate.bias should be a finite number"),
        (mixture_json(gate={"weights": [[1.0, 2.0]] * 12}), "three weights for each of more than 5 features"),
        (mixture_json(gate={"weights": [[1.0, 2.0, 1e7]] * 11}), "must be at most 1000000"),
        (mixture_json(gate={"weights": [[1.0, 2.0, "3"]] * 11}), "should be a finite number"),
        (mixture_json(gate={"weights": [[1.0, 2.0, 3.0]] * 12}), "for 7 tables, not 6"),
    ],
)
def test_what_does_not_fit_is_refused(changes, sentence):
    files = {name: data for name, data in (KINDS["both"].to_files() | changes).items() if data is not None}
    with pytest.raises(FolderError, match=sentence):
        ModelParts.from_files(files)


def test_a_gate_of_format_1_is_read_as_what_it_was():
    content = {"format": 1, "members": KINDS["both"].members, "gate": OLD_GATE}
    files = KINDS["both"].to_files() | {MIXTURE: json.dumps(content).encode()}
    assert ModelParts.from_files(files).beside.gate == GATE


def test_an_altered_member_is_found_by_the_manifest(tmp_path):
    write_folder(tmp_path / "run", KINDS["both"].to_files())
    path = tmp_path / "run" / "counts.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FolderError, match=r"counts\.safetensors"):
        CharModel.from_pretrained(tmp_path / "run")


def test_members_of_another_vocabulary_are_refused():
    other = CountModel.count(np.array([1, 2, 3, 4, 1, 2], np.uint8), 5)
    with pytest.raises(FolderError, match="has 5 ids, but the vocabulary"):
        ModelParts(NETWORKS[0].config, VOCABULARY, NETWORKS[0].weights, {}, Members((), other, GATE))


def test_a_card_tells_what_all_members_reach_together():
    losses = {"validation": {"nats": 3.0, "bits": 4.328}}
    members = {"network": 3.0, "networks": 2.5, "counts": 1.5, "together": 1.0}
    for kind, nats in (("mixture", 1.0), ("committee", 2.5), ("both", 1.0)):
        model = replace(KINDS[kind], training={"losses": losses, "members": members})
        assert model.validation_nats == nats
        assert f"| validation text, all together | {nats / math.log(2):.3f} | {nats:.4f} |" in model.card
        which = "network alone" if kind == "mixture" else "first network"
        assert f"| validation text, {which} | 4.328 | 3.0000 |" in model.card
    alone = replace(NETWORKS[0], training={"losses": losses})
    assert alone.validation_nats == 3.0
    assert "| validation text | 4.328 | 3.0000 |" in alone.card
