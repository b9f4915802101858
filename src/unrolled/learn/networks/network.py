"""CharNetwork: an embedding, a stack of recurrences and a linear head; and the way to its model folder and back.

The names of its parameters are those in `model.safetensors`, which the NumPy cells read. Left out: the loss, and how a
text is cut into windows; they belong to the protocol.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unrolled.learn.networks import find_recurrence
from unrolled.learn.networks.dropout import Dropout, Masks
from unrolled.learn.networks.lookup import lookup
from unrolled.learn.networks.recurrence import Recurrence, State, uniform_as_linear
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.text.vocabulary import Vocabulary


class CharNetwork(nn.Module):
    """The network of a rung: ids of characters -> logits of the next one.

    `seed` decides the start weights and nothing else does; embedding and head start as in `torch.nn`. Dropout acts in
    training mode only; its masks follow `reseed`. Raises InputError for an unknown rung.
    """

    def __init__(self, config: ModelConfig, *, dropout: Dropout | None = None, seed: int = 0) -> None:
        super().__init__()
        kind = find_recurrence(config.rung)
        self.config, self.dropout, self._masks = config, dropout or Dropout(), Masks()
        sizes = [config.embedding] + [config.hidden] * config.layers
        with torch.random.fork_rng([]):  # the constructors of torch.nn draw from the ambient generator
            self.embedding = nn.Embedding(config.vocabulary, config.embedding)
            self.layers = nn.ModuleList(kind(inputs, config.hidden, config.nonlinearity) for inputs in sizes[:-1])
            self.head = nn.Linear(config.hidden, config.vocabulary)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.embedding.weight, generator=generator)
        for layer in self._recurrences():
            layer.initialise(generator)
        uniform_as_linear(self.head.weight, self.head.bias, generator)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """`ids` int64 (batch, time) and a state -> logits (batch, time, vocabulary) and the state after the last id."""
        h, state = self.features(ids, state)
        return self.head(h.transpose(0, 1)).transpose(0, 1), state

    def features(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """What the head reads, (batch, time, hidden), and the state after the last time.

        For losses on the last position alone: `head(features[:, -1])` spares the head all other positions.
        """
        drop = self.dropout if self.training else Dropout()
        layers, parts = self._recurrences(), self._by_layer(state)
        h, after = layers[0].run(self._first_projection(ids.t(), drop), parts[0])
        for layer, part in zip(layers[1:], parts[1:], strict=True):
            h, new = layer.run(layer.project(self._masks.drop(h, drop.between)), part)
            after += new
        return self._masks.drop(h, drop.output).transpose(0, 1), after

    def _first_projection(self, ids: Tensor, drop: Dropout) -> Tensor:
        """What `ids` (time, batch) bring to the first layer, (time, batch, n).

        An embedding and what follows is a table with a row for each character: where the text is longer than the
        vocabulary and nothing is dropped on the way, the table is made first and its rows are looked up.
        """
        layer = self._recurrences()[0]
        if drop.embedding is None and len(self.embedding.weight) < ids.numel():
            with torch.autocast(ids.device.type, enabled=False):  # so few rows cost little in full precision
                table = layer.project(self.embedding.weight)
            return lookup(table, ids)
        x = functional.embedding(ids, self.embedding.weight)
        return layer.project(self._masks.drop(x, drop.embedding))

    def initial_state(self, batch: int) -> State:
        """The state before the first character: all zero, a flat tuple, layer by layer."""
        return tuple(part for layer in self._recurrences() for part in layer.initial_state(batch))

    def reseed(self, seed: int, first: int = 0, batch: int = 0, every: int = 1) -> None:
        """Make the dropout masks of the calls that follow a function of `seed` and of the order of the calls.

        The calls see every so many-th row of a batch from row `first` on; of `batch` rows, if it is divided.
        """
        self._masks.reseed(seed, first, batch, every)

    def _recurrences(self) -> list[Recurrence]:
        return [layer for layer in self.layers if isinstance(layer, Recurrence)]

    def _by_layer(self, state: State) -> list[State]:
        parts = len(find_recurrence(self.config.rung).cell.parts)
        return [state[i : i + parts] for i in range(0, len(state), parts)]


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
