"""Folders that a stranger made: nothing hangs, nothing outside them is read or written, and no error is a traceback."""

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fuzzing import survey
from tables.shops import shops
from tiny import tiny_parts
from unrolled.errors import FolderError
from unrolled.files import MANIFEST, from_json, manifest, read_folder, sha256, to_json, write_folder
from unrolled.learn.checkpoint import Checkpoints
from unrolled.learn.history import HISTORY, loss_curve, read_history
from unrolled.learn.packing import STATE
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.run_folder import Run
from unrolled.learn.start import prepare
from unrolled.model.char_model import CharModel
from unrolled.model.folder import CONFIG, TRAINING, VOCABULARY, WEIGHTS, ModelParts, read_model
from unrolled.model.gate import Gate
from unrolled.model.members import MIXTURE, Members
from unrolled.model.state import State
from unrolled.model.state import _pack as pack_state
from unrolled.model.tensors import read_tensors, write_tensors
from unrolled.plotting import rendered
from unrolled.tables.encoder import folder as encoder_folder
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.text.counts.model import CountModel

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
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
        "losses": {"validation": {"nats": 1.0, "bits": 1.44}}, "members": {"network": 1.0, "together": 0.9},
        "seconds": 2.0, "characters_seen": 22, "epochs": 1.0,
        "best_epoch": 1.0,
    }  # fmt: skip
    beside = Members((), counts, Gate.between(counts.depth, 0.1, 0.2, 0.3, 0.4))
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


def test_every_field_of_a_saved_state():
    """Packed again each time, so that no sum gives the change away."""
    model = CharModel(tiny_parts("lstm", text="the cat sat on the mat"))
    place = model.read("the ")

    def use(content):
        state = State.from_bytes(pack_state(content, place._tensors()), model)
        return state.next(), state.position, state.generate(9)

    assert survey(place._facts(), use) == []


@pytest.mark.parametrize("chosen", [some(0.1), ALL])
def test_every_field_of_a_history(chosen, tmp_path):
    entry = {"step": 3, "smoothed": 2.6, "validation": 2.4}

    def use(content):
        (tmp_path / HISTORY).write_text(f"{json.dumps(entry)}\n{json.dumps(content)}\n")
        picture = loss_curve(read_history(tmp_path))
        rendered(picture, ".png", dpi=20)
        return [line.get_xydata().tolist() for line in picture.axes[0].lines]

    few = ["validation = gone: silently taken"]  # most steps are not measured
    assert [one for one in survey(entry, use, chosen) if one not in few] == []


@pytest.fixture(scope="module")
def encoder_files(tmp_path_factory):
    X, _ = shops(60)
    trade = np.arange(60) % 5
    titles = [f"{('engineer', 'nurse', 'clerk', 'judge', 'pilot')[kind]} of {i % 30}" for i, kind in enumerate(trade)]
    X = X.assign(title=titles, open=np.arange(60) % 2 == 0)
    recipe = EncoderConfig(networks=2, hidden=(8,), min_steps=200)
    encoder = EntityEncoder(recipe=recipe, validation=None, spelling=["title"], random_state=0)
    encoder.fit(X, 3.5 * trade)  # the spelling tells the target: its components are kept, too
    encoder.save_pretrained(tmp_path_factory.mktemp("encoder") / "it")
    return read_folder(tmp_path_factory.getbasetemp() / "encoder0" / "it"), X.head(4)


@pytest.mark.parametrize("chosen", [some(0.2), ALL])
@pytest.mark.filterwarnings("ignore:X has feature names")
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
    session = prepare(Request([folder / "text"], folder / "run", recipe, machine, save_seconds=0.0))
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
            Request(
                [folder / "text"], tmp_path / "run", Recipe(), Machine(), resume=True, given=(), notify=lambda _: None
            )
        )
        record = next(iter(session.run()))
        session.close()
        weights = session.task.network.state_dict().values()
        return record.step, record.loss, [weight.double().sum().item() for weight in weights]

    older = ["recipe.with_ = gone: silently taken"]  # a run from before there were mixtures
    assert [one for one in survey(json.loads(files[STATE]), use, chosen) if one not in older] == []


