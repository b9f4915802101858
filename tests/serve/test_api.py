"""The HTTP API against the model it serves: the same figures, the same text to the last character, many at once."""

import asyncio
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from serve.conftest import MODEL
from serve.running import Running
from tiny import TEXT, tiny_parts
from unrolled.cli.app import main
from unrolled.errors import FolderError
from unrolled.model.attribution import exchange
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import Sampling
from unrolled.model.state import State
from unrolled.serve.app import app_for
from unrolled.serve.schemas import GenerateRequest, ScoreRequest
from unrolled.serve.service import Service
from unrolled.text.vocabulary import BOUNDARY

SETTINGS = {"temperature": 0.8, "top_k": 9, "top_p": 0.95, "min_p": 0.01, "repetition": 1.1, "seed": 3}


def ask(client: httpx.Client, question: str, **body: object) -> dict:
    answer = client.post(f"/api/{question}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_next_is_that_of_the_model_and_of_the_command_line(
    client: httpx.Client, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(client, "next", prompt="the cat")
    assert [(row["character"], row["probability"]) for row in answer["next"]] == MODEL.next("the cat")
    assert main(["next", str(run), "the cat", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert ask(client, "next", prompt="the cat", top=3)["next"] == answer["next"][:3]
    assert ask(client, "next")["next"][0]["character"] == max(TEXT, key=TEXT.count)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0}, SETTINGS, {"seed": 2**63}, {"temperature": 2}])
def test_generate_writes_what_the_model_writes(client: httpx.Client, settings: dict) -> None:
    answer = client.post("/api/generate", json={"prompt": "the ", "length": 200, **settings})
    assert answer.text == MODEL.generate("the ", 200, **settings)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_next_tells_how_likely_each_character_is_drawn(client: httpx.Client) -> None:
    filters = {name: value for name, value in SETTINGS.items() if name != "seed"}
    rows = ask(client, "next", prompt="the cat", **filters)["next"]
    assert [(row["character"], row["probability"]) for row in rows] == MODEL.next("the cat")
    assert {row["character"]: row["drawn"] for row in rows} == dict(MODEL.read("the cat").next(Sampling(**filters)))
    (first, *others) = ask(client, "next", prompt="the cat", temperature=0)["next"]
    assert first["drawn"] == 1
    assert {row["drawn"] for row in others} == {0}


@pytest.mark.parametrize("settings", [{}, SETTINGS])
def test_generate_can_be_followed(client: httpx.Client, settings: dict) -> None:
    answer = client.post("/api/generate", json={"prompt": "the ", "length": 300, "follow": True, **settings})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    written = "".join(line["text"] for line in lines)
    assert written == MODEL.generate("the ", 300, **settings)
    assert [row["character"] for row in lines[-1]["next"]] == [c for c, _ in MODEL.next("the " + written)]
    assert all(len(line["next"]) == 12 for line in lines[:-1])
    further = ask(client, "next", state=lines[-1]["state"])["next"]
    assert [row["probability"] for row in further] == [row["probability"] for row in lines[-1]["next"]]


def test_after_a_stop_string_there_is_no_state_of_what_was_written(client: httpx.Client) -> None:
    stop = MODEL.generate("the ", 60, seed=5)[20:23]
    body = {"prompt": "the ", "length": 60, "seed": 5, "stop": stop, "follow": True}
    lines = [json.loads(line) for line in client.post("/api/generate", json=body).text.splitlines()]
    assert lines[-1]["state"] is None


def test_generate_ends_before_a_stop(client: httpx.Client) -> None:
    whole = MODEL.generate("the ", 60, seed=5)
    for stop in (whole[20:23], [whole[30:33], whole[20:23]]):
        answer = client.post("/api/generate", json={"prompt": "the ", "length": 60, "seed": 5, "stop": stop})
        assert answer.text == whole[: whole.index(whole[20:23])]


def test_characters_come_as_they_are_written(client: httpx.Client) -> None:
    with client.stream("POST", "/api/generate", json={"length": 20_000}) as answer:
        pieces = list(answer.iter_text())
    assert len(pieces) > 3
    assert len(pieces[0]) < 5_000
    assert sum(map(len, pieces)) == 20_000


class Failing(Service):
    """Writes a little and fails."""

    error: Exception | None

    def _stream(self, place: State, request: GenerateRequest) -> Iterator[str]:
        yield from "the cat"
        assert self.error is not None
        raise self.error


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FolderError("run: not finite"), "run: not finite"),
        (ZeroDivisionError(), "its terminal shows"),
        (None, "the server is being stopped"),
    ],
)
def test_an_error_on_the_way_is_the_last_line(follow: bool, error: Exception | None, told: str) -> None:
    service = Failing(MODEL, "failing")
    service.error, closing = error, error is None

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app_for(service, lambda: closing))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/api/generate", json={"follow": follow})

    *written, last = asyncio.run(asked()).text.splitlines()
    assert told in json.loads(last)["error"]["message"]
    assert json.loads(last)["error"]["type"] == "server_error"
    assert "".join(json.loads(line)["text"] if follow else line for line in written).startswith("t")


