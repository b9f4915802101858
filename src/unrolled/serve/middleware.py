"""Checks of every request before its route: the host name it was sent to, and the size of its body.

A page of another site cannot use a server on this machine: its requests carry another name in `Host` (DNS rebinding),
or a body that is not declared as JSON, which browsers send without asking the server first. Written against plain ASGI,
so that a streaming response still notices when its client has disconnected. Left out: the content of the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 1 << 20
"""Bytes: enough for the longest text with every character escaped."""
SECONDS = 20.0
"""Seconds for a body to arrive."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is refused, with its status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class RequestGuard:
    """ASGI middleware around `app`. `names` are the host names that are accepted; None accepts any."""

    def __init__(self, app: ASGIApp, names: Collection[str] | None) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass on what is none (the start and the end of the server)."""
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
            raise Refused(421, f"this server does not answer to {name!r}: use the address that it printed")


def error(status: int, sentence: str) -> JSONResponse:
    """An error response: one sentence in JSON."""
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
    """Read and check the body; returns a `receive` that gives it again."""
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
            raise Refused(400, "the body ended before it was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > LARGEST_BODY:
            raise Refused(413, _too_large())
    return b"".join(parts)


def _too_large() -> str:
    return f"the body is larger than the {LARGEST_BODY:,} bytes that are read: send a shorter text"
