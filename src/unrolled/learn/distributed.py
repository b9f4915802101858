"""Several processes, started by torchrun: who am I, and the few things they must do together.

One process is a world of size 1, in which every function here does nothing. Left out: starting processes, which is
torchrun's work, and sharding of weights, which models of megabytes do not need.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from unrolled.errors import TrainingError
from unrolled.files import sha256

JOINING = timedelta(minutes=10)
"""How long processes wait for each other at the start."""
PATIENCE = timedelta(hours=12)
"""How long processes wait for one that is alive: the first one may have a long text to encode. A dead one shows at
once, by its closed connections."""
FAREWELL, FAREWELL_AFTER_ERROR = 60.0, 2.0
"""Seconds that a process waits at its end for the others to come to theirs. After an error they may be far from it, and
hear of it only by the connections that close."""

_left: list[dist.ProcessGroup | None] = []
# Groups stay until this process ends. PyTorch (2.13, gloo) frees a group while it holds Python's lock and waits for
# the group's threads, one of which may be waiting for that lock to free the tensor of an operation that failed: without
# this list, 18 of 25 processes hung whose peer had failed (`full_disk` in tests/together.py).


@dataclass(frozen=True)
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    """Processes on this machine."""

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process: all must stop at the same step."""
        return self.any_of(flag)[0]

    def any_of(self, *flags: bool) -> list[bool]:
        """`any` of each, in one message."""
        if self.size == 1:
            return list(flags)
        values = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return values.bool().tolist()

    def sum(self, value: float) -> float:
        """The sum of `value` over the processes, the same number in each."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total.item())

    def mean(self, value: float) -> float:
        """The mean of `value` over the processes."""
        return self.sum(value) / self.size

    def average_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of one type by their means over the processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        means = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """`tensor` (n, ...) of all processes one after the other, in order of rank: (size * n, ...)."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def from_main(self, data: bytes | None) -> bytes | None:
        """What the main process gave here; what the others gave does not count."""
        if self.size == 1:
            return data
        length = torch.tensor(-1 if data is None else len(data))
        dist.broadcast(length, 0)
        if length < 0:
            return None
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.is_main and data:
            content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        dist.broadcast(content, 0)
        return content.numpy().tobytes()

    def copy_main_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors by those of the main process."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            self.any(False)  # unlike dist.barrier, which would want a GPU where NCCL is there


@contextlib.contextmanager
def join_world() -> Iterator[World]:
    """The world that torchrun describes in the environment, joined for the length of this block.

    Raises TrainingError when the others are not found, or when one of them ends while this one waits for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    rank = int(os.environ["RANK"])
    with _explained(f"process {rank} did not find the others: start all of them again with --resume"):
        store = _join(rank, size)
    patience = FAREWELL
    try:
        with _explained(
            f"process {rank} lost the others: one of them has ended, and says why if it could. "
            "The last checkpoint is whole: start all again with --resume"
        ):
            yield World(rank, size, int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    except BaseException:
        patience = FAREWELL_AFTER_ERROR
        raise
    finally:
        _wait_for_others_to_end(store, rank, size, patience)
        _left.append(dist.group.WORLD)
        dist.destroy_process_group()


def _wait_for_others_to_end(store: Store, rank: int, size: int, patience: float) -> None:
    """A closed connection overtakes the last message in gloo: who has ended stays until the others have read theirs.

    Process 0, which may hold the store, goes last.
    """
    until = time.monotonic() + patience
    with contextlib.suppress(RuntimeError):  # the one that held the store was killed
        _count(store, "ended", 1, size, until)
        _count(store, "left", int(rank > 0), size - 1 if rank == 0 else 0, until)


def _count(store: Store, name: str, more: int, wanted: int, until: float) -> None:
    """Count up by `more`, and wait until all together have come to `wanted`."""
    count = store.add(name, more)
    while count < wanted and time.monotonic() < until:
        time.sleep(0.02)
        count = store.add(name, 0)


@contextlib.contextmanager
def _explained(sentence: str) -> Iterator[None]:
    """Errors of the connections become a TrainingError that says `sentence`."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in f"{error}".lower()):
            raise
        raise TrainingError(sentence) from None


def _join(rank: int, size: int) -> Store:
    """Meets the others; returns a store that is this start's own."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    # gloo also on machines with GPUs: the flags and losses exchanged here live on the CPU, gradients on either
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store = next(iter(rendezvous("env://", rank, size, timeout=JOINING)))[0]
    fresh = PrefixStore(f"unrolled-{_name_of_start(store, rank, size)}", store)
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=size, timeout=PATIENCE)
    return fresh


def _name_of_start(store: Store, rank: int, size: int) -> str:
    """A name that all processes of this start have agreed on, and that no earlier start had.

    torchrun (2.13) keeps one store over its restarts, with the addresses of processes that are gone: a process that
    was restarted a little earlier than another would call there. So each writes down a number drawn now, and all go on
    once all have seen the same numbers; with the number of a process that is gone, the count never becomes full.
    """
    store.set(f"unrolled-start-{rank}", uuid.uuid4().hex)
    seen: set[str] = set()
    while True:
        numbers = [store.get(f"unrolled-start-{i}").decode() for i in range(size)]
        name = sha256("".join(numbers).encode())
        if store.add(f"unrolled-seen-{name}", int(name not in seen)) == size:
            return name
        seen.add(name)
        time.sleep(0.02)
