"""The target of a table: what kind it is, by a stated rule, and its way into a model and back.

The rule of `target_type="auto"`: strings, categories and booleans are classes; exactly two values are two classes;
everything else is a number. Whole numbers with few values could be either, so there a warning names the rule.
Left out: the loss of the encoder's networks (see `encoder.networks`), and errors of predictions (see `metrics`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError, unknown_name
from unrolled.tables.data.columns import Column, first_row, is_frame, is_missing
from unrolled.tables.data.table import Table

TargetType = Literal["continuous", "binary", "multiclass"]
TARGET_TYPES: tuple[TargetType, ...] = ("continuous", "binary", "multiclass")
LOSS_NAMES: dict[TargetType, str] = {"continuous": "variance", "binary": "log loss", "multiclass": "log loss"}
"""What the share of a target that is explained is a share of."""
FEW_VALUES = 20
"""Whole numbers with up to this many values are warned about: they may be class codes."""
SHOWN_CLASSES = 8
CODED_CLASSES = 8  # of a multi-class target, where its classes become numbers: more would make one column many
MIN_ROWS = 20  # fewer rows leave no fold with anything to learn from


@dataclass(frozen=True)
class Target:
    """What a target is and how it is scaled.

    `classes` lists the labels of a classification. A regression has its `mean` and `deviation`, (output,), taken of
    log(y) if `log`; `single` tells a one-dimensional target from a table of one column.
    """

    kind: TargetType
    single: bool
    classes: NDArray[Any] | None = None
    log: bool = False
    mean: NDArray[np.float64] | None = None
    deviation: NDArray[np.float64] | None = None

    @property
    def is_classification(self) -> bool:
        """Whether the target is one of several classes, and not a number."""
        return self.classes is not None

    @property
    def outputs(self) -> int:
        """Outputs of the network: one a class where there are more than two, one a number else."""
        if self.kind == "continuous":
            assert self.mean is not None
            return len(self.mean)
        assert self.classes is not None
        return 1 if self.kind == "binary" else len(self.classes)

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Network targets: float32 (row, output), or int64 (row,) class numbers where there are several classes.

        Raises InputError for a label that is none of the classes, for what is no number, for one without a logarithm
        where that is learned, and for another number of columns than the fitted one.
        """
        self._check_width(y)
        if self.kind == "continuous":
            assert self.mean is not None
            assert self.deviation is not None
            values = _as_numbers(y)
            return (((_logarithms(values) if self.log else values) - self.mean) / self.deviation).astype(np.float32)
        classes = self._class_numbers(y[:, 0])
        return classes.astype(np.int64) if self.kind == "multiclass" else classes[:, None].astype(np.float32)

    def decode(self, raw: NDArray[Any]) -> NDArray[np.float64]:
        """Predictions from raw outputs (..., row, output): numbers, or probabilities (..., row, class)."""
        raw = raw.astype(np.float64)
        if self.kind == "continuous":
            assert self.mean is not None
            assert self.deviation is not None
            values: NDArray[np.float64] = raw * self.deviation + self.mean
            return np.exp(values) if self.log else values
        if self.kind == "binary":
            positive = 1 / (1 + np.exp(-np.clip(raw, -500, 500)))
            return np.concatenate([1 - positive, positive], axis=-1)
        powers = np.exp(raw - raw.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def values(self, y: NDArray[Any]) -> NDArray[Any]:
        """(row,) the target (row, 1) as scikit-learn's models take it: float64 numbers, or int64 class positions."""
        return _as_numbers(y)[:, 0] if self.classes is None else self._class_numbers(y[:, 0])

    def numeric(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """(row,) the target as one number, for means by category: the first output, or the number of the class."""
        first = y[:, 0] if self.kind == "continuous" else self._class_numbers(y[:, 0])
        return np.asarray(first, dtype=np.float64)

    def indicators(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """(row, output) the target as numbers whose means tell of it: its own, or of each class whether it is that."""
        if self.kind != "multiclass":
            return self.encode(y).astype(np.float64)
        return np.eye(self.outputs)[self._class_numbers(y[:, 0])]

    def _check_width(self, y: NDArray[Any]) -> None:
        width = self.outputs if self.kind == "continuous" else 1
        if y.shape[1] != width:
            raise InputError(f"the target has {y.shape[1]} columns, but was fitted on {width}")

    def _class_numbers(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        assert self.classes is not None
        places = {label: place for place, label in enumerate(self.classes.tolist())}
        try:
            return np.array([places[label] for label in labels.tolist()], dtype=np.int64)
        except KeyError as error:
            known = ", ".join(map(repr, [*places][:SHOWN_CLASSES])) + ", ..." * (len(places) > SHOWN_CLASSES)
            raise InputError(f"the target holds {error}, which is none of the classes fitted on: {known}") from None


@dataclass(frozen=True)
class TargetColumn:
    """The column to predict, on some rows: what it is, and its values as scikit-learn's models take them.

    `values` is (row,): float64 for a regression, else the int64 position of each row's class in `target.classes`.
    """

    name: str
    target: Target
    values: NDArray[Any]

    @property
    def kind(self) -> TargetType:
        """The type of the target."""
        return self.target.kind

    @property
    def is_classification(self) -> bool:
        """Whether the target is one of several classes, and not a number."""
        return self.target.is_classification

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes by position; empty for a number."""
        return () if self.target.classes is None else tuple(map(str, self.target.classes.tolist()))

    def take(self, rows: NDArray[np.intp]) -> TargetColumn:
        """The same target on the chosen rows only."""
        return replace(self, values=self.values[rows])

    def indicators(self) -> NDArray[np.float64]:
        """(row, output) numbers whose means describe a group of rows: the target itself, or membership of classes.

        Of two classes only the second has one; of more only the `CODED_CLASSES` commonest, in that order.
        """
        if not self.is_classification:
            return np.asarray(self.values[:, None], np.float64)
        return np.asarray(self.values[:, None] == self._indicated(), np.float64)

    def indicator_name(self) -> str:
        """What the mean of the first of the `indicators` is, for people."""
        if not self.is_classification:
            return f"mean {self.name}"
        return f"share of {self.name} = {self.labels[self._indicated()[0]]}"

    def _indicated(self) -> NDArray[np.intp]:
        """(output,) the classes that have an indicator."""
        counts = np.bincount(self.values, minlength=len(self.labels))
        return np.array([1]) if len(counts) == 2 else np.argsort(-counts, kind="stable")[:CODED_CLASSES]


def split_target(table: Table, name: str, target_type: TargetType | None = None) -> tuple[Table, TargetColumn]:
    """The other columns of `table`, and its column `name` as the target.

    The type is that of `kind_by_rule` unless given. Raises InputError where the target cannot be learned.
    """
    column, features = table[name], table.without([name])
    if table.rows < MIN_ROWS:
        raise InputError(f"the table has {table.rows} rows, but at least {MIN_ROWS} are needed to measure anything")
    if not features.columns:
        raise InputError(f"the table has no column besides the target {name!r}")
    return features, target_column(column, target_type)


def target_column(column: Column, target_type: TargetType | None = None) -> TargetColumn:
    """The target in `column`; see `split_target`."""
    name, rows = f"the target {column.name!r}", len(column)
    missing = int(column.missing.sum())
    if missing:
        raise InputError(
            f"{name} is missing in {missing:,} row{'s' * (missing > 1)} (first: "
            f"{first_row(column.missing)}): drop them or fill them"
        )
    if column.kind == "date":
        raise InputError(f"{name} holds dates: turn it into a number first, such as days")
    values = column.values.astype(object) if column.declared else column.values
    distinct = len(np.unique(values))
    kind = target_type or kind_by_rule(distinct, values.dtype.kind not in "Ob")
    target = fit_target(values[:, None], True, kind, name=name)
    if target.is_classification and distinct > rows // 2:
        raise InputError(
            f"{name} has {distinct} different values in {rows:,} rows, such as {values[0]!r}: too many for classes; "
            "if they are numbers, write them plainly, as 1234.5, else choose another target"
        )
    return TargetColumn(column.name, target, target.values(values[:, None]))


def few_whole_numbers(values: NDArray[Any]) -> int:
    """How many values numbers have that may be meant as classes: 3 to `FEW_VALUES` whole numbers; 0 for others."""
    if values.dtype.kind not in "iuf":
        return 0
    distinct = np.unique(values)
    return len(distinct) if 2 < len(distinct) <= FEW_VALUES and bool((distinct % 1 == 0).all()) else 0


def read_target(y: Any, rows: int) -> tuple[NDArray[Any], bool]:
    """`y` as (row, output) and whether it was one-dimensional.

    Raises InputError if it is missing, has another number of rows than the table, or an empty or infinite value.
    """
    if y is None:
        raise InputError("EntityEncoder requires y to be passed, but the target y is None")
    array = _as_array(y)
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"the target must have one value a row, or one row of values a row, not shape {array.shape}")
    if len(array) != rows:
        raise InputError(f"the target has {len(array)} rows, but the table has {rows}: they are inconsistent")
    single = array.ndim == 1 or array.shape[1] == 1
    array = array.reshape(rows, -1)
    _refuse_gaps(array)
    _refuse_mixes(array)
    return array, single


def _as_array(y: Any) -> NDArray[Any]:
    native = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(native, nw.DataFrame) and native.shape[1] == 1:
        native = native[:, 0]
    if isinstance(native, nw.Series) or is_frame(y):
        y = native.to_numpy()
    array = np.asarray(y)
    if isinstance(native, nw.Series) and isinstance(native.dtype, nw.Categorical | nw.Enum):
        return array.astype(object)  # as objects they are classes, numbers too
    if np.iscomplexobj(array):
        raise InputError("Complex data not supported: the target must be real")
    if array.dtype.kind not in "OUSbiuf":
        raise InputError(f"the target has the type {array.dtype}, but numbers or class labels were expected")
    return array.astype(object) if array.dtype.kind in "US" else _plain(array)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers as numbers."""
    if array.dtype != object or any(isinstance(value, str) for value in array.flat):
        return array
    try:
        is_boolean = all(isinstance(value, bool | np.bool_) for value in array.flat)
        return np.array(array.tolist(), dtype=bool if is_boolean else np.float64)
    except (TypeError, ValueError):
        return array


def _refuse_gaps(array: NDArray[Any]) -> None:
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise InputError(f"the target is infinite (inf) in {first_row(np.isinf(array))}: leave that row out")
    gaps = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)
    if array.dtype == object:
        gaps = np.array([[is_missing(value) for value in row] for row in array], dtype=bool)
    if gaps.any():
        raise InputError(f"the target has no value (NaN) in {first_row(gaps)}: leave that row out")


def _refuse_mixes(array: NDArray[Any]) -> None:
    kinds = {isinstance(value, str): value for value in array.flat} if array.dtype == object else {}
    if len(kinds) == 2:
        raise InputError(
            f"the target mixes text and other values, for example {kinds[True]!r} and {kinds[False]!r}: give all its "
            "values one type"
        )


def fit_target(y: NDArray[Any], single: bool, target_type: str = "auto", log: bool | str = "auto",
               by_maximum: bool = False, name: str = "the target") -> Target:  # fmt: skip
    """Decide what `y` (row, output) is, and learn its scale.

    `log` is True, False or "auto": the logarithm where all values are positive and it takes most of the skew away.
    `by_maximum` divides by the largest value instead of standardising, for a network that ends in a sigmoid. `name` is
    what errors call the target.
    Raises InputError for a constant target, one that `target_type` or `log` does not fit, and an unknown setting.
    """
    if log not in (True, False, "auto"):
        raise InputError(f"log_target is {log!r}, but must be True, False or 'auto'")
    if target_type != "auto" and target_type not in TARGET_TYPES:
        raise unknown_name("target_type", str(target_type), ("auto", *TARGET_TYPES))
    kind = _infer(y) if target_type == "auto" else target_type
    if kind == "continuous":
        return _fit_continuous(y, single, log, by_maximum, name)
    return _fit_classes(y, single, kind, name)


def _infer(y: NDArray[Any]) -> TargetType:
    if y.shape[1] > 1:
        return "continuous"
    values = np.unique(y[:, 0])
    kind = kind_by_rule(len(values), y.dtype.kind not in "Ob")
    few = few_whole_numbers(y[:, 0]) if len(values) < len(y) / 2 else 0
    if kind == "continuous" and few:
        warnings.warn(
            f"the target holds whole numbers with {few} values and is taken as a number; if these "
            "are class codes pass target_type='multiclass', else target_type='continuous'",
            stacklevel=6,
        )
    return kind


def kind_by_rule(values: int, numbers: bool) -> TargetType:
    """The rule of `target_type="auto"` for a column of so many different `values`, which are `numbers` or not."""
    if values == 2:
        return "binary"
    return "continuous" if numbers else "multiclass"


def _fit_classes(y: NDArray[Any], single: bool, kind: str, name: str) -> Target:
    if y.shape[1] > 1:
        raise InputError(f"target_type is {kind!r}, but {name} has {y.shape[1]} columns: classes need exactly one")
    classes = np.unique(y[:, 0])
    if len(classes) == 1:
        raise InputError(f"{name} is constant: every row is {classes[0]!r}, so there is nothing to learn")
    if kind == "binary" and len(classes) != 2:
        raise InputError(f"target_type is 'binary', but {name} has {len(classes)} values")
    return Target("binary" if len(classes) == 2 else "multiclass", single, classes)


def _fit_continuous(y: NDArray[Any], single: bool, log: bool | str, by_maximum: bool, name: str) -> Target:
    y = _as_numbers(y, name)
    for i, column in enumerate(y.T):
        if (column == column[0]).all():
            which = name if single else f"column {i} of the target"
            raise InputError(f"{which} is constant: every row is {column[0]:g}, so there is nothing to learn")
    use_log = log_pays(y) if log == "auto" else bool(log)
    values = np.sort(_logarithms(y) if use_log else y, axis=0)  # sorted: the order of rows leaves no rounding
    if by_maximum:
        mean, deviation = np.zeros(y.shape[1]), values.max(axis=0)
        if (values < 0).any() or (deviation <= 0).any():
            raise InputError("this recipe divides the target by its maximum, so all targets must be positive")
        return Target("continuous", single, None, use_log, mean, deviation)
    return Target("continuous", single, None, use_log, values.mean(axis=0), values.std(axis=0))


def _as_numbers(y: NDArray[Any], name: str = "the target") -> NDArray[np.float64]:
    """`y` as float64. Raises InputError for what is no number."""
    try:
        return y.astype(np.float64)
    except (TypeError, ValueError):
        wrong = next((value for value in y.flat if isinstance(value, str)), y.flat[0])
        raise InputError(f"Unknown label type: {name} is to be a number, but holds {wrong!r}") from None


def _logarithms(y: NDArray[np.float64]) -> NDArray[np.float64]:
    if (y <= 0).any():
        raise InputError(
            f"the logarithm of the target is learned, but the target is {y.min():g} in {first_row(y == y.min())}: only "
            "numbers above 0 have one"
        )
    return np.log(y)


def log_pays(y: NDArray[np.float64]) -> bool:
    """Whether all of `y` is positive, skewed by more than 1, and its logarithm by less than half of that."""
    if (y <= 0).any():
        return False
    return bool((_skew(y) > 1).all() and (np.abs(_skew(np.log(y))) < _skew(y) / 2).all())


def _skew(y: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.sort(y, axis=0)
    z = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), np.finfo(float).tiny)
    return (z**3).mean(axis=0)
