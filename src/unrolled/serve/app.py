"""The routes of the server: the three files of the page, and the endpoints under /api, which run in threads.

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
from importlib.resources import files
from typing import Annotated, Any, get_type_hints

import anyio.to_thread
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from unrolled.errors import UnrolledError, unknown_name
from unrolled.serve.middleware import error
from unrolled.serve.schemas import (
    CompleteRequest,
    ExchangeRequest,
    GenerateRequest,
    NextRequest,
    ReadRequest,
    ScoreRequest,
)
from unrolled.serve.service import Service

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
MAPPED = 1000
"""Largest number of characters in one map."""
THREADS = 4
"""Requests that are computed at the same time; others wait."""
PIECE_SECONDS = 0.02
"""How long characters are collected before they are sent: a message each would cost more than the characters."""

FOLLOW_SECONDS = 0.1
"""The same where each piece comes with a distribution, which is drawn."""


def app_for(service: Service, closing: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application; what it streams ends when `closing` says so."""
    app = FastAPI(title="unrolled", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    for path in PAGE:
        app.get(path)(_page(path))
    _add_endpoints(app, service, closing)
    app.exception_handler(UnrolledError)(_user_error)
    app.exception_handler(RequestValidationError)(_invalid_body)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_internal_error)
    return app


def _add_endpoints(app: FastAPI, service: Service, closing: Callable[[], bool]) -> None:
    """One plain function an endpoint, which the framework runs in a thread."""

    @app.get("/api/model")
    def model() -> dict[str, Any]:
        return service.facts

    @app.get("/api/characters")
    def characters(most: Annotated[int, Query(ge=1, le=MAPPED)] = 72) -> dict[str, Any]:
        return service.characters(most)

    @app.post("/api/next")
    def next_character(body: NextRequest) -> dict[str, Any]:
        return service.next(body)

    @app.post("/api/generate")
    def generate(body: GenerateRequest) -> Response:
        if body.follow:
            lines = service.follow(body, lambda written: in_pieces(written, closing, FOLLOW_SECONDS))
            written = (json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            return StreamingResponse(written, media_type="application/x-ndjson")
        return StreamingResponse(in_pieces(service.generate(body), closing), media_type="text/plain; charset=utf-8")

    @app.post("/api/complete")
    def complete(body: CompleteRequest) -> dict[str, Any]:
        return service.complete(body)

    @app.post("/api/score")
    def score(body: ScoreRequest) -> dict[str, Any]:
        return service.score(body)

    @app.post("/api/exchange")
    def exchange(body: ExchangeRequest) -> dict[str, Any]:
        return service.exchange(body)

    @app.post("/api/read")
    def read(body: ReadRequest) -> dict[str, Any]:
        return service.read(body)


def in_pieces(characters: Iterator[str], closing: Callable[[], bool], seconds: float = PIECE_SECONDS) -> Iterator[str]:
    """The first character at once, and then what was written in `seconds` together."""
    written, due = [], 0.0
    for character in characters:
        written.append(character)
        if time.monotonic() >= due:
            yield "".join(written)
            if closing():
                return
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


def _user_error(request: Request, raised: Exception) -> Response:
    return error(400, f"{raised}")


def _http_error(request: Request, raised: Exception) -> Response:
    assert isinstance(raised, HTTPException)
    if raised.status_code == 404:
        return error(404, f"there is nothing at {request.url.path}: the page is at /, and docs/serve.md lists the rest")
    if raised.status_code == 405:
        return error(405, f"{request.url.path} does not accept {request.method}: requests with a body are POST")
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
    return list(get_type_hints(request.scope["endpoint"])["body"].model_fields)


def _internal_error(request: Request, raised: Exception) -> Response:
    """A bug: the client gets one sentence, the terminal the traceback."""
    traceback.print_exception(raised, file=sys.stderr)
    return error(500, "the server failed at this request; its terminal shows where")
