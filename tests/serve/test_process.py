"""The process: what it prints, how it ends, and what keeps it from beginning."""

import asyncio
import contextlib
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from serve.conftest import MODEL
from serve.running import command, running
from unrolled.errors import UnrolledError
from unrolled.serve import server as serving
from unrolled.serve.app import PAGE, app_for, in_pieces
from unrolled.serve.schemas import GenerateRequest, Next, NextRequest
from unrolled.serve.service import Service


def fails(*arguments: object, without: str = "torch") -> str:
    done = subprocess.run(command("serve", *arguments, without=without), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("unrolled: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_ctrl_c_ends_it_even_while_it_writes(run: Path, tmp_path: Path) -> None:
    with running(run, tmp_path / "said") as started:
        body: dict[str, Any] = {"prompt": "the ", "length": 20_000, "repetition": 1.1}  # seconds of writing
        with httpx.stream("POST", f"{started.address}/api/generate", json=body) as answer:
            pieces = answer.iter_bytes()
            written = len(next(pieces))
            assert started.interrupt() == 130
            with contextlib.suppress(httpx.RemoteProtocolError):
                written += sum(map(len, pieces))
        assert written < body["length"]
        assert started.said.read_text() == "unrolled: stopped\n"


def test_ctrl_c_does_not_wait_for_a_client_that_says_no_more(run: Path, tmp_path: Path) -> None:
    half = (
        b"POST /api/next HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    with running(run, tmp_path / "said") as started:
        with socket.create_connection(("127.0.0.1", started.port)) as opened:
            opened.sendall(half)
            assert httpx.get(f"{started.address}/api/model").status_code == 200  # so the half was read by now
            assert started.interrupt() == 130  # which waits for the end, but not for ever
        assert started.said.read_text() == "unrolled: stopped\n"


def response_of(service: Service, method: str, address: str, **body: Any) -> httpx.Response:
    """The response of an application without a server around it."""

    async def response() -> httpx.Response:
        transport = httpx.ASGITransport(app_for(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, address, **body)

    return asyncio.run(response())


def test_the_map_needs_no_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert response_of(Service(MODEL, "run"), "GET", "/api/characters").status_code == 200


def test_a_fault_of_ours_is_a_sentence_for_the_client_and_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Faulty(Service):
        def next(self, request: NextRequest) -> Next:
            int("none")
            return super().next(request)

    answer = response_of(Faulty(MODEL, "faulty"), "POST", "/api/next", json={})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"].startswith("the server failed")
    assert capsys.readouterr().err.count("ValueError") == 1


def test_it_says_where_it_is(run: Path, tmp_path: Path) -> None:
    line = command("serve", run, "--port", "0", "--host", "localhost")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.readline().decode()
    assert said.startswith(f"{run} is served at http://")
    address = said.split()[4]
    assert httpx.get(f"{address}/").text == page("index.html")
    process.terminate()
    rest, errors = process.communicate(timeout=120)
    assert (rest, errors) == (b"", b"")


def test_a_port_in_use(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 is in use" in fails(run, "--port", port)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--port", "65536"], "--port is 65536"),
        (["--port", "-1"], "--port is -1"),
        (["--host", "no.such.name.invalid"], "not a name or address of this machine"),
        (["--host", "203.0.113.7"], "not a name or address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had(run: Path, options: list[str], part: str) -> None:
    with pytest.raises(Exception, match=part):
        serving.listen(
            options[1] if options[0] == "--host" else "127.0.0.1", int(options[1]) if options[0] == "--port" else 0
        )


def test_a_run_that_is_none(tmp_path: Path) -> None:
    assert "nothing" in fails(tmp_path / "nothing")


@pytest.mark.parametrize("library", ["fastapi", "uvicorn"])
def test_a_missing_library_is_named_with_its_extra(run: Path, library: str) -> None:
    assert f"needs {library}, which is not installed: pip install 'unrolled[serve]'" in fails(run, without=library)


def test_only_addresses_of_this_machine_are_local() -> None:
    for host, local in (("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)):
        with serving.listen(host, 0) as listening:
            assert serving.is_local(listening) is local
            assert listening.proto == socket.IPPROTO_TCP  # else asyncio lets small answers wait
            assert serving.address_of(listening).startswith("http://")


def test_a_client_that_goes_away_stops_its_writing() -> None:
    written = itertools.count()
    service = Endless(written)
    config = uvicorn.Config(app_for(service), log_level="error", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    with serving.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        with httpx.stream("POST", f"{serving.address_of(listening)}/api/generate", json={}) as answer:
            next(answer.iter_bytes())
        before = settled(written)
        time.sleep(0.1)
        assert next(written) - before < 5
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


class Endless(Service):
    """Writes for ever, and counts."""

    def __init__(self, written: Iterator[int]) -> None:
        super().__init__(MODEL, "endless")
        self.count = written

    def generate(self, request: GenerateRequest) -> Iterator[str]:
        for _ in self.count:
            time.sleep(0.001)
            yield "a"


def settled(written: Iterator[int], seconds: float = 60) -> int:
    """The count once it has stopped to move."""
    until, last = time.monotonic() + seconds, next(written)
    while time.monotonic() < until:
        time.sleep(0.1)
        now = next(written)
        if now - last == 1:
            return now
        last = now
    raise AssertionError("it went on writing")


def test_pieces_are_the_text_and_end_when_the_server_does() -> None:
    text = "early on there was a man" * 9
    assert "".join(in_pieces(iter(text), lambda: False)) == text
    pieces = in_pieces(iter(text), lambda: True)
    assert next(pieces) == "e"
    with pytest.raises(UnrolledError, match="being stopped"):
        next(pieces)
    assert "".join(in_pieces(iter(""), lambda: False)) == ""


def page(name: str) -> str:
    return files("unrolled.serve").joinpath("page", name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGE)
def test_the_page_is_three_files_with_nothing_from_elsewhere(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    name, kind = PAGE[path]
    assert answer.text == page(name)
    assert answer.headers["content-type"] == kind
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    elsewhere = answer.text.replace("http://www.w3.org/2000/svg", "")
    assert not any(
        word in elsewhere for word in ("http:", "https:", "@import", "url(", "<style", "onclick", "innerHTML")
    )
