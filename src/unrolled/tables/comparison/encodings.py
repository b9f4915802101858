"""Categories as numbers in the ways that people use, each fitted on the training rows of a fold only.

Every encoding gets the same table: dates split into parts and columns judged category or number by the encoder's own
rule. Left out: the models that read the encoded tables, and vectors' pictures.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, import_extra
from unrolled.tables.data.columns import Column, read_table
from unrolled.tables.data.dates import date_part
from unrolled.tables.data.files import TargetColumn
from unrolled.tables.encoder.coding import Coding
from unrolled.tables.encoder.schema import fit_schema

WITH_EMBEDDINGS = "embeddings"
ENCODINGS = ("codes", "one-hot", "target", WITH_EMBEDDINGS, "native")
TARGET_FOLDS = 5  # inside target encoding


@dataclass(frozen=True)
class Roles:
    """The table that all encodings get: a pandas frame, and which of its columns are categories."""

    frame: Any
    categories: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The other columns."""
        return tuple(name for name in self.frame.columns if name not in self.categories)

    def take(self, rows: NDArray[np.intp]) -> Roles:
        """The same roles on the chosen rows."""
        return Roles(self.frame.iloc[rows].reset_index(drop=True), self.categories)


@dataclass(frozen=True)
class EncodedFold:
    """One encoding of one fold: matrices (or frames) to learn from and to be judged on, and the seconds it took.

    `predicted` holds what the encoder's own networks say for the rows to be judged, where there are any.
    """

    train: Any
    test: Any
    seconds: float
    predicted: NDArray[np.float64] | None = None


def assign_roles(frame: Any, categories: Sequence[str] = ()) -> Roles:
    """Split dates into parts and tell categories from numbers, by the rule of `schema`; `categories` adds to it."""
    columns = read_table(frame)
    fields = fit_schema(columns, np.zeros(len(frame))).fields
    by_name = {column.name: column for column in columns}
    kept: dict[str, Any] = {}
    named: list[str] = []
    for field in fields:
        column = by_name[field.source]
        if field.part is not None:
            column = date_part(column, field.part)
        kept[column.name] = _values(column)
        if isinstance(field.coding, Coding) or column.name in categories:
            named.append(column.name)
    return Roles(import_extra("pandas", "tables").DataFrame(kept), tuple(named))


def without_empty(train: Roles, test: Roles) -> tuple[Roles, Roles]:
    """Both parts of a fold without the columns that hold no value in any row to learn from, as early ones may not.

    Raises InputError where no column is left.
    """
    kept = [name for name in train.frame.columns if train.frame[name].notna().any()]
    if not kept:
        raise InputError("a fold has no value in any column to learn from: ask for fewer folds, or for random ones")
    categories = tuple(name for name in train.categories if name in kept)
    return Roles(train.frame[kept], categories), Roles(test.frame[kept], categories)


def encode(name: str, train: Roles, test: Roles, target: TargetColumn, seed: int) -> tuple[Any, Any]:
    """Encode both parts of a fold; `target` is that of the training rows. Not for "embeddings" and "native"."""
    makers: dict[str, Callable[[], Any]] = {
        "codes": lambda: _preprocessing().OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        "one-hot": lambda: _preprocessing().OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        "target": lambda: _target_encoder(target, seed),
    }
    compose, pipeline = import_extra("sklearn.compose", "tables"), import_extra("sklearn.pipeline", "tables")
    impute = import_extra("sklearn.impute", "tables")
    numbers = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="median", add_indicator=True), _preprocessing().StandardScaler()
    )
    transformer = compose.ColumnTransformer(
        [("categories", makers[name](), list(train.categories)), ("numbers", numbers, list(train.numbers))]
    )
    with warnings.catch_warnings():  # a class in fewer rows than the inner folds of target encoding is no mistake
        warnings.filterwarnings("ignore", "The least populated class")
        learned = transformer.fit_transform(_plain(train), target.values)
    return learned, transformer.transform(_plain(test))


def embed(
    train: Roles, test: Roles, target: TargetColumn, seed: int, networks: int | None
) -> tuple[Any, Any, NDArray[np.float64]]:
    """Both parts of a fold through an `EntityEncoder` fitted on its training rows, and what its networks predict."""
    from unrolled.tables.encoder.estimator import EntityEncoder

    places = [list(train.frame.columns).index(name) for name in train.categories]
    encoder = EntityEncoder(
        categorical_features=places,
        target_type=target.type,
        log_target=False,  # the comparison has taken the logarithm already, for all models alike
        n_networks=networks,
        random_state=seed,
        n_jobs=1,
    )
    learned = encoder.fit_transform(train.frame, target.values)
    return learned, encoder.transform(test.frame), encoder.network_prediction(test.frame)


def native_codes(train: Roles, test: Roles, most: int | None) -> tuple[Any, Any]:
    """Frames whose categories are pandas categoricals; beyond the `most` commonest they share one level.

    Columns are called c0, c1, ...: LightGBM and XGBoost refuse some names that people give.
    """
    pandas = import_extra("pandas", "tables")
    parts = [_plain(train), _plain(test)]
    for name in train.categories:
        levels = (
            parts[0][name].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
        )
        if most is not None and len(levels) > most:
            other = _free_name(levels)
            common = set(levels[: most - 1])
            for part in parts:
                known = part[name].isin(set(levels)) & ~part[name].isin(common)
                part[name] = part[name].where(~known, other)
            levels = [*levels[: most - 1], other]
        for part in parts:
            part[name] = pandas.Categorical(part[name].where(part[name].isin(levels)), categories=sorted(levels))
    for part in parts:
        part.columns = [f"c{i}" for i in range(part.shape[1])]
    return parts[0], parts[1]


def _free_name(levels: Sequence[str]) -> str:
    """A name for the level of all other categories that none of them has."""
    taken = set(levels)
    return next(name for name in ("(other)" + "'" * n for n in range(len(taken) + 1)) if name not in taken)


def _values(column: Column) -> Any:
    pandas = import_extra("pandas", "tables")
    if column.kind in ("integer", "number", "date"):
        return pandas.Series(np.where(column.missing, np.nan, column.values.astype(np.float64)))
    texts = np.where(column.values.astype(bool), "True", "False") if column.kind == "boolean" else column.values
    return pandas.Series(texts.astype(object)).where(~column.missing, None)


def _plain(roles: Roles) -> Any:
    """The frame with categories as text, missing ones too: what scikit-learn's encoders take without complaint."""
    frame = roles.frame.copy()
    for name in roles.categories:
        values = frame[name]
        text = values.map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
        frame[name] = text.astype(object).where(values.notna(), "(missing)")
    return frame


def _target_encoder(target: TargetColumn, seed: int) -> Any:
    """scikit-learn's, told what the target is: left alone it takes whole numbers for classes."""
    preprocessing, selection = _preprocessing(), import_extra("sklearn.model_selection", "tables")
    kind = preprocessing.TargetEncoder
    most = len(target.values) if target.type == "continuous" else int(np.bincount(target.values).max())
    count = max(2, min(TARGET_FOLDS, most))
    if "cv" in inspect.signature(kind).parameters and _takes_splitter():
        folds = selection.KFold if target.type == "continuous" else selection.StratifiedKFold
        return kind(target_type=target.type, cv=folds(count, shuffle=True, random_state=seed))
    return kind(target_type=target.type, cv=count, random_state=seed)


def _takes_splitter() -> bool:
    version = import_extra("sklearn", "tables").__version__
    return tuple(int(part) for part in version.split(".")[:2]) >= (1, 9)


def _preprocessing() -> Any:
    return import_extra("sklearn.preprocessing", "tables")
