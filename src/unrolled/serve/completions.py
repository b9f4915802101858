"""The interface of OpenAI's clients to a model of characters, and the tokenizer that lm-evaluation-harness asks for.

A token is a character, and its id that of the vocabulary; id 0 is a character that the model does not know. One more
token stands for the start of a text and for its end: the character of the boundary of records. A model of records
predicts it; for others it only marks the place before the first character. Left out: HTTP (`app`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.predictor import Logits
from unrolled.model.probabilities import log_softmax
from unrolled.model.state import State
from unrolled.serve.schemas import (
    DEFAULT_TOKENS,
    LONGEST_TEXT,
    Choice,
    Completion,
    CompletionRequest,
    Detokenized,
    DetokenizeRequest,
    Logprobs,
    ModelList,
    TokenizeRequest,
    TokenizerInfo,
    Tokens,
    Usage,
)
from unrolled.serve.service import Service
from unrolled.text.vocabulary import BOUNDARY, UNKNOWN_CHARACTER, Ids, Vocabulary

LEAST = -9999.0
"""In place of the logarithm of 0, which JSON does not have."""
MOST_LOGPROBS = 1 << 20
"""Log-probabilities in one response."""
MOST_WRITTEN = 1 << 16
"""Characters that one request may generate for all its prompts."""

Pieces = Callable[[Iterator[str]], Iterator[str]]


class Completions:
    """The endpoints under /v1 and those of the tokenizer, for the model of `service`."""

    def __init__(self, service: Service) -> None:
        self.model, self.name, self.created = service.model, service.name, int(time.time())
        self.tokens = _with_boundary(self.model.vocabulary)
        self._names = (UNKNOWN_CHARACTER, *self.tokens.characters)

    def models(self) -> ModelList:
        """The one model that is served."""
        card = {"id": self.name, "object": "model", "created": self.created, "owned_by": "unrolled"}
        return {"object": "list", "data": [card]}  # type: ignore[list-item]

    def tokenizer_info(self) -> TokenizerInfo:
        """The special tokens."""
        return {"bos_token": BOUNDARY, "eos_token": BOUNDARY, "vocab_size": len(self.tokens)}

    def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The ids of a text."""
        text = BOUNDARY * request.add_special_tokens + request.prompt
        ids = self.tokens.encode(text, request.unknown).tolist()
        return {"tokens": ids, "count": len(ids), "max_model_len": LONGEST_TEXT}

    def detokenize(self, request: DetokenizeRequest) -> Detokenized:
        """The text of ids."""
        return {"prompt": self.tokens.decode(request.tokens)}

    def complete(self, request: CompletionRequest) -> Completion:
        """All completions at once: the events of `stream`, put together."""
        whole: dict[int, Choice] = {}
        for event in self.stream(request, lambda characters: characters):
            for choice in event["choices"]:
                _join(whole.setdefault(choice["index"], choice), choice)
        return self._event(f"cmpl-{secrets.token_hex(12)}", list(whole.values()), event["usage"])

    def stream(self, request: CompletionRequest, pieces: Pieces) -> Iterator[Completion]:
        """The completions of one prompt after the other, cut by `pieces`; at the end, with no choice, the usage.

        Raises InputError at the first step for a request that the model cannot fulfil.
        """
        name = f"cmpl-{secrets.token_hex(12)}"
        prompts = self._prompts(request)
        read, written = sum(map(len, prompts)), 0
        for index, ids in enumerate(prompts):
            for choice, count in self._choice(index, ids, request, pieces):
                written += count
                yield self._event(name, [choice])
        usage: Usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        yield self._event(name, [], usage)

    def _event(self, name: str, choices: list[Choice], usage: Usage | None = None) -> Completion:
        return {
            "id": name,
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": choices,
            "usage": usage,
        }

    def _prompts(self, request: CompletionRequest) -> list[Ids]:
        """The ids of every prompt. Raises InputError for unknown ones, and for a request that asks for too much."""
        given: Any = request.prompt
        many = isinstance(given, list) and given and not isinstance(given[0], int)
        prompts = [self._ids(prompt, request) for prompt in (given if many else [given])]
        length = _length(request)
        if len(prompts) * length > MOST_WRITTEN:
            raise InputError(f"{len(prompts)} prompts of max_tokens {length} are more than {MOST_WRITTEN:,} characters")
        places = len(prompts) * length + (sum(map(len, prompts)) if request.echo else 0)
        if places * min(request.logprobs or 0, len(self.tokens)) > MOST_LOGPROBS:
            raise InputError(f"{request.logprobs} logprobs at {places:,} places are more than {MOST_LOGPROBS:,}")
        return prompts

    def _ids(self, prompt: str | list[int] | None, request: CompletionRequest) -> Ids:
        if prompt is None or isinstance(prompt, str):
            return self.tokens.encode(prompt or "", request.unknown)
        self.tokens.decode(prompt)  # raises InputError for an id that is none
        return np.array(prompt, self.tokens.dtype)

    def _choice(self, index: int, ids: Ids, request: CompletionRequest, pieces: Pieces) -> Iterator[tuple[Choice, int]]:
        """The parts of one completion, each with the number of ids that were written."""
        table = _Table(self._names, request.logprobs)
        place = self._read(ids, table if request.echo else _Table(self._names, None))
        if request.echo:
            yield _part(index, self.tokens.decode(ids).replace(BOUNDARY, ""), table.take()), 0
        if _length(request) == 0:
            yield _part(index, "", table.take(), "length"), 0
        else:
            yield from self._written(index, place, table, request, pieces)

    def _written(
        self, index: int, place: State, table: _Table, request: CompletionRequest, pieces: Pieces
    ) -> Iterator[tuple[Choice, int]]:
        length, count = _length(request), 0
        seed = secrets.randbits(63) if request.seed is None else request.seed
        stop = () if request.stop is None else request.stop
        characters = place.stream(length, request.sampling, stop=stop, seed=seed)
        behind = place.fork()  # reads what was written, for its probabilities
        for piece in pieces(characters):
            count += len(piece)
            if table.count is not None:
                table.read(behind, self.tokens.encode(piece))
            yield _part(index, piece, table.take()), len(piece)
        ended = count < length and place.recent[-1] == self.model.vocabulary.boundary
        if ended:
            table.read(behind, self.tokens.encode(BOUNDARY))
        yield _part(index, "", table.take(), "length" if count == length else "stop"), int(ended)

    def _read(self, ids: Ids, table: _Table) -> State:
        """The state after `ids`, whose probabilities go into `table`. A start begins a text anew."""
        place = State.start(self.model)
        for k, text in enumerate(np.split(ids, np.flatnonzero(ids == self.tokens.boundary))):
            if k > 0:
                predicted = self.model.vocabulary.boundary is not None and place.position > 0
                table.add(text[:1], place.logits[None] if predicted else None)
                place, text = State.start(self.model), text[1:]
            table.read(place, text)
        return place


