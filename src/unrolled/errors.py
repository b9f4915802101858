"""Every error a person can cause, as one small family, and the two helpers that word such errors.

Catching `UnrolledError` catches all of them; the command line prints its message as one line and exits with 1.
Messages say what was given, what was expected and what to do. Wrong use by our own code stays a plain assertion.

    UnrolledError
    ├── InputError         a text, table, prompt or setting that cannot be used
    ├── FolderError        a model folder, checkpoint or file that is missing, damaged, foreign or too new
    ├── TrainingError      a training run that cannot go on
    └── MissingExtraError  an optional library that is not installed
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class UnrolledError(Exception):
    """Base of all errors raised on purpose by unrolled."""


class InputError(UnrolledError, ValueError):
    """A text, table, prompt or setting cannot be used as given."""


class FolderError(UnrolledError):
    """A file or folder is missing, damaged, foreign, not writable, or of a newer format."""


class TrainingError(UnrolledError):
    """A training run cannot go on, for example because its loss is not finite."""


class MissingExtraError(UnrolledError, ImportError):
    """A library of an optional extra is not installed."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry: suggests the nearest name, else lists all."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(names)}"
    return InputError(f"unknown {kind} {given!r}: {hint}")


def import_extra(module: str, extra: str) -> ModuleType:
    """Import an optional library, or raise `MissingExtraError` naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != library:
            raise  # the library is there but one of its own parts is not: that is another fault
        raise MissingExtraError(
            f"this needs {library}, which is not installed: pip install 'unrolled[{extra}]'"
        ) from None
