"""Where training runs: device, precision and threads, chosen by a short measurement; and how PyTorch is set up there.

bfloat16 on a CPU is taken only after a trial step has shown that it runs here and is faster. Left out: everything that
changes what is computed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from unrolled.bounds import check_name, check_whole
from unrolled.errors import InputError
from unrolled.learn.recipe import DEVICES, PRECISIONS, Machine

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # the names and numbers of <malloc.h>
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEPT = 512 << 20
MOST_THREADS = 4096


@dataclass(frozen=True)
class Choice:
    """Device, precision and threads as chosen."""

    device: str
    precision: str
    threads: int

    def __post_init__(self) -> None:
        check_name("device", self.device, DEVICES[1:])
        check_name("precision", self.precision, PRECISIONS[1:])
        check_whole("threads", self.threads, 1, MOST_THREADS)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which networks run forward."""
        if self.precision == "bfloat16":
            return torch.autocast(self.device, torch.bfloat16)
        return nullcontext()

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.device == "cpu" else ""
        return f"{self.device}, {self.precision}{threads}"


@contextmanager
def running(choice: Choice) -> Iterator[None]:
    """PyTorch and NumPy set to `choice`, denormals flushed to zero (they can slow a CPU tenfold); set back afterwards.

    NumPy too, because the threads of its products wait for each other busily: where other work takes the cores, two of
    them need ten times as long as one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(choice.threads)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    try:
        with threadpool_limits(choice.threads, user_api="blas"):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def choose(machine: Machine, seconds_per_step: Callable[[Choice], float]) -> tuple[Choice, float]:
    """The fastest choice that `machine` allows, and its seconds per step as `seconds_per_step` measured them.

    Raises InputError if a device or precision that was requested is not available.
    """
    device = available(machine.device)
    timed, refused = [], InputError("no precision to try")
    for choice in _candidates(machine, device):
        try:
            timed.append((seconds_per_step(choice), choice))
        except RuntimeError as error:  # a precision that this processor has no kernel for
            refused = InputError(f"{choice} does not run on this machine: {error}")
    if not timed:
        raise refused
    seconds, best = min(timed, key=lambda item: item[0])
    return best, seconds


def describe(device: str) -> dict[str, Any]:
    """What exact resumption depends on beside the choice."""
    facts = {"torch": torch.__version__, "processor": torch.backends.cpu.get_cpu_capability(), "cores": cores()}
    return facts | ({"card": torch.cuda.get_device_name()} if device == "cuda" else {})


def available(requested: str) -> str:
    """The device that was requested, or the best for "auto". Raises InputError if PyTorch does not find it."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = next(name for name in ("cuda", "mps", "cpu") if there[name]) if requested == "auto" else requested
    if not there[device]:
        raise InputError(f"device {device} was requested, but PyTorch finds none here: choose cpu")
    if device == "cuda":
        # Read when the first matrices are multiplied; without it, equal runs may differ in their last bits.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return device


def _candidates(machine: Machine, device: str) -> list[Choice]:
    precisions = [machine.precision] if machine.precision != "auto" else ["float32", "bfloat16"]
    if device == "mps" and machine.precision == "auto":
        precisions = ["float32"]
    most = cores()
    threads = [machine.threads] if machine.threads else sorted({1, most} if device == "cpu" else {most})
    return [Choice(device, precision, count) for precision in precisions for count in threads]


def cores() -> int:
    """Cores this process may use; hyper-threads count, as the system shows them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Let this process keep up to 512 MB of freed memory; returns whether the system's C library knows how to.

    For the rest of the process. glibc gives large freed blocks back to the system at once; a training step frees and
    takes the same few megabytes every time, and each page that comes back must be zeroed first. A step of the rnn rung,
    8 x 512 characters and 256 units, took 26.4 ms without and 22.3 ms with it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    # Both or none: setting one stops glibc from adapting the other.
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
