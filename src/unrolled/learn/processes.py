"""Several processes, started by torchrun: who am I, and the few things they must do together.

One process is a world of size 1, in which every function here does nothing. Left out: starting processes, which is
torchrun's work, and sharding of weights, which models of megabytes do not need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from unrolled.errors import TrainingError

PATIENCE = timedelta(hours=12)
"""How long processes wait for one that is alive: the first one may have a long text to encode. A dead one shows at
once, by its closed connections."""


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
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

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

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            self.any(False)  # unlike dist.barrier, which would want a GPU where NCCL is there


@contextmanager
def world() -> Iterator[World]:
    """The world that torchrun describes in the environment, joined for the length of this block.

    Raises TrainingError when another process ends while this one waits for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    # gloo also on machines with GPUs: the flags and losses exchanged here live on the CPU, gradients on either
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        rank = dist.get_rank()
        raise TrainingError(
            f"process {rank} lost the others: one of them has ended, and says why if it could. "
            "The last checkpoint is whole: start all again with --resume"
        ) from None
    finally:
        dist.destroy_process_group()


def _is_lost(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in f"{error}"