def replaced(folder, name, make):
    """Put what `make` makes in the place of a file."""
    (folder / name).unlink()
    make(folder / name)


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(7 << 30)


SWAPS = {
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a file": lambda path: path.symlink_to("/etc/hostname"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": os.mkdir,
    "seven gibibytes": sparse,
}


@POSIX
@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, MANIFEST])
def test_what_is_no_file_is_not_read(tmp_path, name, swap):
    CharModel(tiny_parts("rnn", text="ab")).save_pretrained(tmp_path / "it")
    replaced(tmp_path / "it", name, SWAPS[swap])
    with pytest.raises(FolderError, match=f"{tmp_path}"):
        read_model(tmp_path / "it")


@POSIX
@pytest.mark.parametrize("swap", ["a link to a device", "a pipe", "seven gibibytes"])
def test_states_that_are_no_file(tmp_path, swap):
    SWAPS[swap](tmp_path / "state")
    with pytest.raises(FolderError):
        State.load(tmp_path / "state", CharModel(tiny_parts("rnn", text="ab")))


def test_a_list_of_files_larger_than_any_folder(tmp_path):
    content = {"format": 1, "files": {f"{i}": {"bytes": 7 << 30, "sha256": "0" * 64} for i in range(2)}}
    (tmp_path / MANIFEST).write_bytes(to_json(content | {"sha256": sha256(to_json(content))}))
    with pytest.raises(FolderError, match="is larger than any folder of unrolled"):
        read_folder(tmp_path)


def test_json_that_is_deep_long_or_large(tmp_path, monkeypatch):
    deep = b'{"a": ' * 990 + b"1" + b"}" * 990
    for data, sentence in [
        (b'{"a": ' * 99 + b"1" + b"}" * 99, "nested more than"), (deep, "nested more than|not valid JSON"),
        (b'{"a": 1e999}', "not a finite number"), (b'{"a": NaN}', "not a finite number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"), (b'{"a": [0' + b",0" * 10_000_000 + b"]}", "too large"),
    ]:  # fmt: skip
        with pytest.raises(FolderError, match=sentence):
            from_json(data, "x.json")
    (tmp_path / MANIFEST).write_bytes(deep)
    with pytest.raises(FolderError, match=r"nested|not valid JSON"):
        read_folder(tmp_path)
    monkeypatch.setattr("unrolled.files.MAX_JSON_VALUES", 10)
    with pytest.raises(FolderError, match="too large"):  # what could not be read again is not written
        write_folder(tmp_path / "new", {"a.json": to_json({"a": list(range(11))})})
    assert not (tmp_path / "new").exists()


def run_folder(path):
    (path / "checkpoints").mkdir(parents=True)
    return path


