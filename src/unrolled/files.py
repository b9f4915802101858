"""Atomic files and folders: everything that unrolled keeps on disk is written here.

A file is written under a temporary name in the same folder, synced and moved into place; a folder ends with a manifest
of SHA-256 sums. Reading verifies the sums, so that a truncated or altered file is reported by name; what is read of a
folder are regular files of bounded size, and no link leads out of it. No pickle is read or written anywhere. Left out:
locking, and the format of the contents (`typed`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from unrolled.errors import FolderError, InputError
from unrolled.typed import check_format, typed

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
TEMPORARY = ".unrolled-"  # prefix of every temporary name, so that leftovers of a killed process can be removed
PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})
"""Suffixes of files that can execute code when loaded."""
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not be waited for
NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)
WINDOWS_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
MAX_FOLDER_BYTES = 8 << 30
"""Of all files of a folder together; checked before anything is allocated. No model folder comes near it."""
MAX_MANIFEST_BYTES = 1 << 20
MAX_JSON_BYTES, MAX_JSON_VALUES, MAX_JSON_DEPTH = 128 << 20, 10_000_000, 64
"""Of one JSON file: 10 million values are three times the largest vocabulary with its counts."""


def to_json(value: Any) -> bytes:
    """JSON bytes in one fixed layout (sorted keys, two spaces, UTF-8), so that equal values are equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "surrogatepass")  # file names may contain lone surrogates


