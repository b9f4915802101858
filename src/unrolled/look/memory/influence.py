"""How the characters of a text affect a network's later predictions: measures at each (probe, distance).

`influence` replaces a character, or hides all characters before it; `connectivity` takes gradients. Probes are
computed in batches, reading forward from each, so that one pass gives all distances. Left out: what the numbers say
about the network's memory (`measure`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from unrolled.learn.networks.network import CharNetwork
from unrolled.look.memory.probes import Probes

BATCH = 128


@dataclass(frozen=True)
class Influence:
    """Measurements in nats, all (probe, distance); column k - 1 is distance k."""

    divergence: NDArray[np.float64]
    """KL(prediction || prediction after the replacement), over all next characters."""
    cost: NDArray[np.float64]
    """How much the replacement raises the loss of the true next character; negative where it lowers it."""
    missing: NDArray[np.float64]
    """How much the loss rises when the network starts at the probe and sees only k characters."""
    loss: NDArray[np.float64]
    """Loss of the true next character with the text unchanged."""


@torch.no_grad()
def influence(network: CharNetwork, ids: NDArray[np.integer], probes: Probes) -> Influence:
    """Read on from every probe three times: unchanged, with its character replaced, and from the zero state."""
    windows, replacements = probes.windows(ids), ids[probes.replacements].astype(np.int64)
    parts = [
        _of_batch(network, windows[i : i + BATCH], replacements[i : i + BATCH], probes)
        for i in range(0, len(probes), BATCH)
    ]
    divergence, cost, missing, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Influence(divergence, cost, missing, loss)


def connectivity(network: CharNetwork, ids: NDArray[np.integer], probes: Probes) -> NDArray[np.float64]:
    """The norm of the gradient of a logit with respect to each earlier input vector, (probe, distance).

    The logit is that of the true character `distance` past each probe; column k - 1 is the input vector k characters
    before it. Works in evaluation mode, on the CPU and on cuDNN.
    """
    windows = probes.windows(ids)
    parts = [_gradients(network, windows[i : i + BATCH], probes.warm_up) for i in range(0, len(probes), BATCH)]
    return np.concatenate(parts)


def _of_batch(
    network: CharNetwork, windows: NDArray[np.int64], replacements: NDArray[np.int64], probes: Probes
) -> tuple[NDArray[np.float64], ...]:
    text = _on_device(network, windows)
    before, inside, after = text[:, : probes.warm_up], text[:, probes.warm_up : -1], text[:, probes.warm_up + 1 :]
    replaced = torch.cat([_on_device(network, replacements[:, None]), inside[:, 1:]], dim=1)
    nothing = network.initial_state(len(text))
    _, state = network(before, nothing)
    whole = _log_probabilities(network, inside, state)
    changed = _log_probabilities(network, replaced, state)
    fresh = _log_probabilities(network, inside, nothing)
    divergence = (whole.exp() * (whole - changed)).sum(2)
    real, without, short = (p.gather(2, after[:, :, None])[:, :, 0] for p in (whole, changed, fresh))
    return tuple(_as_numpy(value) for value in (divergence, real - without, real - short, -real))


def _log_probabilities(network: CharNetwork, ids: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    logits, _ = network(ids, state)
    return torch.log_softmax(logits, dim=2)


def _gradients(network: CharNetwork, windows: NDArray[np.int64], warm_up: int) -> NDArray[np.float64]:
    """One backward pass for a batch of windows (batch, warm-up + distance + 1)."""
    text = _on_device(network, windows)
    with torch.no_grad():
        _, state = network(text[:, :warm_up], network.initial_state(len(text)))
    inside, target = text[:, warm_up:-1], text[:, -1]
    vectors = network.embedding.weight.detach()[inside.flatten()].requires_grad_()  # one row for every single input
    rows = torch.arange(len(vectors), device=text.device).view_as(inside)
    weights = {name: value.detach() for name, value in network.named_parameters()}
    logits, _ = functional_call(network, weights | {"embedding.weight": vectors}, (rows, state))
    chosen = logits[:, -1].gather(1, target[:, None]).sum()  # windows are independent, so one sum serves all
    (gradient,) = torch.autograd.grad(chosen, vectors)
    return _as_numpy(gradient.view(*inside.shape, -1).norm(dim=2).flip(1))


def _on_device(network: CharNetwork, ids: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(ids).to(network.embedding.weight.device)


def _as_numpy(values: Tensor) -> NDArray[np.float64]:
    return values.double().cpu().numpy()
