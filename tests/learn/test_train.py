"""Training a small network for real: what is written, what is said, and that a run taken up again ends the same."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from unrolled.errors import FolderError, InputError
from unrolled.files import read_folder
from unrolled.learn.distributed import World
from unrolled.learn.history import read_history
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.learn.train import train
from unrolled.model.char_model import CharModel
from unrolled.notices import UnrolledWarning

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 60
SMALL = Recipe(hidden=16, embedding=8, streams=4, length=16, epochs=1.0, evaluations=4, dropout=0.2)
FIXED = Machine(device="cpu", precision="float32", threads=1)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def weights(folder):
    return read_folder(folder)["model.safetensors"]


def trained(text, out, recipe=SMALL, **options):
    session = prepare(Request([text], out, recipe, FIXED, **options))
    for _ in session.run():
        pass
    return session.finish()


def stopped_after(text, out, steps, recipe=SMALL):
    """A run whose process vanished after `steps` steps, of which the last two wrote checkpoints."""
    session = prepare(Request([text], out, recipe, FIXED, save_seconds=0.0 if steps < 3 else math.inf))
    for record in session.run():
        if record.step == steps - 2:
            session.save_seconds = 0.0
        if record.step == steps:
            return


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted, by optimizer; tests only read it."""

    @cache
    def folder_of(optimizer):
        folder = tmp_path_factory.mktemp("whole")
        (folder / "text.txt").write_text(TEXT)
        trained(folder / "text.txt", folder / "run", replace(SMALL, optimizer=optimizer))
        return folder / "run"

    return folder_of


def test_a_run_folder_holds_a_model_and_its_history(whole):
    run = whole("muon")
    model = CharModel.from_pretrained(run)
    assert model.training["losses"]["validation"]["nats"] < 2.5
    assert model.training["corpus"]["characters"] == len(TEXT)
    assert not (run / "checkpoints").exists()
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in history if "validation" in entry][-1] == history[-1]["step"]
    assert model.next("a man said tha")[0][0] in "et "


@pytest.mark.parametrize(("optimizer", "steps"), [("muon", 1), ("muon", 7), ("muon", 40), ("adamw", 7)])
def test_interrupted_and_resumed_is_the_same_run(text, tmp_path, whole, optimizer, steps):
    stopped_after(text, tmp_path / "parted", steps, replace(SMALL, optimizer=optimizer))
    trained(text, tmp_path / "parted", resume=True)
    assert weights(tmp_path / "parted") == weights(whole(optimizer))


def test_another_seed_is_another_run(text, tmp_path, whole):
    trained(text, tmp_path / "two", replace(SMALL, seed=1))
    assert weights(tmp_path / "two") != weights(whole("muon")) != weights(whole("adamw"))


def test_an_unfinished_run_is_not_overwritten(text, tmp_path):
    stopped_after(text, tmp_path / "run", 5)
    with pytest.raises(FolderError, match="--resume"):
        prepare(Request([text], tmp_path / "run", SMALL, FIXED))
    assert CharModel.from_pretrained(tmp_path / "run").next("a")


def test_a_finished_run_is_not_overwritten(text, whole):
    with pytest.raises(FolderError, match="--from"):
        prepare(Request([text], whole("muon"), SMALL, FIXED, resume=True))


