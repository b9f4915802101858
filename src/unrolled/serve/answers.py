"""What the server answers: each request put to the model, and the result as plain values for JSON.

Nothing is kept between two requests, so that any number of them can be answered at once. A state travels to the client
and back as text. Left out: HTTP (`app`).
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

import unrolled
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.exchange import exchange
from unrolled.model.state import State
from unrolled.serve.requests import (
    FARTHEST_BACK,
    LONGEST_TEXT,
    LONGEST_WRITING,
    ExchangeAsked,
    GenerateAsked,
    NextAsked,
    ReadAsked,
    ScoreAsked,
)

MAPPED = 400
"""Characters on the map at most, the most frequent ones."""
NEAREST = 5


class Answers:
    """The answers of one model, which is called `name` on the page."""

    def __init__(self, model: CharModel, name: str) -> None:
        self.model = model
        self.name = name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, sizes, vocabulary, training and validation figures of the model, and the limits of the server."""
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
            "version": unrolled.__version__,
            "limits": {"text": LONGEST_TEXT, "length": LONGEST_WRITING, "back": FARTHEST_BACK},
        }

    @cached_property
    def characters(self) -> dict[str, Any]:
        """The vectors of the most frequent characters in the plane of the main components of all."""
        table = self.model.embedding
        projection = table.pca(min(2, *table.vectors.shape))
        missing = 2 - projection.coordinates.shape[1]
        places = np.pad(projection.coordinates, ((0, 0), (0, missing)))
        rows = np.argsort(-table.facts["count"].astype(np.int64), kind="stable")[:MAPPED]
        points = [
            {
                "character": table.names[i],
                "x": float(places[i, 0]),
                "y": float(places[i, 1]),
                "kind": str(table.facts["kind"][i]),
                "count": int(table.facts["count"][i]),
                "nearest": [name for name, _ in table.nearest(table.names[i], NEAREST)],
            }
            for i in rows
        ]
        return {"points": points, "explained": [*projection.explained.tolist(), *[0.0] * missing], "of": len(table)}

    def next(self, asked: NextAsked) -> dict[str, Any]:
        """Every character with its probability of coming next, the most likely first."""
        place = self._read(asked.prompt, asked)
        rows = [{"character": character, "probability": p} for character, p in place.next()[: asked.top]]
        return {"prompt": asked.prompt, "next": rows}

    def read(self, asked: ReadAsked) -> dict[str, Any]:
        """The place after the text as `state`, base64, to be sent with the next request."""
        place = self._read(asked.text, asked)
        return {"position": place.position, "state": base64.b64encode(place.to_bytes()).decode()}

    def written(self, asked: GenerateAsked) -> Iterator[str]:
        """The characters that the network writes; errors are raised at once, before the first."""
        place = self._read(asked.prompt, asked)
        seed = 0 if asked.seed is None and asked.state is None else asked.seed
        return place.stream(
            asked.length,
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            min_p=asked.min_p,
            repetition=asked.repetition,
            stop=asked.stop,
            seed=seed,
        )

    def score(self, asked: ScoreAsked) -> dict[str, Any]:
        """The figures of `unrolled score --json`, the text as it was read, and the bits of each character of it."""
        measured = self.model.score(asked.text, unknown=asked.unknown, stretches=1)
        assert measured.each is not None  # texts are short here
        read = self.model.vocabulary.decode(self.model.vocabulary.encode(asked.text, asked.unknown))
        each = (measured.each.astype(np.float64) / math.log(2)).round(4)
        return measured.to_json() | {"text": read, "each": each.tolist()}

    def exchange(self, asked: ExchangeAsked) -> dict[str, Any]:
        """How much each of the last characters decides what comes next."""
        found = exchange(self.model, asked.text, asked.back, alternatives=asked.alternatives, unknown=asked.unknown)
        return found.to_json()

    def _read(self, text: str, asked: NextAsked | ReadAsked | GenerateAsked) -> State:
        state = None if asked.state is None else self._state(asked.state)
        return self.model.read(text, state, unknown=asked.unknown)

    def _state(self, text: str) -> State:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("the state is not base64: send what `read` answered, as it was") from None
        return State.from_bytes(data, self.model, "the state")
