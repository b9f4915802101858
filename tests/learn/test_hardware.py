"""The machine: the fastest of what is allowed is chosen, what was requested is kept, and PyTorch is set back after."""

import contextlib
import subprocess
import sys

import pytest
import threadpoolctl
import torch

from unrolled.errors import InputError
from unrolled.learn import hardware as machine
from unrolled.learn.hardware import Choice, available, choose, running
from unrolled.learn.recipe import Machine


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 4)


def timed(seconds):
    """A measurement that gives `seconds(choice)`, and the list of what it was asked for."""
    asked = []

    def measure(choice):
        asked.append(choice)
        return seconds(choice)

    return measure, asked


ALL = [Choice("cpu", precision, threads) for precision in ("float32", "bfloat16") for threads in (1, 4)]


@pytest.mark.parametrize("fastest", ALL)
def test_the_fastest_is_taken(four_cores, fastest):
    measure, asked = timed(lambda choice: 0.5 if choice == fastest else 2.0)
    assert choose(Machine(device="cpu"), measure) == (fastest, 0.5)
    assert asked == ALL


@pytest.mark.parametrize(
    ("given", "tried"),
    [
        (Machine("cpu", "float32", 3), [Choice("cpu", "float32", 3)]),
        (Machine("cpu", "float64"), [Choice("cpu", "float64", 1), Choice("cpu", "float64", 4)]),
        (Machine("cpu", threads=2), [Choice("cpu", "float32", 2), Choice("cpu", "bfloat16", 2)]),
    ],
)
def test_what_was_asked_for_is_kept(four_cores, given, tried):
    measure, asked = timed(lambda choice: 1.0)
    assert choose(given, measure)[0] in tried
    assert asked == tried


def test_a_precision_without_a_kernel_is_passed_over(four_cores):
    def seconds(choice):
        if choice.precision == "bfloat16":
            raise RuntimeError("no kernel")
        return 1.0

    assert choose(Machine(device="cpu"), seconds)[0].precision == "float32"
    with pytest.raises(InputError, match=r"bfloat16.*does not run on this machine: no kernel"):
        choose(Machine("cpu", "bfloat16"), seconds)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    for name in ("cuda", "mps"):
        monkeypatch.setattr(torch.cuda if name == "cuda" else torch.backends.mps, "is_available", bool)
    assert available("auto") == "cpu"
    for name in ("cuda", "mps"):
        with pytest.raises(InputError, match=f"device {name} was requested, but PyTorch finds none here: choose cpu"):
            choose(Machine(device=name), lambda choice: 1.0)


def test_a_graphics_card_is_preferred_with_its_precisions(four_cores, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    measure, asked = timed(lambda choice: 1.0)
    assert choose(Machine(), measure)[0].device == "cuda"
    assert asked == [Choice("cuda", "float32", 4), Choice("cuda", "bfloat16", 4)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose(Machine(), measure)[0] == Choice("mps", "float32", 4)


def test_pytorch_is_set_back():
    threads, tiny = torch.get_num_threads(), torch.tensor([1e-40])
    with contextlib.suppress(KeyError), running(Choice("cpu", "float32", threads + 1)):
        assert torch.get_num_threads() == threads + 1
        assert (tiny * 1.0).item() == 0.0, "denormals are flushed"
        raise KeyError
    assert torch.get_num_threads() == threads
    assert (tiny * 1.0).item() > 0.0


def test_the_precision_is_that_of_the_weights_and_of_the_forward_pass():
    assert [Choice("cpu", name, 1).dtype for name in ("float32", "bfloat16", "float64")] == [
        torch.float32, torch.float32, torch.float64
    ]  # fmt: skip
    for name, kind in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with Choice("cpu", name, 1).autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind
    assert str(Choice("cpu", "float32", 1)) == "cpu, float32, 1 thread"
    assert str(Choice("cpu", "bfloat16", 2)) == "cpu, bfloat16, 2 threads"
    assert str(Choice("cuda", "bfloat16", 2)) == "cuda, bfloat16"


def test_kept_memory_is_not_taken_from_the_system_again():
    """In a process of its own, for the setting cannot be undone."""
    code = """
import resource, torch
from unrolled.learn.hardware import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.zeros(1 << 20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
torch.set_num_threads(1)
faults()
known = keep_freed_memory()
faults()
assert not known or faults() < 100, faults()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_numpy_uses_as_many_threads_as_pytorch_and_is_set_back():
    def of_numpy():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    before = of_numpy()
    assert before, "no library that NumPy multiplies with was found"
    with running(Choice("cpu", "float32", 1)):
        assert set(of_numpy()) == {1}
    assert of_numpy() == before
