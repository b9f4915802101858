"""Start weights for training from scratch that learn faster than those of `torch.nn`.

Orthogonal recurrent matrices (Saxe et al. 2014) neither shrink nor blow up what they carry; a forget gate that starts
open (Gers et al. 2000, Jozefowicz et al. 2015) remembers before it has learned to; a head of zeros starts from equal
probabilities. Left out: `torch.nn`'s own start, which every network has when it is built.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unrolled.learn.networks.gru import Gru
from unrolled.learn.networks.lstm import Lstm
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.networks.rnn import Rnn


@torch.no_grad()
def start_orthogonal(network: CharNetwork, seed: int) -> None:
    """Draw the weights of rnn, gru and lstm layers anew, gate by gate; all rungs get a head of zeros.

    Recurrent matrices are orthogonal, input matrices normal with deviation 1/√inputs, biases zero but the forget
    gate's, which is 1. The other rungs keep their layers: `irnn` has a start of its own, the rest have no such matrix.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in network.layers:
        if isinstance(layer, Rnn | Gru | Lstm):
            _start_gates(layer.weight_ih, layer.weight_hh, generator)
            nn.init.zeros_(layer.bias_ih)
            nn.init.zeros_(layer.bias_hh)
        if isinstance(layer, Lstm):
            layer.bias_ih[layer.hidden : 2 * layer.hidden] = 1
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)


def _start_gates(weight_ih: Tensor, weight_hh: Tensor, generator: torch.Generator) -> None:
    nn.init.normal_(weight_ih, std=weight_ih.shape[1] ** -0.5, generator=generator)
    for gate in weight_hh.split(weight_hh.shape[1]):  # type: ignore[no-untyped-call]
        nn.init.orthogonal_(gate, generator=generator)
