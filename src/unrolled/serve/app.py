"""The routes of the server: the three files of the page, and the endpoints, which run in threads.

Every error is one sentence in JSON, the same that the command line prints. Left out: checks of the request as such
(`middleware`), and the process that listens (`server`).
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from typing import Any, get_type_hints

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from unrolled.errors import UnrolledError, unknown_name
from unrolled.serve import schemas
from unrolled.serve.completions import Completions
from unrolled.serve.disconnect import Disconnected
from unrolled.serve.middleware import error, error_body
from unrolled.serve.schemas import GenerateRequest
from unrolled.serve.service import Service

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
THREADS = 4
"""Requests that are computed at the same time; others wait."""
PIECE_SECONDS = 0.02
"""How long characters are collected before they are sent: a message each would cost more than the characters."""
FOLLOW_SECONDS = 0.1
"""The same where each piece comes with a distribution, which is drawn."""
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Error} for status in (400, 401, 408, 413, 415, 421, 422, 500, 503)
}
"""Every endpoint may respond with these; `error` makes them."""


def app_for(service: Service, closing: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application; what it streams ends when `closing` says so."""
    app = FastAPI(
        title="unrolled",
        version=version("unrolled"),
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        responses=ERRORS,
    )
    for path in PAGE:
        app.get(path, include_in_schema=False)(_page(path))
    _add_endpoints(app, service, closing)
    _add_completions(app, Completions(service), closing)
    app.exception_handler(UnrolledError)(lambda request, raised: error(400, f"{raised}"))
    app.exception_handler(RequestValidationError)(_invalid_body)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Disconnected)(lambda request, raised: Response(status_code=499))  # nobody reads this
    app.exception_handler(Exception)(lambda request, raised: error(500, _of_a_bug(raised)))
    return app


def _add_endpoints(app: FastAPI, service: Service, closing: Callable[[], bool]) -> None:
    """The endpoints under /api. The framework runs plain functions in threads, which may be waited for."""

    @app.get("/api/model")
    async def model() -> dict[str, Any]:
        """Name, sizes, vocabulary, training and validation figures of the model, and the limits of requests."""
        return service.facts

    app.get("/api/characters")(service.characters)
    for method in (service.next, service.read, service.complete, service.score, service.exchange):
        app.post(f"/api/{method.__name__}")(method)

    @app.post("/api/generate", responses=_streams("text/plain", "application/x-ndjson"), response_class=Response)
    def generate(request: GenerateRequest) -> Response:
        """Continue a text, streamed as it is written: plain text, or with `follow` lines of JSON."""
        if request.follow:
            lines = service.follow(request, lambda written: in_pieces(written, closing, FOLLOW_SECONDS))
            return _stream(map(_line, lines), _line, "application/x-ndjson")
        pieces = in_pieces(service.generate(request), closing)
        return _stream(pieces, lambda told: f"\n{_line(told)}", "text/plain; charset=utf-8")


def _add_completions(app: FastAPI, completions: Completions, closing: Callable[[], bool]) -> None:
    """The endpoints of OpenAI's clients, and those by which lm-evaluation-harness finds a tokenizer."""
    app.get("/v1/models")(completions.models)
    app.get("/tokenizer_info")(completions.tokenizer_info)
    app.post("/tokenize")(completions.tokenize)
    app.post("/detokenize")(completions.detokenize)

    @app.post("/v1/completions", responses=_streams("text/event-stream"), response_model=schemas.Completion)
    def complete(request: schemas.CompletionRequest) -> Any:
        """Continue prompts; with `stream` as server-sent events, the last of which is [DONE]."""
        if not request.stream:
            return completions.complete(request)
        usage = request.stream_options is not None and request.stream_options.include_usage
        events = completions.stream(request, lambda written: in_pieces(written, closing))
        first = next(events)  # a request that cannot be fulfilled is refused here
        shown = (event for event in chain([first], events) if event["choices"] or usage)
        return _stream(chain(map(_event, shown), ["data: [DONE]\n\n"]), _event, "text/event-stream")


def _streams(*media_types: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {} for media_type in media_types}}}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _event(value: Any) -> str:
    return f"data: {_line(value)}\n"


def _stream(parts: Iterator[str], told: Callable[[Any], str], media_type: str) -> StreamingResponse:
    """A response that is sent as it is made; `told` writes an error on the way as its last part."""

    def sent() -> Iterator[str]:
        try:
            yield from parts
        except Disconnected:
            return
        except UnrolledError as raised:
            yield told(error_body(500, f"{raised}"))
        except Exception as raised:
            yield told(error_body(500, _of_a_bug(raised)))

    return StreamingResponse(sent(), media_type=media_type)


def in_pieces(characters: Iterator[str], closing: Callable[[], bool], seconds: float = PIECE_SECONDS) -> Iterator[str]:
    """The first character at once, and then what was written in `seconds` together."""
    written, due = [], 0.0
    for character in characters:
        written.append(character)
        if time.monotonic() >= due:
            yield "".join(written)
            if closing():
                raise UnrolledError("the server is being stopped: the text ends before its end")
            written.clear()
            due = time.monotonic() + seconds
    yield "".join(written)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _page(path: str) -> Callable[[], Response]:
    name, media_type = PAGE[path]
    content = files("unrolled.serve").joinpath("page", name).read_bytes()
    return lambda: Response(content, media_type=media_type)


def _http_error(request: Request, raised: Exception) -> Response:
    assert isinstance(raised, HTTPException)
    if raised.status_code == 404:
        return error(404, f"there is nothing at {request.url.path}: the page is at /, and docs/serve.md lists the rest")
    if raised.status_code == 405:
        sentence = f"{request.url.path} does not accept {request.method}: requests with a body are POST"
        return error(405, sentence, raised.headers)
    return error(raised.status_code, "the body is not JSON in UTF-8")


def _invalid_body(request: Request, raised: Exception) -> Response:
    """The first error in a body, in one sentence."""
    assert isinstance(raised, RequestValidationError)
    first = raised.errors()[0]
    if first["type"] == "json_invalid":
        return error(400, "the body is not JSON in UTF-8")
    where = [str(part) for part in first["loc"] if part not in ("body", "query")]
    if not where:
        return error(422, "the body must be one JSON object")
    if first["type"] == "extra_forbidden":
        return error(422, f"{unknown_name('field', where[0], _fields(request))}")
    return error(422, f"{where[0]}: {first['msg'][:1].lower()}{first['msg'][1:]}")


def _fields(request: Request) -> list[str]:
    """The names of the fields in a body for the endpoint of `request`."""
    return list(get_type_hints(request.scope["endpoint"])["request"].model_fields)


def _of_a_bug(raised: Exception) -> str:
    """The message to the client about a bug; the traceback goes to the terminal."""
    traceback.print_exception(raised, file=sys.stderr)
    return "the server failed at this request; its terminal shows where"
