"""SIGKILL at random moments: the folder stays readable, and the run taken up again ends with the same weights."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 30
KILLING = Path(__file__).parent.parent / "killing.py"


@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.soak)])
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


def test_the_check_for_bad_folders_can_fail(tmp_path):
    """The program of the test above finds a damaged checkpoint."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    script = f"""
import sys; sys.path.insert(0, {str(KILLING.parent)!r})
from pathlib import Path
import killing
folder = Path({str(tmp_path)!r})
session = killing.training.prepare([{str(text)!r}], folder / "run", killing.RECIPE, killing.MACHINE, save_seconds=0.0)
for record in session.run():
    if record.step == 3:
        break
assert killing.unreadable(folder / "run") == []
weights = sorted((folder / "run").glob("checkpoints/*/model.safetensors"))[-1]
weights.write_bytes(weights.read_bytes()[:-1])
assert "model.safetensors" in killing.unreadable(folder / "run")[0]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
