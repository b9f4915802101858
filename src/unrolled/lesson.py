"""The lesson in a notebook: a text, its windows, a network of the ladder or your own, losses epoch by epoch, answers.

    >>> from unrolled import lesson
    >>> vocabulary = lesson.Vocabulary.of(text := "the cat sat on the mat, the rat sat on the cat. " * 20)
    >>> inputs, targets = lesson.windows(vocabulary.encode(text), size=8, stride=1, targets=1)
    >>> network = lesson.network("rnn", vocabulary)
    >>> epochs = list(lesson.fit(network, inputs, targets, rates=[1e-2, 1e-2]))
    >>> lesson.next_character(network, vocabulary, "the rat s")
    'a'

Everything is in terms of ids and `torch.nn.Module`s, nothing is hidden. PyTorch is loaded when a network is. Left out:
texts larger than memory, carried state, checkpoints (`unrolled.train` has them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unrolled.embedding import EmbeddingTable
from unrolled.look.curves import Curve, curves
from unrolled.look.diagram.cell import cell
from unrolled.look.diagram.network import rolled, unrolled
from unrolled.model.folder import ModelConfig
from unrolled.text.corpus import open_corpus
from unrolled.text.datasets import python_docs
from unrolled.text.vocabulary import Ids, Vocabulary
from unrolled.text.windows import split, streams, windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from unrolled.learn.networks.network import CharNetwork
    from unrolled.look.diagram.shapes import Drawing

__all__ = [
    "Curve",
    "Epoch",
    "ModelConfig",
    "Vocabulary",
    "cell",
    "curves",
    "diagram",
    "draw_losses",
    "draw_vectors",
    "fit",
    "network",
    "next_character",
    "python_docs",
    "read",
    "rolled",
    "split",
    "streams",
    "vectors",
    "windows",
]

EMBEDDING, HIDDEN = 42, 256
"""Sizes of the published lesson."""


class Epoch(NamedTuple):
    """One reading of all training windows; losses in nats per character."""

    number: int
    """From 1 on."""
    train: float
    """The mean of the last steps, some 50, as they were before each."""
    validation: float
    """On the windows held out, after the epoch."""

    def __str__(self) -> str:
        return f"epoch {self.number}: training {self.train:.3f}, validation {self.validation:.3f} nats"


def read(*texts: str) -> str:
    """The whole text of files, folders or named sets such as `nietzsche`. Raises InputError, as `unrolled.train`."""
    return "".join(open_corpus(list(texts)).pieces())


def network(
    rung: str, vocabulary: Vocabulary, *, embedding: int = EMBEDDING, hidden: int = HIDDEN,
    nonlinearity: str | None = None, seed: int = 0,
) -> CharNetwork:  # fmt: skip
    """A new network of the ladder: `network(ids, network.initial_state(len(ids)))` gives logits and the state.

    Raises InputError for an unknown rung.
    """
    from unrolled.learn.networks.network import CharNetwork

    return CharNetwork(ModelConfig(rung, len(vocabulary), embedding, hidden, 1, nonlinearity), seed=seed)


def fit(network: nn.Module, inputs: Ids, targets: Ids, rates: Sequence[float], *, seed: int = 0) -> Iterator[Epoch]:
    """Train with Adam in batches of 512, an epoch at each learning rate of `rates`, and yield its losses.

    `inputs` (window, size), `targets` (window, 1 or size). A fifth of the windows, drawn at random by `seed`, is held
    out. `network` is one of the ladder or any module: ids (batch, size) -> logits (batch, targets, vocabulary), or of
    one target (batch, vocabulary). Raises InputError for too few windows, TrainingError if the loss grows and grows.
    """
    from unrolled.learn.experiments.lesson import Phase, train_through
    from unrolled.learn.window_task import WindowTask

    task, number = WindowTask(network, inputs, targets, seed), 0
    for record in train_through(task, [Phase(1, rate) for rate in rates]):
        if record.validation is not None:
            number += 1
            yield Epoch(number, record.smoothed, record.validation)


def next_character(network: nn.Module, vocabulary: Vocabulary, text: str) -> str:
    """The most likely character after `text`. Raises InputError for a character that the vocabulary does not have."""
    import torch

    from unrolled.learn.networks.network import CharNetwork

    ids = torch.from_numpy(vocabulary.encode(text).astype(np.int64))[None]
    with torch.no_grad():
        logits: Tensor = network(ids, network.initial_state(1))[0] if isinstance(network, CharNetwork) else network(ids)
    return vocabulary.decode([int(logits.flatten(0, -2)[-1].argmax())])


def vectors(network: nn.Module, vocabulary: Vocabulary) -> EmbeddingTable:
    """The vectors of the characters: the rows of `network.embedding`, without that of id 0."""
    rows = network.get_parameter("embedding.weight").detach().numpy()[1:].copy()
    return EmbeddingTable(vocabulary.characters, rows, {"count": np.array(vocabulary.counts)})


def draw_losses(losses: Mapping[str, Sequence[Epoch]]) -> Figure:
    """Training and validation loss of each network by epoch."""
    series = {}
    for name, epochs in losses.items():
        numbers = [epoch.number for epoch in epochs]
        series[f"{name}, training"] = Curve(numbers, [epoch.train for epoch in epochs])
        series[f"{name}, validation"] = Curve(numbers, [epoch.validation for epoch in epochs])
    return curves(series, x_label="epochs", y_label="nats per character")


def draw_vectors(table: EmbeddingTable, components: int = 2, title: str | None = None) -> Figure:
    """A table of vectors on its 2 or 3 main components."""
    from unrolled.look.vectors.plot import figure_of

    return figure_of(table, components, title)


def diagram(network: CharNetwork | ModelConfig, text: str) -> Drawing:
    """A network of the ladder, or what it is made of, unrolled over `text`: one colour is one matrix."""
    return unrolled(network if isinstance(network, ModelConfig) else network.config, text)
