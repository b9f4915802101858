"""Yesterday's arithmetic and yesterday's checkpoints: loss curves of 100 steps, and a checkpoint of every format.

The curves are those of `tests/data_golden/curve_*.json`, in which the recipe stands too, every setting said; they begin
with the weights of `start_*.safetensors`, because drawing weights differs in the last bits from processor to processor,
while all that follows agrees to 1e-15. A curve that is no longer met is a changed arithmetic: if it was meant,
`python tests/learn/test_golden.py` writes new curves, and the change is said in the commit. Checkpoints of a released
format are never written anew, and one that was taken under another arithmetic only has to load and go on.
"""

import itertools
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from unrolled.files import read_folder
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare

GOLDEN = Path(__file__).parents[1] / "data_golden"
TAKEN_AT = 50
"""The step of the checkpoints."""
TEXT = "".join(f"{i} bottles of ink, {i * i} drops; the {'odd' if i % 2 else 'even'} one writes.\n" for i in range(140))
FLOAT64 = Machine(device="cpu", precision="float64", threads=1)
COMMON = {
    "embedding": 6, "nonlinearity": None, "dropout": 0.0, "streams": 4, "length": 16, "epochs": None, "minutes": None,
    "weight_decay": 0.01, "clip": 0.2, "warmup": 0.05, "evaluations": 4, "validation": 0.1, "test": 0.1, "min_count": 1,
    "lower": False, "seed": 7,
}  # fmt: skip
RECIPES = {
    "muon": {"rung": "lstm", "hidden": 12, "layers": 1, "optimizer": "muon", "learning_rate": 1e-2, "muon_rate": 1e-2},
    "adamw": {"rung": "gru", "hidden": 10, "layers": 2, "optimizer": "adamw", "learning_rate": 5e-3, "muon_rate": 1e-2},
}
TOLERANCE = 1e-11
"""Relative. Without vector instructions, or with those of other processors, the losses differ by 4e-16."""
STEPS = 100


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.setattr("unrolled.learn.build.TRIAL_SECONDS", 0.0)
    return written(tmp_path)


def written(folder):
    path = folder / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def session_of(text, recipe, machine=FLOAT64, out=None, start=None):
    """A run of exactly `STEPS` steps, from the golden start weights of the name `start`."""
    session = prepare(Request([text], out, Recipe.from_json(recipe), machine, save_seconds=0.0))
    if start is not None:
        weights = safetensors.torch.load_file(GOLDEN / f"start_{start}.safetensors")
        session.task.network.load_state_dict(weights)
    return session


def curve(session, steps=STEPS):
    """Losses by step, and the measurements of the validation part by step; of the first `steps` steps."""
    records = list(itertools.islice(session.run(), steps))
    return {
        "losses": {f"{record.step}": record.loss for record in records},
        "validations": {f"{record.step}": record.validation for record in records if record.validation is not None},
    }


def stored(name):
    return json.loads((GOLDEN / f"curve_{name}.json").read_bytes())


def worst(found, golden):
    """The largest relative error over all losses that were found; steps that are not golden are a failure."""
    pairs = [
        (value, golden[kind][step]) for kind in ("losses", "validations") for step, value in found[kind].items()
    ]  # fmt: skip
    mine, theirs = np.array(pairs).T
    return float(np.max(np.abs(mine - theirs) / np.abs(theirs)))


@pytest.mark.parametrize("name", RECIPES)
def test_a_hundred_losses_are_as_they_were(text, name):
    golden = stored(name)
    found = curve(session_of(text, golden["recipe"], start=name))
    assert list(map(int, found["losses"])) == list(range(1, STEPS + 1))
    assert list(found["validations"]) == list(golden["validations"])
    assert worst(found, golden) < TOLERANCE


@pytest.mark.parametrize("name", RECIPES)
def test_the_start_is_as_it_was(text, name):
    golden = safetensors.torch.load_file(GOLDEN / f"start_{name}.safetensors")
    found = session_of(text, stored(name)["recipe"]).task.network.state_dict()
    assert found.keys() == golden.keys()
    for key, value in found.items():
        torch.testing.assert_close(value.float(), golden[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"muon_rate": 1e-2 * (1 + 1e-8)}, {"weight_decay": 0.01 + 1e-8}, {"clip": 0.2 + 1e-8}, {"warmup": 0.06}],
)
def test_the_curve_shows_a_small_change(text, change):
    golden = stored("muon")
    assert worst(curve(session_of(text, golden["recipe"] | change, start="muon"), 40), golden) > 3 * TOLERANCE


def test_the_curve_shows_another_precision(text):
    golden = stored("muon")
    found = curve(session_of(text, golden["recipe"], Machine("cpu", "float32", 1), start="muon"), 40)
    assert worst(found, golden) > 1000 * TOLERANCE


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("version", [1])
def test_a_checkpoint_of_every_format_goes_on(text, tmp_path, name, version):
    run, said = tmp_path / "run", []
    shutil.copytree(GOLDEN / f"checkpoint_format_{version}" / name, run)
    session = prepare(Request([text], run, Recipe(), Machine(), resume=True, notify=said.append))
    assert session.state.progress.step == TAKEN_AT
    assert said[-1] == f"resuming at step {TAKEN_AT} of {STEPS} on cpu, float64, 1 thread"
    found = curve(session)
    assert list(map(int, found["losses"])) == list(range(TAKEN_AT + 1, STEPS + 1))
    assert worst(found, stored(name)) < TOLERANCE
    session.finish()
    assert read_folder(run)["model.safetensors"]


def _recipe(name, text):
    """The whole recipe of a curve: epochs are set so that there are `STEPS` steps."""
    recipe = COMMON | RECIPES[name]
    steps_per_epoch = prepare(
        Request([text], None, Recipe.from_json(recipe | {"epochs": 1.0}), FLOAT64)
    ).task.steps_per_epoch
    recipe["epochs"] = STEPS / steps_per_epoch
    assert math.isclose(round(recipe["epochs"] * steps_per_epoch), STEPS)
    return recipe


def write_curves(folder):
    """New golden curves with their start weights, and the checkpoints that there are none of."""
    os.chdir(folder)  # so that a checkpoint names its text without a path of this machine
    text = written(Path())
    for name in RECIPES:
        recipe = _recipe(name, text)
        start = session_of(text, recipe).task.network.float().state_dict()
        safetensors.torch.save_file(start, GOLDEN / f"start_{name}.safetensors")
        found = {"recipe": recipe} | curve(session_of(text, recipe, start=name))
        (GOLDEN / f"curve_{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        checkpoint = GOLDEN / "checkpoint_format_1" / name / "checkpoints" / f"step-{TAKEN_AT:08d}"
        if not checkpoint.exists():
            for record in session_of(text, recipe, out=name, start=name).run():
                if record.step == TAKEN_AT:
                    assert record.is_best, "else the best weights lie in a checkpoint of their own"
                    break
            shutil.copytree(folder / name / "checkpoints" / checkpoint.name, checkpoint)


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(Path(__file__).parents[1]))
    with tempfile.TemporaryDirectory() as temporary:
        write_curves(Path(temporary))
