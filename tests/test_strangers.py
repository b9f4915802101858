"""Folders that a stranger made: nothing hangs, nothing outside them is read or written, and no error is a traceback."""

import dataclasses
import json
import random
import shutil

import numpy as np
import pytest

from fuzzing import survey
from tables.shops import shops
from tiny import tiny_parts
from unrolled.files import MANIFEST, manifest, read_folder, sha256, to_json, write_folder
from unrolled.learn.packing import STATE
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.train import prepare
from unrolled.model.char_model import CharModel
from unrolled.model.folder import CONFIG, TRAINING, VOCABULARY, ModelParts
from unrolled.model.members import MIXTURE, Members
from unrolled.model.mixture import Gate
from unrolled.tables.encoder import folder as encoder_folder
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.text.counts import CountModel

ALL = pytest.param(None, marks=pytest.mark.soak, id="all")


def some(share):
    """A choice of the variants, another one in each run."""
    generator = random.Random()
    return lambda _: generator.random() < share


def model_files():
    """A network beside counts, with the record of its training."""
    parts = tiny_parts("lstm", text="the cat sat on the mat")
    ids = parts.vocabulary.encode("the cat sat on the mat")
    counts = CountModel.count(ids, len(parts.vocabulary), order=2)
    training = {
        "corpus": {"sha256": "ab", "characters": 22, "sources": ["cat.txt"]}, "recipe": {"lower": False},
        "losses": {"validation": {"nats": 1.0, "bits": 1.44}}, "seconds": 2.0, "characters_seen": 22, "epochs": 1.0,
        "best_epoch": 1.0,
    }  # fmt: skip
    beside = Members((), counts, Gate(0.1, 0.2, 0.3, 0.4))
    return dataclasses.replace(parts, training=training, beside=beside).to_files()


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY, TRAINING, MIXTURE])
def test_every_field_of_a_model_folder(name):
    files = model_files()

    def use(content):
        parts = ModelParts.from_files(files | {name: json.dumps(content).encode()})
        model = CharModel(parts)
        return json.dumps([model.next("the "), model.lower], allow_nan=False), len(parts.to_files())

    assert survey(json.loads(files[name]), use) == []


def test_every_field_of_a_manifest(tmp_path):
    """Signed again each time, so that no sum gives the change away."""
    files = {"a.json": b"{}", "b.txt": b"b"}
    write_folder(tmp_path / "it", files)

    def use(content):
        content = {name: value for name, value in content.items() if name != "sha256"}
        (tmp_path / "it" / MANIFEST).write_bytes(to_json(content | {"sha256": sha256(to_json(content))}))
        return read_folder(tmp_path / "it").items() <= files.items()  # one that lists less is one with less

    assert survey(json.loads((tmp_path / "it" / MANIFEST).read_bytes()), use) == []


@pytest.fixture(scope="module")
def encoder_files(tmp_path_factory):
    X, y = shops(60)
    X = X.assign(title=[f"engineer of {i % 30}" for i in range(60)], open=np.arange(60) % 2 == 0)
    encoder = EntityEncoder(
        recipe=EncoderConfig(networks=2, hidden=(8,), min_steps=5), spelling=["title"], random_state=0
    )
    encoder.fit(X, y).save_pretrained(tmp_path_factory.mktemp("encoder") / "it")
    return read_folder(tmp_path_factory.getbasetemp() / "encoder0" / "it"), X.head(4)


@pytest.mark.parametrize("chosen", [some(0.2), ALL])
def test_every_field_of_an_encoder(encoder_files, chosen, tmp_path):
    files, X = encoder_files

    def use(content):
        data = json.dumps(content).encode()
        fitted, settings = encoder_folder.from_files(files | {encoder_folder.CONFIG: data}, tmp_path)
        encoder = EntityEncoder().set_params(**settings)
        encoder._set(fitted)
        numbers = [encoder.transform(X), encoder.network_prediction(X)]
        assert all(np.isfinite(each).all() for each in numbers)
        return [each.tolist() for each in numbers], encoder.get_feature_names_out().tolist(), encoder.handle_unknown

    assert survey(json.loads(files[encoder_folder.CONFIG]), use, chosen) == []


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The files of the checkpoint of an unfinished run, and its step."""
    folder = tmp_path_factory.mktemp("unfinished")
    (folder / "text").write_text("a man said that he would read the notes again, and then he wrote them. " * 20)
    recipe = Recipe(hidden=4, embedding=3, streams=2, length=16, epochs=1.0, evaluations=4)
    machine = Machine(device="cpu", precision="float32", threads=1)
    session = prepare([folder / "text"], folder / "run", recipe, machine, save_seconds=0.0)
    for record in session.run():
        if record.step == 4:
            break
    session.close()
    path = sorted((folder / "run" / "checkpoints").iterdir())[-1]
    return folder, path.name, read_folder(path)


@pytest.mark.parametrize("chosen", [some(0.03), ALL])
def test_every_field_of_a_checkpoint(checkpoint, chosen, tmp_path):
    folder, step, files = checkpoint

    def use(content):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "run" / "checkpoints" / step).mkdir(parents=True)
        altered = files | {STATE: json.dumps(content).encode()}
        for name, data in (altered | {MANIFEST: to_json(manifest(altered))}).items():
            (tmp_path / "run" / "checkpoints" / step / name).write_bytes(data)
        session = prepare(
            [folder / "text"], tmp_path / "run", Recipe(), Machine(), resume=True, given=(), notify=lambda _: None
        )
        record = next(iter(session.run()))
        session.close()
        weights = session.task.network.state_dict().values()
        return record.step, record.loss, [weight.double().sum().item() for weight in weights]

    assert survey(json.loads(files[STATE]), use, chosen) == []
