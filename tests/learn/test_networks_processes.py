"""The hand-written backward passes under DistributedDataParallel: two processes, each with half of the batch.

Run as a script, this file is one of those processes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from agreement import assert_agree
from unrolled.learn.networks import RUNGS
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelConfig

IDS = torch.arange(8).repeat(4, 2) * torch.arange(1, 5)[:, None] % 9


def gradients_of(rung, network, ids):
    logits, _ = network(ids, getattr(network, "module", network).initial_state(len(ids)))
    nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    return [parameter.grad for parameter in network.parameters()]


def network_of(rung):
    return CharNetwork(ModelConfig(rung, 9, 5, 6, 2)).double()


def work(rank, folder):
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    half = IDS[2 * rank : 2 * rank + 2]
    found = {rung: gradients_of(rung, DistributedDataParallel(network_of(rung)), half) for rung in RUNGS}
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_gradients_are_those_of_the_whole_batch(tmp_path):
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(tests), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment) for rank in range(2)
    ]
    assert [process.wait(timeout=600) for process in processes] == [0, 0]
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for rung in RUNGS:
        whole = gradients_of(rung, network_of(rung), IDS)
        for half in halves:
            assert_agree(half[rung], whole)


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
