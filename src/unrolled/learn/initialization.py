"""Start weights that train faster than those of torch.nn, for every rung whose start is not its point.

Square blocks of recurrent weights are orthogonal (Saxe et al. 2014), so that a state neither dies nor explodes; the
forget gate of an LSTM begins open (Gers et al. 2000); the head begins at zero, so that the first steps learn how often
each character occurs. Measured in docs/experiments.md.
"""

from __future__ import annotations

import torch
from torch import nn

from unrolled.learn.networks.lstm import Lstm
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.networks.recurrence import Recurrence

EMBEDDING_SCALE = 0.1
"""Of torch.nn's start. What a short training adds to a vector must outweigh what it began with, or a picture of the
vectors shows noise: the first component explains 14 % instead of 5 %, at no loss that could be told from chance."""


@torch.no_grad()
def start_well(network: CharNetwork, seed: int) -> None:
    """Give `network` its start weights, a function of `seed`; designed ones, as the identity of `irnn`, stay."""
    generator = torch.Generator().manual_seed(seed)
    network.embedding.weight.mul_(EMBEDDING_SCALE)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    for layer in network.layers.modules():
        if isinstance(layer, Recurrence) and not layer.designed_start:
            _start_layer(layer, generator)


def _start_layer(layer: Recurrence, generator: torch.Generator) -> None:
    hidden = layer.hidden
    for parameter in layer.parameters():
        rows, *columns = parameter.shape
        if not columns:
            nn.init.zeros_(parameter)
        elif columns == [hidden] and rows % hidden == 0:
            for first in range(0, rows, hidden):
                nn.init.orthogonal_(parameter[first : first + hidden], generator=generator)
        else:
            nn.init.normal_(parameter, std=columns[0] ** -0.5, generator=generator)
    if isinstance(layer, Lstm):
        layer.bias_ih[hidden : 2 * hidden] = 1.0