def test_score_is_that_of_the_model(client: httpx.Client) -> None:
    answer, expected = ask(client, "score", text=TEXT), MODEL.score(TEXT)
    assert expected.to_json().items() <= answer.items()
    assert answer["text"] == TEXT
    assert expected.each is not None
    np.testing.assert_allclose(answer["each"], expected.each / math.log(2), atol=1e-4)


def test_score_of_unknown_characters(client: httpx.Client) -> None:
    assert ask(client, "score", text="the z cat", unknown="skip")["text"] == "the  cat"
    replaced = ask(client, "score", text="the z cat", unknown="replace")
    assert replaced["text"] == "the \ufffd cat"
    assert replaced["unknown"] == 1


def test_complete_is_that_of_the_model(client: httpx.Client) -> None:
    answer = ask(client, "complete", prompt="the c", count=3)
    expected = [{"text": one.text, "probability": one.probability} for one in MODEL.complete("the c", count=3)]
    assert answer == {"prompt": "the c", "completions": expected}
    state = ask(client, "read", text="the c")["state"]
    assert ask(client, "complete", state=state, count=3)["completions"] == expected
    assert client.post("/api/complete", json={"unit": "page"}).status_code == 422


def test_exchange_is_that_of_the_model(client: httpx.Client) -> None:
    answer = ask(client, "exchange", text=TEXT[:50], back=20, alternatives=3)
    assert answer == exchange(MODEL, TEXT[:50], 20, alternatives=3).to_json()


def test_a_state_goes_on_where_it_was_read(client: httpx.Client) -> None:
    first = ask(client, "read", text="the cat ")
    second = ask(client, "read", text="sat on ", state=first["state"])
    assert (first["position"], second["position"]) == (8, 15)
    whole = MODEL.next("the cat sat on the")
    rows = ask(client, "next", prompt="the", state=second["state"])["next"]
    assert [(row["character"], row["probability"]) for row in rows] == whole
    body = {"state": second["state"], "length": 50, "seed": 4}
    assert client.post("/api/generate", json=body).text == MODEL.generate("the cat sat on ", 50, seed=4)
    del body["seed"]
    assert client.post("/api/generate", json=body).text == MODEL.read("the cat sat on ").generate(50)


def test_the_facts(client: httpx.Client) -> None:
    facts = client.get("/api/model").json()
    assert facts["name"] == "run"
    assert (facts["rung"], facts["hidden"], facts["weights"]) == ("lstm", 16, MODEL.parts.parameters)
    assert facts["characters"] == list(MODEL.vocabulary.characters)
    assert facts["losses"] == {}
    assert facts["finished"] is False


def test_the_map_is_of_the_most_frequent_characters(client: httpx.Client) -> None:
    most = client.get("/api/characters", params={"most": 1000}).json()
    table = MODEL.embedding
    assert {point["character"] for point in most["points"]} == set(table.names)
    expected = table.pca(2)
    np.testing.assert_allclose(most["explained"], expected.explained)
    places = {point["character"]: (point["x"], point["y"]) for point in most["points"]}
    np.testing.assert_allclose([places[name] for name in table.names], expected.coordinates, atol=1e-9)
    few = client.get("/api/characters", params={"most": 5}).json()
    assert [point["character"] for point in few["points"]] == [point["character"] for point in most["points"][:5]]
    assert {name for point in few["points"] for name in point["nearest"]} <= {p["character"] for p in few["points"]}
    assert few["of"] == len(table)
    assert len(client.get("/api/characters", params={"most": 1}).json()["points"]) == 1


def test_many_clients_at_once_get_what_each_would_get_alone(server: Running) -> None:
    prompts = ["the ", "the cat ", "dog", "", "sat on the mat.\n"]
    jobs = [(prompts[i % 5], i % 7, 0.5 + i % 3 / 4) for i in range(36)]

    def one(job: tuple[str, int, float]) -> bool:
        prompt, seed, temperature = job
        with httpx.Client(base_url=server.address, timeout=120, verify=False) as own:  # no certificates to load
            body = {"prompt": prompt, "length": 150, "seed": seed, "temperature": temperature}
            same = own.post("/api/generate", json=body).text
            scored = ask(own, "score", text=TEXT[: 50 + seed])["nats"]
            owed = ask(own, "exchange", text=TEXT[: 50 + seed], back=10)
        return (
            same == MODEL.generate(prompt, 150, seed=seed, temperature=temperature)
            and scored == MODEL.score(TEXT[: 50 + seed]).nats
            and owed == exchange(MODEL, TEXT[: 50 + seed], 10).to_json()
        )

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, jobs))


def test_a_text_is_the_beginning_of_a_record_to_a_model_of_records() -> None:
    model = CharModel(tiny_parts("gru", text=BOUNDARY.join(["", "anna", "hannah", "nan", ""])))
    found = Service(model, "names").score(ScoreRequest(text="anna"))
    (alone,) = model.score_lines(["anna"])
    assert found["each"] == pytest.approx((alone.nats[:4] / math.log(2)).tolist(), abs=1e-3)
