"""The memory lab: its tasks are what they say, and the identity start wins where plain tanh stands still."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.learn.experiments.memory_tasks import (
    TASKS,
    Adding,
    Copy,
    LabCurve,
    LabResult,
    LabSettings,
    Modulo,
    Parity,
    Recall,
    RungVariant,
    failure,
    run_lab,
    run_race,
)
from unrolled.learn.networks import RUNGS
from unrolled.look.experiments import draw_lab, draw_race


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(2, 60), st.integers(0, 99))
def test_adding_marks_one_number_in_each_half(length, seed):
    x, target = Adding().batch(16, length, generator(seed))
    numbers, marks = x.unbind(2)
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    for row in range(16):
        assert target[row] == pytest.approx(float(numbers[row][marks[row] == 1].sum()))


@pytest.mark.parametrize("task", [task() for task in TASKS.values()], ids=list(TASKS))
def test_the_baseline_is_what_the_best_forgetful_answer_scores(task):
    x, target = task.batch(20_000, 12, generator(1))
    constant = torch.full((20_000, x.shape[1], task.outputs), 1.0 if task.name == "adding" else 0.0)
    assert float(task.loss(constant, target)) == pytest.approx(task.baseline, rel=0.02)


def test_copy_asks_for_what_was_shown_first():
    x, target = Copy().batch(8, 20, generator(2))
    assert x.shape == (8, 5 + 20 + 5, 10)
    assert (x.sum(2) == 1).all()
    assert (x[:, :5].argmax(2) == target).all()
    assert (x[:, 5:25, 8] == 1).all()
    assert (x[:, 25:, 9] == 1).all()
    perfect = torch.zeros(8, 30, 8)
    perfect[:, 25:] = 50 * torch.nn.functional.one_hot(target, 8).float()
    assert float(Copy().loss(perfect, target)) < 1e-6


@pytest.mark.parametrize(("task", "base"), [(Parity(), 2), (Modulo(), 3)])
def test_the_remainder_is_asked_at_every_digit(task, base):
    x, target = task.batch(4, 30, generator(3))
    digits = x.argmax(2)
    assert digits.max() == base - 1
    for row in range(4):
        assert target[row].tolist() == [sum(digits[row, : t + 1].tolist()) % base for t in range(30)]


def test_recall_asks_for_the_value_of_one_of_the_keys():
    x, target = Recall().batch(50, 6, generator(4))
    keys, values = x[:, :6, :64].argmax(2), x[:, :6, 64:].argmax(2)
    assert all(len(set(row.tolist())) == 6 for row in keys)
    asked = x[:, 6, :64].argmax(1)
    assert not x[:, 6, 64:].any()
    assert target[:, 0].tolist() == [int(values[i][keys[i] == asked[i]]) for i in range(50)]


def test_the_race_has_every_task_and_a_picture_and_is_the_same_in_two_processes():
    settings = LabSettings(hidden=8, steps=2, batch=4)
    told: list[str] = []
    results = run_race(["rnn", "lru"], settings)
    again = run_race(["rnn", "lru"], settings, lambda label, *point: told.append(label), processes=2)
    assert [each.task for each in results] == list(TASKS)
    assert [curve.losses for each in again for curve in each.curves] == [
        pytest.approx(curve.losses, rel=1e-5) for each in results for curve in each.curves
    ]
    assert len(told) == 2 * len(TASKS)
    (axis,) = draw_race(results).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["rnn, tanh, default start", "lru"]


@pytest.mark.soak
@pytest.mark.parametrize("length", [100, 150])
def test_identity_start_at_the_lengths_of_the_paper(length):
    result = run_lab("adding", ["irnn", "rnn"], LabSettings(lengths=(length,), learning_rate=1e-3, steps=3000))
    identity, plain = result.curves
    assert identity.solved_at is not None
    assert min(plain.losses) > 0.8 * result.baseline


@pytest.mark.soak
@pytest.mark.parametrize(("rung", "solved"), [("rnn", 10), ("irnn", 100), ("lstm", 50), ("mingru", 50), ("gru", 50)])
def test_every_rung_solves_adding_up_to_its_length(rung, solved):
    result = run_lab("adding", [rung], LabSettings(lengths=(solved,), repeats=3))
    assert result.fails_at(result.labels[0]) is None


@pytest.mark.soak
def test_the_plain_network_fails_where_the_identity_start_does_not():
    result = run_lab("adding", ["rnn", "irnn"], LabSettings(lengths=(25, 50), repeats=3))
    plain, identity = result.labels
    assert result.fails_at(plain) == 25
    assert result.fails_at(identity) is None


@pytest.mark.parametrize(
    "rung", [*(rung for rung in RUNGS if rung != "three-char"), "rnn:relu", "deltanet:double-sigmoid"]
)
@pytest.mark.parametrize("task", list(TASKS))
def test_every_rung_runs_every_task(task, rung):
    points = []
    settings = LabSettings(lengths=(4, 6), hidden=4, steps=3, batch=4)
    result = run_lab(task, [rung], settings, lambda *point: points.append(point))
    assert [curve.length for curve in result.curves] == [4, 6]
    assert len(points) == 2
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["task"] == task


def test_same_seed_same_curve():
    first, second, other = (
        run_lab("adding", ["gru"], LabSettings(lengths=(8,), hidden=4, steps=50, seed=seed)).curves[0].losses
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_a_training_that_diverges_ends():
    (curve,) = run_lab("adding", ["irnn"], LabSettings(lengths=(200,), hidden=8, steps=500, learning_rate=1.0)).curves
    assert curve.diverged_at is not None
    assert curve.solved_at is None


@pytest.mark.parametrize(
    ("task", "rungs", "changes", "message"),
    [
        ("add", ["rnn"], {}, "did you mean 'adding'"),
        ("adding", ["rrn"], {}, "did you mean 'rnn'"),
        ("adding", ["three-char"], {}, "no memory to test"),
        ("adding", ["irnn:sigmoid"], {}, "nonlinearity"),
        ("adding", ["rnn"], {"lengths": (1,)}, "length of at least 2"),
        ("adding", ["rnn"], {"lengths": (0,)}, "length is 0"),
        ("adding", ["rnn"], {"hidden": 0}, "hidden is 0"),
        ("adding", ["rnn"], {"learning_rate": 0.0}, "learning rate is 0"),
        ("adding", ["rnn"], {"learning_rate": float("inf")}, "learning rate is inf"),
    ],
)
def test_bad_requests_are_explained(task, rungs, changes, message):
    with pytest.raises(InputError, match=message):
        run_lab(task, rungs, LabSettings(**changes))


def test_repeats_differ_by_their_seed():
    settings = LabSettings(lengths=(6,), hidden=4, steps=50, batch=8, repeats=2, seed=3)
    result = run_lab("adding", ["rnn"], settings)
    first, second = result.at(result.labels[0], 6)
    assert (first.seed, second.seed) == (3, 4)
    assert first.losses != second.losses
    (alone,) = run_lab("adding", ["rnn"], LabSettings(lengths=(6,), hidden=4, steps=50, batch=8, seed=4)).curves
    assert alone.losses == second.losses


def curve(solved_at, length=5):
    return LabCurve(RungVariant("gru"), length, 0, (50,), (1.0,), solved_at, None, 0.1, 10)


def test_a_rung_fails_at_the_smallest_length_it_does_not_solve():
    curves = (curve(50, 2), curve(None, 4), curve(50, 6), curve(None, 8))
    result = LabResult("adding", "", 1.0, "", LabSettings(lengths=(8, 6, 4, 2)), curves)
    assert result.fails_at("gru") == 4
    assert result.to_json()["fails_at"] == {"gru": 4}
    assert replace(result, settings=LabSettings(lengths=(2, 6))).fails_at("gru") is None


def test_half_of_the_repeats_is_a_failure():
    assert failure([curve(None)])
    assert failure([curve(None), curve(50)])
    assert not failure([curve(50), curve(None), curve(50)])
    assert not failure([])


def test_a_picture_of_repeats_has_a_band():
    result = run_lab("adding", ["rnn", "gru"], LabSettings(lengths=(4,), hidden=4, steps=60, batch=4, repeats=2))
    (axis,) = draw_lab(result).axes
    assert len(axis.collections) == 2


def test_contestants_say_how_they_start():
    assert RungVariant.of("irnn").label == "irnn, relu, identity start"
    assert RungVariant.of("rnn").label == "rnn, tanh, default start"
    assert RungVariant.of("lstm").label == "lstm"
