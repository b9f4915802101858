"""Between a network and its model folder: for what needs gradients or many places at once, and for writing it.

Left out: everything NumPy alone can do; that is `unrolled.model`.
"""

from __future__ import annotations

import torch

from unrolled.learn.networks.network import CharNetwork
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.text.vocabulary import Vocabulary


def network_of(parts: ModelParts) -> CharNetwork:
    """The network of a model folder, its weights frozen, in evaluation mode.

    `parts` is what `unrolled.model.folder.read_model` gives; of a committee, the first network is taken. Raises
    InputError for counts alone.
    """
    CharModel(parts).check_network()
    network = CharNetwork(parts.config)
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in parts.weights.items()})
    return network.eval().requires_grad_(False)


def parts_of(network: CharNetwork, vocabulary: Vocabulary) -> ModelParts:
    """`network` as the parts of a model folder, its weights in float32."""
    weights = {name: value.detach().float().cpu().numpy() for name, value in network.state_dict().items()}
    return ModelParts(network.config, vocabulary, weights, {})
