"""Model folders: round trips, a flipped bit in any byte, every truncation, hostile contents, golden folders."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tiny import TEXT, tiny_model, tiny_parts
from unrolled.errors import FolderError, InputError
from unrolled.files import MANIFEST, from_json, to_json, write_folder
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.model.folder import (
    CARD,
    CONFIG,
    FILES,
    TRAINING,
    VOCABULARY,
    WEIGHTS,
    ModelConfig,
    ModelParts,
    read_model,
)
from unrolled.text.vocabulary import Vocabulary

SMALLEST = tiny_parts("rnn", text="abba", embedding=1, hidden=1)


def changed(file: str, **content: Any) -> dict[str, bytes]:
    """The files of a model, one JSON file with other content."""
    files = SMALLEST.to_files()
    return files | {file: to_json(from_json(files[file], file) | content)}


def with_weights(**tensors: Any) -> dict[str, bytes]:
    """The files of a model with other tensors; None leaves one out."""
    weights = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    kept = {name: tensor for name, tensor in (SMALLEST.weights | weights).items() if tensor is not None}
    return SMALLEST.to_files() | {WEIGHTS: safetensors.numpy.save(kept)}


@pytest.mark.parametrize("rung", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_shapes_are_those_of_the_network_that_trains(rung: str, layers: int) -> None:
    config = ModelConfig(rung, 11, 3, 5, layers)
    state = CharNetwork(config).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == config.shapes()


@pytest.mark.parametrize("rung", CELLS)
def test_round_trip_gives_equal_bytes(rung: str, tmp_path: Path) -> None:
    parts = tiny_parts(rung, layers=2)
    CharModel(parts).save_pretrained(tmp_path / "model")
    back = read_model(tmp_path / "model")
    assert back.config == parts.config
    assert back.vocabulary == parts.vocabulary
    assert back.to_files() == parts.to_files()
    assert back.fingerprint == parts.fingerprint
    assert {path.name for path in (tmp_path / "model").iterdir()} == {*FILES, MANIFEST}


def test_fingerprint_follows_sizes_vocabulary_and_weights() -> None:
    others = [tiny_parts("rnn"), tiny_parts("irnn"), tiny_parts("rnn", seed=1), tiny_parts("rnn", text=TEXT + "@")]
    assert len({parts.fingerprint for parts in others}) == 4


def flips(name: str, size: int) -> range:
    """The bits to flip: all of the manifest; of a file, one or two of each byte, as its hash is of the whole."""
    return range(0, 8 * size, 1 if name == MANIFEST else 7)


def silent_flips(folder: Path, path: Path) -> list[int]:
    """The bits of a file whose flipping is not reported by the name of the file."""
    data, silent = path.read_bytes(), []
    with open(path, "r+b", buffering=0) as file:
        for bit in flips(path.name, len(data)):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit % 8]), place)
            message = ""
            try:
                read_model(folder)
            except FolderError as error:
                message = str(error)
            if path.name not in message:
                silent.append(bit)
            os.pwrite(file.fileno(), data[place : place + 1], place)
    return silent


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_flipped_bit_in_any_byte_is_reported_by_file_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    CharModel(SMALLEST).save_pretrained(folder)
    assert silent_flips(folder, folder / name) == []
    read_model(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_every_truncation_is_reported_by_file_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    CharModel(SMALLEST).save_pretrained(folder)
    path = folder / name
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        with pytest.raises(FolderError, match=name):
            read_model(folder)
    path.unlink()
    with pytest.raises(FolderError, match=name):
        read_model(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_byte_too_many_is_reported_by_file_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    CharModel(SMALLEST).save_pretrained(folder)
    with open(folder / name, "ab") as file:
        file.write(b"\0")
    with pytest.raises(FolderError, match=name):
        read_model(folder)


@pytest.mark.parametrize("name", FILES)
def test_hostile_contents_under_a_right_manifest_raise_nothing_but_our_error(name: str) -> None:
    """Whoever writes a hostile folder writes its manifest too, so the parsers meet damage of every byte."""
    files = SMALLEST.to_files()
    data = files[name]
    hostile = [data[:length] for length in range(len(data))]
    for bit in flips(name, len(data)):
        place = bit // 8
        hostile.append(data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :])
    refused = 0
    for changed in hostile:
        try:
            ModelParts.from_files(files | {name: changed})
        except FolderError:
            refused += 1
    assert refused >= len(data) or name == CARD, "every truncation at least, except of the card, which nobody parses"


BIG = 1 << 40
F32 = np.float32


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (changed(CONFIG, format=2), "config.json has format 2, newer than the 1 known here: upgrade unrolled"),
        (changed(CONFIG, format="1"), "config.json should have format 1"),
        (changed(CONFIG, extra=1), "config.json: extra is not known here"),
        (changed(CONFIG, hidden=BIG), "config.json: hidden is 1099511627776, but must be a whole number from 1"),
        (changed(CONFIG, layers=0), "config.json: layers is 0"),
        (changed(CONFIG, hidden=True), "config.json: hidden should be a whole number below .*, not True"),
        (changed(CONFIG, hidden=1.0), "config.json: hidden should be a whole number below .*, not 1.0"),
        (changed(CONFIG, rung="lstmm"), "config.json: unknown rung 'lstmm': did you mean 'lstm'"),
        (changed(CONFIG, rung=["rnn"]), "config.json: rung should be a string"),
        (changed(CONFIG, nonlinearity="sine"), "config.json: nonlinearity is 'sine'"),
        (changed(CONFIG, layers=2), "model.safetensors does not fit config.json: layers.1.bias_hh is missing"),
        (changed(CONFIG, hidden=2), "does not fit config.json: head.weight is float32 of shape"),
        (changed(VOCABULARY, characters=["a"]), "vocabulary"),
        (changed(VOCABULARY, characters=["a", "a"]), "vocabulary"),
        (changed(VOCABULARY, characters=["a", "\ud800"]), "vocabulary"),
        (changed(VOCABULARY, characters=["a", "bb"]), "vocabulary"),
        (changed(VOCABULARY, characters=["a"], counts=[1]), "vocabulary.json has 2 ids, but config.json 3"),
        (with_weights(foreign=np.zeros(1, F32)), "model.safetensors does not fit config.json: foreign is foreign"),
        (with_weights(head__bias=None), "model.safetensors does not fit config.json: head.bias is missing"),
        (with_weights(head__bias=np.zeros(3)), "head.bias is float64 of shape .* instead of float32"),
        (with_weights(head__bias=np.zeros((3, 1), F32)), r"head.bias is float32 of shape \(3, 1\)"),
        (with_weights(head__bias=np.array([0, np.nan, 0], F32)), "numbers in head.bias that are not finite"),
        (with_weights(head__bias=np.array([0, np.inf, 0], F32)), "numbers in head.bias that are not finite"),
        (SMALLEST.to_files() | {WEIGHTS: b""}, "model.safetensors is not a valid safetensors file"),
        (SMALLEST.to_files() | {WEIGHTS: pickle.dumps({"a": 1})}, "model.safetensors is not a valid safetensors file"),
        (SMALLEST.to_files() | {WEIGHTS: b"\xff" * 8 + b"{}"}, "its header cannot be"),
        (SMALLEST.to_files() | {CONFIG: b"[" * 100_000}, "config.json is (nested more than 64 deep|not valid JSON)"),
        (SMALLEST.to_files() | {CONFIG: b"[]"}, "config.json should hold a JSON object"),
        (SMALLEST.to_files() | {TRAINING: b"\x80"}, "training.json is not valid JSON"),
        ({CONFIG: b"{}"}, "not a model folder: vocabulary.json, .* missing"),
        (SMALLEST.to_files() | {"extra.pkl": b""}, "holds the pickle extra.pkl, which can run code"),
    ],
)
def test_hostile_folders(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "model", files)
    with pytest.raises(FolderError, match=message) as caught:
        read_model(tmp_path / "model")
    assert str(tmp_path) in str(caught.value)


def bfloat16_header() -> bytes:
    head = json.dumps({"head.bias": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    return len(head).to_bytes(8, "little") + head + b"\0\0"


@pytest.mark.parametrize("data", [bfloat16_header(), (1 << 20).to_bytes(8, "little") + b"{" * (1 << 20)])
def test_headers_that_the_library_takes_and_numpy_does_not(data: bytes) -> None:
    with pytest.raises(FolderError, match=r"model.safetensors is not a valid safetensors file"):
        ModelParts.from_files(SMALLEST.to_files() | {WEIGHTS: data})


def test_what_is_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        read_model(tmp_path / "nowhere")
    with pytest.raises(FolderError, match=r"has no manifest\.json"):
        read_model(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(0))
    with pytest.raises(FolderError, match=r"holds the pickle pytorch_model\.bin"):
        read_model(tmp_path)
    with pytest.raises(FolderError, match=r"a file, but a folder .*a pickle can run code"):
        read_model(tmp_path / "pytorch_model.bin")


def test_parts_that_do_not_fit_are_never_written() -> None:
    bad = SMALLEST.weights | {"head.bias": np.full(3, np.nan, np.float32)}
    with pytest.raises(FolderError, match="not finite"):
        ModelParts(SMALLEST.config, SMALLEST.vocabulary, bad, {})
    with pytest.raises(FolderError, match="has 2 ids"):
        ModelParts(SMALLEST.config, Vocabulary.of("a"), SMALLEST.weights, {})


@pytest.mark.parametrize("name", ["vocabulary", "embedding", "hidden", "layers"])
@pytest.mark.parametrize("size", [0, -1, BIG, 2.0, None])
def test_sizes_out_of_bounds(name: str, size: Any) -> None:
    sizes = {"vocabulary": 3, "embedding": 3, "hidden": 3, "layers": 1} | {name: size}
    with pytest.raises(InputError, match=f"{name} is {size!r}, but must be a whole number"):
        ModelConfig("rnn", **sizes)


def unfinished_run(folder: Path, steps: dict[int, int]) -> None:
    """A run folder with a checkpoint a step, each of a model of its own seed."""
    for step, seed in steps.items():
        parts = tiny_parts("rnn", seed=seed)
        write_folder(folder / "checkpoints" / f"step-{step:08d}", parts.to_files() | {"state.json": b"{}"})


def test_an_unfinished_run_is_used_through_its_newest_whole_checkpoint(tmp_path: Path) -> None:
    unfinished_run(tmp_path, {9: 1, 100: 2, 1000: 3})
    assert read_model(tmp_path).fingerprint == tiny_parts("rnn", seed=3).fingerprint
    (tmp_path / "checkpoints" / "step-00001000" / "state.json").write_bytes(b"[]")
    (tmp_path / "checkpoints" / "step-00002000").mkdir()  # begun, never written to its end
    warnings: list[str] = []
    assert read_model(tmp_path, warnings.append).fingerprint == tiny_parts("rnn", seed=2).fingerprint
    assert len(warnings) == 1
    assert "step-00001000" in warnings[0]
    assert "state.json" in warnings[0]
    with pytest.warns(UserWarning, match="an older checkpoint is used"):
        read_model(tmp_path)


def test_an_unfinished_run_without_a_whole_checkpoint(tmp_path: Path) -> None:
    unfinished_run(tmp_path, {9: 1})
    (tmp_path / "checkpoints" / "step-00000009" / CARD).unlink()
    warnings: list[str] = []
    with pytest.raises(FolderError, match="all of its 1 checkpoints are damaged"):
        read_model(tmp_path, warnings.append)
    assert CARD in warnings[0]


def test_the_model_of_a_finished_run_comes_before_its_checkpoints(tmp_path: Path) -> None:
    tiny_model("rnn", seed=5).save_pretrained(tmp_path / "run")
    unfinished_run(tmp_path / "run", {9: 1})
    assert read_model(tmp_path / "run").fingerprint == tiny_parts("rnn", seed=5).fingerprint


def test_card_tells_what_was_measured_and_only_that() -> None:
    training = {
        "corpus": {"sources": ["book.txt"], "characters": 1234567, "sha256": "ab" * 32},
        "losses": {"train": {"nats": 1.0, "bits": 1.4427}, "validation": {"nats": 1.1, "bits": 1.587}},
        "characters_seen": 7_000_000,
        "seconds": 90,
    }
    parts = ModelParts(SMALLEST.config, SMALLEST.vocabulary, SMALLEST.weights, training)
    card = parts.to_files()[CARD].decode()
    head, body = card.removeprefix("---\n").split("\n---\n", 1)
    assert head.splitlines()[0] == "library_name: unrolled"
    for fact in ("book.txt", "1,234,567", "ab" * 32, "7,000,000", "1.5", "1.587", f"{parts.parameters:,} weights"):
        assert fact in body
    assert "bits per character" not in SMALLEST.to_files()[CARD].decode()


GOLDEN = Path(__file__).parents[1] / "data_golden"
GOLDEN_MODELS = [path for path in sorted(GOLDEN.glob("model_format_*")) if path.is_dir()]


@pytest.mark.parametrize("folder", GOLDEN_MODELS, ids=lambda path: path.name)
def test_folders_of_every_format_are_read_and_mean_the_same(folder: Path) -> None:
    """The expected figures were computed by the PyTorch network on the day the folder was written."""
    expected = json.loads((GOLDEN / f"{folder.name}.json").read_text())
    model = CharModel.from_pretrained(folder)
    found = dict(model.next(expected["prompt"]))
    assert found.keys() == expected["next"].keys()
    for character, probability in expected["next"].items():
        assert found[character] == pytest.approx(probability, abs=1e-5)
    assert model.score(expected["text"]).nats == pytest.approx(expected["nats"], abs=1e-5)
    assert model.generate(expected["prompt"], 60, seed=expected["seed"]) == expected["generated"]


def test_there_is_a_golden_folder_of_the_present_format() -> None:
    assert [path.name for path in GOLDEN_MODELS] == ["model_format_1"]
