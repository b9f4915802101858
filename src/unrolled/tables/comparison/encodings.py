"""Categories as numbers in the ways that people use, each fitted on the training rows of a fold only.

Every encoding gets the same table: dates split into parts, and columns taken for categories or numbers by the rule of
the encoder. A new encoding is a function and a line in `ENCODINGS`. Left out: the models that read the encoded tables.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from unrolled.errors import InputError, import_extra
from unrolled.tables.data.columns import Column, label
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import TargetColumn
from unrolled.tables.encoder.coding import Coding
from unrolled.tables.encoder.schema import fit_fields

WITH_EMBEDDINGS = "embeddings"
TARGET_FOLDS = 5  # inside target encoding
TEXT_FROM = 40  # values of a column of strings, from which CatBoost is given it as a text too
SPARSE_BELOW = 0.3  # share of cells that are not 0 below which a table stays sparse, as in a ColumnTransformer


@dataclass(frozen=True)
class Roles:
    """The table that all encodings get, and which of its columns are categories."""

    table: Table
    categories: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The other columns."""
        return tuple(name for name in self.table.names if name not in self.categories)

    def take(self, rows: NDArray[np.intp]) -> Roles:
        """The same roles on the chosen rows."""
        return Roles(self.table.take(rows), self.categories)

    def texts(self) -> NDArray[np.object_]:
        """(row, category) the categories as text, missing ones as "(missing)"."""
        return np.column_stack([category_texts(self.table[name]) for name in self.categories]).astype(object)

    def values(self) -> NDArray[np.float64]:
        """(row, number) the columns of numbers, NaN where missing."""
        columns = [self.table[name] for name in self.numbers]
        return np.column_stack([np.where(c.missing, np.nan, c.values.astype(np.float64)) for c in columns])


@dataclass(frozen=True)
class Fold:
    """One fold to encode: the rows to learn from with their target, the rows to judge by, and settings.

    `networks` are those of the encoder, None being its own number; `levels` bounds native categories.
    """

    train: Roles
    test: Roles
    target: TargetColumn
    seed: int
    networks: int | None = None
    levels: int | None = None


@dataclass(frozen=True)
class EncodedFold:
    """One encoding of one fold: matrices (or frames) to learn from and to be judged on.

    `predicted` holds what the encoder's own networks predict for the rows to be judged, where there are any, and so
    many of the last columns are their `predictions` too.
    """

    train: Any
    test: Any
    predicted: NDArray[np.float64] | None = None
    predictions: int = 0


@dataclass(frozen=True)
class Encoding:
    """A way to encode categories: its title, and the function that encodes a fold.

    It gives None for a table in which there is nothing for it, as `unfit` says. `native` tables are frames with pandas
    categoricals, which only some models read, `texts` ones have columns of strings besides. Of `distances` the length
    carries meaning, so that models that compare rows by distance take them unscaled. `library` must be installed.
    """

    title: str
    encode: Callable[[Fold], EncodedFold | None]
    native: bool = False
    texts: bool = False
    distances: bool = False
    library: str = "sklearn"
    unfit: str = ""


def installed(options: Mapping[str, Any]) -> list[str]:
    """The names of the encodings, or of the models, whose library is installed."""
    return [name for name, option in options.items() if importlib.util.find_spec(option.library) is not None]


def assign_roles(table: Table, categories: Sequence[str] = ()) -> Roles:
    """Split dates into parts and tell categories from numbers, by the rule of `schema`; `categories` adds to it."""
    kept: list[Column] = []
    named: list[str] = []
    for field in fit_fields(table.columns, np.zeros(table.rows)):
        column = field.read(table[field.source])
        if column.name in (other.name for other in kept):
            continue  # whole numbers that are a category and a number
        kept.append(column)
        if isinstance(field.coding, Coding) or column.name in categories:
            named.append(column.name)
    return Roles(Table(tuple(kept)), tuple(named))


