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

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unrolled.embedding import EmbeddingTable
from unrolled.look.agreement.pairs import agreement, read_pairs
from unrolled.look.curves import Curve, curves
from unrolled.look.diagram import cell as inside
from unrolled.look.diagram import network as whole
from unrolled.model.folder import ModelConfig
from unrolled.text.corpus import open_corpus
from unrolled.text.counts.model import CountModel
from unrolled.text.datasets import python_docs
from unrolled.text.vocabulary import Ids, Vocabulary
from unrolled.text.windows import split, streams, windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from unrolled.learn.experiments.memory_tasks import Adding, LabSettings, run_lab
    from unrolled.learn.networks.network import CharNetwork
    from unrolled.learn.networks.recurrence import Recurrence
    from unrolled.look.diagram.shapes import Drawing
    from unrolled.look.experiments import draw_lab
    from unrolled.look.memory.measure import Memory
    from unrolled.look.memory.picture import draw_memories
    from unrolled.model.char_model import CharModel
    from unrolled.tables.data.demo import demo_table, map_found

    Drawable = CharNetwork | CharModel | ModelConfig
    """Whatever says which rung it is, and how large."""

_HOMES = {
    "Adding": "unrolled.learn.experiments.memory_tasks",
    "LabSettings": "unrolled.learn.experiments.memory_tasks",
    "demo_table": "unrolled.tables.data.demo",
    "draw_lab": "unrolled.look.experiments",
    "draw_memories": "unrolled.look.memory.picture",
    "map_found": "unrolled.tables.data.demo",
    "run_lab": "unrolled.learn.experiments.memory_tasks",
}
"""Names whose modules load PyTorch or a library for tables: they are imported when they are used."""

__all__ = [
    "Adding", "CountModel", "Curve", "Epoch", "LabSettings", "ModelConfig", "Vocabulary", "agreement", "cell",
    "curves", "demo_table", "diagram", "draw_lab", "draw_losses", "draw_memories", "draw_vectors", "fit", "letters",
    "map_found", "memory", "network", "next_character", "read", "read_pairs", "recurrence", "rolled", "run_lab",
    "split", "streams", "vectors", "windows",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__


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


def letters(count: int | None = None) -> str:
    """The first `count` letters and spaces of the language reference that comes with Python, in lower case.

    The reference repeats itself, so that a part held out could have been read before: each paragraph is taken once.
    """
    paragraphs = dict.fromkeys(" ".join(part.split()) for part in python_docs().lower().split("\n\n"))
    return re.sub("[^a-z]+", " ", " ".join(paragraphs))[:count]


def network(
    rung: str, vocabulary: Vocabulary, *, embedding: int = EMBEDDING, hidden: int = HIDDEN,
    nonlinearity: str | None = None, seed: int = 0,
) -> CharNetwork:  # fmt: skip
    """A new network of the ladder: `network(ids, network.initial_state(len(ids)))` gives logits and the state.

    Raises InputError for an unknown rung.
    """
    from unrolled.learn.networks.network import CharNetwork

    return CharNetwork(ModelConfig(rung, len(vocabulary), embedding, hidden, 1, nonlinearity), seed=seed)


def recurrence(rung: str, inputs: int, hidden: int, nonlinearity: str | None = None, *, seed: int = 0) -> Recurrence:
    """One new layer of a rung, without characters: `layer(x, layer.initial_state(batch))` gives h and the state.

    `x` is (batch, time, inputs), h (batch, time, hidden). Raises InputError for an unknown rung or nonlinearity.
    """
    import torch

    from unrolled.learn.networks import find_recurrence

    layer = find_recurrence(rung)(inputs, hidden, nonlinearity)
    layer.initialise(torch.Generator().manual_seed(seed))
    return layer


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


def diagram(
    network: Drawable, text: str, predictions: whole.Predictions | None = None, *, start: str = "zeros"
) -> Drawing:
    """A network of the ladder, or what it is made of, unrolled over `text`: one colour is one matrix.

    `predictions` are the most likely next characters after each of `text`, drawn above it; `start` is written into the
    state before it. Raises InputError for a text that is empty or longer than 16 characters.
    """
    return whole.unrolled(_config(network), text, predictions, start=start)


def rolled(network: Drawable) -> Drawing:
    """The same with its loop. Raises InputError for `three-char`, which has none."""
    return whole.rolled(_config(network))


def cell(network: Drawable) -> Drawing:
    """The inside of its cell, with the equations."""
    return inside.cell(_config(network))


def _config(network: Drawable) -> ModelConfig:
    return network if isinstance(network, ModelConfig) else network.config


def memory(model: CharModel, text: str, name: str, *, distance: int = 40, places: int = 2000) -> Memory:
    """How far back the predictions of a trained model depend on `text`, at so many places: for `draw_memories`."""
    from unrolled.learn.networks.network import network_of
    from unrolled.look.memory.measure import measure_memory

    ids = model.vocabulary.encode(text)
    return measure_memory(network_of(model.parts), ids, text, name=name, distance=distance, places=places)
