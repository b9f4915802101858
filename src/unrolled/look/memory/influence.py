"""What the characters of a text do to a network's predictions: three measures, each (site, distance).

`connectivity` asks the gradient, `influence` exchanges a character or withholds all before it. Everything is computed
in batches of sites, forward from each, so that one pass serves all distances. Left out: what the numbers say about the
memory of the network (`memory`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from unrolled.learn.networks.network import CharNetwork
from unrolled.look.memory.sites import Sites

BATCH = 128


@dataclass(frozen=True)
class Influence:
    """What was found at each site, all (site, distance) in nats; column k - 1 is distance k."""

    divergence: NDArray[np.float64]
    """KL(prediction || prediction after the exchange), over all next characters."""
    cost: NDArray[np.float64]
    """By how much the exchange makes the real next character less expected. Below zero, it was more expected."""
    missing: NDArray[np.float64]
    """By how much it is less expected when the network starts at the site and sees k characters only."""
    loss: NDArray[np.float64]
    """Of the real next character with everything in place."""


@torch.no_grad()
def influence(network: CharNetwork, ids: NDArray[np.integer], sites: Sites) -> Influence:
    """Read on from every site thrice: as it is, with its character exchanged, and without what stands before it."""
    windows, others = sites.windows(ids), ids[sites.others].astype(np.int64)
    parts = [
        _of_batch(network, windows[i : i + BATCH], others[i : i + BATCH], sites) for i in range(0, len(sites), BATCH)
    ]
    divergence, cost, missing, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Influence(divergence, cost, missing, loss)


def connectivity(network: CharNetwork, ids: NDArray[np.integer], sites: Sites) -> NDArray[np.float64]:
    """The norm of the gradient of a logit for each input vector before it, (site, distance).

    The logit is that of the real character `distance` behind each site; column k - 1 belongs to the input vector k
    characters before it. Works in evaluation mode, on the CPU and on cuDNN.
    """
    windows = sites.windows(ids)
    parts = [_gradients(network, windows[i : i + BATCH], sites.warm_up) for i in range(0, len(sites), BATCH)]
    return np.concatenate(parts)


def _of_batch(
    network: CharNetwork, windows: NDArray[np.int64], others: NDArray[np.int64], sites: Sites
) -> tuple[NDArray[np.float64], ...]:
    text = _on_device(network, windows)
    before, inside, after = text[:, : sites.warm_up], text[:, sites.warm_up : -1], text[:, sites.warm_up + 1 :]
    exchanged = torch.cat([_on_device(network, others[:, None]), inside[:, 1:]], dim=1)
    nothing = network.initial_state(len(text))
    _, state = network(before, nothing)
    whole = _log_probabilities(network, inside, state)
    changed = _log_probabilities(network, exchanged, state)
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
    chosen = logits[:, -1].gather(1, target[:, None]).sum()  # windows do not meet, so the sum's gradient is each one's
    (gradient,) = torch.autograd.grad(chosen, vectors)
    return _as_numpy(gradient.view(*inside.shape, -1).norm(dim=2).flip(1))


def _on_device(network: CharNetwork, ids: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(ids).to(network.embedding.weight.device)


def _as_numpy(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.double().cpu().numpy()
    return array
