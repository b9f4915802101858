"""The gate every request passes: whose name the server is called by, how large a body is, and what a page may do.

A page from elsewhere cannot use a server on this machine: its requests carry another name in `Host` (a name that was
bent to point here), or a body that is no JSON, which browsers let pass unasked. Written against plain ASGI, so that a
stream still learns of it when its client has gone. Left out: what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 1 << 20
"""Bytes: a text of the longest kind, with every character written as an escape."""
SECONDS = 20.0
"""Time for a body to arrive."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not let in: its status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Gate:
    """`app` behind the gate. `names` are those the server answers to, None is any."""

    def __init__(self, app: ASGIApp, names: Collection[str] | None) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand on what is none (the start and the end of the server)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check_name(Headers(scope=scope))
            if scope["method"] == "POST":
                receive = await _with_whole_body(Headers(scope=scope), receive)
        except Refused as refused:
            answer = error(refused.status, f"{refused}")
            answer.headers["Connection"] = "close"  # the rest of the body is not read
            await answer(scope, receive, _with_headers(send))
            return
        await self.app(scope, receive, _with_headers(send))

    def _check_name(self, headers: Headers) -> None:
        name = _without_port(headers.get("host", ""))
        if self.names is not None and name not in self.names:
            raise Refused(421, f"this server is not called {name!r}: open it by the address that it printed")


def error(status: int, sentence: str) -> JSONResponse:
    """An error as clients get it: one sentence."""
    return JSONResponse({"error": sentence}, status)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent


async def _with_whole_body(headers: Headers, receive: Receive) -> Receive:
    """`receive` as it is after the body was read and found good; gives the body first."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be JSON: send it with the header Content-Type: application/json")
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > LARGEST_BODY:
        raise Refused(413, _too_large())
    try:
        async with asyncio.timeout(SECONDS):
            body = await _read(receive)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {SECONDS:.0f} seconds") from None
    replay: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return replay.pop() if replay else await receive()

    return received


async def _read(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the body ended before it was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > LARGEST_BODY:
            raise Refused(413, _too_large())
    return b"".join(parts)


def _too_large() -> str:
    return f"the body is larger than the {LARGEST_BODY:,} bytes that are read: send a shorter text"
