"""Values read from JSON as the dataclasses that declare them: these fields, of these kinds, and no others.

An error names the file, the field and what was expected. Left out: reading the JSON itself (`files`), and what a value
may be beyond its kind, which is the dataclass's own affair.
"""

from __future__ import annotations

import contextlib
import math
import reprlib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unrolled.errors import FolderError, UnrolledError

T = TypeVar("T")

AnyFloat = Annotated[float, "NaN and infinity too"]
LARGEST = 2**63 - 1
_NAMES = {int: "a whole number below 2^63", float: "a finite number", str: "a string", bool: "true or false",
          NoneType: "null", list: "a list", dict: "an object"}  # fmt: skip


def typed(kind: type[T], value: Any, file: str, path: str = "", *, whole: bool = False) -> T:
    """`value`, found at `path` in `file`, as `kind`: a dataclass, or a kind that a field of one may have.

    Kinds are int, float (whole numbers too), str, bool, None, Any, and Literal, |, list, tuple and dict of these. A
    field without a default must be there; with `whole` those with one too. Raises FolderError, also for what a
    dataclass itself refuses.

    >>> typed(dict[str, float], {"mean": 1}, "encoder.json")
    {'mean': 1.0}
    """
    return _Reader(file, whole).read(kind, value, path)


def check_format(version: object, known: int, file: str) -> None:
    """Raises FolderError, naming the file, for a newer format than the one known, and for what is no format."""
    if type(version) is int and version > known:
        raise FolderError(f"{file} has format {version}, newer than the {known} known here: upgrade unrolled")
    if type(version) is not int or version < 1:
        raise FolderError(f"{file} should have format {known}, not {reprlib.repr(version)}")


@dataclass(frozen=True)
class _Reader:
    file: str
    whole: bool

    def read(self, kind: Any, value: Any, path: str) -> Any:
        if is_dataclass(kind):
            return value if isinstance(value, kind) else self._record(kind, value, path)  # type: ignore[arg-type]
        origin, inside = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            return self._either(inside, value, path)
        if origin in (list, tuple):
            return origin(self._items(inside[0], self._plain(list, value, path), path))
        if origin is dict:
            items = self._plain(dict, value, path).items()
            return {key: self.read(inside[1], item, _at(path, key)) for key, item in items}
        if origin is Annotated:
            return value if type(value) is inside[0] else self.read(inside[0], value, path)
        if origin is Literal:
            if not any(type(value) is type(choice) and value == choice for choice in inside):
                raise self._wrong(" or ".join(map(repr, inside)), value, path)
            return value
        return value if kind is Any else self._plain(kind, value, path)

    def _plain(self, kind: type[Any], value: Any, path: str) -> Any:
        if kind is float and type(value) is int and abs(value) <= LARGEST:
            return float(value)
        if type(value) is not kind or not _is_within(value):
            raise self._wrong(_NAMES.get(kind, kind.__name__), value, path)
        return value

    def _items(self, kind: Any, values: list[Any], path: str) -> Iterable[Any]:
        if kind in (str, bool) and set(map(type, values)) <= {kind}:  # at once, where there are millions
            return values
        return (self.read(kind, item, f"{path}[{i}]") for i, item in enumerate(values))

    def _either(self, kinds: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and NoneType in kinds:
            return None
        others = [kind for kind in kinds if kind is not NoneType]
        records: list[Any] = [kind for kind in others if is_dataclass(kind) and isinstance(value, dict)]
        if records:
            return self._record(min(records, key=lambda kind: len(_kinds(kind).keys() ^ value.keys())), value, path)
        for kind in others[:-1]:
            with contextlib.suppress(FolderError):
                return self.read(kind, value, path)
        return self.read(others[-1], value, path)

    def _record(self, kind: Any, value: Any, path: str) -> Any:
        content, kinds = self._plain(dict, value, path), _kinds(kind)
        optional = set() if self.whole else _optional(kind)
        for name in sorted(kinds.keys() - content.keys() - optional):
            raise FolderError(f"{self.file}: {_at(path, name)} is missing")
        for name in sorted(content.keys() - kinds.keys()):
            raise FolderError(f"{self.file}: {_at(path, name)} is not known here")
        found = {name: self.read(kinds[name], item, _at(path, name)) for name, item in content.items()}
        try:
            return kind(**found)
        except UnrolledError as error:
            raise FolderError(f"{self.file}: {error}") from None

    def _wrong(self, expected: str, value: Any, path: str) -> FolderError:
        place = f"{self.file}: {path}" if path else self.file
        return FolderError(f"{place} should be {expected}, not {reprlib.repr(value)}")


def _is_within(value: Any) -> bool:
    if type(value) is int:
        return abs(value) <= LARGEST
    return type(value) is not float or math.isfinite(value)


@cache
def _kinds(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {entry.name: hints[entry.name] for entry in fields(kind) if entry.init}


def _optional(kind: Any) -> set[str]:
    return {entry.name for entry in fields(kind) if not entry.default is entry.default_factory is MISSING}


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
