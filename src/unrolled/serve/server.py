"""The process that listens: a socket, bound before the address is printed, and uvicorn on it until it is stopped.

Left out: the routes (`app`).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Any

import uvicorn

from unrolled.errors import InputError
from unrolled.serve.app import app_for
from unrolled.serve.connections import TimedConnection
from unrolled.serve.middleware import RequestGuard
from unrolled.serve.service import Service

LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""Names of a server that only this machine can reach."""
SECONDS = 1
"""Time for requests to end after Ctrl-C before they are cancelled."""


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0 is any free one); raises InputError where that is not possible."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}, but must be from 0 (any that is free) to 65,535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return _listening(family, address)
    except (OSError, UnicodeError) as error:
        raise InputError(_reason(host, port, error)) from None


def address_of(listening: socket.socket) -> str:
    """The URL of the server."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def serve(service: Service, listening: socket.socket, password: str | None = None) -> None:
    """Serve until SIGINT, which raises KeyboardInterrupt at the end, or SIGTERM; every request needs the `password`."""
    app = app_for(service, lambda: server.should_exit)
    names = {*LOCAL, listening.getsockname()[0]} if is_local(listening) else None
    config = uvicorn.Config(
        RequestGuard(app, names, password),
        log_level="critical",  # bugs are printed by `app`; the rest are clients that disconnected
        access_log=False,
        proxy_headers=False,
        server_header=False,
        http=TimedConnection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        timeout_graceful_shutdown=SECONDS,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])


def _listening(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    """A socket that is declared as TCP: on others, asyncio sends small responses up to 40 ms late."""
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # else a port could not be used again for a minute after Ctrl-C
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _reason(host: str, port: int, error: OSError | UnicodeError) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror | UnicodeError) or code == errno.EADDRNOTAVAIL:
        return f"--host is {host!r}, which is not a name or address of this machine"
    if code == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop what uses it, or choose another with --port (0 is any free one)"
    return f"port {port} of {host} cannot be used: {error.strerror}"
