"""Signals become a flag while a run is running, and are what they were once it is not, however it was left."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing

import pytest
import torch

from unrolled.cli import main
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.session import Session
from unrolled.learn.signals import SIGNALS, Interrupt
from unrolled.learn.start import prepare
from unrolled.model.char_model import CharModel

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 20
SMALL = Recipe(hidden=8, embedding=4, streams=4, length=16, epochs=1.0, evaluations=2)
FIXED = Machine(device="cpu", precision="float32", threads=1)


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("unrolled.learn.build.TRIAL_SECONDS", 0.0)
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return prepare(Request([path], None, SMALL, FIXED))


@pytest.fixture(autouse=True)
def quiet_handlers():
    """Signals that would end this process are noted instead."""
    heard = []
    before = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in SIGNALS}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def by_break(session):
    for _ in session.run():
        break


def by_error(session):
    try:
        for _ in session.run():
            raise KeyError
    except KeyError:
        pass


def by_closing_the_generator(session):
    steps = session.run()
    next(steps)
    steps.close()


def by_closing_the_session(session):
    with closing(session):
        steps = session.run()
        next(steps)
    assert list(steps) == []


def by_finishing(session):
    steps = session.run()
    next(steps)
    session.finish()
    assert list(steps) == []


def by_the_next_run(session):
    first = session.run()
    next(first)
    for _ in session.run():
        pass
    assert list(first) == []


def by_signal(session):
    for record in session.run():
        if record.step == 2:
            signal.raise_signal(signal.SIGTERM)
    assert record.step == 3
    assert session.interrupt.signal == signal.SIGTERM


WAYS = [by_break, by_error, by_closing_the_generator, by_closing_the_session, by_finishing, by_the_next_run, by_signal]


@pytest.mark.parametrize("leave", WAYS)
def test_a_run_that_is_left_gives_the_signals_back(session, leave):
    before, threads = handlers(), torch.get_num_threads()
    next(iter(session.run()))
    leave(session)
    gc.collect()
    assert handlers() == before
    assert torch.get_num_threads() == threads


def test_an_abandoned_run_takes_one_signal_and_no_more(session, quiet_handlers, monkeypatch):
    monkeypatch.setattr("unrolled.learn.signals.ECHO_SECONDS", 1e9)
    steps = session.run()
    next(steps)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # an echo
    assert quiet_handlers == []
    monkeypatch.setattr("unrolled.learn.signals.ECHO_SECONDS", -1.0)  # from now on nothing is an echo
    signal.raise_signal(signal.SIGTERM)
    assert quiet_handlers == [signal.SIGTERM]
    signal.raise_signal(signal.SIGINT)
    assert quiet_handlers == [signal.SIGTERM, signal.SIGINT]
    del steps


def test_a_run_cleared_away_in_another_thread_is_out_of_the_way(quiet_handlers):
    block = Interrupt()
    interrupt = block.__enter__()
    thread = threading.Thread(target=block.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    signal.raise_signal(signal.SIGTERM)
    assert quiet_handlers == [signal.SIGTERM]
    assert not interrupt
    assert interrupt.receive not in handlers()


def test_blocks_that_end_in_the_order_in_which_they_began(quiet_handlers):
    before = handlers()
    one, two = Interrupt(), Interrupt()
    one.__enter__()
    flag = two.__enter__()
    one.__exit__(None, None, None)
    signal.raise_signal(signal.SIGTERM)
    assert flag.signal == signal.SIGTERM
    two.__exit__(None, None, None)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    assert quiet_handlers == [signal.SIGTERM, signal.SIGHUP]
    signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_outside_the_main_thread_nothing_is_touched():
    before, seen = handlers(), []

    def work():
        with Interrupt() as interrupt:
            seen.append((bool(interrupt), handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals of this kind")
def test_a_terminal_that_closes_saves_and_one_process_at_a_time_trains(tmp_path, capsys):
    """The terminal is a real one, whose closing the system reports; meanwhile a second process is refused."""
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(TEXT)
    command = ["train", str(text), "--out", str(run), "--hidden", "8", "--streams"]
    command += ["4", "--epochs", "90000", "--evaluations", "9000", "--threads", "1", "--precision", "float32"]
    started = [sys.executable, "-c", TERMINAL, sys.executable, "-m", "unrolled", *command]
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        started, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"validation" not in seen:
        seen += os.read(ours, 1 << 16)
    assert main([*command, "--resume"]) == 1
    assert f"another process is training in {run}" in " ".join(capsys.readouterr().err.split())
    os.close(ours)
    assert process.wait(timeout=600) == 128 + signal.SIGHUP
    assert CharModel.from_pretrained(run).next("a")
    prepare(Request([], run, Recipe(), Machine(), resume=True))


def test_ctrl_c_in_the_last_measurement_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("unrolled.learn.build.TRIAL_SECONDS", 0.0)
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(TEXT)
    command = ["train", str(text), "--out", str(run), "--hidden", "8", "--streams", "4", "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(Session, "finish", lambda session: signal.default_int_handler(signal.SIGINT, None))
        assert main(command) == 130
    said = capsys.readouterr().err
    assert "stopped during the last measurement" in " ".join(said.split())
    assert main([*command, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == str(run)


TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
