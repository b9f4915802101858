"""One stream of generation on one thread: characters a second, against a PyTorch loop of one step a character.

Both sides have the same weights, the same filters and the same random numbers, so they write the same text; it is
asserted, and so are equal logits. The usual PyTorch side steps `nn.LSTM`, carrying its state; `nn.LSTMCell`, which is
quicker for single steps, and PyTorch's own sampling (softmax and multinomial) are shown beside it. Sides take turns of
a few hundred characters, so that what else the machine does hits all of them.

    python benchmarks/generation.py [--turns N]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from unrolled.learn.networks.network import CharNetwork
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.model.sampling import Sampling
from unrolled.model.state import generator_of
from unrolled.text.vocabulary import Vocabulary

SIZES = (256, 512)
EMBEDDING, TEMPERATURE, SEED = 64, 0.8, 1
TURN = 300
"""Characters that a side writes before the others' turn."""
TEXT = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n"
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # the 65 of tinyshakespeare
REACH = 7.0


def model_of(hidden: int) -> CharModel:
    """A network of the size asked for. What it has learned does not change its speed."""
    vocabulary = Vocabulary(tuple(CHARACTERS), (1,) * len(CHARACTERS))
    config = ModelConfig("lstm", len(vocabulary), EMBEDDING, hidden, 1)
    state = CharNetwork(config, seed=SEED).state_dict()
    return CharModel(ModelParts(config, vocabulary, {name: value.numpy() for name, value in state.items()}, {}))


class Usual:
    """Generation as PyTorch programs usually write it: embed, step, head, sample, one character at a time."""

    def __init__(self, model: CharModel, kind: str, sample: str) -> None:
        weights = {name: torch.from_numpy(array.copy()) for name, array in model.parts.weights.items()}
        self.model, self.kind, self.sample = model, kind, sample
        self.embedding = nn.Embedding.from_pretrained(weights["embedding.weight"])
        hidden = model.config.hidden
        self.lstm = nn.LSTM(EMBEDDING, hidden, batch_first=True) if kind == "LSTM" else nn.LSTMCell(EMBEDDING, hidden)
        suffix = "_l0" if kind == "LSTM" else ""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.lstm.load_state_dict({name + suffix: weights[f"layers.0.{name}"] for name in names})
        self.head = nn.Linear(hidden, len(model.vocabulary))
        self.head.load_state_dict({"weight": weights["head.weight"], "bias": weights["head.bias"]})
        self.sampling, self.state = Sampling(TEMPERATURE), None
        self.restart()

    def restart(self) -> None:
        """Back to the place after the prompt."""
        self.random, self.torch_random, self.state = generator_of(SEED), torch.Generator().manual_seed(SEED), None
        for i in self.model.vocabulary.encode(TEXT):
            self.logits = self.step(int(i))

    @torch.inference_mode()
    def step(self, i: int) -> Tensor:
        """Logits (vocabulary,) after one more character."""
        if self.kind == "LSTM":
            h, self.state = self.lstm(self.embedding(torch.tensor([[i]])), self.state)
            return self.head(h[0, -1])
        self.state = self.lstm(self.embedding(torch.tensor([i])), self.state)
        return self.head(self.state[0][0])

    def generate(self, length: int) -> str:
        """Write on."""
        written = []
        for _ in range(length):
            i = self.draw()
            written.append(self.model.vocabulary.characters[i - 1])
            self.logits = self.step(i)
        return "".join(written)

    @torch.inference_mode()
    def draw(self) -> int:
        """The next id, 0 never."""
        if self.sample == "same":
            return self.sampling.draw(self.logits.numpy(), self.random)
        self.logits[0] = -torch.inf
        probabilities = torch.softmax(self.logits / TEMPERATURE, -1)
        return int(torch.multinomial(probabilities, 1, generator=self.torch_random))


def check(model: CharModel, usual: Usual, length: int = 200) -> float:
    """Assert that both sides write the same text; returns the largest difference of logits on the way."""
    place = model.read(TEXT)
    place.generator = generator_of(SEED)
    text = place.fork().generate(length, temperature=TEMPERATURE)
    usual.restart()
    largest = 0.0
    for character in text:
        theirs = usual.logits.numpy()
        largest = max(largest, float(np.abs(place.logits - theirs).max()))
        place = place.read(character)
        usual.logits = usual.step(int(model.vocabulary.encode(character)[0]))
    assert largest < 1e-4, f"logits differ by {largest}"
    usual.restart()
    if usual.sample == "same":
        assert usual.generate(length) == text, "the two sides wrote different texts"
    return largest


def in_turns(sides: dict[str, Callable[[int], str]], turns: int) -> dict[str, float]:
    """Microseconds a character of each side: the median over its turns."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, generate in sides.items():
            start = time.perf_counter()
            generate(TURN)
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(times)) / TURN * 1e6 for name, times in seconds.items()}


def measure(hidden: int, turns: int) -> dict[str, Any]:
    """One size: times, ratios, and how far the logits are apart."""
    model = model_of(hidden)
    kinds = {
        "nn.LSTM": Usual(model, "LSTM", "same"),
        "nn.LSTMCell": Usual(model, "LSTMCell", "same"),
        "nn.LSTM and multinomial": Usual(model, "LSTM", "torch"),
    }
    difference = max(check(model, usual) for usual in kinds.values())
    place = model.read(TEXT)
    ours: dict[str, Callable[[int], str]] = {"unrolled": lambda n: place.generate(n, temperature=TEMPERATURE)}
    times = in_turns(ours | {name: usual.generate for name, usual in kinds.items()}, turns)
    ratios = {name: times[name] / times["unrolled"] for name in kinds}
    return {"hidden": hidden, "microseconds": times, "times_faster": ratios, "largest_logit_difference": difference}


def main(turns: int = 11) -> dict[str, Any]:
    """Run the benchmark, print it, return its figures."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            rows = [measure(hidden, turns) for hidden in SIZES]
    finally:
        torch.set_num_threads(before)
    for row in rows:
        times, ratios = row["microseconds"], row["times_faster"]
        print(f"LSTM {row['hidden']}, one thread: unrolled {times['unrolled']:.0f} us a character")
        for name, ratio in ratios.items():
            print(f"  {name:<24}{times[name]:6.0f} us   unrolled is {ratio:.1f} times faster")
    reached = all(row["times_faster"]["nn.LSTM"] >= REACH for row in rows)
    print(f"reach: {REACH:g} times nn.LSTM with the same sampling: {'reached' if reached else 'missed'}")
    return {"benchmark": "generation", "rows": rows, "reach": REACH, "reached": reached}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=11)
    print(json.dumps(main(**vars(parser.parse_args()))))