def without_empty(train: Roles, test: Roles) -> tuple[Roles, Roles]:
    """Both parts of a fold without the columns that hold no value in any row to learn from, as early ones may not.

    Raises InputError where no column is left.
    """
    empty = [column.name for column in train.table.columns if column.missing.all()]
    if len(empty) == len(train.table.columns):
        raise InputError("a fold has no value in any column to learn from: ask for fewer folds, or for random ones")
    categories = tuple(name for name in train.categories if name not in empty)
    return Roles(train.table.without(empty), categories), Roles(test.table.without(empty), categories)


def category_texts(column: Column) -> NDArray[np.object_]:
    """(row,) the values of a column of categories as text."""
    texts = [label(value) for value in column.values.tolist()]
    return np.where(column.missing, "(missing)", np.array(texts, dtype=object))


def _codes(fold: Fold) -> EncodedFold:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    return _by_transformer(fold, codes)


def _one_hot(fold: Fold) -> EncodedFold:
    return _by_transformer(fold, OneHotEncoder(handle_unknown="ignore", dtype=np.float32))


def _target(fold: Fold) -> EncodedFold:
    return _by_transformer(fold, _target_encoder(fold.target, fold.seed))


def _vectorized(fold: Fold) -> EncodedFold:
    """skrub's choice by column: one-hot for few values, main components of character n-grams for many."""
    skrub = import_extra("skrub")
    strings = skrub.StringEncoder(random_state=fold.seed)
    table = skrub.TableVectorizer(high_cardinality=strings, n_jobs=1)
    filled = SimpleImputer(keep_empty_features=True)  # it reads texts of numbers as numbers, with gaps
    return _by_transformer(fold, make_pipeline(table, filled))


def _by_transformer(fold: Fold, transformer: Any) -> EncodedFold:
    """Categories through a transformer of scikit-learn, numbers filled with their median, marked and scaled."""
    learned, judged = [], []
    if fold.train.categories:
        with warnings.catch_warnings():  # neither a class in fewer rows than inner folds nor a new name is a mistake
            warnings.filterwarnings("ignore", "The least populated class|Found unknown categories")
            learned.append(transformer.fit_transform(_named(fold.train.texts()), fold.target.values))
            judged.append(transformer.transform(_named(fold.test.texts())))
    if fold.train.numbers:
        scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
        learned.append(scaled.fit_transform(fold.train.values()))
        judged.append(scaled.transform(fold.test.values()))
    sparse = any(hasattr(part, "toarray") for part in learned) and _density(learned) < SPARSE_BELOW
    return EncodedFold(_side_by_side(learned, sparse), _side_by_side(judged, sparse))


def _named(texts: NDArray[np.object_]) -> Any:
    """As a frame, which skrub wants; its columns are called c0, c1, ..."""
    return import_extra("pandas").DataFrame(texts, columns=[f"c{i}" for i in range(texts.shape[1])])


def _density(parts: list[Any]) -> float:
    filled = sum(part.nnz if hasattr(part, "toarray") else part.size for part in parts)
    return float(filled / sum(part.shape[0] * part.shape[1] for part in parts))


def _side_by_side(parts: list[Any], sparse: bool) -> Any:
    if sparse:
        return import_extra("scipy.sparse").hstack(parts).tocsr()
    return np.hstack([part.toarray() if hasattr(part, "toarray") else part for part in parts])


