"""What the server computes: one method an endpoint, from a request to plain values for JSON.

Nothing is kept between two requests, so any number of them can be answered at once. A state is sent to the client and
back as text, signed with a key, because what it holds is trusted. Left out: HTTP (`app`), and the interface of OpenAI's
clients (`completions`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import secrets
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import PurePath
from typing import Any, cast

import numpy as np

from unrolled.embedding import EmbeddingTable, principal_components
from unrolled.errors import InputError
from unrolled.model.attribution import exchange
from unrolled.model.char_model import CharModel
from unrolled.model.completion import complete
from unrolled.model.sampling import UNFILTERED, Sampling
from unrolled.model.state import State
from unrolled.serve import schemas
from unrolled.serve.disconnect import WatchedModel
from unrolled.serve.schemas import (
    FARTHEST_BACK,
    LONGEST_TEXT,
    LONGEST_WRITING,
    CompleteRequest,
    ExchangeRequest,
    GenerateRequest,
    Mapped,
    NextRequest,
    PromptRequest,
    ReadRequest,
    ScoreRequest,
)

SHOWN = 12
"""Characters of the distribution that follows each piece of generated text."""
SIGNATURE = 32
"""Bytes in front of a state."""
NEAREST = 5
"""How many neighbours of a character are named."""


class Service:
    """The endpoints of one model, which is called `name` on the page.

    States are signed with `state_key`; without one they are valid as long as this object is.
    """

    def __init__(self, model: CharModel, name: str, state_key: str | None = None) -> None:
        self.model = WatchedModel(model.parts, name)
        self.name = name
        self._key = secrets.token_bytes(32) if state_key is None else state_key.encode()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, sizes, vocabulary, training and validation figures of the model, and the limits of requests."""
        model, training = self.model, self.model.training
        return {
            "name": self.name,
            **model.config.to_json(),
            "weights": model.parts.parameters,
            "characters": list(model.vocabulary.characters),
            "counts": list(model.vocabulary.counts),
            "lower": model.lower,
            "finished": bool(training),
            "members": model.members,
            "losses": training.get("losses", {}),
            "validation_nats": model.parts.validation_nats,
            "sources": [PurePath(str(source)).name for source in training.get("corpus", {}).get("sources", [])],
            "seconds": training.get("seconds"),
            "limits": {"text": LONGEST_TEXT, "length": LONGEST_WRITING, "back": FARTHEST_BACK},
        }

    def characters(self, most: Mapped = 72) -> schemas.Map:
        """The most frequent characters as vectors, in the plane of their two main components.

        Rare ones are left out because their vectors are hardly trained, so their neighbours mean nothing.
        """
        whole = self.model.embedding
        rows = np.argsort(-whole.facts["count"].astype(np.int64), kind="stable")[:most]
        names = tuple(whole.names[i] for i in rows)
        table = EmbeddingTable(names, whole.vectors[rows], {key: fact[rows] for key, fact in whole.facts.items()})
        places, explained = principal_components(table.vectors, 2)
        points = [_point(table, i, x, y) for i, (x, y) in enumerate(places.tolist())]
        return {"points": points, "explained": explained.tolist(), "of": len(whole)}

    def next(self, request: NextRequest) -> schemas.Next:
        """Every character with its probability of coming next, the most likely first."""
        place = self._place(request)
        return {"prompt": request.prompt, "next": _distribution(place, request.sampling, request.top)}

    def read(self, request: ReadRequest) -> schemas.Read:
        """The state after the text as `state`, base64, to be sent with the next request."""
        place = self.model.read(request.text, self._state(request.state), unknown=request.unknown)
        return {"position": place.position, "state": self._signed(place)}

    def generate(self, request: GenerateRequest) -> Iterator[str]:
        """The characters that the network writes. Errors are raised at once, before the first."""
        return self._stream(self._place(request), request)

    def follow(
        self, request: GenerateRequest, pieces: Callable[[Iterator[str]], Iterator[str]]
    ) -> Iterator[schemas.Following]:
        """What `generate` writes, in `pieces`, each with the distribution after it; in the end the state.

        While a possible beginning of a stop string is withheld, the distribution is that after it.
        """
        place = self._place(request)
        return self._following(place, pieces(self._stream(place, request)), request.sampling)

    def _following(self, place: State, pieces: Iterator[str], sampling: Sampling) -> Iterator[schemas.Following]:
        written = place.position
        for piece in pieces:
            written += len(piece)
            yield {"text": piece, "next": _distribution(place, sampling, SHOWN)}
        whole = written == place.position  # not after a stop string, which was read but is not in the text
        yield {
            "text": "",
            "state": self._signed(place) if whole else None,
            "next": _distribution(place, sampling, None),
        }

    def _stream(self, place: State, request: GenerateRequest) -> Iterator[str]:
        seed = 0 if request.seed is None and request.state is None else request.seed
        return place.stream(request.length, request.sampling, stop=request.stop, seed=seed)

    def complete(self, request: CompleteRequest) -> schemas.Complete:
        """The likeliest completions of the prompt with their probabilities."""
        found = complete(self._place(request), request.unit, request.count)
        endings: list[schemas.Ending] = [{"text": one.text, "probability": one.probability} for one in found]
        return {"prompt": request.prompt, "completions": endings}

    def score(self, request: ScoreRequest) -> schemas.Scored:
        """The figures of `unrolled score --json`, the text as it was read, and the bits of each character of it.

        To a model of records the text is the beginning of one.
        """
        model, state = self.model, self._state(request.state)
        if state is None and model.vocabulary.boundary is not None:
            state = model.read("")
        measured = model.score(request.text, unknown=request.unknown, stretches=1, state=state)
        assert measured.each is not None  # texts are short here
        read = model.vocabulary.decode(model.vocabulary.encode(request.text, request.unknown))
        each = (measured.each.astype(np.float64) / math.log(2)).round(4)
        return cast("schemas.Scored", measured.to_json() | {"text": read, "each": each.tolist()})

    def exchange(self, request: ExchangeRequest) -> schemas.Exchanged:
        """How much each of the last characters affects what comes next."""
        measured = exchange(
            self.model,
            request.text,
            request.back,
            alternatives=request.alternatives,
            unknown=request.unknown,
            state=self._state(request.state),
        )
        return cast("schemas.Exchanged", measured.to_json())

    def _place(self, request: PromptRequest) -> State:
        """The place after the prompt."""
        return self.model.read(request.prompt, self._state(request.state), unknown=request.unknown)

    def _signed(self, place: State) -> str:
        data = place.to_bytes()
        return base64.b64encode(self._signature(data) + data).decode()

    def _signature(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")

    def _state(self, text: str | None) -> State | None:
        """The state in `text`. Raises InputError for any text that this server has not made with its key."""
        if text is None:
            return None
        try:
            signed = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("the state is not base64: send the state of an earlier response unchanged") from None
        signature, data = signed[:SIGNATURE], signed[SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(data)):
            raise InputError(
                "the state was altered, or is of a server with another --state-key or from before a restart without one"
            )
        return State.from_bytes(data, self.model, "the state")


def _distribution(place: State, sampling: Sampling, top: int | None) -> list[schemas.Likely]:
    """The likeliest `top` characters; under other settings than the model's own also how likely each is drawn."""
    likely = place.next()[:top]
    if sampling == UNFILTERED:
        return [{"character": character, "probability": p} for character, p in likely]
    drawn = dict(place.next(sampling))
    return [{"character": character, "probability": p, "drawn": drawn[character]} for character, p in likely]


def _point(table: EmbeddingTable, i: int, x: float, y: float) -> schemas.Point:
    name, facts = table.names[i], table.facts
    nearest = [other for other, _ in table.nearest(name, NEAREST)]
    return {
        "character": name,
        "x": x,
        "y": y,
        "kind": str(facts["kind"][i]),
        "count": int(facts["count"][i]),
        "nearest": nearest,
    }
