"""The bodies of requests and responses, field by field: what `/openapi.json` says.

Bounds keep one request from exhausting the machine. The fields of `Sampling` are added from that class, which checks
their bounds. Left out: the size of a body as a whole (`middleware`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, NotRequired, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypedDict

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

MOST_PROMPTS = 1024
DEFAULT_TOKENS = 16
"""As OpenAI's `max_tokens`."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Stop = Annotated[str, Field(max_length=200)]
Seed = Annotated[int, Field(ge=0, lt=1 << 64)]
Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=LONGEST_TEXT + 1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Mapped = Annotated[int, Field(ge=1, le=1000)]
"""How many characters are on one map."""


class Request(BaseModel):
    """A JSON object with these fields and no others, each of exactly this type."""

    model_config = ConfigDict(strict=True, extra="forbid")

    unknown: OnUnknown = "error"
    """What to do with a character that the model does not know."""


StateText = Annotated[str, Field(description="The `state` of an earlier response, unchanged.")]


class PromptRequest(Request):
    """A question about the place after a prompt."""

    prompt: Text = ""
    state: StateText | None = None


class ReadRequest(Request):
    """Read a text, from the start or on from a state."""

    text: Text
    state: StateText | None = None


class ScoreRequest(ReadRequest):
    """Bits per character of a text, and of each of its characters."""


class ExchangeRequest(ReadRequest):
    """How much the prediction after a text depends on each of its last characters."""

    back: Annotated[int, Field(ge=1, le=FARTHEST_BACK)] = BACK
    alternatives: Annotated[int, Field(ge=1, le=4)] = ALTERNATIVES


class CompleteRequest(PromptRequest):
    """The likeliest ways to finish a word or a line."""

    unit: Unit = "word"
    count: Annotated[int, Field(ge=1, le=MOST)] = 5


R = TypeVar("R", bound=Request)


def with_sampling(request: type[R]) -> type[R]:
    """`request` with a field for each one of `Sampling`."""
    hints = get_type_hints(Sampling)
    settings: dict[str, Any] = {name: (hints[name], default) for name, default in asdict(UNFILTERED).items()}
    return create_model(request.__name__, __base__=request, **settings)


@with_sampling
class SamplingRequest(Request):
    """A request whose further fields are those of `Sampling`."""

    @property
    def sampling(self) -> Sampling:
        """The fields of `Sampling`. Raises InputError for a value out of its bounds."""
        given = self.model_dump(include=set(asdict(UNFILTERED)), exclude_none=True)
        return Sampling(**given)


class NextRequest(PromptRequest, SamplingRequest):
    """The distribution of the character after a prompt, and that of sampling with these settings."""

    top: Annotated[int, Field(ge=1)] | None = None
    """How many characters to return; None is all."""


class GenerateRequest(PromptRequest, SamplingRequest):
    """Continue a prompt; the fields are those of `CharModel.stream`."""

    length: Annotated[int, Field(ge=1, le=LONGEST_WRITING)] = 400
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = []
    seed: Seed | None = None
    """None is 0, or after a `state` continues that state's random generator."""
    follow: bool = False
    """Respond with lines of JSON: each piece of text with the distribution after it, and in the end the state."""


class StreamOptions(BaseModel):
    """What a stream of completions ends with."""

    include_usage: bool | None = False


class CompletionRequest(SamplingRequest):
    """Continue prompts, as the clients of OpenAI's interface ask for it: null is the default of every field.

    Other fields are accepted and have no effect. Those that would change the text and are not offered must be neutral.
    """

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    """Not looked at: a server has one model."""
    prompt: Text | Annotated[list[Text], Field(max_length=MOST_PROMPTS)] | Ids | list[Ids] | None = None
    """A text, a list of texts, the ids of a text, or a list of those."""
    max_tokens: Annotated[int, Field(ge=0, le=LONGEST_WRITING)] | None = DEFAULT_TOKENS
    temperature: float | None = 1.0
    seed: Seed | None = None
    """None is another one in every request."""
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    echo: bool | None = False
    """Begin with the prompt."""
    logprobs: Annotated[int, Field(ge=0)] | None = None
    """How many of the likeliest ids to return at each place, up to the whole vocabulary."""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = 1
    best_of: Annotated[int, Field(ge=1, le=1)] | None = 1
    suffix: Annotated[str, Field(max_length=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = 0.0
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = 0.0
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None


class TokenizeRequest(Request):
    """The ids of a text; by default a character that the model does not know is id 0."""

    model_config = ConfigDict(extra="ignore")

    prompt: Text
    add_special_tokens: bool = False
    """Begin with the id of the start."""
    unknown: OnUnknown = "replace"


class DetokenizeRequest(BaseModel):
    """The text of ids."""

    model_config = ConfigDict(strict=True)

    tokens: Ids


class ErrorText(TypedDict):
    """What is wrong, in one sentence."""

    message: str
    type: str


class Error(TypedDict):
    """The response to a request that is refused."""

    error: ErrorText


class Likely(TypedDict):
    """A character, how likely it is, and with settings how likely it is drawn."""

    character: str
    probability: Finite
    drawn: NotRequired[Finite]


class Next(TypedDict):
    """What comes next, most likely first."""

    prompt: str
    next: list[Likely]


class Following(TypedDict):
    """A line of a generated text that is followed: a piece, what comes next, and in the last line the state."""

    text: str
    next: list[Likely]
    state: NotRequired[str | None]


class Ending(TypedDict):
    """A way to finish a word or a line."""

    text: str
    probability: Finite


class Complete(TypedDict):
    """The likeliest ways to finish a word or a line."""

    prompt: str
    completions: list[Ending]


class Scored(TypedDict):
    """The figures of `unrolled score --json`, the text as it was read, and the bits of each character."""

    characters: int
    nats: Finite
    bits: Finite
    gzip_bits: Finite
    xz_bits: Finite
    unknown: int
    rule: str
    alone: NotRequired[dict[str, Finite]]
    text: str
    each: list[Finite]


class Exchanged(TypedDict):
    """The effect of each of the last characters, in bits, and the likeliest replacement of each."""

    start: int
    characters: str
    bits: list[Finite]
    instead: list[str]


class Read(TypedDict):
    """A state, and how many characters led to it."""

    position: int
    state: str


class Point(TypedDict):
    """A character in the plane."""

    character: str
    x: Finite
    y: Finite
    kind: str
    count: int
    nearest: list[str]


class Map(TypedDict):
    """The most frequent characters `of` so many, and the share of the variance that each axis explains."""

    points: list[Point]
    explained: list[Finite]
    of: int


class Logprobs(TypedDict):
    """Tokens with their log-probabilities in nats; null where nothing predicts a token, as at the start."""

    tokens: list[str]
    token_logprobs: list[Finite | None]
    top_logprobs: list[dict[str, Finite] | None]
    text_offset: list[int]


class Choice(TypedDict):
    """A text, or a part of one."""

    index: int
    text: str
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"] | None


class Usage(TypedDict):
    """Numbers of ids."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(TypedDict):
    """Completions of all prompts, or one event of a stream of them."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: NotRequired[Usage | None]


class ModelCard(TypedDict):
    """The model that is served."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    """All models: one."""

    object: Literal["list"]
    data: list[ModelCard]


class TokenizerInfo(TypedDict):
    """The special tokens: one character stands for the start and the end of a text, and encodes to one id above 0."""

    bos_token: str
    eos_token: str
    vocab_size: int


class Tokens(TypedDict):
    """The ids of a text."""

    tokens: list[int]
    count: int
    max_model_len: int


class Detokenized(TypedDict):
    """The text of ids."""

    prompt: str
