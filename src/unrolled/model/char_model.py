"""CharModel: a trained model in use. Ask it for the next character, let it write, score a text, read on from a place.

NumPy alone. Left out: what a place in a text is (`state`), how a character is chosen (`sampling`), how a whole text is
measured (`score`), files (`folder`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unrolled.embedding import EmbeddingTable
from unrolled.files import write_folder
from unrolled.model.cells import CellNetwork
from unrolled.model.folder import ModelConfig, ModelParts, read_model
from unrolled.model.state import State, generator_of
from unrolled.text.kinds import kind
from unrolled.text.vocabulary import UNKNOWN_CHARACTER, OnUnknown, Vocabulary

if TYPE_CHECKING:
    from unrolled.model.scoring import Score
    from unrolled.text.encoded import EncodedText


class CharModel:
    """A trained network with its vocabulary. Made by `from_pretrained`, or from its parts."""

    def __init__(self, parts: ModelParts) -> None:
        self.parts = parts
        self.network = CellNetwork(parts.config.rung, parts.weights, parts.config.nonlinearity)

    @classmethod
    def from_pretrained(cls, folder: str | Path, warn: Callable[[str], None] = warnings.warn) -> CharModel:
        """The model in `folder`; errors and warnings are those of `unrolled.model.folder.read_model`."""
        return cls(read_model(folder, warn))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model to `folder`, which must not exist yet or be empty; else FolderError."""
        write_folder(Path(folder), self.parts.to_files())

    def __repr__(self) -> str:
        config = self.config
        return f"CharModel({config.rung}, {config.layers} x {config.hidden}, {config.vocabulary} ids)"

    @property
    def config(self) -> ModelConfig:
        """The sizes of the network."""
        return self.parts.config

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters and their ids."""
        return self.parts.vocabulary

    @property
    def training(self) -> dict[str, Any]:
        """What is recorded of the training: corpus, split, recipe, losses. Empty while it is not finished."""
        return self.parts.training

    @property
    def embedding(self) -> EmbeddingTable:
        """The vector of each character, with how often it stands in the training text and what kind it is.

        The unknown character (U+FFFD) is among them if rare characters of the training text were merged into it.
        """
        vocabulary = self.vocabulary
        names, counts = list(vocabulary.characters), list(vocabulary.counts)
        first = 1
        if vocabulary.merged_count and UNKNOWN_CHARACTER not in names:
            names, counts, first = [UNKNOWN_CHARACTER, *names], [vocabulary.merged_count, *counts], 0
        facts = {"count": np.array(counts, np.int64), "kind": np.array([kind(name) for name in names])}
        return EmbeddingTable(tuple(names), self.parts.weights["embedding.weight"][first:], facts)

    @cached_property
    def start_logits(self) -> NDArray[np.float32]:
        """Logits before the first character, (vocabulary,): how often each stands in the training text.

        A network trained on streams never predicts a first character. One is added to every count, so that none is
        impossible.
        """
        counts = np.array([self.vocabulary.merged_count, *self.vocabulary.counts], np.float64) + 1
        logits: NDArray[np.float32] = np.log(counts / counts.sum()).astype(np.float32)
        return logits

    def read(self, text: str, state: State | None = None, *, unknown: OnUnknown = "error") -> State:
        """The place after `text`, read from the start or on from `state`, which stays as it is.

        A character that is not in the vocabulary is an InputError that names it and its position, or is left out
        (`unknown="skip"`), or is read as the unknown character ("replace"). After an empty text the place is the start.
        """
        ids = self.vocabulary.encode(text, unknown)
        place = State.start(self) if state is None else state.fork()
        place.feed(ids)
        return place

    def next(self, prompt: str, *, unknown: OnUnknown = "error") -> list[tuple[str, float]]:
        """Every character with its probability of coming after `prompt`, the most likely first.

        After an empty prompt these are the frequencies in the training text.
        """
        return self.read(prompt, unknown=unknown).next()

    def stream(
        self,
        prompt: str = "",
        length: int = 400,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition: float | None = None,
        stop: str | Sequence[str] = (),
        seed: int = 0,
        unknown: OnUnknown = "error",
    ) -> Iterator[str]:
        """Write up to `length` characters after `prompt`, one at a time as they come; the prompt is not repeated.

        Ends before the first of the `stop` strings. Equal seeds write equal texts. The filters are those of
        `unrolled.model.sampling.Sampling`; raises InputError for a setting out of its bounds.
        """
        place = self.read(prompt, unknown=unknown)
        place.generator = generator_of(seed)
        return place.stream(
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition=repetition,
            stop=stop,
        )

    def generate(self, prompt: str = "", length: int = 400, **options: Any) -> str:
        """What `stream` writes, as one string, with the same options."""
        return "".join(self.stream(prompt, length, **options))

    def score(
        self,
        text: str | EncodedText,
        *,
        unknown: OnUnknown = "error",
        stretches: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Score:
        """How well the model predicts `text`; see `unrolled.model.scoring.score`."""
        from unrolled.model.scoring import score  # compressors are not needed to write

        return score(self, text, unknown=unknown, stretches=stretches, progress=progress)
