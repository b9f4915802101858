"""Flags made from the fields of a dataclass of settings, such that only those that were given are passed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, TypedDict, get_type_hints

from cyclopts import Group, Parameter
from docstring_parser import parse_from_object


def settings_type(kind: type[Any], groups: Mapping[Group, tuple[str, ...]], rest: Group) -> Any:
    """A TypedDict with the fields of the dataclass `kind`, their help and defaults; it holds only what was given.

    `groups` are the headings that fields stand under in `--help`; `rest` is the one of all other fields.
    """
    group_of = {name: group for group, names in groups.items() for name in names}
    sentences = {entry.arg_name: entry.description or "" for entry in parse_from_object(kind).params}
    hints = get_type_hints(kind)
    keys = {
        entry.name: Annotated[
            hints[entry.name],
            Parameter(
                help=sentences[entry.name] + ("" if entry.default is None else f" [default: {entry.default}]"),
                group=group_of.get(entry.name, rest),
                name="--" + entry.name.rstrip("_").replace("_", "-"),  # with_ ends so because with is a word of Python
            ),
        ]
        for entry in fields(kind)
    }
    return TypedDict(f"{kind.__name__}Settings", keys, total=False)  # type: ignore[operator]