class _Table:
    """What is reported of the probabilities of the ids so far: nothing where `count` is None."""

    def __init__(self, names: tuple[str, ...], count: int | None) -> None:
        self.names, self.count, self.offset = names, count, 0
        self.rows = _no_rows()

    def read(self, place: State, ids: Ids) -> None:
        """Move `place` on past `ids`, and add them."""
        if self.count is None:
            place.feed(ids)
            return
        at = 0
        for logits in place.predictions(ids):
            self.add(ids[at : at + len(logits)], logits)
            at += len(logits)

    def add(self, ids: Ids, logits: Logits | None) -> None:
        """Ids (n,) and their logits (n, vocabulary); None where nothing predicts them."""
        if self.count is None:
            return
        if logits is not None:
            logarithms = np.maximum(log_softmax(logits.astype(np.float64)), LEAST)
        for k, i in enumerate(ids.tolist()):
            name = self.names[i]
            self.rows["tokens"].append(name)
            self.rows["token_logprobs"].append(None if logits is None else float(logarithms[k, i]))
            self.rows["top_logprobs"].append(None if logits is None else self._top(logarithms[k], i))
            self.rows["text_offset"].append(self.offset)
            self.offset += name != BOUNDARY

    def take(self) -> Logprobs | None:
        """What was added since the last call."""
        rows, self.rows = self.rows, _no_rows()
        return None if self.count is None else rows

    def _top(self, logarithms: NDArray[np.float64], i: int) -> dict[str, float]:
        """The likeliest, and the one that is there."""
        likeliest = np.argsort(-logarithms, kind="stable")[: self.count].tolist()
        return {self.names[j]: float(logarithms[j]) for j in [*likeliest, i]}


def _length(request: CompletionRequest) -> int:
    return DEFAULT_TOKENS if request.max_tokens is None else request.max_tokens


def _no_rows() -> Logprobs:
    return {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}


def _part(index: int, text: str, logprobs: Logprobs | None, reason: Any = None) -> Choice:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _join(whole: Choice, part: Choice) -> None:
    """Add a part to a choice; nothing if it is that part."""
    if whole is part:
        return
    whole["text"] += part["text"]
    whole["finish_reason"] = part["finish_reason"]
    if whole["logprobs"] is not None and part["logprobs"] is not None:
        for name, values in part["logprobs"].items():
            whole["logprobs"][name].extend(values)  # type: ignore[literal-required]


def _with_boundary(vocabulary: Vocabulary) -> Vocabulary:
    """The ids of a model, and one more for the boundary if it has none."""
    if vocabulary.boundary is not None:
        return vocabulary
    characters, counts = (*vocabulary.characters, BOUNDARY), (*vocabulary.counts, 0)
    return Vocabulary(characters, counts, vocabulary.merged, vocabulary.merged_count)
