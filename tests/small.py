"""Small networks for tests: trained in seconds, built by hand to remember exactly so much, or written to a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.optimizers import AdamW
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.text.vocabulary import Vocabulary


def network_for(text: str, rung: str, *, hidden: int = 32, embedding: int = 8, layers: int = 1, seed: int = 0):
    """An untrained network for the characters of `text`, with their vocabulary."""
    vocabulary = Vocabulary.of(text)
    nonlinearity = "relu" if rung == "irnn" else None
    config = ModelConfig(rung, len(vocabulary), embedding, hidden, layers, nonlinearity)
    return CharNetwork(config, seed=seed), vocabulary


def trained_on(
    text: str, rung: str, *, steps: int, window: int = 32, rate: float = 1e-2, seed: int = 0, **sizes: int
) -> tuple[CharNetwork, Vocabulary]:
    """A network trained by Adam on random windows of `text`, each from the zero state."""
    network, vocabulary = network_for(text, rung, seed=seed, **sizes)
    ids = torch.from_numpy(vocabulary.encode(text).astype(np.int64))
    generator = torch.Generator().manual_seed(seed)
    optimizer = AdamW(list(network.parameters()), rate)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads only wait for each other here
    for _ in range(steps):
        starts = torch.randint(0, len(ids) - window, (32, 1), generator=generator)
        windows = ids[starts + torch.arange(window + 1)[None]]
        logits, _ = network(windows[:, :-1], network.initial_state(32))
        loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step(1.0)
    torch.set_num_threads(threads)
    return network.eval().requires_grad_(False), vocabulary


def shift_register(vocabulary: Vocabulary, length: int, confidence: float = 1.6) -> CharNetwork:
    """A ReLU network that expects the character `length` back once more, and remembers no character before it.

    A confidence of 1.6 is right for four characters of which half repeat: log(0.625 / 0.125).
    """
    size, parts = len(vocabulary), {}
    hidden = size * length
    parts["embedding.weight"] = torch.eye(size)
    parts["layers.0.weight_ih"] = torch.cat([torch.eye(size), torch.zeros(hidden - size, size)])
    parts["layers.0.weight_hh"] = torch.diag(torch.ones(hidden - size), -size)
    parts["layers.0.bias_ih"] = parts["layers.0.bias_hh"] = torch.zeros(hidden)
    parts["head.weight"] = torch.cat([torch.zeros(size, hidden - size), confidence * torch.eye(size)], dim=1)
    parts["head.bias"] = torch.zeros(size)
    network = CharNetwork(ModelConfig("irnn", size, size, hidden, 1, "relu"))
    network.load_state_dict(parts)
    return network.eval().requires_grad_(False)


def echoing_text(length: int, delay: int, *, symbols: str = "abcd", faithful: float = 0.5, seed: int = 0) -> str:
    """Random characters, of which every one repeats that `delay` before it with probability `faithful`."""
    rng = np.random.default_rng(seed)
    codes, echo = rng.integers(len(symbols), size=length), rng.random(length) < faithful
    for i in range(delay, length):
        if echo[i]:
            codes[i] = codes[i - delay]
    return "".join(symbols[code] for code in codes)


def model_of(network: CharNetwork, vocabulary: Vocabulary) -> CharModel:
    """The same network in NumPy."""
    weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    return CharModel(ModelParts(network.config, vocabulary, weights, {}))


def as_folder(network: CharNetwork, vocabulary: Vocabulary, path: Path) -> Path:
    """Write a model folder."""
    model_of(network, vocabulary).save_pretrained(path)
    return path


def finite_difference(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, step: float = 1e-6) -> torch.Tensor:
    """The gradient of a number-valued f at x, by central differences."""
    gradient = torch.zeros_like(x)
    for i in range(x.numel()):
        for sign in (1, -1):
            moved = x.clone()
            moved.view(-1)[i] += sign * step
            gradient.view(-1)[i] += sign * f(moved) / (2 * step)
    return gradient
