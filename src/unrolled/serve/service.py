"""What the server computes: one method an endpoint, from a request to plain values for JSON.

Nothing is kept between two requests, so any number of them can be answered at once. A state is sent to the client and
back as text. Left out: HTTP (`app`).
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np

from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError
from unrolled.model.attribution import exchange
from unrolled.model.char_model import CharModel
from unrolled.model.state import State
from unrolled.serve.schemas import (
    FARTHEST_BACK,
    LONGEST_TEXT,
    LONGEST_WRITING,
    ExchangeRequest,
    GenerateRequest,
    NextRequest,
    ReadRequest,
    ScoreRequest,
)

NEAREST = 5
"""How many neighbours of a character are named."""


class Service:
    """The endpoints of one model, which is called `name` on the page."""

    def __init__(self, model: CharModel, name: str) -> None:
        self.model = model
        self.name = name

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
            "lower": training.get("recipe", {}).get("lower") is True,
            "finished": bool(training),
            "losses": training.get("losses", {}),
            "sources": [PurePath(str(source)).name for source in training.get("corpus", {}).get("sources", [])],
            "seconds": training.get("seconds"),
            "limits": {"text": LONGEST_TEXT, "length": LONGEST_WRITING, "back": FARTHEST_BACK},
        }

    def characters(self, most: int) -> dict[str, Any]:
        """The `most` frequent characters as vectors, in the plane of their two main components.

        Rare ones are left out because their vectors are hardly trained, so their neighbours mean nothing.
        """
        whole = self.model.embedding
        rows = np.argsort(-whole.facts["count"].astype(np.int64), kind="stable")[:most]
        names = tuple(whole.names[i] for i in rows)
        table = EmbeddingTable(names, whole.vectors[rows], {key: fact[rows] for key, fact in whole.facts.items()})
        projection = table.pca(min(2, *table.vectors.shape))
        missing = 2 - projection.coordinates.shape[1]
        places = np.pad(projection.coordinates, ((0, 0), (0, missing))).tolist()
        points = [_point(table, i, x, y) for i, (x, y) in enumerate(places)]
        return {"points": points, "explained": [*projection.explained.tolist(), *[0.0] * missing], "of": len(whole)}

    def next(self, request: NextRequest) -> dict[str, Any]:
        """Every character with its probability of coming next, the most likely first."""
        place = self._read(request.prompt, request)
        rows = [{"character": character, "probability": p} for character, p in place.next()[: request.top]]
        return {"prompt": request.prompt, "next": rows}

    def read(self, request: ReadRequest) -> dict[str, Any]:
        """The state after the text as `state`, base64, to be sent with the next request."""
        place = self._read(request.text, request)
        return {"position": place.position, "state": base64.b64encode(place.to_bytes()).decode()}

    def generate(self, request: GenerateRequest) -> Iterator[str]:
        """The characters that the network writes. Errors are raised at once, before the first."""
        place = self._read(request.prompt, request)
        seed = 0 if request.seed is None and request.state is None else request.seed
        return place.stream(request.length, request.sampling, stop=request.stop, seed=seed)

    def score(self, request: ScoreRequest) -> dict[str, Any]:
        """The figures of `unrolled score --json`, the text as it was read, and the bits of each character of it."""
        measured = self.model.score(request.text, unknown=request.unknown, stretches=1)
        assert measured.each is not None  # texts are short here
        read = self.model.vocabulary.decode(self.model.vocabulary.encode(request.text, request.unknown))
        each = (measured.each.astype(np.float64) / math.log(2)).round(4)
        return measured.to_json() | {"text": read, "each": each.tolist()}

    def exchange(self, request: ExchangeRequest) -> dict[str, Any]:
        """How much each of the last characters affects what comes next."""
        back, others = request.back, request.alternatives
        return exchange(self.model, request.text, back, alternatives=others, unknown=request.unknown).to_json()

    def _read(self, text: str, request: NextRequest | ReadRequest | GenerateRequest) -> State:
        state = None if request.state is None else self._state(request.state)
        return self.model.read(text, state, unknown=request.unknown)

    def _state(self, text: str) -> State:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("the state is not base64: send the state of an earlier response unchanged") from None
        return State.from_bytes(data, self.model, "the state")


def _point(table: EmbeddingTable, i: int, x: float, y: float) -> dict[str, Any]:
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
