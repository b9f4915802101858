"""The options that several commands share: each has its type, its default and its help text here, once.

Single options are annotated types. Options that always come together are dataclasses, whose fields become flags;
`settings_type` makes flags of which only those that were given are passed on. Left out: options of one command, and
the settings of training and sampling, which are flags made from their own classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_type_hints

from cyclopts import Group, Parameter

from unrolled.cli.output import MistypedOption
from unrolled.model.sampling import Sampling
from unrolled.text.vocabulary import OnUnknown

Flag = Parameter(negative="")
"""A boolean without its opposite: no --no-json, no --empty-stop."""


def _no_option(kind: Any, value: Any) -> None:
    """Raises MistypedOption, which cyclopts lets pass, for what would else be taken for a text called --epcohs."""
    for word in value if isinstance(value, list | tuple) else [value]:
        if isinstance(word, str) and re.fullmatch(r"--[A-Za-z][\w-]*(=.*)?", word):
            raise MistypedOption(word.split("=")[0])


def unescaped(text: str) -> str:
    """`text` with the characters for which its escapes stand: a newline, a tab and a backslash."""
    escapes = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda match: escapes[match[0]], text)


_WORDS = Parameter(allow_leading_hyphen=True, validator=_no_option)
SOURCES = "files, folders, '-' for standard input, or nietzsche, tinyshakespeare, python-docs"

Words = Annotated[str, _WORDS]
"""A text, a prompt, or the name of one; may begin with a hyphen, and '-' is standard input."""
Prompt = Annotated[str, _WORDS, Parameter(converter=lambda kind, tokens: unescaped(tokens[0].value))]
"""A text written by hand, in which \\n, \\t and \\\\ stand for a newline, a tab and a backslash."""
Texts = Annotated[Words, Parameter(help=f"{SOURCES[0].upper()}{SOURCES[1:]}.")]
Source = Annotated[
    Words,
    Parameter(
        help="A file, a folder, '-', or nietzsche, tinyshakespeare, python-docs; preferably not the training text."
    ),
]
Run = Annotated[Path, Parameter(help="The run folder, finished or not.")]
Only = Annotated[
    str | None,
    Parameter(help="Use one member of a mixture alone: network, counts, or network-2 and so on in a committee."),
]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object.")]
Raw = Annotated[
    bool, Parameter(negative="", help="Pass control characters on to the terminal, instead of showing them as codes.")
]
Seed = Annotated[int, Parameter(help="Random seed.")]
Encoding = Annotated[str, Parameter(help="Encoding of the text files.")]
Unknown = Annotated[
    OnUnknown,
    Parameter(
        help="What to do with a character that the model does not know: error, skip, or replace it by the unknown "
        "character."
    ),
]
Characters = Annotated[int, Parameter(help="Characters to use, at the end of the text, which training holds out.")]
Picture = Annotated[Path | None, Parameter(help="Where to write the picture, .png or .svg.")]
SamplingFlags = Annotated[Sampling, Parameter(name="*", group="Sampling")]


@dataclass(frozen=True)
class TextOptions:
    """How the text that a command looks at is read."""

    encoding: str = "utf-8"
    """Encoding of the text files."""
    unknown: Literal["error", "skip"] = "error"
    """Characters that the network does not know: error stops, skip removes them from the text."""


TextFlags = Annotated[TextOptions, Parameter(name="*")]

Names = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)]
Listed = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        converter=lambda kind, tokens: tuple(name.strip() for token in tokens for name in token.value.split(",")),
        show_default=",".join,
    ),
]
"""Names separated by commas; the option may also be repeated."""
Table = Annotated[Path, Parameter(help="A CSV or Parquet file.")]
Target = Annotated[str, Parameter(help="The column to predict.")]
MaxRows = Annotated[int, Parameter(help="Rows to use at most, drawn at random.")]


@dataclass(frozen=True)
class RowOptions:
    """Which rows and columns of a table are used, and as what."""

    categories: Names = ()
    """Integer columns to treat as categorical, beside those that the rule finds."""
    ignore: Names = ()
    """Columns to leave out."""
    target_type: Literal["continuous", "binary", "multiclass"] | None = None
    """Type of the target. By default numbers are continuous unless they have just two values; all else is classes."""
    missing_target: Literal["error", "drop"] = "error"
    """Rows without a target: error refuses the table, drop leaves them out and reports how many."""
    encoding: str = "utf-8"
    """Encoding of a CSV file."""


RowFlags = Annotated[RowOptions, Parameter(name="*")]


@dataclass(frozen=True)
class SplitOptions:
    """How rows are held out."""

    split: Literal["random", "time", "group"] = "random"
    """How rows are held out: random, time (later ones, in the order of --by) or group (all rows with one value of
    --by)."""
    by: str | None = None
    """The column that --split time or group goes by."""


SplitFlags = Annotated[SplitOptions, Parameter(name="*")]


def settings_type(kind: type[Any], groups: Mapping[Group, tuple[str, ...]], rest: Group) -> Any:
    """A TypedDict with the fields of the dataclass `kind`, their help and defaults; it holds only what was given.

    `groups` are the headings that fields stand under in `--help`; `rest` is the one of all other fields.
    """
    from docstring_parser import parse_from_object

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
