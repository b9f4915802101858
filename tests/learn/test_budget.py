"""A budget of minutes is kept whatever the machine does; what the clock decides is repeated by a resumed run."""

import math
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from unrolled.errors import InputError
from unrolled.files import read_folder
from unrolled.learn.budget import Budget, Measuring, Timing
from unrolled.learn.build import Builder
from unrolled.learn.loop import Plan
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.learn.train import train

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 120
SMALL = Recipe(hidden=8, embedding=4, streams=4, length=16, evaluations=4, dropout=0.2)
FIXED = Machine(device="cpu", precision="float32", threads=1)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def simulated(lasting, seconds=60.0, step=0.02, pause=0.4, ending=3.0, trial=1.0):
    """When a run ends, and its decisions, on a machine where work of some seconds takes `lasting(seconds, now)`.

    The trial itself was off by the factor `trial`.
    """
    now, done, decisions = 4.0, 0, []
    budget = Budget(seconds, now, step * trial, pause * trial, ending * trial, step * trial)
    plan = budget.plan(10, 0.02, 1.0)
    while done < plan.steps:
        done += 1
        taken = lasting(step + plan.is_measured(done) * pause, now)
        budget.count(taken, plan.is_measured(done))
        revised = budget.revised(plan, done)
        saving = lasting(0.1, now) if plan.is_measured(done) or revised is not plan else 0.0
        budget.count_pause(saving, plan.is_measured(done))
        now += taken + saving
        if revised is not plan:
            decisions.append(done)
        plan = revised
    return now + lasting(ending, now), decisions


def noisy(seconds, now):
    draw, pieces = random.Random(round(now * 1000)), max(1, round(seconds / 0.02))
    return seconds * sum(draw.lognormvariate(0, 0.7) for _ in range(pieces)) / pieces


MACHINES = {
    "as in the trial": lambda seconds, now: seconds,
    "twice as slow from the middle on": lambda seconds, now: seconds * (1 + (now > 30)),
    "three times as slow for a while": lambda seconds, now: seconds * (1 + 2 * (20 < now < 40)),
    "twice as slow near the end": lambda seconds, now: seconds * (1 + (now > 50)),
    "twice as fast": lambda seconds, now: seconds / 2,
    "five times as slow": lambda seconds, now: seconds * 5,
    "noise": noisy,
    "a stall of two seconds now and then": lambda seconds, now: seconds + 2 * (now % 12 < 0.02),
}


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(("seconds", "trial"), [(60.0, 0.4), (60.0, 1.0), (60.0, 2.5), (600.0, 1.0)])
def test_the_minutes_are_kept(name, seconds, trial):
    end, decisions = simulated(MACHINES[name], seconds, trial=trial)
    assert end == pytest.approx(seconds, rel=0.1)
    assert len(decisions) <= 100, "each costs a checkpoint"


def test_few_long_steps_are_no_reason_to_run_over():
    end, _ = simulated(MACHINES["as in the trial"], step=4.0)
    assert end == pytest.approx(60, rel=0.1)


def test_a_quiet_machine_needs_few_decisions():
    assert len(simulated(MACHINES["as in the trial"], 600.0)[1]) <= 2


def test_without_decisions_the_end_would_be_missed(monkeypatch):
    """The simulation can fail: the same machine, with a plan that stays."""
    monkeypatch.setattr(Budget, "revised", lambda budget, plan, step: plan)
    assert simulated(MACHINES["twice as slow from the middle on"])[0] > 66


def test_a_changed_plan_goes_on_from_the_rate_it_had_reached():
    plan = Plan(100, warmup=10, evaluate_every=25)
    longer = plan.replanned(40, 160, 30)
    assert longer.factor(40) == pytest.approx(plan.factor(40))
    assert longer.factor(159) == pytest.approx(plan.factor(40) / 120)
    assert [step for step in range(41, 161) if longer.is_measured(step)] == [70, 100, 130, 160]
    early = plan.replanned(5, 50, 10)
    assert [early.factor(step) for step in (5, 10)] == [plan.factor(5), 1.0]
    assert early.factor(49) == pytest.approx(1 / 40)


