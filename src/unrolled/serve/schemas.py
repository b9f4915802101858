"""What can be asked of the server, field by field, with the bounds that keep one request from using up the machine.

Settings of sampling have no bounds here: those are checked, and worded, in `unrolled.model.sampling`. Left out: the
answers (`answers`), the size of a body as a whole (`gate`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from unrolled.model.attribution import ALTERNATIVES, BACK
from unrolled.text.vocabulary import OnUnknown

LONGEST_TEXT = 1 << 16
"""Characters of a prompt or a text: as many as are scored in one go."""
LONGEST_WRITING = 20_000
"""Characters that one request may let the network write."""
FARTHEST_BACK = 200
"""Characters that one request may exchange: it takes time in the square of them."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Stop = Annotated[str, Field(max_length=200)]


class Asked(BaseModel):
    """A JSON object with these fields and no others, each of just this type."""

    model_config = ConfigDict(strict=True, extra="forbid")

    unknown: OnUnknown = "error"
    """What to do with a character that the model does not know."""


class ReadAsked(Asked):
    """Read a text, from the start or on from a state, and keep the place."""

    text: Text
    state: str | None = None
    """What an earlier `read` answered; None is the start."""


class NextAsked(Asked):
    """The distribution of the character after a prompt."""

    prompt: Text = ""
    state: str | None = None
    top: Annotated[int, Field(ge=1)] | None = None
    """How many characters to tell; None is all."""


class GenerateAsked(Asked):
    """Write on after a prompt; the settings are those of `CharModel.stream`."""

    prompt: Text = ""
    state: str | None = None
    length: Annotated[int, Field(ge=1, le=LONGEST_WRITING)] = 400
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition: float | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = []
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    """None is 0, or after a `state` goes on with that state's random generator."""


class ScoreAsked(Asked):
    """Bits per character of a text, and of each of its characters."""

    text: Text


class ExchangeAsked(Asked):
    """What the prediction after a text owes to each of its last characters."""

    text: Text
    back: Annotated[int, Field(ge=1, le=FARTHEST_BACK)] = BACK
    alternatives: Annotated[int, Field(ge=1, le=4)] = ALTERNATIVES
