"""State: where a model stands in a text. Ask it what comes next, let it write, fork it, keep it on disk, go on.

It holds everything that decides what follows: hidden state, logits, the last ids read, the random generator. So going
on from a stored one gives, bit for bit, what would have come without the stop. Left out: the filters (`sampling`) and
the network (`cells`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from unrolled.errors import FolderError, InputError
from unrolled.files import from_json, sha256, to_json, write_file
from unrolled.model.sampling import RECENT, Sampling, checked_stops, softmax, until_stop, without_reserved

if TYPE_CHECKING:
    from unrolled.model.cells import Array
    from unrolled.model.char_model import CharModel
    from unrolled.text.vocabulary import OnUnknown

FORMAT = 1
MAX_BYTES = 1 << 28
"""The largest state file that is read: far above 2 parts x 256 layers x 65,536 units."""


def generator_of(seed: int) -> np.random.Generator:
    """The random generator of `seed`, the same on every machine. Raises InputError for a negative seed."""
    if seed < 0:
        raise InputError(f"seed is {seed}, but must be 0 or above")
    return np.random.Generator(np.random.PCG64(seed))


@dataclass(eq=False)
class State:
    """A place in a text, made by `CharModel.read`. Writing moves it on; `fork` first to keep the place."""

    model: CharModel = field(repr=False)
    hidden: tuple[Array, ...] = field(repr=False)
    """The hidden state, layer by layer, each (hidden,)."""
    logits: Array = field(repr=False)
    """Logits of the next character, (vocabulary,)."""
    recent: deque[int] = field(repr=False)
    """The last ids read or written, at most RECENT of them."""
    generator: np.random.Generator = field(repr=False)
    position: int = 0
    """Characters read and written so far."""

    @classmethod
    def start(cls, model: CharModel) -> State:
        """The place before the first character, where the next one follows its frequency in the training text."""
        return cls(model, model.network.initial_state(), model.start_logits, deque(maxlen=RECENT), generator_of(0))

    def next(self) -> list[tuple[str, float]]:
        """Every character with its probability of coming next, the most likely first.

        The unknown character is left out, as nothing writes it: the probabilities of the others sum to 1.
        """
        probabilities = softmax(without_reserved(self.logits))
        order = np.argsort(-probabilities, kind="stable")
        characters = self.model.vocabulary.characters
        return [(characters[i - 1], float(probabilities[i])) for i in order if i > 0]

    def read(self, text: str, *, unknown: OnUnknown = "error") -> State:
        """The place after `text`, read on from here; this one stays. See `CharModel.read`."""
        return self.model.read(text, self, unknown=unknown)

    def feed(self, ids: Sequence[int] | NDArray[np.integer]) -> None:
        """Move on past `ids`."""
        network = self.model.network
        for i in ids[:-1]:
            _, self.hidden = network.advance(int(i), self.hidden)
        for i in ids[-1:]:
            self.logits, self.hidden = network.step(int(i), self.hidden)
        self.recent.extend(map(int, ids[-RECENT:]))
        self.position += len(ids)

    def fork(self) -> State:
        """A copy that goes its own way, random generator included."""
        generator = generator_of(0)
        generator.bit_generator.state = self.generator.bit_generator.state
        return replace(self, recent=self.recent.copy(), generator=generator)  # arrays are never written over

    def stream(
        self,
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition: float | None = None,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
    ) -> Iterator[str]:
        """Write up to `length` characters, one at a time as they come, moving this state on.

        Ends before the first of the `stop` strings; those are looked for in what this call writes. `seed` starts the
        random generator anew; without it the generator goes on. For the filters see `Sampling`, whose errors apply.
        """
        sampling = Sampling(temperature, top_k, top_p, min_p, repetition)
        stops = checked_stops(stop)
        if length < 1:
            raise InputError(f"length is {length}, but at least 1 character must be asked for")
        if seed is not None:
            self.generator = generator_of(seed)
        return until_stop(self._written(length, sampling), stops)

    def generate(self, length: int, **options: Any) -> str:
        """What `stream` writes, as one string, with the same options."""
        return "".join(self.stream(length, **options))

    def _written(self, length: int, sampling: Sampling) -> Iterator[str]:
        characters, network = self.model.vocabulary.characters, self.model.network
        for _ in range(length):
            recent = np.array(self.recent, np.int64) if sampling.repetition is not None else None
            i = sampling.draw(self.logits, self.generator, recent)
            self.logits, self.hidden = network.step(i, self.hidden)
            self.recent.append(i)
            self.position += 1
            yield characters[i - 1]

    def save(self, path: str | Path) -> None:
        """Write this state to the file `path`, a few KB, so that `State.load` goes on from here."""
        write_file(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """What `save` writes, for those who keep states elsewhere than in files; `from_bytes` goes on from it."""
        return _pack(self._facts(), self._tensors())

    @classmethod
    def load(cls, path: str | Path, model: CharModel) -> State:
        """The state in the file `path`, saved from the same `model`.

        Raises FolderError if the file is missing, damaged or of a newer format, or belongs to another model.
        """
        return cls.from_bytes(_read(Path(path)), model, f"{path}")

    @classmethod
    def from_bytes(cls, data: bytes, model: CharModel, name: str = "this") -> State:
        """The state in `data`, made by `to_bytes`; raises FolderError like `load`, calling the data `name`."""
        facts, tensors = _unpack(data, name)
        if facts.get("model") != model.parts.fingerprint:
            raise FolderError(
                f"{name} is the state of another model: a state goes on only with the weights it came from"
            )
        state = cls.start(model)
        try:
            state._restore(facts, tensors)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FolderError(f"{name} is not a state of unrolled: {error}") from None
        return state

    def _facts(self) -> dict[str, Any]:
        generator = self.generator.bit_generator.state
        return {"model": self.model.parts.fingerprint, "position": self.position, "generator": generator}

    def _tensors(self) -> dict[str, NDArray[Any]]:
        hidden = {f"hidden.{i}": part for i, part in enumerate(self.hidden)}
        return hidden | {"logits": self.logits, "recent": np.array(self.recent, np.int64)}

    def _restore(self, facts: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
        like = self._tensors()
        recent = tensors["recent"]
        if tensors.keys() != like.keys() or recent.ndim != 1 or not _are_ids(recent, len(self.logits)):
            raise ValueError("its tensors have other names or shapes")
        for name, array in tensors.items():
            if name != "recent" and (array.shape, array.dtype) != (like[name].shape, like[name].dtype):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        self.hidden = tuple(tensors[f"hidden.{i}"] for i in range(len(self.hidden)))
        self.logits, self.position = tensors["logits"], int(facts["position"])
        self.recent.extend(recent.tolist())
        self.generator.bit_generator.state = facts["generator"]


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
        raise FolderError(f"{name} is not a state of unrolled, or is damaged: {error}") from None
    version, _ = facts.pop("format", None), facts.pop("sha256", None)
    if type(version) is int and version > FORMAT:
        raise FolderError(f"{name} has format {version}, newer than the {FORMAT} known here: upgrade unrolled")
    if version != FORMAT or _pack(facts, tensors) != data:
        raise FolderError(f"{name} is damaged: it does not match its own SHA-256")
    return facts, tensors


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FolderError(f"{path} is larger than any state of unrolled")
        return path.read_bytes()
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from None