def from_json(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`; raises FolderError with the file `name` if it is not one, or larger than any of ours.

    Its numbers are finite.
    """
    _check_size(data, name)
    try:
        value = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise FolderError(_too_deep(name)) from None
    except ValueError as error:
        raise FolderError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FolderError(f"{name} should hold a JSON object, not {type(value).__name__}")
    _check_depth(value, name)
    return value


def _check_size(data: bytes, name: str) -> None:
    """Raises FolderError for a JSON file that is too large to be parsed; a parsed value takes 20 times its text."""
    if len(data) > MAX_JSON_BYTES or data.count(b",") >= MAX_JSON_VALUES:
        most = f"{MAX_JSON_BYTES:,} bytes and {MAX_JSON_VALUES:,} values"
        raise FolderError(f"{name} is too large: at most {most} are read")


def _check_depth(value: dict[str, Any], name: str) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        items = (item for one in level for item in (one.values() if isinstance(one, dict) else one))
        level = [item for item in items if isinstance(item, dict | list)]
    if level:
        raise FolderError(_too_deep(name))


def _too_deep(name: str) -> str:
    return f"{name} is nested more than {MAX_JSON_DEPTH} deep"


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


@contextlib.contextmanager
def open_file(path: Path, *, follow: bool = False) -> Iterator[BinaryIO]:
    """A regular file, open for reading in bytes: pipes and devices are refused, and so are symbolic links.

    `follow` follows links, for a path that the user named. Raises FolderError, naming the file.
    """
    try:
        if not follow and path.is_symlink():
            raise FolderError(f"{path} is a symbolic link: inside a folder unrolled follows none")
        with open(os.open(path, READ | (0 if follow else NO_LINKS)), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FolderError(f"{path} is not a regular file")
            yield stream
    except FileNotFoundError:
        raise FolderError(f"{path} is missing") from None
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {reason(error)}") from None


def read_file(path: Path, most: int, *, follow: bool = False) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises FolderError as `open_file` does."""
    with open_file(path, follow=follow) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise FolderError(f"{path} has {size:,} bytes, but at most {most:,} are read")
        return stream.read(most)


def reason(error: Exception) -> str:
    """What an error says, without the number and the path that the system's errors have."""
    return getattr(error, "strerror", None) or f"{error}"


def check_out(path: Path, endings: Sequence[str], noun: str = "a picture") -> str:
    """The ending of `path`, lower case. Raises InputError unless it is one of `endings`, in a folder that exists."""
    ending = path.suffix.lower()
    if ending not in endings:
        raise InputError(f"{path} ends in {ending or 'nothing'!r}: {noun} ends in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist, create it first")
    return ending


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves the old file or the new one, never a part of it.

    OSError is raised to the caller.
    """
    with _naming(path):
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only the owner can read
        _replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` and their manifest as a new folder `path`, which appears complete or not at all.

    Raises FolderError if `path` exists and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FolderError(f"{path} exists already: choose another folder, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path):
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
    try:
        temporary.chmod(0o777 & ~_umask())
        write_into(temporary, files)
        _replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def write_into(path: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` into the existing folder `path`, the manifest last: without it the folder counts as absent."""
    for name, data in files.items():
        if name.endswith(".json"):
            _check_size(data, f"{path / name}")  # what could not be read again is not written
        write_file(path / name, data)
    write_file(path / MANIFEST, to_json(manifest(files)))


def manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest of `files`: format version, size and SHA-256 of each, and a SHA-256 of the manifest itself."""
    sums = {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in files.items()}
    content = {"format": MANIFEST_FORMAT, "files": sums}
    return content | {"sha256": sha256(to_json(content))}


def read_folder(path: Path) -> dict[str, bytes]:
    """The verified contents of a folder written by `write_folder`, by file name.

    Raises FolderError that names the file that is missing, truncated or altered, or says that the format is newer.
    """
    listing = _read_manifest(path)
    return {name: _read_verified(path / name, name, entry) for name, entry in sorted(listing.items())}


def is_complete(path: Path) -> bool:
    """Whether `path` is a folder with a manifest (its contents are not verified)."""
    return (path / MANIFEST).is_file()


def sweep_orphans(path: Path) -> list[Path]:
    """Remove the temporary files and folders that killed processes left in `path`; returns what was removed."""
    orphans = sorted(path.glob(f"{TEMPORARY}*")) if path.is_dir() else []
    for orphan in orphans:
        if orphan.is_dir() and not orphan.is_symlink():
            shutil.rmtree(orphan)
        else:
            orphan.unlink()
    return orphans


def remove_folder(path: Path) -> None:
    """Remove a folder so that a crash never leaves a damaged one under its name."""
    doomed = path.with_name(f"{TEMPORARY}{path.name}-removed")
    _replace(path, doomed)
    shutil.rmtree(doomed)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _read_manifest(path: Path) -> dict[str, _Entry]:
    if not path.exists():
        raise FolderError(f"{path} does not exist")
    if not path.is_dir():
        raise FolderError(f"{path} is a file, but a folder written by unrolled was expected{_pickle_hint(path)}")
    if not is_complete(path):
        raise FolderError(f"{path} has no {MANIFEST}: it was not written by unrolled, or its writing was interrupted")
    data = read_file(path / MANIFEST, MAX_MANIFEST_BYTES)
    content = from_json(data, f"{path / MANIFEST}")
    if data != to_json(content) or content.pop("sha256", None) != sha256(to_json(content)):  # in our layout to the byte
        raise FolderError(f"{path} is damaged: {MANIFEST} does not match its own SHA-256")
    check_format(content.get("format"), MANIFEST_FORMAT, f"{path / MANIFEST}")
    listing = typed(_Manifest, content, f"{path / MANIFEST}").files
    if sum(entry.bytes for entry in listing.values()) > MAX_FOLDER_BYTES:
        raise FolderError(f"{path} is larger than any folder of unrolled: at most {MAX_FOLDER_BYTES:,} bytes are read")
    return listing


@dataclass(frozen=True)
class _Entry:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Manifest:
    format: int
    files: dict[str, _Entry]

    def __post_init__(self) -> None:
        for name in self.files:  # no path out of the folder
            if name in ("", ".", "..", MANIFEST) or set(name) & {"/", "\\", "\0", ":"}:
                raise FolderError(f"{name!r} is not the name of a file in this folder")


def _read_verified(path: Path, name: str, entry: _Entry) -> bytes:
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != entry.bytes:
            raise FolderError(f"{path} is damaged: {name} has {size:,} bytes instead of {entry.bytes:,}")
        data = stream.read(size)
    if sha256(data) != entry.sha256:
        raise FolderError(f"{path} is damaged: the SHA-256 of {name} is not the one written in {MANIFEST}")
    return data


def _pickle_hint(path: Path) -> str:
    return " (a pickle can run code when loaded, so unrolled never reads one)" if path.suffix in PICKLES else ""


def _replace(source: Path, target: Path) -> None:
    """os.replace; on Windows retried for two seconds, since a virus scanner may hold a file that was just written."""
    for seconds in WINDOWS_WAITS if os.name == "nt" else ():
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(seconds)
    os.replace(source, target)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError names `path`, which the user knows, and not a temporary file beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{path}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(path: Path) -> None:
    """Make a rename in `path` durable. Windows cannot open a folder, so there the rename alone must do."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
