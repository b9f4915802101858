"""The errors that users can cause, and two helpers that word them.

Catching `UnrolledError` catches all of them; the command line prints its message as one line and exits with 1.
Messages say what was given, what was expected and what to do. Internal errors are plain assertions.

    UnrolledError
    ├── InputError         a text, table, prompt or setting that cannot be used
    ├── FolderError        a model folder, checkpoint or file that is missing, damaged, of another kind or too new
    ├── TrainingError      a training run that cannot go on
    └── MissingExtraError  an optional library that is not installed

`EXTRAS` is the one place that knows which extra brings an optional library.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

EXTRAS = {
    "torch": "train",
    "sklearn": "tables",
    "scipy": "tables",
    "threadpoolctl": "train",
    "narwhals": "tables",
    "pandas": "tables",
    "pyarrow": "tables",
    "matplotlib": "plot",
    "plotly": "plot",
    "fastapi": "serve",
    "uvicorn": "serve",
    "lightgbm": "bench",
    "xgboost": "bench",
    "catboost": "bench",
    "skrub": "bench",
    "pytabkit": "peers",
}
"""Optional libraries, by the name under which they are imported, and the extra that brings each."""


class UnrolledError(Exception):
    """Base class of all errors that unrolled raises deliberately."""


class InputError(UnrolledError, ValueError):
    """A text, table, prompt or setting cannot be used as given."""


class FolderError(UnrolledError):
    """A file or folder is missing, damaged, of another kind, not writable, or of a newer format."""


class TrainingError(UnrolledError):
    """A training run cannot go on, for example because its loss is not finite."""


class MissingExtraError(UnrolledError, ImportError):
    """A library of an optional extra is not installed."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry: it suggests the closest name, or lists all."""
    names = sorted(known)
    near = [name for name in names if given and name.startswith(given)] or difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(names)}"
    return InputError(f"unknown {kind} {given!r}: {hint}")


def missing_extra(library: str) -> MissingExtraError:
    """The error for an optional library of `EXTRAS` that is not installed: it names the extra to install."""
    remedy = f"pip install 'unrolled[{EXTRAS[library]}]'"
    if EXTRAS[library] == "tables" and library != "pyarrow":
        remedy += ", or 'unrolled[encoder]', without PyTorch, if you only use a fitted encoder"
    return MissingExtraError(f"this needs {library}, which is not installed: {remedy}")


def import_extra(module: str) -> ModuleType:
    """Import an optional library, or raise `MissingExtraError` that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != library:
            raise  # the library is installed but one of its own dependencies is not: a different problem
        raise missing_extra(library) from None
