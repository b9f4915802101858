"""The server's addresses: three files of the page, and the questions under /api, each put to `Answers` in a thread.

Every error is one sentence in JSON, the same that the command line prints. Left out: who is let in (`gate`), and the
process that listens (`server`).
"""

from __future__ import annotations

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

from unrolled.errors import MissingExtraError, UnrolledError, unknown_name
from unrolled.serve.middleware import error
from unrolled.serve.schemas import ExchangeAsked, GenerateAsked, NextAsked, ReadAsked, ScoreAsked
from unrolled.serve.service import Answers

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
MAPPED = 1000
"""Characters on one map at most."""
THREADS = 4
"""Requests that compute at the same time; others wait for their turn."""
PIECE_SECONDS = 0.02
"""How long characters are collected before they are sent: a message for each would cost more than to write it."""


def app_for(answers: Answers, closing: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application; what it streams ends when `closing` says so."""
    app = FastAPI(title="unrolled", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    for path in PAGE:
        app.get(path)(_page(path))
    _add_questions(app, answers, closing)
    app.exception_handler(UnrolledError)(_explained)
    app.exception_handler(RequestValidationError)(_wrongly_asked)
    app.exception_handler(HTTPException)(_no_such_address)
    app.exception_handler(Exception)(_broken)
    return app


def _add_questions(app: FastAPI, answers: Answers, closing: Callable[[], bool]) -> None:
    """Plain functions, which the framework runs in threads."""

    @app.get("/api/model")
    def model() -> dict[str, Any]:
        return answers.facts

    @app.get("/api/characters")
    def characters(most: Annotated[int, Query(ge=1, le=MAPPED)] = 72) -> dict[str, Any]:
        return answers.characters(most)

    @app.post("/api/next")
    def next_character(asked: NextAsked) -> dict[str, Any]:
        return answers.next(asked)

    @app.post("/api/generate")
    def generate(asked: GenerateAsked) -> Response:
        return StreamingResponse(in_pieces(answers.written(asked), closing), media_type="text/plain; charset=utf-8")

    @app.post("/api/score")
    def score(asked: ScoreAsked) -> dict[str, Any]:
        return answers.score(asked)

    @app.post("/api/exchange")
    def exchange(asked: ExchangeAsked) -> dict[str, Any]:
        return answers.exchange(asked)

    @app.post("/api/read")
    def read(asked: ReadAsked) -> dict[str, Any]:
        return answers.read(asked)


def in_pieces(characters: Iterator[str], closing: Callable[[], bool]) -> Iterator[str]:
    """The first character at once, and then what was written in `PIECE_SECONDS` together."""
    written, due = [], 0.0
    for character in characters:
        written.append(character)
        if time.monotonic() >= due:
            yield "".join(written)
            if closing():
                return
            written.clear()
            due = time.monotonic() + PIECE_SECONDS
    yield "".join(written)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _page(path: str) -> Callable[[], Response]:
    name, media_type = PAGE[path]
    content = files("unrolled.serve").joinpath("page", name).read_bytes()
    return lambda: Response(content, media_type=media_type)


def _explained(request: Request, raised: Exception) -> Response:
    return error(501 if isinstance(raised, MissingExtraError) else 400, f"{raised}")


def _no_such_address(request: Request, raised: Exception) -> Response:
    assert isinstance(raised, HTTPException)
    if raised.status_code == 404:
        return error(404, f"there is nothing at {request.url.path}: the page is at /, and docs/serve.md lists the rest")
    if raised.status_code == 405:
        return error(405, f"{request.url.path} does not answer {request.method}: questions with a text are POST")
    return error(raised.status_code, "the body is not JSON in UTF-8")


def _wrongly_asked(request: Request, raised: Exception) -> Response:
    """The first thing that is wrong with a body, in one sentence."""
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
    """The names that a body for the address of `request` may hold."""
    return list(get_type_hints(request.scope["endpoint"])["asked"].model_fields)


def _broken(request: Request, raised: Exception) -> Response:
    """A fault of ours: the client gets a sentence, the terminal where it happened."""
    traceback.print_exception(raised, file=sys.stderr)
    return error(500, "the server failed at this request, and its terminal says where")
