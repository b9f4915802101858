"""CharModel: a trained model in use. Ask it for the next character, let it write, score a text.

NumPy alone. Left out: what a position in a text holds (`state`), how a character is chosen (`sampling`), how a whole
text is measured (`scoring`), files (`folder`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.embedding import EmbeddingTable
from unrolled.errors import FolderError, InputError
from unrolled.files import write_folder
from unrolled.model.cells import CellNetwork
from unrolled.model.folder import ModelParts, read_model
from unrolled.model.mixture import Committee, CountPredictor, Mixture
from unrolled.model.predictor import Checked, Predictor
from unrolled.model.sampling import UNFILTERED, Sampling, SamplingSettings
from unrolled.model.state import State, generator_of
from unrolled.model.tensors import Weights
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, UNKNOWN_CHARACTER, Ids, OnUnknown, kind, with_label_end

if TYPE_CHECKING:
    from unrolled.model.completion import Completion, Unit
    from unrolled.model.labels import LabelScore
    from unrolled.model.lines import LineScore
    from unrolled.model.scoring import Score
    from unrolled.text.encoded import EncodedText
    from unrolled.text.variables import Kinds


class CharModel:
    """A trained network with its vocabulary. Made by `from_pretrained`, or from its parts; `name` is for errors.

    Example::

        model = CharModel.from_pretrained("run")
        model.next("part of ")  # [("t", 0.61), ("h", 0.08), ...]
        model.generate("This is ", 400, temperature=0.8, seed=1)
    """

    def __init__(self, parts: ModelParts, name: str = "this model") -> None:
        self.parts, self.name = parts, name
        self.config, self.vocabulary = parts.config, parts.vocabulary
        self.training = parts.training
        """What is recorded of the training: corpus, split, recipe, losses. Empty while it is not finished."""

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, warn: Callable[[str], None] = warnings.warn, *, only: str | None = None
    ) -> CharModel:
        """The model in `folder`; errors and warnings are those of `unrolled.model.folder.read_model`.

        `only` names one of its `members`, which then predicts alone; InputError if there is none of that name.
        """
        model = cls(read_model(folder, warn), f"{folder}")
        return model if only is None else model.only(only)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model to `folder`, which must not exist yet or be empty; else FolderError."""
        write_folder(Path(folder), self.parts.to_files())

    def __repr__(self) -> str:
        config = self.config
        sizes = f"{config.rung}, {config.layers} x {config.hidden}, " if config.has_network else ""
        beside = ", ".join([*self.members[1:], f"{config.vocabulary} ids"] if sizes else ["counts"])
        return f"CharModel({sizes}{beside})"

    def _repr_html_(self) -> str:
        """The model card, without its front matter, for a notebook."""
        return f"<pre>{escape(self.parts.card.split('---', 2)[-1].strip())}</pre>"

    @property
    def members(self) -> list[str]:
        """The names of what predicts together: network, network-2 ..., counts."""
        return self.parts.members

    def only(self, member: str) -> Self:
        """The model that one of the `members` is alone. Raises InputError for one that is not there."""
        return type(self)(self.parts.only(member), self.name)

    @cached_property
    def network(self) -> CellNetwork:
        """The network, or the first one. Raises InputError where there is none, but counts alone."""
        self.check_network()
        return self._cells(self.parts.weights)

    def _cells(self, weights: Weights) -> CellNetwork:
        with np.errstate(over="ignore", invalid="ignore"):  # weights that are too large show where they predict
            return CellNetwork(self.config.rung, weights, self.config.nonlinearity)

    def check_network(self) -> None:
        """Raises InputError where there is no network, but counts alone."""
        if not self.config.has_network:
            raise InputError("this model is made of counts alone: it has no network, hidden state or vectors to show")

    @cached_property
    def predictor(self) -> Predictor:
        """What predicts the next id: the network, the mean of several, counts, or a mixture."""
        return Checked(self._predictor(), self.name, self.before_computing)

    def before_computing(self) -> None:
        """Called before every step of the predictor: nothing, unless a subclass has a reason to stop."""

    def _predictor(self) -> Predictor:
        config, beside = self.config, self.parts.beside
        if not config.has_network:
            assert beside.counts is not None
            return CountPredictor(beside.counts)
        others = [self._cells(weights) for weights in beside.networks]
        network: Predictor = Committee((self.network, *others)) if others else self.network
        if beside.counts is None or beside.gate is None:
            return network
        return Mixture(network, beside.counts, beside.gate)

    @property
    def lower(self) -> bool:
        """Whether its training text was read in lower case."""
        return bool(self.training.get("recipe", {}).get("lower"))

    @property
    def normalize(self) -> bool:
        """Whether its training text was read in NFC."""
        return self.training.get("recipe", {}).get("normalize") is not None

    @property
    def mask(self) -> bool:
        """Whether its training text was read with one mark for each number, date, address and id."""
        return self.training.get("recipe", {}).get("mask") is True

    @property
    def labels(self) -> dict[str, int]:
        """How often each label stood at the head of a training record; empty for a model without labels."""
        return self.training.get("labels", {})

    @property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, vocabulary and weights: all that the predictions depend on."""
        return self.parts.fingerprint

    @property
    def embedding(self) -> EmbeddingTable:
        """The vector of each character in the first network, with its count in the training text and its kind.

        The unknown character (U+FFFD) is among them if rare characters of the training text were merged into it.
        """
        self.check_network()
        vocabulary = self.vocabulary
        names, counts = list(vocabulary.characters), list(vocabulary.counts)
        first = 1
        if vocabulary.merged_count and UNKNOWN_CHARACTER not in names:
            names, counts, first = [UNKNOWN_CHARACTER, *names], [vocabulary.merged_count, *counts], 0
        facts = {"count": np.array(counts, np.int64), "kind": np.array([kind(name) for name in names])}
        return EmbeddingTable(tuple(names), self.parts.weights["embedding.weight"][first:], facts)

    @cached_property
    def start_logits(self) -> NDArray[np.float32]:
        """Logits of the first character, (vocabulary,): its frequency in the training text.

        A network trained on streams never predicts a first character. One is added to every count, so that no
        character has probability 0.
        """
        counts = np.array([self.vocabulary.merged_count, *self.vocabulary.counts], np.float64) + 1
        return np.log(counts / counts.sum()).astype(np.float32)

    def read(self, text: str, state: State | None = None, *, unknown: OnUnknown = "error") -> State:
        """The state after `text`, read from the start, or on from `state`, which is not changed.

        A character that is not in the vocabulary is an InputError that names it and its position, or is left out
        (`unknown="skip"`), or is read as the unknown character ("replace"). An empty text gives the state at the start.
        To a model whose records have labels, a text from the start is a label, a tab and the beginning of a record.
        """
        if state is None:
            state, text = State.start(self), with_label_end(text, self.vocabulary)
        return state.read(text, unknown=unknown)

    def next(self, prompt: str, *, unknown: OnUnknown = "error") -> list[tuple[str, float]]:
        """Every character with its probability of coming after `prompt`, the most likely first.

        After an empty prompt these are the frequencies in the training text.
        """
        return self.read(prompt, unknown=unknown).next()

    def stream(
        self,
        prompt: str = "",
        length: int = 400,
        sampling: Sampling = UNFILTERED,
        *,
        stop: str | Sequence[str] = (),
        seed: int = 0,
        unknown: OnUnknown = "error",
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[str]:
        """Write up to `length` characters after `prompt`, one at a time as they come; the prompt is not repeated.

        `sampling` decides how they are chosen, or its fields as keywords: `stream("x", temperature=0.8)`. Ends before
        the first of the `stop` strings. Equal seeds write equal texts. Raises InputError for a value out of its bounds.
        """
        place = self.read(prompt, unknown=unknown)
        return place.stream(length, sampling, stop=stop, seed=seed, **settings)

    def generate(
        self,
        prompt: str = "",
        length: int = 400,
        sampling: Sampling = UNFILTERED,
        *,
        stop: str | Sequence[str] = (),
        seed: int = 0,
        unknown: OnUnknown = "error",
        **settings: Unpack[SamplingSettings],
    ) -> str:
        """What `stream` writes, as one string, with the same arguments."""
        return "".join(self.stream(prompt, length, sampling, stop=stop, seed=seed, unknown=unknown, **settings))

    def records(
        self,
        count: int,
        sampling: Sampling = UNFILTERED,
        *,
        start: str = "",
        length: int = 10_000,
        seed: int = 0,
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[str]:
        """Write `count` records, one after the other, each beginning with `start` and written to its end.

        A record that has no end after `length` characters is cut there. Equal seeds write equal records. Where records
        have labels, each is written as its label, a tab and the record, and `start="jazz\\t"` asks for a label. Raises
        InputError for a model that was not trained on records.
        """
        check_number("count", count, at_least=1)
        if self.vocabulary.boundary is None:
            raise InputError(
                "this model was trained on running text, not on records: give a length instead of a count, "
                "or train with records (--records lines)"
            )
        begun, generator = with_label_end(start, self.vocabulary), generator_of(seed)
        place = self.read(begun)
        written = (
            begun + replace(place.fork(), generator=generator).generate(length, sampling, **settings)
            for _ in range(count)
        )
        return (record.replace(LABEL_END, "\t", 1).replace(LABEL_END, "") for record in written)  # one label at most

    def score(
        self,
        text: str | EncodedText,
        *,
        unknown: OnUnknown = "error",
        stretches: int | None = None,
        progress: Callable[[int], None] | None = None,
        state: State | None = None,
    ) -> Score:
        """How well the model predicts `text`, and each of several members; see `unrolled.model.scoring.score`.

        With `state` the text is one that goes on from there, and members are not scored alone.
        """
        from unrolled.model.scoring import score  # compressors are not needed to write

        start = None if state is None else (state.logits, state.hidden)
        names = self.members if len(self.members) > 1 and state is None else []
        members = {name: self.only(name) for name in names}
        return score(self, text, unknown=unknown, stretches=stretches, progress=progress, members=members, start=start)

    def complete(
        self, prompt: str, unit: Unit = "word", count: int = 5, *, unknown: OnUnknown = "error"
    ) -> list[Completion]:
        """The likeliest ways to finish the word or the line that `prompt` has begun; see `unrolled.model.completion`.

        Example::

            model.complete("The ki")  # [Completion("nd", 0.31), Completion("ng", 0.12), ...]
        """
        from unrolled.model.completion import complete

        return complete(self.read(prompt, unknown=unknown), unit, count)

    def score_lines(
        self, lines: Iterable[str], *, after: str | None = None, mask: bool = False, kinds: Kinds | None = None
    ) -> Iterator[LineScore]:
        """The score of every line on its own, in order; see `unrolled.model.lines.score_lines`."""
        from unrolled.model.lines import score_lines

        return score_lines(self, lines, after=after, mask=mask, replace=self.mask, kinds=kinds)

    def score_by_label(self, lines: Iterable[str]) -> Iterator[LabelScore]:
        """The probability of each label for every line, in order; see `unrolled.model.labels.score_by_label`."""
        from unrolled.model.labels import score_by_label

        temperature = self.training.get("label_temperature", 1.0)
        check_number("label_temperature in training.json", temperature, above=0)
        return score_by_label(self, self.labels, lines, temperature)

    def embed(self, strings: Sequence[str]) -> NDArray[np.float32]:
        """A vector for each string from the hidden states of the network, (strings, 2 x hidden); names, titles, codes.

        The first half is the last layer's output after the last character, the second the mean of its outputs after
        each. The vector of a string does not depend on the others, and strings spelled alike have similar ones. See
        `unrolled.model.string_vectors`. Characters that the model does not know are read as the unknown character.
        """
        from unrolled.model.string_vectors import string_vectors

        texts = [self.vocabulary.encode(string, "replace") for string in strings]
        with np.errstate(over="ignore", invalid="ignore"):
            before = self.vocabulary.encode("\n" if self.vocabulary.boundary is None else BOUNDARY, "skip")
            vectors = string_vectors(self.network, texts, before, self._own_text)
        if not np.isfinite(vectors).all():
            raise FolderError(f"{self.name} gives no vectors: its weights are so large that its state is not finite")
        return vectors

    @cached_property
    def _own_text(self) -> Ids:
        """The ids of a text that the model writes, which gives the scale of its units."""
        from unrolled.model.string_vectors import STEPS, STREAMS

        if self.vocabulary.boundary is None:
            return self.vocabulary.encode(self.generate("", STREAMS * STEPS, seed=0))
        records = self.records(STREAMS * STEPS, seed=0)
        characters = (one for record in records for one in BOUNDARY + with_label_end(record, self.vocabulary))
        return self.vocabulary.encode("".join(islice(characters, STREAMS * STEPS)))
