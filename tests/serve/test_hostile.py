"""Wrong, huge and hostile requests: each gets a status of its own and one sentence, and the server goes on."""

import base64
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from serve.conftest import MODEL
from serve.running import Running
from unrolled.serve.middleware import LARGEST_BODY, RequestGuard
from unrolled.serve.schemas import FARTHEST_BACK, LONGEST_TEXT, LONGEST_WRITING

JSON = {"Content-Type": "application/json"}
PATHS = (
    "/../pyproject.toml", "/%2e%2e/app.py", "/page/index.html", "/..%2fapp.py", "//etc/passwd", "/api", "/docs",
    "/style.css/", "/\udcff", "/%00", "/index.html%00.css",
)  # fmt: skip


def refused(answer: httpx.Response, status: int, part: str) -> None:
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["error"]["type"] == "invalid_request_error"
    assert part in told["error"]["message"]
    assert "\n" not in told["error"]["message"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("question", "body", "status", "part"),
    [
        ("next", {"prompt": "the z"}, 400, "'z' (U+007A) at position 4, line 1, is not in the vocabulary"),
        ("next", {"prompt": "\ud800"}, 422, "prompt"),
        ("next", {"promt": "the"}, 422, "unknown field 'promt': did you mean 'prompt'?"),
        ("next", {"prompt": 3}, 422, "prompt: "),
        ("next", {"prompt": None}, 422, "prompt: "),
        ("next", {"prompt": "the", "unknown": "ignore"}, 422, "unknown: "),
        ("next", {"prompt": "the", "top": 0}, 422, "top: "),
        ("next", {"prompt": "t" * (LONGEST_TEXT + 1)}, 422, "prompt: "),
        ("next", [], 422, "the body must be one JSON object"),
        ("next", "the", 422, "the body must be one JSON object"),
        ("next", {"state": "no base64!"}, 400, "the state is not base64"),
        ("next", {"state": ""}, 400, "the state was altered"),
        ("next", {"state": base64.b64encode(b"\xff" * 200).decode()}, 400, "the state was altered"),
        ("next", {"state": "é"}, 400, "the state is not base64"),
        ("generate", {"length": 0}, 422, "length: "),
        ("generate", {"length": LONGEST_WRITING + 1}, 422, "length: "),
        ("generate", {"length": 10.5}, 422, "length: "),
        ("generate", {"length": "10"}, 422, "length: "),
        ("generate", {"length": True}, 422, "length: "),
        ("generate", {"temperature": -1}, 400, "temperature is -1"),
        ("generate", {"temperature": float("nan")}, 400, "temperature is nan"),
        ("generate", {"temperature": float("inf")}, 400, "temperature is inf"),
        ("generate", {"top_k": 0}, 400, "top_k is 0"),
        ("generate", {"top_p": 2}, 400, "top_p is 2"),
        ("generate", {"min_p": 0}, 400, "min_p is 0"),
        ("generate", {"repetition": 0.5}, 400, "repetition is 0.5"),
        ("generate", {"stop": ""}, 400, 'a stop string is ""'),
        ("generate", {"stop": ["a"] * 17}, 422, "stop: "),
        ("generate", {"stop": 3}, 422, "stop: "),
        ("generate", {"seed": -1}, 422, "seed: "),
        ("generate", {"seed": 1 << 64}, 422, "seed: "),
        ("score", {"text": ""}, 400, "the text to score is empty"),
        ("score", {"text": "zzz", "unknown": "skip"}, 400, "the text to score is empty"),
        ("score", {}, 422, "text: "),
        ("exchange", {"text": "the", "back": 0}, 422, "back: "),
        ("exchange", {"text": "the", "back": FARTHEST_BACK + 1}, 422, "back: "),
        ("exchange", {"text": "z"}, 400, "'z' (U+007A)"),
        ("read", {"text": "z"}, 400, "'z' (U+007A)"),
    ],
)
def test_a_wrong_question_gets_one_sentence(
    client: httpx.Client, question: str, body: object, status: int, part: str
) -> None:
    refused(client.post(f"/api/{question}", content=json.dumps(body), headers=JSON), status, part)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"prompt": "\xe9"}', b"[" * 100_000, b'{"length": 1' + b"0" * 9999 + b"}", b"\0"]
)
def test_what_is_no_json_is_said_to_be_none(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/next", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("settings", [{"top_k": 10**30}, {"temperature": 1e-320}, {"repetition": 1e308}, {"top_p": 1}])
def test_extreme_settings_write_all_the_same(client: httpx.Client, settings: dict) -> None:
    answer = client.post("/api/generate", json={"prompt": "the the", "length": 30, **settings})
    assert answer.text == MODEL.generate("the the", 30, **settings)


def test_states_that_were_altered_are_refused(client: httpx.Client) -> None:
    read = client.post("/api/read", json={"text": "the cat"}).json()
    data = bytearray(base64.b64decode(read["state"]))
    assert client.post("/api/next", json={"state": read["state"]}).status_code == 200
    for place in range(0, len(data), max(1, len(data) // 40)):
        data[place] ^= 1
        body = {"state": base64.b64encode(data).decode()}
        refused(client.post("/api/next", json=body), 400, "the state was altered")
        data[place] ^= 1


def test_a_state_that_this_server_has_not_made_is_refused(client: httpx.Client) -> None:
    place = MODEL.read("the cat")
    place.logits = place.logits + np.float32(3e38)  # finite, but no longer after one more step
    body = {"state": base64.b64encode(bytes(32) + place.to_bytes()).decode()}
    for question in ("next", "generate", "complete"):
        refused(client.post(f"/api/{question}", json=body), 400, "the state was altered")


def test_large_bodies_are_not_read(client: httpx.Client) -> None:
    large = b" " * (LARGEST_BODY + 1)
    refused(client.post("/api/score", content=large, headers=JSON), 413, "larger than")
    refused(client.post("/api/score", content=iter([large[:-9], b" " * 10]), headers=JSON), 413, "larger than")
    text = json.dumps({"text": "\U0001f600" * LONGEST_TEXT})
    refused(client.post("/api/score", content=text, headers=JSON), 400, "U+1F600")  # fits, and is read


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_bodies_that_a_foreign_page_could_send_are_refused(client: httpx.Client, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    refused(client.post("/api/next", content=b'{"prompt": ""}', headers=headers), 415, "must be JSON")


@pytest.mark.parametrize("name", ["example.org", "example.org:80", "127.0.0.1.example.org", "", "[::2]:80"])
def test_a_foreign_name_for_this_machine_is_refused(client: httpx.Client, name: str) -> None:
    refused(client.get("/api/model", headers={"Host": name}), 421, "does not answer to")


def test_its_own_names_are_answered(client: httpx.Client, server: Running) -> None:
    for name in (f"localhost:{server.port}", "LOCALHOST", f"127.0.0.1:{server.port}", f"[::1]:{server.port}"):
        assert client.get("/api/model", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_there_is_nothing_but_the_page_and_the_questions(server: Running, path: str) -> None:
    head, body = raw(server, b"GET " + path.encode("utf-8", "surrogateescape") + b" HTTP/1.1\r\nHost: localhost\r\n")
    assert head.split()[1] in (b"404", b"400", b"307")
    assert b"import" not in body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "OPTIONS"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    refused(client.request(method, "/api/next"), 405, "does not accept")


def raw(server: Running, request: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer to a request written by hand."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as opened:
        opened.sendall(request + b"Connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: opened.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_clients_that_go_away_do_no_harm(server: Running, client: httpx.Client) -> None:
    body = json.dumps({"prompt": "the ", "length": LONGEST_WRITING}).encode()
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "

    def leave(after: int) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 10) as opened:
            opened.sendall((head + str(len(body)).encode() + b"\r\n\r\n" + body)[: after or None])
            if not after:
                opened.recv(100)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(leave, [0, 1, 50, len(head) + 10] * 10))
    assert client.post("/api/generate", json={"length": 40}).text == MODEL.generate("", 40)


def test_the_gate_hands_on_what_is_no_request() -> None:
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    coroutine = RequestGuard(app, None)({"type": "lifespan"}, None, None)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert seen == ["lifespan"]
