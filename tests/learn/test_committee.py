"""Committees: the mean of networks of other seeds, resumed to the same bits, and folders that are refused."""

import os
import signal
import subprocess
import sys
import time

import pytest

from unrolled import train
from unrolled.cli import main
from unrolled.errors import FolderError, InputError
from unrolled.learn.committee import CommitteeRun, recipes
from unrolled.learn.distributed import World
from unrolled.learn.hardware import cores
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.run_folder import NETWORKS
from unrolled.model.char_model import CharModel

TEXT = "".join(f"{i} bottles of ink, {i * i} drops; the {'odd' if i % 2 else 'even'} one writes.\n" for i in range(300))
SMALL = {"hidden": 12, "epochs": 1, "streams": 4, "threads": 1, "device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("committee") / "run"
    return train(text=TEXT, out=out, networks=2, **SMALL)


def test_it_is_the_mean_of_networks_of_other_seeds(whole):
    model = CharModel.from_pretrained(whole.summary.run)
    assert model.members == ["network", "network-2", "counts"]
    for i, name in enumerate(("network", "network-2")):
        alone = train(text=TEXT, seed=i, **SMALL).model
        assert model.only(name).next("12 b") == alone.only("network").next("12 b")
    members = whole.summary.members
    assert list(members) == ["network", "networks", "counts", "together"]
    assert members["networks"] < members["network"] + 0.05
    assert members["network"] == whole.summary.validation["nats"]
    assert not (whole.summary.run / NETWORKS).exists()


def test_a_killed_committee_is_resumed_to_the_same_bits(whole, tmp_path, capsys):
    (tmp_path / "text.txt").write_text(TEXT)
    flags = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    out = ["--out", str(tmp_path / "run"), "--networks", "2", *flags]
    command = ["train", str(tmp_path / "text.txt"), *out]
    process = subprocess.Popen(
        [sys.executable, "-m", "unrolled", *command], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and not (tmp_path / "run" / NETWORKS / "2").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert main(command) == 1
    assert "unfinished committee: continue with --resume" in " ".join(capsys.readouterr().err.split())
    assert main(["train", *out, "--resume"]) == 1
    assert "name its texts again" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "text.txt"), "--out", str(tmp_path / "run"), "--resume"]) == 1
    assert "continue with its --networks" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--resume"]) == 0
    assert CharModel.from_pretrained(tmp_path / "run").fingerprint == whole.model.fingerprint


def test_a_signal_stops_those_that_are_trained_at_once_and_saves_them(whole, tmp_path):
    recipe = Recipe(networks=2, **{name: SMALL[name] for name in ("hidden", "epochs", "streams")})
    machine, told = Machine("cpu", "float32", 1), []
    for resume in (False, True):
        request = Request((), tmp_path / "run", recipe, machine, text=TEXT, resume=resume, notify=told.append)
        run = CommitteeRun(request)
        for group in run.groups():
            for _, record in group.run():
                if not resume and record.step == 5:
                    signal.raise_signal(signal.SIGINT)
            if not resume:
                assert group.interrupt.signal == signal.SIGINT
                assert {session.state.progress.step for session in group.sessions} <= {5, 6}
                assert len(group.sessions) == min(2, cores())
    assert run.finish()[1].fingerprint == whole.model.fingerprint
    assert len(set(told)) == len(told) > 0  # what holds for all networks is said once


def test_minutes_are_shared_and_epochs_are_not():
    a_minute_ago = time.perf_counter() - 60  # and some seconds, on a slow machine
    run = CommitteeRun(Request(recipe=Recipe(minutes=4, networks=4), started=a_minute_ago))
    assert run.minutes_each(2) == pytest.approx((4 - 1) / 2, abs=0.15)
    assert 0 < CommitteeRun(Request(recipe=Recipe(minutes=0.5), started=a_minute_ago)).minutes_each(1) < 0.1
    assert CommitteeRun(Request(recipe=Recipe(epochs=2))).minutes_each(2) is None
    both = recipes(Recipe(epochs=2, networks=2, seed=5))
    assert [(r.epochs, r.minutes, r.seed, r.networks) for r in both] == [(2, None, 5, 2), (2, None, 6, 2)]


def test_folders_and_processes_that_are_refused(whole, tmp_path):
    with pytest.raises(FolderError, match="holds a finished run"):
        CommitteeRun(Request(out=whole.summary.run))
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="is a file"):
        CommitteeRun(Request(out=tmp_path / "file"))
    with pytest.raises(FolderError, match="other files"):
        CommitteeRun(Request(out=tmp_path))
    with pytest.raises(InputError, match="one process"):
        CommitteeRun(Request(), World(0, 2, 2))
