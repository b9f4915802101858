"""On a graphics card: the losses of the processor, exact resumption, bfloat16, memory that runs out. Needs one."""

from dataclasses import replace

import pytest
import torch

from unrolled.files import read_folder
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card with CUDA")
TEXT = "a man said that he would read the notes again, and then he wrote them. " * 60
SMALL = Recipe(hidden=16, embedding=8, streams=4, length=16, epochs=1.0, evaluations=4, dropout=0.2)
CUDA = Machine("cuda", "float32", 1)


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.setattr("unrolled.learn.build.TRIAL_SECONDS", 0.0)
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def finished(session):
    losses = [record.loss for record in session.run()]
    session.finish()
    return losses


@pytest.mark.parametrize("rung", ["rnn", "gru", "lstm", "mingru"])
def test_losses_are_those_of_the_processor(text, rung):
    recipe = replace(SMALL, rung=rung, dropout=0.0)
    cpu, cuda = (
        finished(prepare(Request([text], None, recipe, Machine(device, "float64", 1)))) for device in ("cpu", "cuda")
    )
    assert cuda == pytest.approx(cpu, abs=1e-9)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_interrupted_and_resumed_is_the_same_run(text, tmp_path, optimizer, precision):
    recipe, machine = replace(SMALL, optimizer=optimizer), replace(CUDA, precision=precision)
    finished(prepare(Request([text], tmp_path / "whole", recipe, machine)))
    for record in prepare(Request([text], tmp_path / "parted", recipe, machine, save_seconds=0.0)).run():
        if record.step == 7:
            break
    finished(prepare(Request([], tmp_path / "parted", Recipe(), Machine(), resume=True)))
    weights = [read_folder(tmp_path / name)["model.safetensors"] for name in ("whole", "parted")]
    assert weights[0] == weights[1]


def test_a_run_of_the_card_goes_on_on_the_processor_and_says_so(text, tmp_path):
    for record in prepare(Request([text], tmp_path / "run", SMALL, CUDA, save_seconds=0.0)).run():
        if record.step == 7:
            break
    said = []
    finished(prepare(Request([], tmp_path / "run", Recipe(), Machine("cpu"), resume=True, notify=said.append)))
    assert any("device was cuda and is now cpu" in sentence for sentence in said)


def test_memory_that_runs_out_is_met_by_smaller_parts(text):
    said, session = [], prepare(Request([text], None, replace(SMALL, dropout=0.0), CUDA))
    whole, session.task.notify = session.task.network.forward, said.append

    def forward(ids, state):
        if len(ids) > 1 and session.task.network.training:
            torch.empty(1 << 60, dtype=torch.uint8, device="cuda")
        return whole(ids, state)

    session.task.network.forward = forward
    finished(session)
    assert session.task.micro_batches == 4
    assert any("4 micro-batches" in sentence for sentence in said)
