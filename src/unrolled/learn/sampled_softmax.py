"""A cheaper loss for large vocabularies: the denominator of the softmax estimated from some symbols, in training only.

Every batch draws symbols by how frequent they are in the training text; each stands for others in the sum by the
inverse of its chance to be drawn, so that the sum is estimated without bias (Horvitz and Thompson 1952; for networks of
words Bengio and Senécal 2008). Measurements and finished models compute the exact softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.text.vocabulary import Vocabulary

ABOVE = 10_000
"""Symbols from which on it is used."""
DRAWN = 2048
"""Symbols of a batch, those drawn twice counted twice."""
FLATTENED = 0.75
"""The power of a frequency to which the chance of a draw is proportional (Mikolov et al. 2013)."""


@dataclass(frozen=True, eq=False)
class SampledSoftmax:
    """Draws by the frequencies of symbols; what is drawn is a function of the seed."""

    shares: Tensor
    """Of the draws, (symbols,)."""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> SampledSoftmax:
        """By the counts of the vocabulary, which are those of the text."""
        weights = (np.array([vocabulary.merged_count, *vocabulary.counts]) + 1.0) ** FLATTENED
        return cls(torch.from_numpy(weights / weights.sum()))

    def nats(self, head: nn.Linear, features: Tensor, targets: Tensor, seed: int) -> Tensor:
        """The nats, estimated, of each of the `targets` (n,) after what the head reads, (n, hidden): (n,)."""
        drawn, chances = self._draw(seed, features.device)
        symbols = torch.cat([drawn, targets])
        weight, bias = functional.embedding(symbols, head.weight), head.bias[symbols]
        others = functional.linear(features, weight[: len(drawn)], bias[: len(drawn)]).float() - chances.log()
        own = ((features * weight[len(drawn) :]).sum(-1) + bias[len(drawn) :]).float()
        others = others.masked_fill(targets[:, None] == drawn, -torch.inf)
        return torch.logaddexp(own, others.logsumexp(-1)) - own

    def _draw(self, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Different symbols, (drawn,), and the chance of each to be among them."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(self.shares, DRAWN, replacement=True, generator=generator)
        drawn = torch.from_numpy(np.unique(drawn.numpy()))
        chances = -torch.expm1(DRAWN * torch.log1p(-self.shares[drawn]))
        return drawn.to(device), chances.float().to(device)
