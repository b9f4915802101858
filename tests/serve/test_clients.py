"""The interface of OpenAI's clients, with the client `openai`: against the model, for every kind of model."""

import json
import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from serve.conftest import MODEL
from serve.running import Running
from tiny import TEXT, tiny_parts
from unrolled.model.char_model import CharModel
from unrolled.model.folder import counts_alone
from unrolled.model.gate import Gate
from unrolled.model.members import Members
from unrolled.model.probabilities import log_softmax
from unrolled.serve.completions import Completions
from unrolled.serve.schemas import CompletionRequest
from unrolled.serve.service import Service
from unrolled.text.counts.model import CountModel
from unrolled.text.vocabulary import BOUNDARY

LM_EVAL = Path(__file__).parents[2] / ".venv-lm-eval" / "bin" / "lm_eval"


@pytest.fixture(scope="module")
def ai(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="any", max_retries=0) as opened:
        yield opened


def test_the_model_is_listed(ai: openai.OpenAI) -> None:
    assert [(one.id, one.owned_by) for one in ai.models.list()] == [("run", "unrolled")]


def test_a_completion_is_what_the_model_writes(ai: openai.OpenAI) -> None:
    answer = ai.completions.create(
        model="run", prompt="the cat", max_tokens=50, seed=3, temperature=0.8, top_p=0.9, n=1, best_of=1, user="me",
        presence_penalty=0, frequency_penalty=0, logit_bias={}, suffix=None, stop=None, extra_body={"min_tokens": None},
    )  # fmt: skip
    (choice,) = answer.choices
    assert choice.text == MODEL.generate("the cat", 50, seed=3, temperature=0.8, top_p=0.9)
    assert (choice.finish_reason, choice.logprobs) == ("length", None)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 50, 57)


def test_prompts_are_texts_or_ids_and_may_be_many(ai: openai.OpenAI) -> None:
    prompts = ["the cat", "", "The dog"]
    ids = [MODEL.vocabulary.encode(prompt).tolist() for prompt in prompts]
    expected = [MODEL.generate(prompt, 20, seed=1) for prompt in prompts]
    for many in (prompts, ids):
        answer = ai.completions.create(model="run", prompt=many, max_tokens=20, seed=1)
        assert [(choice.index, choice.text) for choice in answer.choices] == list(enumerate(expected))
    for one in (prompts[0], ids[0]):
        assert ai.completions.create(model="run", prompt=one, seed=1).choices[0].text == expected[0][:16]


def test_a_stop_is_left_out_and_said(ai: openai.OpenAI) -> None:
    whole = MODEL.generate("the ", 60, seed=5)
    answer = ai.completions.create(
        model="run", prompt="the ", max_tokens=60, seed=5, stop=[whole[20:23], "@"], logprobs=0
    )
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == (whole[: whole.index(whole[20:23])], "stop")
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == list(choice.text)


def test_without_a_seed_every_request_draws_anew(ai: openai.OpenAI) -> None:
    texts = {ai.completions.create(model="run", prompt="the ", max_tokens=40).choices[0].text for _ in range(3)}
    assert len(texts) == 3


def test_logprobs_are_those_of_the_score(ai: openai.OpenAI) -> None:
    text, size = TEXT[:60], len(MODEL.vocabulary) + 1
    answer = ai.completions.create(model="run", prompt=text, max_tokens=0, echo=True, logprobs=size + 5)
    found = answer.choices[0].logprobs
    assert found is not None
    assert answer.choices[0].text == "".join(found.tokens or []) == text
    np.testing.assert_allclose(found.token_logprobs, -MODEL.score(text).each, rtol=1e-5)
    assert found.text_offset == list(range(60))
    for row in found.top_logprobs or []:
        assert sum(map(math.exp, row.values())) == pytest.approx(1)
    after = ai.completions.create(model="run", prompt=text, max_tokens=3, seed=2, logprobs=2).choices[0]
    assert after.logprobs is not None
    expected = MODEL.score(text + after.text).each
    assert expected is not None
    np.testing.assert_allclose(after.logprobs.token_logprobs, -expected[60:], rtol=1e-5)
    assert after.logprobs.top_logprobs is not None
    assert all(len(row) in (2, 3) for row in after.logprobs.top_logprobs)


