"""Checks of every request before its route: how many there are, the host name, the password, the size of the body.

A page of another site cannot use a server on this machine: its requests carry another name in `Host` (DNS rebinding),
or a body that is not declared as JSON, which browsers send without asking the server first. Written against plain ASGI,
so that what is computed for a request ends when its client disconnects. Left out: the content of the body.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unrolled.serve.disconnect import watched
from unrolled.serve.schemas import Error

REQUESTS = 512
"""Handled or waiting at the same time; further ones are refused with Retry-After."""
RETRY_SECONDS = 2
"""The value of Retry-After."""
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
    """A request that is refused, with its status, one sentence and further headers."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = {**(headers or {}), "Connection": "close"}  # the rest of the body is not read


class RequestGuard:
    """ASGI middleware around `app`. `names` are the host names that are accepted; None accepts any.

    With a `password`, every request must carry it: as a bearer token, which is where clients put an API key, or as the
    password of HTTP's basic authentication, for which browsers ask once.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] | None, password: str | None = None) -> None:
        self.app = app
        self.names = names
        self.password = password
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass on what is none (the start and the end of the server)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(send)
        self.count += 1
        try:
            body = await self._body(scope, receive)
        except Refused as refused:
            await error(refused.status, f"{refused}", refused.headers)(scope, receive, send)
        else:
            async with watched(body, receive) as remaining:
                await self.app(scope, remaining, send)
        finally:
            self.count -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request that may be handled. Raises Refused for others."""
        headers = Headers(scope=scope)
        if self.count > REQUESTS:
            retry = {"Retry-After": f"{RETRY_SECONDS}"}
            raise Refused(503, f"{REQUESTS} requests are waiting already: try again in a moment", retry)
        if (
            "content-length" in headers and "transfer-encoding" in headers
        ):  # servers before this one may see another end
            raise Refused(400, "the request has two lengths: send either Content-Length or Transfer-Encoding")
        self._check_name(headers)
        self._check_password(headers.get("authorization", ""))
        return await _whole_body(headers, receive) if scope["method"] == "POST" else b""

    def _check_name(self, headers: Headers) -> None:
        name = _without_port(headers.get("host", ""))
        if self.names is not None and name not in self.names:
            raise Refused(421, f"this server does not answer to {name!r}: use the address that it printed")

    def _check_password(self, given: str) -> None:
        if self.password is not None and not hmac.compare_digest(_password(given), self.password.encode()):
            asked = {"WWW-Authenticate": 'Basic realm="unrolled", charset="UTF-8"'}
            raise Refused(401, "this server wants its password: send it as Authorization: Bearer PASSWORD", asked)


def error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error response: one sentence in JSON."""
    return JSONResponse(error_body(status, sentence), status, headers)


def error_body(status: int, sentence: str) -> Error:
    """The body of an error response, in the form of OpenAI's."""
    return {"error": {"message": sentence, "type": "invalid_request_error" if status < 500 else "server_error"}}


def _password(authorization: str) -> bytes:
    """The password in an Authorization header; empty where there is none."""
    kind, _, given = authorization.partition(" ")
    if kind.lower() != "basic":
        return given.encode("latin-1")
    try:
        return base64.b64decode(given).partition(b":")[2]
    except ValueError:
        return b""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent


async def _whole_body(headers: Headers, receive: Receive) -> bytes:
    """The body, read to its end or to its bound."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be JSON: send it with the header Content-Type: application/json")
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > LARGEST_BODY:
        raise Refused(413, _too_large())
    try:
        async with asyncio.timeout(SECONDS):
            return await _read(receive)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {SECONDS:.0f} seconds") from None


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
