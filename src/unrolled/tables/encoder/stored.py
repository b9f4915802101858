"""What `encoder.json` holds, field by field, and what must hold between its fields.

Left out: the arrays beside it, and what is made of both (`folder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from unrolled.bounds import check_number, check_whole
from unrolled.errors import FolderError
from unrolled.tables.data.dates import AMOUNTS, FORMS, PARTS
from unrolled.tables.encoder.coding import SPECIAL
from unrolled.tables.encoder.config import EncoderConfig, FitSettings
from unrolled.typed import typed

SETTINGS = {"handle_unknown", "recipe", "random_state", *(f.name for f in fields(FitSettings))} - {"config", "seed"}
VALUES: dict[str, Any] = {"string": list[str], "boolean": list[bool], "integer": list[int], "number": list[float]}


@dataclass(frozen=True)
class StoredNumbers:
    """A column of numbers."""

    source: str
    part: str | None
    reason: str
    name: str
    mean: float
    deviation: float
    marks_missing: bool
    form: str | None = None
    handed_on: bool = True
    """Formats before 4 had neither form nor handed_on."""
    knots: list[float] = field(default_factory=list)
    """Formats before 5 had none."""

    def __post_init__(self) -> None:
        check_number(f"deviation of {self.name!r}", self.deviation, above=0)
        if self.knots != sorted(self.knots):
            raise FolderError(f"the knots of {self.name!r} are not in increasing order")


@dataclass(frozen=True)
class StoredCategories:
    """A column of categories, or a part of a column of dates."""

    source: str
    part: str | None
    reason: str
    name: str
    kind: Literal["string", "boolean", "integer", "number"]
    known: list[Any]
    merged: list[Any]
    counts: list[int]
    form: str | None = None
    handed_on: bool = True

    def __post_init__(self) -> None:
        for name in ("known", "merged"):
            typed(VALUES[self.kind], getattr(self, name), f"column {self.name!r}", name)
        if len({*self.known, *self.merged}) < len(self.known) + len(self.merged):
            raise FolderError(f"duplicate category in column {self.name!r}")
        if len(self.counts) != len(SPECIAL) + len(self.known):
            raise FolderError(f"column {self.name!r} needs {len(SPECIAL) + len(self.known)} counts")
        check_whole(f"the smallest count of column {self.name!r}", min(self.counts), 0)


@dataclass(frozen=True)
class StoredText:
    """A column of free text, or of sets."""

    source: str
    part: None
    reason: str
    name: str
    form: None
    handed_on: bool
    text: Literal[True]
    separator: Literal[";", "|"] | None = None


@dataclass(frozen=True)
class StoredConstant:
    """A column, or a part of a date, that had one value. Formats before 6 had none."""

    source: str
    part: str | None
    reason: str
    name: str
    form: str | None
    handed_on: bool
    value: str


@dataclass(frozen=True)
class StoredTarget:
    """The coding of the target."""

    kind: Literal["continuous", "binary", "multiclass"]
    single: bool
    classes: list[str] | list[bool] | list[int] | list[float] | None
    log: bool
    mean: list[float] | None
    deviation: list[float] | None

    def __post_init__(self) -> None:
        if self.classes is not None:
            numbers, is_fitting = len(set(self.classes)), self.mean is self.deviation is None and not self.log
            fewest, most = (2, 2) if self.kind == "binary" else (3, len(self.classes))
            if self.kind == "continuous" or not is_fitting or numbers != len(self.classes):
                raise FolderError("a target with classes must have distinct ones, and neither a mean nor a log")
            check_whole("the number of classes", numbers, fewest, most)
            return
        if self.kind != "continuous" or self.mean is None or self.deviation is None:
            raise FolderError("a continuous target must have a mean and a deviation, any other target classes")
        check_whole("the number of outputs", len(self.mean), 1, len(self.deviation))
        if len(self.mean) != len(self.deviation) or (self.single and len(self.mean) > 1):
            raise FolderError("a target must have a mean and a deviation for each output, a single one for one")
        check_number("deviation of the target", min(self.deviation), above=0)


@dataclass(frozen=True)
class Stored:
    """All of `encoder.json`."""

    format: int
    kind: Literal["EntityEncoder"]
    unrolled: str
    settings: dict[str, Any]
    """The parameters of the estimator; objects are not kept. Most are checked where they are used: by another fit."""
    n_features_in: int
    feature_names_in: list[str] | None
    fields: list[StoredNumbers | StoredCategories | StoredText | StoredConstant]
    dimensions: list[int]
    target: StoredTarget
    interrupted: bool
    sigmoid: bool
    predicts: bool | None = None
    outputs: list[str] | None = None
    """Names of the output columns. Formats before 4 have neither this nor a prediction."""
    explained: dict[str, float] = field(default_factory=dict)
    """Formats before 3 read no names."""

    def __post_init__(self) -> None:
        if (self.predicts is None or self.outputs is None) and self.format >= 4:
            raise FolderError("predicts or outputs is missing")
        unknown = self.settings.keys() - SETTINGS
        if unknown or self.settings.get("handle_unknown", "embed") not in ("embed", "error"):
            raise FolderError(f"settings has {min(unknown, default='another handle_unknown')}, which no encoder has")
        check_whole("n_features_in", self.n_features_in, 1)
        names, sources = self.feature_names_in, {one.source for one in self.fields}
        if names is not None and (len(set(names)) != self.n_features_in or not sources <= {*names}):
            raise FolderError(
                "feature_names_in must be n_features_in distinct names, the source of every field among them"
            )
        if len(sources) != self.n_features_in:
            raise FolderError(f"there are {len(self.fields)} fields of {self.n_features_in} columns")
        for one in self.fields:
            if one.part not in (None, *PARTS, *AMOUNTS) or one.form not in (None, *FORMS):
                raise FolderError(f"{one.part!r} of column {one.source!r} is not part of a date, or has no date format")
            if one.name != (one.source if one.part is None else f"{one.source}_{one.part}"):
                raise FolderError(f"the field of column {one.source!r} is called {one.name!r}")
        if len({(one.name, isinstance(one, StoredCategories)) for one in self.fields}) < len(self.fields):
            raise FolderError("duplicate name among the fields of one kind")
        categories = [one.name for one in self.fields if isinstance(one, StoredCategories)]
        if len(categories) != len(self.dimensions) or min(self.dimensions, default=1) < 1:
            raise FolderError(f"{len(categories)} columns of categories need as many dimensions of at least 1")
        if not self.explained.keys() <= {*categories}:
            raise FolderError("explained names something that is not a column of categories")
        if self.sigmoid and self.target.kind != "continuous":
            raise FolderError("only a continuous target passes through a sigmoid")


def read_stored(content: Mapping[str, Any], file: str, renamed: Mapping[str, str]) -> Stored:
    """`content` as it is typed; settings of the recipe may have names that were `renamed` since.

    Raises FolderError, naming the file and the field.
    """
    settings = content.get("settings")
    if isinstance(settings, dict) and isinstance(settings.get("recipe"), dict):
        recipe = {renamed.get(name, name): value for name, value in settings["recipe"].items()}
        content = {**content, "settings": settings | {"recipe": typed(EncoderConfig, recipe, file, "settings.recipe")}}
    return typed(Stored, dict(content), file)