def test_streaming(ai: openai.OpenAI) -> None:
    stream = ai.completions.create(
        model="run", prompt=["the cat", "The"], max_tokens=300, seed=4, echo=True, logprobs=1, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    texts, tokens, reasons, usage = ["", ""], [0, 0], ["", ""], None
    for event in stream:
        usage = event.usage
        for choice in event.choices:
            texts[choice.index] += choice.text
            tokens[choice.index] += len(choice.logprobs.tokens)
            reasons[choice.index] = choice.finish_reason
    assert texts == [prompt + MODEL.generate(prompt, 300, seed=4) for prompt in ("the cat", "The")]
    assert (tokens, reasons) == ([307, 303], ["length", "length"])
    assert (usage.prompt_tokens, usage.completion_tokens) == (10, 600)


def test_a_stream_ends_in_done(client: httpx.Client) -> None:
    body = {"prompt": "the", "max_tokens": 5, "stream": True, "stream_options": None}
    answer = client.post("/v1/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(json.loads(event.removeprefix("data: "))["choices"] for event in events)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"prompt": "the zebra"}, "'z' (U+007A)"),
        ({"prompt": [5, 999]}, "ids from 5 to 999"),
        ({"n": 2}, "n: "),
        ({"presence_penalty": 0.5}, "presence_penalty: "),
        ({"stop": ""}, "a stop string is"),
        ({"temperature": -1}, "temperature is -1"),
        ({"prompt": ["the"] * 100, "max_tokens": 10_000}, "are more than 65,536"),
        ({"prompt": "the" * 20_000, "echo": True, "logprobs": 99}, "logprobs at"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_those_of_the_client(ai: openai.OpenAI, body: dict, part: str, stream: bool) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        ai.completions.create(**{"model": "run", "prompt": "the", "stream": stream} | body)
    assert raised.value.status_code in (400, 422)
    assert part in raised.value.body["message"]
    assert raised.value.body["type"] == "invalid_request_error"


def test_tokens_are_characters_and_the_start_is_one(client: httpx.Client) -> None:
    info = client.get("/tokenizer_info").json()
    for name in ("bos_token", "eos_token"):
        (start,) = client.post("/tokenize", json={"prompt": info[name], "add_special_tokens": False}).json()["tokens"]
        assert 0 < start == info["vocab_size"] - 1
    ids = client.post("/tokenize", json={"prompt": "the cat"}).json()["tokens"]
    assert ids == MODEL.vocabulary.encode("the cat").tolist()
    assert client.post("/detokenize", json={"tokens": [*ids, start]}).json() == {"prompt": f"the cat{BOUNDARY}"}
    assert client.post("/tokenize", json={"prompt": "z"}).json()["tokens"] == [0]
    body = {"prompt": "the", "add_special_tokens": True}
    assert client.post("/tokenize", json=body).json()["tokens"] == [start, *ids[:3]]


PARTS = tiny_parts()
COUNTS = CountModel.count(PARTS.vocabulary.encode(TEXT), len(PARTS.vocabulary), 4)
OTHERS = tuple(tiny_parts(seed=seed).weights for seed in (1, 2))
KINDS = {
    "network": PARTS,
    "counts": counts_alone(PARTS.vocabulary, COUNTS, {}),
    "mixture": replace(PARTS, beside=Members((), COUNTS, Gate.between(COUNTS.depth, -0.3, 0.5, -0.8, 0.4))),
    "committee": replace(PARTS, beside=Members(OTHERS)),
    "records": tiny_parts("gru", text=BOUNDARY.join(["", "anna", "hannah", "nan", ""])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_lm_eval_sums_is_the_score(kind: str) -> None:
    model = CharModel(KINDS[kind])
    completions = Completions(Service(model, kind))
    text = "hannah" if kind == "records" else TEXT[:40]
    start = completions.tokens.boundary
    ids = completions.tokens.encode(text).tolist()
    for seed in range(5):
        request = CompletionRequest(
            prompt=[[start, *ids]], max_tokens=1, temperature=1, logprobs=1, echo=True, seed=seed
        )
        (choice,) = completions.complete(request)["choices"]
        assert choice["logprobs"] is not None
        summed = choice["logprobs"]["token_logprobs"]
        assert (len(summed), summed[0]) == (len(ids) + 2, None)
        place, expected = model.read(""), 0.0
        for i in model.vocabulary.encode(text).tolist():
            expected += float(log_softmax(place.logits)[i])
            place.feed([i])
        assert sum(summed[1:-1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(not LM_EVAL.exists(), reason="no lm-evaluation-harness: `make lm-eval` installs it beside .venv")
def test_lm_eval_finds_the_bits_per_byte_of_unrolled_score(server: Running, tmp_path: Path) -> None:
    texts = [TEXT[:200], TEXT[40:120]]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    task = {
        "task": "small",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": f"{tmp_path}/texts.jsonl"},
        "output_type": "loglikelihood_rolling",
        "test_split": "train",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    (tmp_path / "small.yaml").write_text(json.dumps(task))
    command = [
        LM_EVAL, "--model", "local-completions", "--tasks", "small", "--include_path", tmp_path,
        "--model_args", f"model=run,base_url={server.address}/v1/completions,max_length=65536",
        "--output_path", tmp_path / "results",
    ]  # fmt: skip
    environment = os.environ | {"HF_HOME": f"{tmp_path}", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    subprocess.run(list(map(str, command)), check=True, env=environment, capture_output=True)
    (found,) = (tmp_path / "results").rglob("results_*.json")
    bits = sum(score.bits * score.characters for score in map(MODEL.score, texts))
    expected = bits / sum(len(text.encode()) for text in texts)
    results = json.loads(found.read_text())["results"]["small"]
    assert results["bits_per_byte,none"] == pytest.approx(expected, abs=1e-4)