def test_what_is_measured_fits_the_minutes():
    short, long = (Measuring.within(seconds, Timing(0.1, 1e-4, 1e-6, 0.0, 1000), 10) for seconds in (60.0, 6000.0))
    assert short.at_end == 59_000
    assert short.while_training == pytest.approx(5_000, abs=1)
    assert (long.while_training, long.at_end_of(5_000_000)) == (599_000, 5_000_000)
    assert long.window > short.window
    slow, slower = (Measuring.within(60.0, Timing(0.4, 1e-3, 1e-6, mixing, 0), 10).at_end for mixing in (1e-3, 1e-2))
    assert (slow, slower) == (4_000, 1_000)


def budgeted(session):
    """`session` with a budget of a simulated clock, which is twice as slow from step 60 on."""
    session.clock = lambda: 0.05 * (session.state.progress.step + max(0, session.state.progress.step - 60))
    return session


def started(text, out):
    session = budgeted(prepare(Request([text], out, replace(SMALL, minutes=0.1), FIXED, save_seconds=math.inf)))
    session.state.budget = Budget(10.0, 0.0, 0.05, 0.05, 0.5, 0.05)
    session.state.plan = session.state.budget.plan(4, 0.02, 1.0)
    session.state.recipe = replace(session.state.recipe, dropout=0.2)
    return session


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """The weights of a whole run under the simulated clock, and its plan at each step."""
    folder = tmp_path_factory.mktemp("decided")
    (folder / "text.txt").write_text(TEXT)
    whole = started(folder / "text.txt", folder / "whole")
    planned = whole.state.plan.steps
    plans = {record.step: whole.state.plan for record in whole.run()}
    assert len(set(plans.values())) > 1, "nothing was decided"
    assert whole.state.plan.steps < planned
    whole.finish()
    return weights(folder / "whole"), plans


@pytest.mark.parametrize("stop", [7, 90])
def test_a_resumed_run_repeats_what_the_clock_decided(text, tmp_path, decided, stop):
    wanted, plans = decided
    session = started(text, tmp_path / "run")
    for record in session.run():
        if record.step == stop - 1:
            session.save_seconds = 0.0
        if record.step == stop:
            break
    resumed = budgeted(prepare(Request([], tmp_path / "run", Recipe(), Machine(), resume=True)))
    assert resumed.state.plan == plans[stop]
    assert {record.step: resumed.state.plan for record in resumed.run()} == {
        step: plan for step, plan in plans.items() if step > stop
    }
    resumed.finish()
    assert weights(tmp_path / "run") == wanted


def weights(run):
    return read_folder(run)["model.safetensors"]


def test_the_clock_ends_a_run():
    """However busy the machine is: how closely is a question to the simulation above, and to the soak test below."""
    before = time.perf_counter()
    done = train(text=TEXT * 20, minutes=0.03, hidden=32, threads=1, precision="float32", evaluations=2)
    assert 0.5 < time.perf_counter() - before < 120
    assert done.summary.epochs > 0
    assert train(text=TEXT, minutes=0.001, hidden=8, threads=1, precision="float32").summary.epochs > 0


@pytest.mark.soak
@pytest.mark.parametrize("busy", [0, 2])
def test_the_minutes_of_the_clock_are_kept_beside_busy_processes(busy):
    """A first training pays for what PyTorch imports with its first step, which is long on a busy machine."""
    train(text=TEXT, epochs=0.1, hidden=8, threads=1, precision="float32")
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        before = time.perf_counter()
        train(text=TEXT * 20, minutes=0.15, hidden=32, threads=1, precision="float32")
        taken = time.perf_counter() - before
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert taken == pytest.approx(9, abs=3)


def test_a_signal_during_a_measurement_ends_it_and_the_measurement_is_repeated(text, tmp_path):
    recipe = replace(SMALL, epochs=0.5)
    whole = prepare(Request([text], tmp_path / "whole", recipe, FIXED))
    wanted = [record.validation for record in whole.run()]
    session, shares = prepare(Request([text], tmp_path / "run", recipe, FIXED)), []

    def stop(share):
        shares.append(share)
        signal.raise_signal(signal.SIGTERM)

    session.on_measured = stop
    before = [record.validation for record in session.run()]
    assert session.interrupt.signal == signal.SIGTERM
    assert len(shares) == 1
    assert shares[0] < 1, "the measurement should not have been over"
    assert session.state.progress.is_due
    resumed = prepare(Request([], tmp_path / "run", Recipe(), Machine(), resume=True))
    assert before + [record.validation for record in resumed.run()] == wanted
    whole.finish()
    resumed.finish()
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


