"""SIGKILL at random moments: the folder stays readable, and the run taken up again ends with the same weights."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

import killing
from unrolled.learn import build
from unrolled.learn.request import Request
from unrolled.learn.start import prepare

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 30
KILLING = Path(killing.__file__)


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs that are killed are forks")
def test_killed_runs_lose_nothing(tmp_path, kills):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    seed = secrets.randbits(32)
    print(f"seed of the moments: {seed}")
    command = [sys.executable, str(KILLING), str(tmp_path), str(text), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == kills
    assert found["bad"] == []
    assert len({step for step in found["steps"] if step}) > kills // 10, "the kills hit too few different moments"


def test_the_check_for_bad_folders_can_fail(tmp_path, monkeypatch):
    """The program of the test above finds a damaged checkpoint."""
    monkeypatch.setattr(build, "TRIAL_SECONDS", 0.0)
    run = tmp_path / "run"
    session = prepare(Request([], run, killing.RECIPE, killing.MACHINE, text=TEXT, save_seconds=0.0))
    for record in session.run():
        if record.step == 3:
            break
    assert killing.unreadable(run) == []
    weights = sorted(run.glob("checkpoints/*/model.safetensors"))[-1]
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "model.safetensors" in killing.unreadable(run)[0]
