"""Two processes train as one: the same losses, one voice, one writer, and no way for one to wait for the other forever.

The scenarios are played by `tests/together.py`; here is what must come of them, and the real torchrun.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from agreement import assert_agree
from unrolled.files import read_folder
from unrolled.learn.distributed import _name_of_start
from unrolled.learn.networks import RUNGS
from unrolled.model.char_model import CharModel

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 60
TOGETHER = Path(__file__).parent.parent / "together.py"
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("together")
    (path / "text.txt").write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def found(folder):
    """What each process of each scenario returned."""
    command = [sys.executable, str(TOGETHER), str(folder), str(folder / "text.txt")]
    done = subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert not [name for name, result in results.items() if "hangs" in result]
    return results


def test_what_they_do_together(found):
    one, other = found["primitives"]
    assert one == other
    assert one["any"] == [True, False]
    assert one["any_of"] == [True, False, True, True]
    assert (one["sum"], one["mean"]) == (2.0, 1.0)
    assert one["gather"] == [[0], [0], [1], [1]]
    assert one["from_main"] == ["main", "none", "x"]


@pytest.mark.parametrize("rung", RUNGS)
def test_gradients_of_two_are_those_of_the_whole_batch(found, rung):
    one, other, whole = (map(np.array, process[rung]) for process in found["gradients"])
    expected = list(whole)
    assert_agree(one, expected)
    assert_agree(other, expected)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_two_have_the_losses_of_one(found, optimizer):
    """In float64, for every step and every measurement. Asked: 1e-6."""
    *two, one = found[f"equal {optimizer}"]
    assert len(one["losses"]) == 15
    for process in two:
        np.testing.assert_allclose(process["losses"], one["losses"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(process["validations"], one["validations"], rtol=0, atol=1e-9)
    assert two[0]["weights"] == two[1]["weights"]


def test_optimizers_and_seeds_are_told_apart(found):
    """The comparison above could fail."""
    assert abs(found["equal muon"][0]["losses"][-1] - found["equal adamw"][2]["losses"][-1]) > 1e-6


def test_muon_divides_its_matrices(found):
    main, other, alone = found["muon"]
    assert main["weights"] == other["weights"] == alone["weights"]
    assert (main["factors"], other["factors"], alone["factors"]) == (3, 2, 5)


def test_a_signal_that_one_of_them_sees_stops_both_at_one_step(found):
    assert [process["step"] for process in found["stopped"]] == [8, 8]


def test_both_resume_to_the_same_bits(found):
    assert [process["step"] for process in found["resumed"]] == [15, 15]
    assert len({process["weights"] for process in found["resumed"] + found["whole"]}) == 1
    assert len(set(found["folders"])) == 1


def test_another_number_of_processes_is_said(found):
    (one,) = found["fewer"]
    assert one["step"] == 15
    assert any("processes was 2 and is now 1" in sentence for sentence in one["said"])


def test_one_writes_and_one_reads_where_no_disk_is_shared(found):
    main, other = found["own folder again"]
    assert (main["wrote"], other["wrote"]) == (True, False)
    assert len({process["weights"] for process in (main, other, *found["whole"])}) == 1


def test_different_texts_are_refused_by_both(found):
    assert all("do not read the same text" in result for result in found["own text"])
    assert all("give several processes a file" in result for result in found["standard input"])


def test_they_agree_on_the_precision_that_is_fastest_for_all(found):
    assert found["precision"] == [["bfloat16", "bfloat16"], ["float32", "float32"]]


def test_one_that_vanishes_ends_the_other_with_a_sentence(found):
    assert found["vanished"][1] is None
    assert found["vanished"][0].startswith("TrainingError: process 0 lost the others")


def test_little_memory_in_one_of_them_is_met_by_both(found):
    *two, one = *found["little memory"], found["equal muon"][2]
    assert [process["micro_batches"] for process in two] == [2, 2]
    for process in two:
        np.testing.assert_allclose(process["losses"], one["losses"], rtol=0, atol=1e-9)
        assert sum("2 micro-batches" in sentence for sentence in process["said"]) == 1


def test_a_full_disk_of_the_main_process_stops_neither_before_the_end(found):
    assert "No space left" in found["full disk"][0]
    assert "--resume" in found["full disk"][0]
    assert "lost the others" in found["full disk"][1]


def test_a_start_is_not_mixed_up_with_the_one_before():
    """The store of torchrun outlives a restart: here it holds what process 1 of the earlier start wrote."""
    store, names = torch.distributed.HashStore(), {}  # type: ignore[attr-defined]

    def start(rank):
        names[rank] = _name_of_start(store, rank, 2)

    for _ in range(2):
        main = threading.Thread(target=start, args=[0])
        main.start()
        main.join(0.1)
        assert main.is_alive(), "went on with a process that is gone"
        start(1)
        main.join(60)
        assert names[0] == names[1]
        names["before"], stale = names[0], names.get("before")
        assert names[0] != stale


SETTINGS = [
    "--rung", "gru", "--hidden", "8", "--embedding", "4", "--layers", "2", "--dropout", "0.2", "--streams", "4",
    "--length", "16", "--epochs", "0.5", "--evaluations", "3", "--threads", "1", "--precision", "float32",
    "--save-seconds", "0", "--resume", "--json",
]  # fmt: skip


def torchrun(text, out, *settings, restarts=0):
    """torchrun with two processes, in a process group of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", f"{restarts}"]
    launcher += ["--standalone", "--monitor-interval", "0.1", "-m", "unrolled"]
    command = [*launcher, "train", str(text), "--out", str(out), *SETTINGS, *settings]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)


def worker(agent, rank):
    """The id of the process of `rank` that torchrun has started."""
    for child in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if b"RANK=%d" % rank in environment:
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


def wait_for_checkpoints(agent, out, number=3):
    """Until some checkpoints have been written."""
    while not [path for path in out.glob("checkpoints/step-*") if int(path.name[5:]) >= number]:
        assert agent.poll() is None, agent.communicate()
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.soak)])
def test_torchrun_restarts_what_was_killed(found, folder, rank):
    out = folder / f"killed-{rank}"
    agent = torchrun(folder / "text.txt", out, restarts=1)
    wait_for_checkpoints(agent, out)
    os.kill(worker(agent, rank), signal.SIGKILL)
    said, told = agent.communicate(timeout=600)
    assert agent.returncode == 0, told
    assert told.count("resuming at step") == 1, told
    assert json.loads(said)["run"] == str(out)
    assert weights(out) == weights(folder / "reference")


def weights(run):
    return read_folder(run)["model.safetensors"]


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_torchrun_that_is_stopped_saves(found, folder, number):
    out = folder / f"stopped-{number}"
    agent = torchrun(folder / "text.txt", out)
    wait_for_checkpoints(agent, out)
    agent.send_signal(number)
    told = agent.communicate(timeout=600)[1]
    assert agent.returncode != 0
    assert told.count("stopped after step") == 1, told
    assert CharModel.from_pretrained(out).next("a")
    agent = torchrun(folder / "text.txt", out)
    agent.communicate(timeout=600)
    assert weights(out) == weights(folder / "reference")
