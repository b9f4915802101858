"""The bodies of requests, field by field, with bounds that keep one request from exhausting the machine.

The fields of `Sampling` are added from that class, which checks their bounds. Left out: the responses (`service`), and
the size of a body as a whole (`middleware`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from unrolled.model.attribution import ALTERNATIVES, BACK
from unrolled.model.completion import MOST, Unit
from unrolled.model.sampling import UNFILTERED, Sampling
from unrolled.text.vocabulary import OnUnknown

LONGEST_TEXT = 1 << 16
"""Characters of a prompt or a text: as many as are scored without being cut."""
LONGEST_WRITING = 20_000
"""Characters that one request may generate."""
FARTHEST_BACK = 200
"""Characters that one request may exchange: the time grows with their square."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Stop = Annotated[str, Field(max_length=200)]


class Request(BaseModel):
    """A JSON object with these fields and no others, each of exactly this type."""

    model_config = ConfigDict(strict=True, extra="forbid")

    unknown: OnUnknown = "error"
    """What to do with a character that the model does not know."""


class ReadRequest(Request):
    """Read a text, from the start or on from a state."""

    text: Text
    state: str | None = None
    """The `state` of an earlier response; None is the start."""


R = TypeVar("R", bound=Request)


def with_sampling(request: type[R]) -> type[R]:
    """`request` with a field for each one of `Sampling`."""
    hints = get_type_hints(Sampling)
    settings: dict[str, Any] = {name: (hints[name], default) for name, default in asdict(UNFILTERED).items()}
    return create_model(request.__name__, __base__=request, **settings)


class SamplingRequest(Request):
    """A request whose further fields are those of `Sampling`."""

    @property
    def sampling(self) -> Sampling:
        """The fields of `Sampling`. Raises InputError for a value out of its bounds."""
        return Sampling(**self.model_dump(include=set(asdict(UNFILTERED))))


@with_sampling
class NextRequest(SamplingRequest):
    """The distribution of the character after a prompt, and that of sampling with these settings."""

    prompt: Text = ""
    state: str | None = None
    top: Annotated[int, Field(ge=1)] | None = None
    """How many characters to return; None is all."""


@with_sampling
class GenerateRequest(SamplingRequest):
    """Continue a prompt; the fields are those of `CharModel.stream`."""

    prompt: Text = ""
    state: str | None = None
    length: Annotated[int, Field(ge=1, le=LONGEST_WRITING)] = 400
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = []
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    """None is 0, or after a `state` continues that state's random generator."""
    follow: bool = False
    """Respond with lines of JSON: each piece of text with the distribution after it, and in the end the state."""


class CompleteRequest(Request):
    """The likeliest ways to finish a word or a line."""

    prompt: Text = ""
    state: str | None = None
    unit: Unit = "word"
    count: Annotated[int, Field(ge=1, le=MOST)] = 5


class ScoreRequest(Request):
    """Bits per character of a text, and of each of its characters."""

    text: Text


class ExchangeRequest(Request):
    """How much the prediction after a text depends on each of its last characters."""

    text: Text
    back: Annotated[int, Field(ge=1, le=FARTHEST_BACK)] = BACK
    alternatives: Annotated[int, Field(ge=1, le=4)] = ALTERNATIVES
