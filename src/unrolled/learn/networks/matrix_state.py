"""What the rungs with a state of matrices share: a window in chunks, in which all times are computed at once.

Within a chunk the state is never built for a single time: what a query reads is a sum over the characters before it,
weighed by how well their keys fit, which is one triangular product of matrices. From chunk to chunk the state is
carried. Shapes throughout: (batch, head, time, size), and (batch, head, key, value) for the state.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 64
"""Times in a chunk: longer ones cost more products, shorter ones more steps of Python."""


def by_head(projected: Tensor, count: int) -> Tensor:
    """(time, batch, count * size) -> (batch, count, time, size)."""
    return projected.reshape(*projected.shape[:-1], count, -1).permute(1, 2, 0, 3)


def chunks(projected: Tensor, heads: int, *sizes: int) -> Iterator[tuple[Tensor, ...]]:
    """The parts of `projected` (time, batch, ...) that have these sizes, by head and cut along time, side by side."""
    parts = [by_head(part, heads) for part in torch.split(projected, list(sizes), dim=-1)]
    return zip(*(torch.split(part, CHUNK, dim=2) for part in parts), strict=True)


def joined(chunks: list[Tensor]) -> Tensor:
    """The reverse of both, for what was computed of each chunk."""
    return torch.cat(chunks, dim=2).permute(2, 0, 1, 3).flatten(2)


def rms_norm(h: Tensor, scale: Tensor) -> Tensor:
    """Each head's vector at a root mean square of 1, times `scale`."""
    return h * torch.rsqrt(h.square().mean(-1, keepdim=True) + 1e-5) * scale


def unit(a: Tensor, count: int) -> Tensor:
    """The vectors of `count` heads side by side, (..., count * size), each at length 1."""
    each = a.reshape(*a.shape[:-1], count, -1)
    return (each * torch.rsqrt(each.square().sum(-1, keepdim=True) + 1e-6)).flatten(-2)


def weighted_sums(
    q: Tensor, k: Tensor, v: Tensor, weight: Tensor, kept: Tensor, memory: Tensor, keys: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One chunk of S_t = Σ_s w_ts k_s v_sᵀ + kept_t S_0 and of the sum of keys n_t, the same without v.

    `weight` w (..., time, time) is zero above the diagonal, `kept` (..., time, 1). Returns q S (..., time, value),
    q n (..., time, 1), and S and n after the chunk; n is (..., 1, key).
    """
    scores = (q @ k.mT) * weight
    read = scores @ v + kept * (q @ memory)
    fit = scores.sum(-1, keepdim=True) + kept * (q @ keys.mT)
    last = weight[..., -1:, :].mT * k
    end = kept[..., -1:, :]
    return read, fit, last.mT @ v + end * memory, last.sum(-2, keepdim=True) + end * keys


def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_keep: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """One chunk of S_t = a_t S_{t-1} + k_tᵀ u_t with u_t = β_t (v_t - k_t a_t S_{t-1}); returns q S and the last S.

    `beta` and `log_keep` (log a) are (..., time, 1). With the fade from s to t, e^(G_t - G_s), the values u of a chunk
    solve (I + A) u = β (v - e^G k S_0), where A holds β_t e^(G_t - G_s) k_t k_sᵀ below its diagonal (the UT transform
    of Yang et al. 2024).
    """
    fallen = log_keep.cumsum(-2)
    fade = (fallen - fallen.mT).masked_fill(_future(q), -torch.inf).exp()
    likeness = (beta * (k @ k.mT) * fade).tril(-1)
    own = beta * (v - fallen.exp() * (k @ memory))
    u = torch.linalg.solve_triangular(likeness, own, upper=False, unitriangular=True)
    read = fallen.exp() * (q @ memory) + ((q @ k.mT) * fade) @ u
    end = fallen[..., -1:, :]
    return read, end.exp() * memory + ((end - fallen).exp() * k).mT @ u


def _future(q: Tensor) -> Tensor:
    """(time, time): true where a character would see a later one."""
    time = q.shape[-2]
    return torch.ones(time, time, dtype=torch.bool, device=q.device).triu(1)


def causal(log_weight: Tensor) -> Tensor:
    """e^`log_weight` (..., time, time) on and below the diagonal, zero above it."""
    return log_weight.masked_fill(_future(log_weight), -torch.inf).exp()