def test_a_folder_of_something_else_is_left_alone(text, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(FolderError, match=r"letter\.txt"):
        prepare(Request([text], tmp_path / "home", SMALL, FIXED))


def test_a_changed_text_or_setting_is_refused_by_name(text, tmp_path):
    stopped_after(text, tmp_path / "run", 5)
    with pytest.raises(InputError, match="hidden 16, not 32"):
        prepare(Request([text], tmp_path / "run", replace(SMALL, hidden=32), FIXED, resume=True))
    text.write_text(TEXT.replace("man", "m☃n").replace("w", ""))
    with pytest.raises(InputError, match="added: ☃; missing: w"):
        prepare(Request([text], tmp_path / "run", SMALL, FIXED, resume=True))


def test_a_setting_named_at_its_default_was_asked_for_too(text, tmp_path, whole):
    stopped_after(text, tmp_path / "run", 5)  # hidden 16
    with pytest.raises(InputError, match="hidden 16, not 320"):
        prepare(Request([text], tmp_path / "run", Recipe(hidden=320), FIXED, given=["hidden"], resume=True))
    with pytest.raises(InputError, match="hidden 320 was given, but the model to start from has 16"):
        prepare(Request([text], None, Recipe(hidden=320), FIXED, given=["hidden"], start_from=whole("muon")))


def test_another_thread_count_is_said(text, tmp_path):
    stopped_after(text, tmp_path / "run", 5)
    said = []
    prepare(Request([text], tmp_path / "run", SMALL, replace(FIXED, threads=2), resume=True, notify=said.append))
    assert any("threads was 1 and is now 2" in sentence for sentence in said)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(text, tmp_path, whole):
    stopped_after(text, tmp_path / "run", 9)
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    data = bytearray((newest / "state.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "state.safetensors").write_bytes(data)
    said = []
    trained(text, tmp_path / "run", resume=True, notify=said.append)
    assert any("state.safetensors" in sentence for sentence in said)
    assert weights(tmp_path / "run") == weights(whole(SMALL.optimizer))


def test_fine_tuning_extends_the_vocabulary(tmp_path, whole):
    other = tmp_path / "other.txt"
    other.write_text((TEXT.replace("notes", "Noten ü")) * 2)
    before = CharModel.from_pretrained(whole("muon"))
    said_before = before.embedding
    _, model = trained(other, tmp_path / "second", replace(SMALL, epochs=0.01), start_from=whole("muon"))
    assert model.vocabulary.characters[: len(said_before)] == before.vocabulary.characters
    assert {"ü", "N"} <= set(model.vocabulary.characters)
    written = other.read_text()
    assert model.vocabulary.counts == tuple(written.count(character) for character in model.vocabulary.characters)


def test_fine_tuning_can_leave_rare_characters_out(text, tmp_path, whole):
    text.write_text(TEXT + "ü")
    recipe = replace(SMALL, epochs=0.01, min_count=2)
    _, model = trained(text, tmp_path / "second", recipe, start_from=whole("muon"))
    assert "ü" not in model.vocabulary.characters
    assert (model.vocabulary.merged, model.vocabulary.merged_count) == (1, 1)


def test_micro_batches_make_the_same_update(text):
    float64 = replace(FIXED, precision="float64")
    losses = []
    for count in (1, 2, 4):
        session = prepare(Request([text], None, replace(SMALL, epochs=0.1, evaluations=1), float64))
        session.task.micro_batches = count
        losses.append([record.loss for record in session.run()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert losses[0] == pytest.approx(losses[2], abs=1e-12)


def test_memory_that_runs_out_is_met_by_smaller_parts(text, monkeypatch):
    said = []
    session = prepare(Request([text], None, SMALL, FIXED, notify=said.append))
    network = session.task.network
    whole = network.forward

    def small_memory(ids, state):
        if len(ids) > 1:
            raise torch.OutOfMemoryError("no memory for more than one stream")
        return whole(ids, state)

    monkeypatch.setattr(network, "forward", small_memory)
    session.task.backward(0)
    assert session.task.micro_batches == 4
    assert any("4 micro-batches" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("", "empty"), ("ab", "too few"), ("abcdefgh", "too few"), ("a" * 2000, "2,000 times over")],
)
def test_a_text_too_short_is_refused_with_its_length(tmp_path, content, sentence):
    path = tmp_path / "short.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        prepare(Request([path], None, SMALL, FIXED))


def test_unknown_settings_are_answered_with_the_nearest(text):
    with pytest.raises(InputError, match="did you mean 'hidden'"):
        train(text, hiden=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="did you mean 'lstm'"):
        train(text, rung="lsmt", epochs=1.0)


def test_a_text_itself_is_trained_on_by_its_own_keyword(tmp_path):
    small = {"hidden": 8, "embedding": 4, "epochs": 0.2, "threads": 1, "precision": "float32"}
    told = []
    done = train(text=TEXT, out=tmp_path / "run", progress=lambda text, share: told.append((text, share)), **small)
    assert done.summary.characters == len(TEXT)
    assert told[-1][1] == 1
    assert "bits per character" in told[-1][0]
    assert repr(done).startswith("Trained(CharModel(lstm, 1 x 8, ")
    assert len(repr(done)) < 120
    (axis,) = done.plot().axes
    assert axis.get_ylabel() == "bits per character"
    drawn = axis.lines[1].get_ydata() * np.log(2)
    assert drawn == pytest.approx([entry["validation"] for entry in done.history if "validation" in entry])
    assert read_history(tmp_path / "run") == [dict(entry) for entry in done.history]
    assert done.model.next("a man said tha")
    with pytest.raises(InputError, match=r"unrolled\.train\(text=\.\.\.\)"):
        train("a man said that he would read", **small)
    with pytest.raises(InputError, match="choose one"):
        train(tmp_path / "run", text=TEXT)


def test_warnings_of_a_run_without_notify_are_pythons(text, tmp_path):
    stopped_after(text, tmp_path / "run", 5)
    with pytest.warns(UnrolledWarning, match="threads was 1 and is now 2"):
        prepare(Request([text], tmp_path / "run", SMALL, replace(FIXED, threads=2), resume=True))


def test_ctrl_c_saves_and_says_how_to_go_on(text, tmp_path):
    command = [sys.executable, "-m", "unrolled", "train", str(text), "--out", str(tmp_path / "run")]
    command += ["--hidden", "16", "--streams", "4", "--threads", "1", "--precision", "float32"]
    command += ["--epochs", "4000", "--evaluations", "4000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while "validation" not in (process.stderr.readline() or "validation"):
        pass
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 128 + signal.SIGINT
    assert "--resume" in said
    assert sorted((tmp_path / "run" / "checkpoints").iterdir())


def test_streams_must_be_divisible_among_processes(text):
    with pytest.raises(InputError, match="3 streams cannot be divided among 2"):
        prepare(Request([text], None, replace(SMALL, streams=3), FIXED), World(0, 2))
