"""One epoch of the lesson's `rnn` rung against the usual PyTorch loop, beside the matrix-multiply rate of the same run.

The job: windows of 8 characters of nietzsche at stride 1, 480,000 of them in batches of 512, embedding 42, hidden 256,
Adam at 1e-3, the loss on the last output. The usual side is DataLoader(TensorDataset) with nn.Embedding, nn.RNN,
nn.Linear and torch.optim.Adam. Both sides start from the same weights and read the same batches in the same order, in
turns of a few batches, so that what else the machine does hits both; by default a part of the epoch, stated in the
result. Left out: evaluation, which both sides would do alike.

    python benchmarks/rnn_rung.py [--batches N] [--text FILE] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from benchmarks.texts import text as find
from unrolled.learn.hardware import keep_freed_memory
from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelConfig
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import encode_corpus
from unrolled.text.windows import windows

WINDOWS, SIZE, BATCH = 480_000, 8, 512
EMBEDDING, HIDDEN, RATE = 42, 256, 1e-3
TURN = 10
"""Batches that one side trains before the other's turn."""
SAME_LOSS = {"float32": 2e-3, "bfloat16": 2e-2}
"""Nats by which the mean losses of the last fifth may differ; float32 differs only by rounding, grown over the run."""

Step = Callable[[], float]


class Usual(nn.Module):
    """The network as the lesson writes it."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, EMBEDDING)
        self.rnn = nn.RNN(EMBEDDING, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, time) -> log-probabilities (batch, vocabulary) of the character after the last."""
        h, _ = self.rnn(self.embedding(ids))
        return torch.log_softmax(self.head(h[:, -1]), dim=-1)


class Fixed(Sampler[int]):
    """Rows in a given order."""

    def __init__(self, order: list[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


def usual_side(inputs: np.ndarray, targets: np.ndarray, order: np.ndarray, network: Usual) -> Step:
    """One batch of the usual loop."""
    data = TensorDataset(torch.from_numpy(inputs.astype(np.int64)), torch.from_numpy(targets[:, 0].astype(np.int64)))
    batches = iter(DataLoader(data, BATCH, sampler=Fixed(order.tolist())))
    optimizer = torch.optim.Adam(network.parameters(), RATE)

    def step() -> float:
        ids, following = next(batches)
        loss = nn.functional.nll_loss(network(ids), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def our_side(
    inputs: np.ndarray,
    targets: np.ndarray,
    order: np.ndarray,
    network: CharNetwork,
    precision: Callable[[], AbstractContextManager[Any]],
) -> Step:
    """One batch of ours: windows stay views of the text's ids, and a batch is cut when it is read."""
    optimizer = torch.optim.Adam(network.parameters(), RATE, fused=True)
    starts = iter(range(0, len(order), BATCH))

    def step() -> float:
        rows = order[(start := next(starts)) : start + BATCH]
        ids = torch.from_numpy(inputs[rows].astype(np.int64))
        following = torch.from_numpy(targets[rows, 0].astype(np.int64))
        with precision():
            features, _ = network.features(ids, network.initial_state(len(rows)))
            logits = network.head(features[:, -1])
        loss = nn.functional.cross_entropy(logits.float(), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def same_start(ours: CharNetwork, usual: Usual) -> None:
    """Give `usual` the start weights of `ours`."""
    renamed = {name.replace("layers.0.", "rnn."): value for name, value in ours.state_dict().items()}
    usual.load_state_dict({name + "_l0" * name.startswith("rnn."): value for name, value in renamed.items()})


def multiply_adds(vocabulary: int) -> int:
    """Of one batch in the textbook form, forward and backward (twice the forward), whatever a side saves of them."""
    return 3 * BATCH * (SIZE * (EMBEDDING * HIDDEN + HIDDEN * HIDDEN) + HIDDEN * vocabulary)


def matmul_rate(seconds: float = 0.05) -> float:
    """Multiply-adds a second of float32 matrix products, the better of the step's own shape and of 1024 cubed."""

    def rate(rows: int, inner: int, columns: int) -> float:
        a, b, c = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
        start, count = time.perf_counter(), 0
        while (past := time.perf_counter() - start) < seconds:
            torch.mm(a, b, out=c)
            count += 1
        return count * rows * inner * columns / past

    return max(rate(BATCH, HIDDEN, HIDDEN), rate(1024, 1024, 1024))


def main(batches: int = 200, text: str | None = None, threads: int | None = None) -> dict[str, Any]:
    """Run both sides in turns; seconds are sums over their turns, the rate the median of those measured between."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    torch.set_flush_denormal(True)
    keep_freed_memory()  # for both sides: it belongs to the process
    encoded = encode_corpus(open_corpus([text or find("nietzsche")]))
    inputs, targets = windows(encoded.ids, SIZE, 1, 1)
    order = np.random.default_rng(0).permutation(len(inputs))[: min(WINDOWS, batches * BATCH)]
    batches = len(order) // BATCH
    config = ModelConfig("rnn", len(encoded.vocabulary), EMBEDDING, HIDDEN, 1)
    sides: dict[str, Step] = {}
    usual = Usual(config.vocabulary)
    same_start(CharNetwork(config, seed=1), usual)
    sides["usual"] = usual_side(inputs, targets, order, usual)
    bfloat16 = lambda: torch.autocast("cpu", torch.bfloat16)  # noqa: E731
    for name, precision in (("float32", nullcontext), ("bfloat16", bfloat16)):
        sides[name] = our_side(inputs, targets, order, CharNetwork(config, seed=1), precision)
    seconds, losses, rates = _in_turns(sides, batches)
    return _result(seconds, losses, float(np.median(rates)), multiply_adds(config.vocabulary), batches)


def _in_turns(sides: dict[str, Step], batches: int) -> tuple[dict[str, float], dict[str, list[float]], list[float]]:
    seconds, rates = dict.fromkeys(sides, 0.0), []
    losses: dict[str, list[float]] = {name: [] for name in sides}
    for first in range(0, batches, TURN):
        rates.append(matmul_rate())
        for name, step in sides.items():
            start = time.perf_counter()
            losses[name] += [step() for _ in range(min(TURN, batches - first))]
            seconds[name] += time.perf_counter() - start
    return seconds, losses, rates


def _result(
    seconds: dict[str, float], losses: dict[str, list[float]], rate: float, work: int, batches: int
) -> dict[str, Any]:
    last = {name: float(np.mean(values[-max(1, batches // 5) :])) for name, values in losses.items()}
    for name, allowed in SAME_LOSS.items():
        difference = abs(last[name] - last["usual"])
        assert difference < allowed, f"{name} ends at {last[name]:.4f} nats, the usual loop at {last['usual']:.4f}"
    epoch = WINDOWS / (batches * BATCH)
    return {
        "batches": batches,
        "threads": torch.get_num_threads(),
        "matmul_gflops": round(2 * rate / 1e9, 1),
        "loss_at_the_end": {name: round(value, 4) for name, value in last.items()},
        "seconds_an_epoch": {name: round(value * epoch, 1) for name, value in seconds.items()},
        # above 1 where bfloat16 beats float32, or a product is spared: the first step from zeros, the input by table
        "share_of_matmul_rate": {name: round(batches * work / value / rate, 2) for name, value in seconds.items()},
        "times_faster": {name: round(seconds["usual"] / seconds[name], 2) for name in SAME_LOSS},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=200, help="batches of the epoch's 937 to run")
    parser.add_argument("--text", help="a file, or the name of a set; nietzsche if not given")
    parser.add_argument("--threads", type=int)
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))