NOISE = "".join(random.Random(1).choices("abcdefghij ", k=3000))
LEARNED_BY_HEART = Recipe(
    hidden=48, embedding=8, streams=4, length=16, epochs=60.0, evaluations=60, dropout=0.0, patience=3
)


def test_training_ends_when_patience_does(tmp_path):
    said = []
    session = prepare(Request([], tmp_path / "run", LEARNED_BY_HEART, FIXED, text=NOISE, notify=said.append))
    planned = session.state.plan.steps
    measured = [record.step for record in session.run() if record.validation is not None]
    best = session.state.progress.best_step
    assert session.state.progress.step == session.state.plan.steps < planned
    assert sum(step > best for step in measured) == 3
    assert any("no better figure in 3 measurements" in sentence for sentence in said)
    resumed = prepare(Request([], tmp_path / "run", Recipe(), Machine(), text=NOISE, resume=True))
    assert list(resumed.run()) == []
    summary, _ = resumed.finish()
    assert summary.best_epoch == pytest.approx(best / session.task.steps_per_epoch)
    assert summary.best_epoch < summary.epochs


def test_a_flat_curve_is_remarked_on(text):
    said = []
    session = prepare(Request([text], None, replace(SMALL, epochs=1.0), FIXED, notify=said.append))
    session.state.progress.step = 100
    for steps, losses, is_flat in (
        ([25, 50, 75, 100], [3.0, 2.5, 2.2, 2.1], False),
        ([25, 50, 75, 100], [3.0, 2.0, 1.995, 1.996], True),
        ([85, 94, 98, 100], [3.0, 2.0, 1.995, 1.996], False),  # nothing was measured in the first half
        ([50, 100], [3.0, 2.0], False),
    ):
        said.clear()
        session.state.history = [{"step": step, "validation": loss} for step, loss in zip(steps, losses, strict=True)]
        session._remark_on_curve()
        assert any("training longer will hardly help" in sentence for sentence in said) == is_flat


def test_the_hidden_units_suit_the_minutes_unless_they_are_given(text, monkeypatch):
    monkeypatch.setattr(Builder, "trial", lambda build, network, choice, give_up=0.0: 0.5)  # seconds a step
    said = []
    session = prepare(Request([text], None, Recipe(minutes=1.0, rung="gru"), FIXED, notify=said.append))
    assert session.task.network.config.hidden == session.state.recipe.hidden == 96
    assert "gru of 96 hidden units" in said[-1]
    assert "the rest of the minutes is for reading and measuring" in said[-1]
    session = prepare(Request([text], None, Recipe(minutes=1.0, rung="gru", hidden=256), FIXED, notify=said.append))
    assert session.state.recipe.hidden == 256
    assert any("--hidden 96" in sentence for sentence in said)
    assert prepare(Request([text], None, Recipe(epochs=1.0, rung="gru"), FIXED)).state.recipe.hidden == Recipe.hidden


def test_a_file_to_validate_on_takes_the_place_of_the_end(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("then she read it, and said that he wrote. " * 30)
    recipe = replace(SMALL, epochs=1.0)
    third = tmp_path / "third.txt"
    third.write_text("and again, then he read. " * 20)
    session = prepare(Request([text], tmp_path / "run", recipe, FIXED, valid=other, test_file=third, save_seconds=0.0))
    characters = len(other.read_text())
    assert session.text.vocabulary.decode(session.task.split.validation) == other.read_text() + "\n"
    assert session.text.vocabulary.decode(session.task.split.test) == third.read_text()
    decode, cut = session.text.vocabulary.decode, session.task.split
    assert (decode(cut.train) + decode(cut.mixing)).rstrip("\n") == TEXT
    for record in session.run():
        if record.step == 5:
            break
    resumed = prepare(Request([], tmp_path / "run", Recipe(), Machine(), resume=True))
    for _ in resumed.run():
        pass
    summary, _ = resumed.finish()
    assert summary.validation_characters == characters + 1
    assert summary.test is not None
    for change in ({"test": 0.1}, {"validation": 0.2}):
        with pytest.raises(InputError, match="replaces --validation, --test"):
            prepare(Request([text], None, replace(recipe, **change), FIXED, valid=other))
