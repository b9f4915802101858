"""The errors that the comparison can be judged by: lower is better in each of them.

Left out: any metric of which more is better; the area under the ROC curve enters as what is missing to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from unrolled.errors import InputError, unknown_name
from unrolled.tables.data.target import TargetColumn, TargetType

SMALLEST = 1e-15  # a probability of zero would cost infinitely much


@dataclass(frozen=True)
class Metric:
    """An error: what it is called in full, the target types it fits, and whether it is relative to the target.

    `error(predicted, true)`: (row,) numbers, or (row, class) probabilities against (row,) class positions. `ranks`
    where rows of one class are compared with rows of the other.
    """

    title: str
    types: tuple[TargetType, ...]
    error: Callable[[NDArray[Any], NDArray[Any]], float]
    relative: bool = False
    ranks: bool = False


def choose_metric(name: str | None, target: TargetColumn) -> str:
    """The requested metric, or the first that fits the target. Raises InputError where it does not fit the target."""
    fitting = [n for n, metric in METRICS.items() if target.kind in metric.types]
    if name is None:
        return fitting[0]
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    if name not in fitting:
        better = ", ".join(fitting)
        raise InputError(f"the metric {name!r} does not fit the {target.kind} target {target.name!r}: choose {better}")
    zeros, rows = int((target.values == 0).sum()), len(target.values)
    if METRICS[name].relative and zeros:
        raise InputError(
            f"the metric {name!r} divides by the target, but {target.name!r} is 0 in {zeros:,} of {rows:,} rows used: "
            "choose rmse or mae, or leave these rows out"
        )
    return name


def metric_beside(name: str, target: TargetColumn) -> str | None:
    """The metric shown beside: of two classes the area for the log loss and the reverse, as each hides something."""
    return {"log-loss": "1-auc", "1-auc": "log-loss"}.get(name) if target.kind == "binary" else None


def check_judged(name: str, target: TargetColumn, fold: int) -> None:
    """Raise InputError where the rows of a fold, whose `target` this is, cannot be judged by the metric."""
    if METRICS[name].ranks and len(np.unique(target.values)) < 2:
        raise InputError(
            f"the metric {name!r} needs both classes of {target.name!r}, but fold {fold} holds out rows of one only: "
            "choose another metric, or another split"
        )


def _log_loss(probabilities: NDArray[Any], true: NDArray[Any]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(true)), true], SMALLEST)).mean())


def _area_missing(probabilities: NDArray[Any], true: NDArray[Any]) -> float:
    return 1 - float(roc_auc_score(true, probabilities[:, 1]))


NUMBERS: tuple[TargetType, ...] = ("continuous",)
CLASSES: tuple[TargetType, ...] = ("binary", "multiclass")
METRICS: dict[str, Metric] = {
    "rmse": Metric("root mean squared error", NUMBERS, lambda p, y: float(np.sqrt(((p - y) ** 2).mean()))),
    "mae": Metric("mean absolute error", NUMBERS, lambda p, y: float(np.abs(p - y).mean())),
    "mape": Metric("mean absolute percentage error", NUMBERS, lambda p, y: float(np.abs(p / y - 1).mean()), True),
    "rmspe": Metric(
        "root mean squared percentage error", NUMBERS, lambda p, y: float(np.sqrt(((p / y - 1) ** 2).mean())), True
    ),
    "log-loss": Metric("log loss, in nats", CLASSES, _log_loss),
    "error": Metric("share of wrong answers", CLASSES, lambda p, y: float((p.argmax(axis=1) != y).mean())),
    "1-auc": Metric("1 - area under the ROC curve", ("binary",), _area_missing, ranks=True),
}
