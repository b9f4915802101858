"""Many connections, silent ones, slow ones and foreign ones: whoever asks is answered, or told when to come back."""

import asyncio
import base64
import contextlib
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from serve.conftest import MODEL, PASSWORD
from serve.running import Running
from unrolled.cli.app import main
from unrolled.errors import InputError
from unrolled.serve import connections, middleware
from unrolled.serve import server as serving
from unrolled.serve.app import app_for
from unrolled.serve.middleware import RequestGuard
from unrolled.serve.schemas import NextRequest, ReadRequest
from unrolled.serve.service import Service

ASKED = b'{"prompt": "the cat"}'
REQUEST = (
    b"POST /api/next HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ASKED), ASKED)
)


async def answers(port: int, count: int) -> list[bytes]:
    """What `count` connections that are opened before any of them asks are answered."""
    opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(count)))

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(REQUEST)
        answer = await reader.read()
        writer.close()
        return answer

    return await asyncio.gather(*(ask(*pair) for pair in opened))


@contextlib.contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that ask nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(count)]


@pytest.mark.parametrize("count", [120, 500])
def test_everyone_of_many_at_once_is_answered_beside_silent_ones(server: Running, count: int) -> None:
    with silent(server.port, 100):
        found = asyncio.run(answers(server.port, count))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in found)
    (body,) = {answer.partition(b"\r\n\r\n")[2] for answer in found}
    assert [row["character"] for row in json.loads(body)["next"]] == [c for c, _ in MODEL.next("the cat")]


def test_more_than_the_line_holds_are_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "REQUESTS", 3)

    async def statuses() -> list[httpx.Response]:
        busy = asyncio.Event()

        async def slow(scope, receive, send):
            await busy.wait()
            await middleware.error(404, "done")(scope, receive, send)

        transport = httpx.ASGITransport(RequestGuard(slow, None))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asking = [asyncio.create_task(client.get("/")) for _ in range(5)]
            refused, _ = await asyncio.wait(asking[3:], timeout=60)
            busy.set()
            await asyncio.gather(*asking)
        return [task.result() for task in refused]

    for answer in asyncio.run(statuses()):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["type"] == "server_error"


@contextlib.contextmanager
def hasty() -> Iterator[uvicorn.Server]:
    """A server in this process, in which the constants of `connections` can be set."""
    app, http = app_for(Service(MODEL, "hasty")), connections.TimedConnection
    config = uvicorn.Config(app, log_level="critical", http=http, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    with serving.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield server
        finally:
            server.should_exit = True
            thread.join(60)


def test_whoever_lets_it_wait_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    heads = [b"", b"GET /api/model HTTP/1.1\r\nHost: loc", b"GET /api/model HTTP/1.1\r\nHost: l\r\n\r\nGET / HT"]
    with hasty() as server, silent(port_of(server), len(heads)) as opened:
        for one, head in zip(opened, heads, strict=True):
            one.sendall(head)
        for one in opened:
            with contextlib.suppress(ConnectionResetError):
                while one.recv(1 << 16):
                    pass


def test_responses_that_are_not_taken_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    asked = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 600  # 19 MB: more than any buffer holds
    with hasty() as server, silent(port_of(server), 1) as (opened,):
        opened.sendall(asked)
        wait_for(lambda: server.server_state.total_requests)
        wait_for(lambda: not server.server_state.connections)
        assert server.server_state.total_requests < 600


def wait_for(happened: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def port_of(server: uvicorn.Server) -> int:
    return server.servers[0].sockets[0].getsockname()[1]


def test_the_longest_silent_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 10)
    with hasty() as server, silent(port_of(server), 10) as opened:
        time.sleep(0.2)
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in asyncio.run(answers(port_of(server), 1)))
        opened[0].settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            assert opened[0].recv(1) == b""


def test_a_body_with_two_lengths_ends_the_connection(server: Running) -> None:
    head = REQUEST.replace(b"Connection: close", b"Transfer-Encoding: chunked").partition(b"\r\n\r\n")[0]
    with socket.create_connection(("127.0.0.1", server.port), 60) as opened:
        opened.sendall(head + b"\r\n\r\n0\r\n\r\nGET /api/model HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: opened.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


LONG = "the cat sat " * 5_000


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time of another process is read in /proc")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/score", {"text": LONG}),
        ("/api/exchange", {"text": LONG}),
        ("/api/generate", {"prompt": LONG}),
        ("/v1/completions", {"prompt": LONG, "echo": True, "logprobs": 1}),
        ("/v1/completions", {"max_tokens": 20_000}),
    ],
)
def test_what_nobody_waits_for_is_not_computed(server: Running, path: str, body: dict) -> None:
    """The first request of a server also pays for what is loaded for it."""
    assert min(computed_for_nobody(server, path, body) for _ in range(2)) <= 0.05


def computed_for_nobody(server: Running, path: str, body: dict) -> float:
    """Processor seconds that the server spends on a request after its client has gone."""
    sent = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}"
    before = processor_seconds(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port), 60) as opened:
        opened.sendall(head.encode() + b"\r\n\r\n" + sent)
        while processor_seconds(server.process.pid) < before + 0.1:
            time.sleep(0.01)
        opened.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is still computing
            opened.recv(1)
    left, used = processor_seconds(server.process.pid), math.inf
    while (now := processor_seconds(server.process.pid)) != used:
        used = now
        time.sleep(0.2)
    return used - left


def test_states_are_of_one_key() -> None:
    read = ReadRequest(text="the cat")
    first, again, other = (Service(MODEL, "run", key) for key in ("a", "a", None))
    state = first.read(read)["state"]
    assert again.next(NextRequest(state=state))["next"][0]["probability"] == MODEL.next("the cat")[0][1]
    with pytest.raises(InputError, match="altered"):
        other.next(NextRequest(state=state))


def test_a_password_is_asked_of_everyone(locked: Running) -> None:
    for path in ("/", "/api/model", "/openapi.json", "/v1/models", "/nowhere"):
        answer = httpx.get(locked.address + path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert "password" in answer.json()["error"]["message"]
    for given in (b"Bearer open sesame", b"Basic !", b"Basic " + base64.b64encode(b"me:")):
        assert httpx.get(locked.address, headers={b"Authorization": given}).status_code == 401
    basic = b"Basic " + base64.b64encode(f"me:{PASSWORD}".encode())
    for given in (f"Bearer {PASSWORD}".encode(), basic):
        assert httpx.get(locked.address, headers={b"Authorization": given}).status_code == 200


def test_an_open_address_needs_a_password_or_a_word(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(run), "--host", "0.0.0.0", "--port", "0"]) == 1
    told = capsys.readouterr().err
    assert "--password" in told
    assert "--without-password" in told
