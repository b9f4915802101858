"""Whole or absent: atomic writes, verified reads, orphans swept, every OSError seen."""

import contextlib
import errno
import itertools
import os
import stat
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import FolderError
from unrolled.files import (
    MANIFEST,
    WINDOWS_WAITS,
    _replace,
    from_json,
    read_folder,
    remove_folder,
    sweep_orphans,
    to_json,
    write_file,
    write_folder,
)

FILES = {"a.bin": b"first", "b.json": b"{}\n"}


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}\.[a-z]{1,4}", fullmatch=True), st.binary(max_size=200), max_size=4))
def test_what_was_written_is_read(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("folder") / "new"
    write_folder(folder, files)
    assert read_folder(folder) == files


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_folder(tmp_path / "new", FILES)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "new" / "a.bin").stat().st_mode) == 0o640


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "missing" / "picture.png"
    with pytest.raises(FileNotFoundError) as raised:
        write_file(path, b"")
    assert raised.value.filename == str(path)


def test_an_existing_folder_is_refused(tmp_path):
    write_folder(tmp_path / "new", FILES)
    with pytest.raises(FolderError, match="exists already"):
        write_folder(tmp_path / "new", FILES)


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_old_or_new_whatever_call_fails(tmp_path, monkeypatch, name, code):
    """Each call of write, fsync and replace fails in turn, until a write goes through without reaching the fault."""
    path = tmp_path / "file"
    outcomes = []
    while "whole" not in outcomes:
        path.write_bytes(b"old")
        with monkeypatch.context() as patch:
            _break(patch, name, len(outcomes), code)
            try:
                write_file(path, b"new")
                outcomes.append("whole")
            except OSError:
                outcomes.append("failed")
        assert path.read_bytes() in (b"old", b"new")
        assert not sweep_orphans(tmp_path)
    assert path.read_bytes() == b"new"
    assert outcomes.count("failed") == {"write": 1, "fsync": 2, "replace": 1}[name]


def _break(patch, name, fault, code):
    """Let call number `fault` of os.<name> fail."""
    if name == "write":
        patch.setattr("unrolled.files.os.fdopen", _fdopen_failing(fault, code))
        return
    real, calls = getattr(os, name), itertools.count()

    def failing(*arguments):
        if next(calls) == fault:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    patch.setattr(os, name, failing)


def _fdopen_failing(fault, code):
    """os.fdopen whose stream fails at its write number `fault`."""
    real, calls = os.fdopen, 0

    def fdopen(*arguments, **options):
        stream = real(*arguments, **options)

        class Failing:
            def __enter__(self):
                return self

            def __exit__(self, *details):
                stream.close()

            def write(self, data):
                nonlocal calls
                calls += 1
                if calls == fault + 1:
                    stream.write(data[:1])
                    raise OSError(code, os.strerror(code))
                return stream.write(data)

            flush = staticmethod(stream.flush)
            fileno = staticmethod(stream.fileno)

        return Failing()

    return fdopen


@pytest.mark.parametrize(("name", "held", "waited"), [("nt", 2, 2), ("nt", 9, 5), ("posix", 1, 0)])
def test_a_file_that_a_scanner_holds_is_waited_for_on_windows_alone(tmp_path, monkeypatch, name, held, waited):
    real, waits, calls = os.replace, [], itertools.count()

    def replace(source, target):
        if next(calls) < held:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(source, target)

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    with monkeypatch.context() as patch:
        patch.setattr("unrolled.files.os", SimpleNamespace(name=name, replace=replace))
        patch.setattr("unrolled.files.time", SimpleNamespace(sleep=waits.append))
        with contextlib.suppress(PermissionError):
            _replace(source, target)
    assert len(waits) == waited
    assert target.exists() == (held <= waited)
    assert sum(WINDOWS_WAITS) < 3


def test_every_truncation_and_every_flipped_bit_is_named(tmp_path):
    folder = tmp_path / "new"
    write_folder(folder, FILES)
    for name in (*FILES, MANIFEST):
        whole = (folder / name).read_bytes()
        damaged = [whole[:length] for length in range(len(whole))]
        damaged += [_flipped(whole, bit) for bit in range(8 * len(whole))]
        for data in damaged:
            _overwrite(folder / name, data)
            with pytest.raises(FolderError, match=name):
                read_folder(folder)
        _overwrite(folder / name, whole)
    assert read_folder(folder) == FILES


def _overwrite(path, data):
    """In place: where a file is emptied first, some file systems wait for the disk when it is closed."""
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()


def _flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".", "..", "a\\b", "c:a", MANIFEST])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, name):
    from unrolled.files import manifest

    (tmp_path / MANIFEST).write_bytes(to_json(manifest({name: b""})))
    with pytest.raises(FolderError, match="is not the name of a file in this folder"):
        read_folder(tmp_path)


def test_a_newer_format_is_refused_by_number(tmp_path):
    from unrolled.files import sha256

    content = {"format": 2, "files": {}}
    (tmp_path / MANIFEST).write_bytes(to_json(content | {"sha256": sha256(to_json(content))}))
    with pytest.raises(FolderError, match="format 2, newer than the 1"):
        read_folder(tmp_path)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_bad_json_names_its_file(data):
    with pytest.raises(FolderError, match=r"x\.json"):
        from_json(data, "x.json")


def test_a_pickle_is_not_read(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(FolderError, match="pickle"):
        read_folder(tmp_path / "model.pt")


def test_orphans_are_swept_and_removal_leaves_nothing(tmp_path):
    write_folder(tmp_path / "new", FILES)
    (tmp_path / ".unrolled-orphan").mkdir()
    (tmp_path / ".unrolled-file").write_bytes(b"")
    assert len(sweep_orphans(tmp_path)) == 2
    remove_folder(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_equal_values_are_equal_bytes():
    assert (
        to_json({"b": 1, "a": [1.5, "é"]})
        == to_json({"a": [1.5, "é"], "b": 1})
        == b'{\n  "a": [\n    1.5,\n    "\xc3\xa9"\n  ],\n  "b": 1\n}\n'
    )
