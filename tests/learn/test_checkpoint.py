"""Checkpoints: what is packed comes back, strange files are refused, and a failing disk never costs the last one."""

import errno
import itertools
import json
import math
import os
import sys

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import FolderError
from unrolled.files import read_folder
from unrolled.learn.checkpoint import Checkpoints
from unrolled.learn.packing import STATE, TENSORS, pack, unpack
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.model.char_model import CharModel

TEXT = "a man said that he would read the notes again, and then he wrote them. " * 20
SMALL = Recipe(hidden=8, embedding=4, streams=4, length=16, epochs=1.0, evaluations=2)
FIXED = Machine(device="cpu", precision="float32", threads=1)
DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
)  # fmt: skip


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.setattr("unrolled.learn.build.TRIAL_SECONDS", 0.0)
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def tensors():
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda dtype, shape, seed: (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype),
        st.sampled_from(DTYPES),
        shapes,
        st.integers(0, 99),
    )


NAMES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=5)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(blacklist_categories=["Cs"]))
) | tensors()
STATES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
    max_size=4,
)


def same(a, b):
    """Equal in kind, content and, for tensors, type and shape; NaN is NaN, and -0.0 is not 0.0."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


@given(STATES)
def test_what_is_packed_comes_back(state):
    ordered = json.loads(json.dumps(state, sort_keys=True, default=str)).keys()  # JSON of ours has sorted keys
    back = unpack(pack(state))
    assert list(back) == list(ordered)
    assert same(_sorted(state), back)


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_the_comparison_can_fail():
    one = {"a": [torch.zeros(2), 0.0, math.nan]}
    assert same(one, unpack(pack(one)))
    assert not same(one, {"a": [torch.zeros(2), -0.0, math.nan]})
    assert not same(one, {"a": [torch.zeros(2, dtype=torch.float64), 0.0, math.nan]})
    assert not same(one, {"a": [torch.zeros(3), 0.0, math.nan]})


def test_tensors_that_share_memory_or_are_views_come_back_as_they_were():
    base = torch.arange(12.0).view(3, 4)
    state = {"whole": base, "part": base[1:], "turned": base.t(), "again": base}
    assert same(_sorted(state), unpack(pack(state)))


def test_no_two_places_share_a_name():
    state = {"a": {"b": torch.zeros(1)}, "a/b": torch.ones(1), "a~1b": torch.ones(2), "": torch.ones(3)}
    assert same(_sorted(state), unpack(pack(state)))


@pytest.mark.parametrize("value", [{"$tensor": "x"}, {"$float": "nan"}, {"a": {"$tensor": 3}}])
def test_names_that_stand_for_something_else_are_not_packed(value):
    with pytest.raises(AssertionError):
        pack({"state": value})


def _damaged(files):
    """Name of the damage, and the two files that have it."""
    state = json.loads(files[STATE])
    header = len(files[TENSORS]) - 8
    yield "a file is missing", {STATE: files[STATE]}
    yield "no JSON", files | {STATE: b"{"}
    yield "no object", files | {STATE: b"[]"}
    yield "nested a hundred thousand deep", files | {STATE: b'{"a":' * 100_000}
    yield "a tensor too few", files | {STATE: json.dumps(state | {"x": {"$tensor": "nowhere"}}).encode()}
    yield "a tensor too many", files | {TENSORS: safetensors.torch.save({"foreign": torch.zeros(1)} | _stored(files))}
    yield "a name of a tensor that is none", files | {STATE: json.dumps(state | {"x": {"$tensor": [1]}}).encode()}
    yield "a number that is none", files | {STATE: json.dumps(state | {"x": {"$float": "one"}}).encode()}
    yield "a number that is a list", files | {STATE: json.dumps(state | {"x": {"$float": [1]}}).encode()}
    yield "no tensors", files | {TENSORS: b""}
    yield "a pickle", files | {TENSORS: b"\x80\x04N."}
    yield "a header too long", files | {TENSORS: (1 << 62).to_bytes(8, "little") + b"{}"}
    yield "cut off", files | {TENSORS: files[TENSORS][:header]}


def _stored(files):
    return safetensors.torch.load(files[TENSORS])


def test_strange_files_are_refused_with_a_sentence_of_ours():
    files = pack({"a": torch.arange(6.0), "b": {"c": [torch.ones(2), 1.5, math.inf]}})
    assert unpack(files)
    for name, damaged in _damaged(files):
        with pytest.raises(FolderError, match=r"checkpoint|state\."):
            raise AssertionError(f"{name} was accepted: {unpack(damaged)}")


def test_every_truncation_of_either_file_is_refused():
    files = pack({"a": torch.arange(6.0), "b": [1, None, "x"]})
    for name in files:
        for length in range(len(files[name]) - 1):  # the very last byte of the JSON is a newline
            with pytest.raises(FolderError):
                unpack(files | {name: files[name][:length]})


def folder(run):
    return Checkpoints(run / "checkpoints", notify=lambda notice: None)


FILES = {"a.bin": b"first", "b.bin": b"second"}


def test_old_ones_go_and_the_best_stays(tmp_path):
    kept = folder(tmp_path)
    for step in range(1, 7):
        assert kept.save(step, FILES, best_step=2 if step >= 2 else 0)
    assert kept.steps() == [2, 5, 6]


def test_a_damaged_one_ahead_is_written_anew_or_goes(tmp_path):
    kept = folder(tmp_path)
    for step in (5, 9):
        kept.save(step, FILES, best_step=0)
    (kept.path(9) / "a.bin").write_bytes(b"fir$t")
    assert kept.newest()[0] == 5
    assert kept.save(7, FILES, best_step=0)
    assert kept.steps() == [5, 7]
    (kept.path(7) / "a.bin").write_bytes(b"fir$t")
    assert kept.save(7, FILES, best_step=0)
    assert kept.newest() == (7, FILES)


CALLS = ("write", "fsync", "replace", "unlink", "rmdir")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_the_old_or_the_new_one_loads_whatever_call_fails(tmp_path, monkeypatch, name, code):
    """Call after call of the system fails while a checkpoint is saved and an older one removed, until none is left."""
    for fault in itertools.count():
        said = []
        kept = Checkpoints(tmp_path / f"{fault}" / "checkpoints", notify=said.append)
        for step in (1, 2):
            assert kept.save(step, {"a.bin": b"%d" % step}, best_step=0)
        with monkeypatch.context() as patch:
            calls = fail(patch, name, fault, code)
            saved = kept.save(3, {"a.bin": b"3"}, best_step=0)
        newest = kept.newest()
        assert newest in [(2, {"a.bin": b"2"}), (3, {"a.bin": b"3"})]
        assert newest[0] == 3 or not saved
        reached = next(calls) > fault
        assert bool(said) == reached
        assert all(os.strerror(code) in sentence and "training goes on" in sentence for sentence in said)
        if not saved:
            assert 1 in kept.steps(), "an old one went before the new one was whole"
        assert kept.save(4, {"a.bin": b"4"}, best_step=0), "the next one tries again"
        assert kept.newest() == (4, {"a.bin": b"4"})
        if not reached:
            break
    assert fault >= {"write": 2, "fsync": 4, "replace": 3, "unlink": 1, "rmdir": 1}[name]


def fail(patch, name, fault, code):
    """Let call number `fault` of os.<name> fail; returns the counter of calls. A failing write has written a part."""
    calls, real = itertools.count(), os.fdopen if name == "write" else getattr(os, name)

    def failing(*arguments, **options):
        if next(calls) == fault:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    def opening(*arguments, **options):
        stream = real(*arguments, **options)
        if next(calls) == fault:
            stream.write(b"a part")
            stream.flush()
            stream.close()
            raise OSError(code, os.strerror(code))
        return stream

    patch.setattr(os, "fdopen" if name == "write" else name, opening if name == "write" else failing)
    return calls


def test_training_on_a_failing_disk_goes_on_says_so_and_ends_the_same(text, tmp_path, monkeypatch):
    """Every second call fails from the third step to the eighth; the end has the same bits as on a good disk."""
    for name in ("good", "write", "fsync", "replace"):
        said = []
        session = prepare(Request([text], tmp_path / name, SMALL, FIXED, notify=said.append, save_seconds=0.0))
        with monkeypatch.context() as patch:
            for record in session.run():
                if record.step == 3 and name != "good":
                    fail_often(patch, name)
                if record.step == 8:
                    patch.undo()
        session.finish()
        assert any("training goes on" in sentence for sentence in said) == (name != "good")
        assert weights(tmp_path / name) == weights(tmp_path / "good")


def weights(run):
    return read_folder(run)["model.safetensors"]


def fail_often(patch, name):
    calls, real = itertools.count(), os.fdopen if name == "write" else getattr(os, name)

    def failing(*arguments, **options):
        if next(calls) % 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **options)

    patch.setattr(os, "fdopen" if name == "write" else name, failing)


def test_a_disk_that_is_full_at_the_very_end_costs_nothing(text, tmp_path, monkeypatch):
    session = prepare(Request([text], tmp_path / "whole", SMALL, FIXED))
    for _ in session.run():
        pass
    session.finish()
    session = prepare(Request([text], tmp_path / "run", SMALL, FIXED))
    for _ in session.run():
        pass
    with monkeypatch.context() as patch:
        fail(patch, "replace", 4, errno.ENOSPC)
        with pytest.raises(FolderError, match=r"No space left.*--resume"):
            session.finish()
    assert CharModel.from_pretrained(tmp_path / "run").next("a")
    session = prepare(Request([], tmp_path / "run", Recipe(), Machine(), resume=True))
    assert list(session.run()) == []
    session.finish()
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_the_best_weights_survive_a_disk_that_refused_their_checkpoint(text, tmp_path, monkeypatch):
    """The best step's own checkpoint fails, so that the next one carries its weights."""
    session = prepare(Request([text], tmp_path / "run", SMALL, FIXED, save_seconds=0.0))
    for record in session.run():
        with monkeypatch.context() as patch:
            if record.step + 1 == session.state.plan.evaluate_every:
                patch.setattr(os, "fsync", refuse)
            elif record.step == session.state.plan.evaluate_every + 1:
                break
    best = {name: value.clone() for name, value in session.state.best.items()}
    said = []
    again = prepare(Request([text], tmp_path / "run", SMALL, FIXED, resume=True, notify=said.append))
    assert again.state.progress.best_step == session.state.plan.evaluate_every
    assert all(torch.equal(best[name], again.state.best[name]) for name in best)
    assert not any("lost" in sentence for sentence in said)