def _embeddings(fold: Fold) -> EncodedFold:
    """Both parts through an `EntityEncoder` fitted on the training rows, and what its networks predict."""
    from unrolled.tables.encoder.estimator import EntityEncoder

    train, test = fold.train.table, fold.test.table
    encoder = EntityEncoder(
        categorical_features=[train.names.index(name) for name in fold.train.categories],
        target_type=fold.target.kind,
        log_target=False,  # the comparison has taken the logarithm already, for all models alike
        n_networks=fold.networks,
        random_state=fold.seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # an interrupted fit is reported by the comparison
        warnings.filterwarnings("ignore", "training was interrupted")
        learned = encoder.fit_transform(train, fold.target.values)
    if encoder.interrupted_:
        raise KeyboardInterrupt
    predictions = encoder.target_.outputs if encoder.fitted_.predicts else 0
    return EncodedFold(learned, encoder.transform(test), encoder.network_prediction(test), predictions)


def _native(fold: Fold) -> EncodedFold:
    """Frames whose categories are pandas categoricals; beyond the `levels` commonest they share one level.

    Columns are called c0, c1, ...: LightGBM and XGBoost refuse some names that people give.
    """
    pandas = import_extra("pandas")
    frames: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for i, name in enumerate(fold.train.table.names):
        for frame, values in zip(frames, _native_column(fold, name), strict=True):
            frame[f"c{i}"] = values
    return EncodedFold(*(pandas.DataFrame(frame) for frame in frames))


def _native_and_texts(fold: Fold) -> EncodedFold | None:
    """Native categories, and beside them the columns of strings with many values as they are: t0, t1, ..."""
    columns = [fold.train.table[name] for name in fold.train.categories]
    named = [c.name for c in columns if c.kind == "string" and len(set(c.values.tolist())) > TEXT_FROM]
    if not named:
        return None
    native = _native(fold)
    for frame, roles in ((native.train, fold.train), (native.test, fold.test)):
        for i, name in enumerate(named):
            frame[f"t{i}"] = category_texts(roles.table[name])
    return native


def _native_column(fold: Fold, name: str) -> list[Any]:
    columns = [part.table[name] for part in (fold.train, fold.test)]
    if name not in fold.train.categories:
        return [np.where(c.missing, np.nan, c.values.astype(np.float64)) for c in columns]
    texts = [category_texts(column) for column in columns]
    found, counts = np.unique(texts[0], return_counts=True)
    levels = found[np.argsort(-counts, kind="stable")].tolist()
    if fold.levels is not None and len(levels) > fold.levels:
        other, rare = _free_name(levels), levels[fold.levels - 1 :]
        texts = [np.where(np.isin(text, rare), other, text) for text in texts]
        levels = [*levels[: fold.levels - 1], other]
    pandas = import_extra("pandas")
    known = [pandas.Series(text).where(np.isin(text, levels), None) for text in texts]
    return [pandas.Categorical(text, categories=sorted(levels)) for text in known]


def _free_name(levels: Sequence[str]) -> str:
    """A name for the level of all other categories that none of them has."""
    taken = set(levels)
    return next(name for name in ("(other)" + "'" * n for n in range(len(taken) + 1)) if name not in taken)


def _target_encoder(target: TargetColumn, seed: int) -> Any:
    """scikit-learn's, told what the target is: left alone it takes whole numbers for classes."""
    most = int(np.bincount(target.values).max()) if target.is_classification else len(target.values)
    count = max(2, min(TARGET_FOLDS, most))
    if [int(part) for part in sklearn.__version__.split(".")[:2]] < [1, 9]:  # which takes no splitter
        return TargetEncoder(target_type=target.kind, cv=count, random_state=seed)
    folds = StratifiedKFold if target.is_classification else KFold
    return TargetEncoder(target_type=target.kind, cv=folds(count, shuffle=True, random_state=seed))


ENCODINGS: dict[str, Encoding] = {
    "codes": Encoding("raw codes", _codes),
    "one-hot": Encoding("one-hot", _one_hot),
    "target": Encoding("target encoding", _target),
    "skrub": Encoding("TableVectorizer", _vectorized, library="skrub"),
    WITH_EMBEDDINGS: Encoding("embeddings", _embeddings, distances=True),
    "native": Encoding("native", _native, native=True),
    "text": Encoding(
        "native and text",
        _native_and_texts,
        native=True,
        texts=True,
        unfit=f"no column of strings has more than {TEXT_FROM} values of words that recur",
    ),
}
