"""State: a model's position in a text. Ask it what comes next, let it write, fork it, save it, read on from it.

It holds everything that decides what follows: hidden state, logits, the last ids read, the random generator. So
continuing from a stored state gives, bit for bit, what would have come without the interruption. Left out: the filters
(`sampling`) and the network (`cells`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.errors import FolderError
from unrolled.files import from_json, read_file, sha256, to_json, write_file
from unrolled.model.predictor import LanguageModel, Logits, PredictorState
from unrolled.model.sampling import RECENT, UNFILTERED, Sampling, SamplingSettings, checked_stops, until_stop
from unrolled.text.vocabulary import BOUNDARY, OnUnknown
from unrolled.typed import check_format, typed

FORMAT = 1
PREDICTIONS = 256
"""Ids whose logits `State.predictions` makes at once."""
MAX_BYTES = 1 << 28
"""The largest state file that is read: far above 2 arrays x 256 layers x 65,536 units."""


def generator_of(seed: int) -> np.random.Generator:
    """The random generator of `seed`, the same on every machine. Raises InputError for a negative seed."""
    check_number("seed", seed, at_least=0)
    return np.random.Generator(np.random.PCG64(seed))


@dataclass(eq=False)
class State:
    """A position in a text, made by `CharModel.read`. Writing moves it on; `fork` first to keep the position.

    Example::

        state = model.read("early on there was a man, and later ")
        state.next()  # [("t", 0.18), ("h", 0.11), ...]
        state.fork().generate(40, temperature=0.8, seed=1)
    """

    model: LanguageModel = field(repr=False)
    hidden: PredictorState = field(repr=False)
    """The hidden state, layer by layer, each (hidden,)."""
    logits: Logits = field(repr=False)
    """Logits of the next character, (vocabulary,)."""
    recent: deque[int] = field(repr=False)
    """The last ids read or written, at most RECENT of them."""
    generator: np.random.Generator = field(repr=False)
    position: int = 0
    """Number of characters read and written so far."""

    @classmethod
    def start(cls, model: LanguageModel) -> State:
        """The position before the first character.

        A model of records has read the boundary before it; other models predict a first character by its frequency in
        the training text.
        """
        hidden, logits = model.predictor.initial_state(), model.start_logits
        if model.vocabulary.boundary is not None:
            logits, hidden = model.predictor.step(model.vocabulary.boundary, hidden)
        return cls(model, hidden, logits, deque(maxlen=RECENT), generator_of(0))

    def next(self, sampling: Sampling = UNFILTERED) -> list[tuple[str, float]]:
        """Every character with its probability of coming next, the most likely first.

        With `sampling`, that is the probability with which `stream` chooses it. The unknown character is left out, as
        it is never written: the probabilities of the others sum to 1.
        """
        probabilities = sampling.probabilities(self.logits, self._recent_for(sampling))
        order = np.argsort(-probabilities, kind="stable")
        characters = self.model.vocabulary.characters
        return [(characters[i - 1], float(probabilities[i])) for i in order if i > 0]

    def read(self, text: str, *, unknown: OnUnknown = "error") -> State:
        """The state after `text`, read on from here; this one is not changed.

        A character that is not in the vocabulary is an InputError that names it and its position, or is left out
        (`unknown="skip"`), or is read as the unknown character ("replace").
        """
        ids = self.model.vocabulary.encode(text, unknown)
        after = self.fork()
        after.feed(ids)
        return after

    def feed(self, ids: Sequence[int] | NDArray[np.integer]) -> None:
        """Move on past `ids`."""
        predictor = self.model.predictor
        for i in ids[:-1]:
            self.hidden = predictor.advance(int(i), self.hidden)
        for i in ids[-1:]:
            self.logits, self.hidden = predictor.step(int(i), self.hidden)
        self.recent.extend(map(int, ids[-RECENT:]))
        self.position += len(ids)

    def predictions(self, ids: NDArray[np.integer]) -> Iterator[Logits]:
        """Move on past `ids`, and yield the logits of each of them, in blocks (n, vocabulary)."""
        for start in range(0, len(ids), PREDICTIONS):
            block = ids[start : start + PREDICTIONS]
            after, self.hidden = self.model.predictor.read(block, self.hidden)
            before, self.logits = np.concatenate([self.logits[None], after[:-1]]), after[-1]
            self.recent.extend(map(int, block[-RECENT:]))
            self.position += len(block)
            yield before

    def fork(self) -> State:
        """An independent copy, random generator included."""
        generator = generator_of(0)
        generator.bit_generator.state = self.generator.bit_generator.state
        return replace(self, recent=self.recent.copy(), generator=generator)  # arrays are never written over

    def stream(
        self,
        length: int,
        sampling: Sampling = UNFILTERED,
        *,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[str]:
        """Write up to `length` characters, one at a time as they come, moving this state on.

        `sampling` decides how they are chosen, or its fields as keywords: `stream(400, temperature=0.8)`. Ends before
        the first of the `stop` strings, which are searched for in what this call writes, and at the end of a record. At
        the start of a text a newline is read first, where the model knows one and is not a model of records, so that a
        line begins. `seed` restarts the random generator; without it the generator continues. Raises InputError for a
        value out of its bounds.
        """
        sampling, stops = sampling.updated(**settings), checked_stops(stop)
        check_number("length", length, at_least=1)
        if seed is not None:
            self.generator = generator_of(seed)
        if self.model.vocabulary.boundary is not None:
            stops = (*stops, BOUNDARY)
        elif not self.position:
            self.feed(self.model.vocabulary.encode("\n", "skip"))
        return until_stop(self._written(length, sampling), stops)

    def generate(
        self,
        length: int,
        sampling: Sampling = UNFILTERED,
        *,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> str:
        """What `stream` writes, as one string, with the same arguments."""
        return "".join(self.stream(length, sampling, stop=stop, seed=seed, **settings))

    def _recent_for(self, sampling: Sampling) -> NDArray[np.int64] | None:
        return np.array(self.recent, np.int64) if sampling.repetition is not None else None

    def _written(self, length: int, sampling: Sampling) -> Iterator[str]:
        characters, predictor = self.model.vocabulary.characters, self.model.predictor
        for _ in range(length):
            i = sampling.draw(self.logits, self.generator, self._recent_for(sampling))
            self.logits, self.hidden = predictor.step(i, self.hidden)
            self.recent.append(i)
            self.position += 1
            yield characters[i - 1]

    def save(self, path: str | Path) -> None:
        """Write this state to the file `path`, a few kilobytes, for `State.load`."""
        write_file(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the file that `save` writes, for `from_bytes`."""
        return _pack(self._facts(), self._tensors())

    @classmethod
    def load(cls, path: str | Path, model: LanguageModel) -> State:
        """The state in the file `path`, saved from the same `model`.

        Raises FolderError if the file is missing, damaged or of a newer format, or belongs to another model.
        """
        return cls.from_bytes(read_file(Path(path), MAX_BYTES, follow=True), model, f"{path}")

    @classmethod
    def from_bytes(cls, data: bytes, model: LanguageModel, name: str = "this") -> State:
        """The state in `data`, made by `to_bytes`; raises FolderError like `load`, calling the data `name`."""
        facts, tensors = _unpack(data, name)
        if facts.get("model") != model.fingerprint:
            raise FolderError(
                f"{name} is the state of another model: a state can be used only with the weights that produced it"
            )
        state = cls.start(model)
        try:
            state._restore(facts, tensors)
        except (FolderError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FolderError(f"{name} is not a state written by unrolled: {error}") from None
        return state

    def _facts(self) -> dict[str, Any]:
        generator = self.generator.bit_generator.state
        return {"model": self.model.fingerprint, "position": self.position, "generator": generator}

    def _tensors(self) -> dict[str, NDArray[Any]]:
        hidden = {f"hidden.{i}": part for i, part in enumerate(self.hidden)}
        return hidden | {"logits": self.logits, "recent": np.array(self.recent, np.int64)}

    def _restore(self, facts: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
        like = self._tensors()
        recent = tensors["recent"]
        if tensors.keys() != like.keys() or recent.ndim != 1 or not _are_ids(recent, len(self.logits)):
            raise ValueError("its tensors have unexpected names or shapes")
        for name, array in tensors.items():
            if name != "recent" and (array.shape, array.dtype) != (like[name].shape, like[name].dtype):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        self.hidden = tuple(tensors[f"hidden.{i}"] for i in range(len(self.hidden)))
        self.logits, self.position = tensors["logits"], typed(int, facts["position"], "the state", "position")
        if self.position < 0:
            raise ValueError(f"its position is {self.position}")
        self.recent.extend(recent.tolist())
        self.generator.bit_generator.state = facts["generator"]
        if to_json(self._facts()["generator"]) != to_json(facts["generator"]):  # NumPy takes true for 1, and 1.5 too
            raise ValueError("the state of its random generator is not valid")


def _are_ids(array: NDArray[Any], vocabulary: int) -> bool:
    return array.dtype == np.int64 and len(array) <= RECENT and bool(((array >= 0) & (array < vocabulary)).all())


def _pack(facts: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> bytes:
    """One safetensors file, the facts and a SHA-256 over everything in its metadata."""
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = {"format": FORMAT, "sha256": sha256(to_json(facts) + safetensors.numpy.save(tensors))} | facts
    return safetensors.numpy.save(tensors, {"unrolled.state": to_json(content).decode()})


def _unpack(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `_pack` wrote; any other bytes are refused, as packing again does not give them."""
    try:
        tensors = safetensors.numpy.load(data)
        size = int.from_bytes(data[:8], "little")
        facts = from_json(from_json(data[8 : 8 + size], name)["__metadata__"]["unrolled.state"].encode(), name)
    except (safetensors.SafetensorError, FolderError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FolderError(f"{name} is not a state written by unrolled, or is damaged: {error}") from None
    version, _ = facts.pop("format", None), facts.pop("sha256", None)
    check_format(version, FORMAT, name)
    if _pack(facts, tensors) != data:
        raise FolderError(f"{name} is damaged: it does not match its own SHA-256")
    return facts, tensors