def refuse(descriptor):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_best_weights_that_are_lost_are_missed_aloud(text, tmp_path):
    session = prepare(Request([text], tmp_path / "run", SMALL, FIXED, save_seconds=0.0))
    for record in session.run():
        if record.step == session.state.plan.evaluate_every + 3:
            break
    path = tmp_path / "run" / "checkpoints" / f"step-{session.state.progress.best_step:08d}" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    said = []
    again = prepare(Request([text], tmp_path / "run", SMALL, FIXED, resume=True, notify=said.append))
    assert any("model.safetensors" in sentence and "lost" in sentence for sentence in said)
    assert (again.state.best, again.state.progress.best, again.state.progress.best_step) == (None, math.inf, 0)


def test_a_checkpoint_of_a_newer_version_is_refused_by_number(text, tmp_path, monkeypatch):
    monkeypatch.setattr("unrolled.learn.checkpoint.STATE_FORMAT", 2)
    for _ in prepare(Request([text], tmp_path / "run", SMALL, FIXED)).run():
        break
    monkeypatch.undo()
    with pytest.raises(FolderError, match="format 2, newer than the 1"):
        prepare(Request([text], tmp_path / "run", SMALL, FIXED, resume=True))


def test_damage_to_any_file_of_the_newest_checkpoint_leaves_the_one_before(text, tmp_path):
    """Cut off, longer, or with one bit flipped at either end or in the middle: named, and the one before is used.

    Every single bit and length, of a folder small enough for it: tests/test_files.py and tests/model/test_folder.py.
    """
    session = prepare(Request([text], tmp_path / "run", SMALL, FIXED, save_seconds=0.0))
    for record in session.run():
        if record.step == 2:
            break
    said = []
    kept = Checkpoints(tmp_path / "run" / "checkpoints", notify=said.append)
    for path in sorted(kept.path(2).iterdir()):
        whole = path.read_bytes()
        for damaged in _damages(whole):
            path.write_bytes(damaged)
            said.clear()
            assert kept.newest()[0] == 1
            assert path.name in said[0]
        path.write_bytes(whole)
    assert kept.newest()[0] == 2


