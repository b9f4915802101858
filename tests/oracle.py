"""The PyTorch network as the oracle of what the NumPy side computes."""

import numpy as np
import torch

from unrolled.learn.networks.network import CharNetwork
from unrolled.model.folder import ModelParts


def logits_of_torch(parts: ModelParts, text: str) -> torch.Tensor:
    """The logits after each character of `text`, in float64, the whole text read at once: (character, vocabulary)."""
    network = CharNetwork(parts.config).double()
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in parts.weights.items()})
    ids = torch.from_numpy(parts.vocabulary.encode(text).astype(np.int64))[None]
    with torch.no_grad():
        logits: torch.Tensor = network(ids, network.initial_state(1))[0][0]
    return logits
