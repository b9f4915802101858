"""Atomic files and folders: everything that unrolled keeps on disk is written here.

A file is written under a temporary name in the same folder, synced and moved into place; a folder ends with a manifest
of SHA-256 sums. Reading verifies the sums, so that a truncated or altered file is reported by name. No pickle is read
or written anywhere. Left out: locking, and the format of the contents.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unrolled.errors import FolderError

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
TEMPORARY = ".unrolled-"  # prefix of every temporary name, so that leftovers of a killed process can be removed
PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})
"""Suffixes of files that can execute code when loaded."""
WINDOWS_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
MAX_FILE_BYTES = 8 << 30  # checked before allocation; no model folder comes near it


def to_json(value: Any) -> bytes:
    """JSON bytes in one fixed layout (sorted keys, two spaces, UTF-8), so that equal values are equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "surrogatepass")  # file names may contain lone surrogates


def from_json(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`; raises FolderError with the file `name` if it is not one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FolderError(f"{name} should hold a JSON object, not {type(value).__name__}")
    return value


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves the old file or the new one, never a part of it.

    OSError is raised to the caller.
    """
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
        if orphan.is_dir():
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


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FolderError(f"{path} does not exist")
    if not path.is_dir():
        raise FolderError(f"{path} is a file, but a folder written by unrolled was expected{_pickle_hint(path)}")
    if not is_complete(path):
        raise FolderError(f"{path} has no {MANIFEST}: it was not written by unrolled, or its writing was interrupted")
    data = _read_bytes(path / MANIFEST, MANIFEST)
    content = from_json(data, f"{path / MANIFEST}")
    if not _is_sealed(data, content):
        raise FolderError(f"{path} is damaged: {MANIFEST} does not match its own SHA-256")
    version, files = content.get("format"), content.get("files")
    if isinstance(version, int) and version > MANIFEST_FORMAT:
        raise FolderError(f"{path} has format {version}, newer than the {MANIFEST_FORMAT} known here: upgrade unrolled")
    if version != MANIFEST_FORMAT or not isinstance(files, dict) or not all(map(_is_entry, files.items())):
        raise FolderError(f"{path / MANIFEST} is damaged: it does not list files with their bytes and SHA-256")
    return files


def _is_sealed(data: bytes, content: dict[str, Any]) -> bool:
    """Whether the manifest has our exact layout and holds its own SHA-256, which is removed from `content`."""
    try:
        return data == to_json(content) and content.pop("sha256", None) == sha256(to_json(content))
    except ValueError:  # infinity, which we never write
        return False


def _is_entry(item: tuple[str, Any]) -> bool:
    name, entry = item
    plain = name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}  # no path out of the folder
    return (
        plain and isinstance(entry, dict) and type(entry.get("bytes")) is int and isinstance(entry.get("sha256"), str)
    )


def _read_verified(path: Path, name: str, entry: dict[str, Any]) -> bytes:
    data = _read_bytes(path, name)
    if len(data) != entry["bytes"]:
        raise FolderError(f"{path} is damaged: {name} has {len(data):,} bytes instead of {entry['bytes']:,}")
    if sha256(data) != entry["sha256"]:
        raise FolderError(f"{path} is damaged: the SHA-256 of {name} is not the one written in {MANIFEST}")
    return data


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FolderError(f"{path} is larger than any file of unrolled: {name} was not written by it")
        return path.read_bytes()
    except FileNotFoundError:
        raise FolderError(f"{path.parent} is damaged: {name} is missing") from None
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from None


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