def _damages(whole):
    middle, last = len(whole) // 2, len(whole) - 1
    yield from (whole[:length] for length in {0, 1, middle, last})
    yield whole + b"\0"
    for place in {0, middle, last}:
        for bit in range(8):
            yield whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of this kind")
@pytest.mark.parametrize("fits", [0.0, 0.1, 0.5, 0.99])
def test_files_that_the_system_itself_cuts_short_cost_nothing(text, tmp_path, fits):
    """A limit on the size of files instead of a full disk: the system writes a part and refuses the rest."""
    import resource

    said, limit = [], resource.getrlimit(resource.RLIMIT_FSIZE)
    session = prepare(Request([text], tmp_path / "run", SMALL, FIXED, notify=said.append, save_seconds=0.0))
    steps = session.run()
    assert [next(steps).step for _ in range(3)] == [1, 2, 3]
    largest = max(path.stat().st_size for path in (tmp_path / "run").glob("checkpoints/*/*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(fits * largest), limit[1]))
    try:
        assert [next(steps).step for _ in range(2)] == [4, 5]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    steps.close()  # type: ignore[attr-defined]
    assert session.run_folder.checkpoints.steps()[-1] == session.run_folder.checkpoints.newest()[0] == 3
    assert sum("training goes on" in sentence for sentence in said) >= 2
    left = [path.name for path in (tmp_path / "run").rglob("*") if path.name.startswith(".unrolled")]
    assert left == [], "what was written of it is in the way"
    again = prepare(Request([], tmp_path / "run", Recipe(), Machine(), resume=True, save_seconds=0.0))
    assert [next(again.run()).step, again.run_folder.checkpoints.newest()[0]] == [4, 4]