@POSIX
def test_a_lock_that_is_a_link(tmp_path):
    (run_folder(tmp_path / "run") / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(FolderError, match=r"\.lock is a symbolic link"):
        Run(tmp_path / "run", resume=True).begin()
    assert not (tmp_path / "outside").exists()


@POSIX
def test_a_lock_that_is_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(run_folder(tmp_path / "run") / ".lock")
    Run(tmp_path / "run", resume=True).begin()


@POSIX
def test_orphans_that_are_links(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (run_folder(tmp_path / "run") / ".unrolled-x").symlink_to(tmp_path / "precious")
    Run(tmp_path / "run", resume=True).begin()
    assert not (tmp_path / "run" / ".unrolled-x").is_symlink()
    assert (tmp_path / "precious" / "file").read_text() == "kept"


@POSIX
def test_checkpoints_that_are_links_or_have_odd_numbers(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match="checkpoints is a symbolic link"):
        Run(tmp_path / "run", resume=True)
    odd = run_folder(tmp_path / "odd") / "checkpoints"
    for name in ("step-²", "step-٣٣٣٣٣٣٣٣", "step-1", "step--0000001", "step-" + "9" * 400):
        if len(name) < 255:
            write_folder(odd / name, tiny_parts("rnn", text="ab").to_files())
    write_folder(odd / "real", tiny_parts("rnn", text="ab").to_files())
    (odd / "step-00000002").symlink_to(odd / "real")
    assert Checkpoints(odd).steps() == []
    with pytest.raises(FolderError):
        read_model(tmp_path / "odd")


@pytest.mark.parametrize("rung", ["rnn", "lstm", "mingru", "irnn", "deltanet"])
@pytest.mark.filterwarnings("error")
def test_weights_that_are_finite_and_too_large(tmp_path, rung):
    parts = tiny_parts(rung, text="abc")
    huge = {name: np.full_like(array, 3e38) for name, array in parts.weights.items()}
    write_folder(tmp_path / "it", dataclasses.replace(parts, weights=huge).to_files())
    model = CharModel.from_pretrained(tmp_path / "it")
    asked = [
        lambda: model.next("ab"), lambda: model.generate("a", 9), lambda: model.score("abcabc"),
        lambda: list(model.score_lines(["abc"])), lambda: model.complete("a"), lambda: model.embed(["a"]),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(FolderError, match=f"{tmp_path}"):
            ask()


@pytest.mark.parametrize(
    "part", ["vectors", "networks", "centres", "rotations", "target_mean", "components", "spelling_mean"]
)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_arrays_of_an_encoder_that_are_not_finite(encoder_files, part, number, tmp_path):
    files, _ = encoder_files
    arrays = read_tensors(files[encoder_folder.ARRAYS], "arrays")
    name = next(name for name in arrays if name.endswith(f"title.{part}"))
    arrays[name].ravel()[0] = number
    with pytest.raises(FolderError, match="not finite"):
        encoder_folder.from_files(files | {encoder_folder.ARRAYS: write_tensors(arrays)}, tmp_path)


@pytest.mark.filterwarnings("error")
def test_every_array_of_an_encoder(encoder_files, tmp_path):
    """Gone, emptied, cut, of another type, all zero, and as large as can be."""
    files, X = encoder_files
    arrays = read_tensors(files[encoder_folder.ARRAYS], "arrays")
    changes = {
        "gone": None, "empty": lambda a: a[:0], "cut": lambda a: a[:-1], "short": lambda a: a[..., :-1],
        "one": lambda a: a[:1], "flat": lambda a: a.ravel(), "whole": lambda a: a.astype(np.int32),
        "single": lambda a: a.ravel()[:1].reshape(()), "zero": lambda a: np.zeros_like(a),
        "huge": lambda a: np.full_like(a, 3e38 if a.dtype.kind == "f" else 1),
    }  # fmt: skip
    taken = []
    for name, array in arrays.items():
        for change, make in changes.items():
            altered = {n: a for n, a in arrays.items() if n != name} | ({} if make is None else {name: make(array)})
            if name in altered and altered[name].shape == array.shape and (altered[name] == array).all():
                continue
            try:
                fitted, _ = encoder_folder.from_files(files | {encoder_folder.ARRAYS: write_tensors(altered)}, tmp_path)
                encoder = EntityEncoder()
                encoder._set(fitted)
                found = encoder.transform(X.assign(title="engineer of new")), encoder.network_prediction(X)
            except FolderError:
                continue
            assert all(np.isfinite(each).all() for each in found)
            taken.append(f"{name} {change}")
    fewer = (
        "deviations cut",
        "deviations one",
        "sensitivity gone",
        "skip.weight gone",
    )  # which may be fewer, or missing
    assert [one for one in taken if not one.endswith((" zero", " huge", *fewer))] == []


@pytest.mark.soak
def test_nothing_is_found_by_a_fuzzer_that_sees_what_is_reached(encoder_files, checkpoint, tmp_path):
    """For an hour, or the seconds in UNROLLED_FUZZ_SECONDS."""
    pytest.importorskip("atheris")
    for name, files in {"model": model_files(), "encoder": encoder_files[0], "checkpoint": checkpoint[2]}.items():
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file).write_bytes(data)
    program = Path(__file__).with_name("coverage_fuzzing.py")
    command = [sys.executable, str(program), str(tmp_path), os.environ.get("UNROLLED_FUZZ_SECONDS", "3600")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    print(done.stderr[-3000:])
    assert done.returncode == 0, done.stderr[-3000:]
