"""Adult (income over 50,000 or not): do embeddings help a classification? Log loss and area under the ROC curve.

32,561 people teach and 16,281 judge, as the data come. Every column is given to every encoding; a model's settings are
fixed. Vectors come from the default recipe, their mean and spread from three seeds. Left out: choosing anything.

    python -m benchmarks.adult
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from benchmarks.texts import data
from unrolled.tables.encoder.estimator import EntityEncoder

TARGET, POSITIVE = "income", ">50K"
NUMBERS = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
ENCODINGS = ("codes", "one-hot", "target", "native", "vectors")
SEEDS = (0, 1, 2)
Chances = NDArray[np.float64]


def people(name: str) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """The columns of one of the two files, "?" as missing, and who earns more than 50,000."""
    table = pd.read_csv(data(f"adult/{name}"), na_values=["?"])
    income = table.pop(TARGET).str.rstrip(".")
    assert set(income) == {POSITIVE, "<=50K"}
    return table, (income == POSITIVE).to_numpy()


def encoders(seed: int, categories: list[str]) -> dict[str, Any]:
    """An encoder for each encoding that is a transformer; the numbers are put on one scale beside the categories."""
    cv = StratifiedKFold(5, shuffle=True, random_state=seed)
    makers = {
        "codes": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        "one-hot": OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        "target": TargetEncoder(target_type="binary", cv=cv),
    }
    plain = {name: ColumnTransformer([("c", maker, categories), ("n", StandardScaler(), NUMBERS)])
             for name, maker in makers.items()}  # fmt: skip
    return plain | {"vectors": EntityEncoder(random_state=seed)}


def native(train: pd.DataFrame, test: pd.DataFrame, categories: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables with declared categories."""
    kinds = {name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) for name in categories}
    return train.astype(kinds), test.astype(kinds)


def models(seed: int) -> dict[str, tuple[Callable[[], Any], tuple[str, ...]]]:
    """Each model and the encodings it is given."""
    import catboost
    import lightgbm

    base = ("codes", "one-hot", "target", "vectors")
    return {
        "nearest neighbours": (lambda: KNeighborsClassifier(50, n_jobs=1), base[1:]),
        "random forest": (lambda: RandomForestClassifier(200, min_samples_leaf=3, random_state=seed, n_jobs=1), base),
        "logistic regression": (lambda: LogisticRegression(max_iter=2000), base[1:]),
        "HistGradientBoosting": (lambda: HistGradientBoostingClassifier(
            max_iter=200, early_stopping=False, categorical_features="from_dtype", random_state=seed),
            ("target", "native", "vectors")),
        "LightGBM": (lambda: lightgbm.LGBMClassifier(
            n_estimators=300, learning_rate=0.05, num_leaves=31, n_jobs=1, verbose=-1, random_state=seed),
            ("target", "native", "vectors")),
        "CatBoost": (lambda: catboost.CatBoostClassifier(
            iterations=300, learning_rate=0.1, thread_count=1, verbose=False, random_seed=seed,
            allow_writing_files=False), ("native",)),
    }  # fmt: skip


def chances(name: str, model: Any, train: Any, y: Any, test: Any, categories: list[str]) -> Chances:
    """What `model` says of each person who judges."""
    if name == "CatBoost":
        train, test = (part.astype(dict.fromkeys(categories, object)).fillna(dict.fromkeys(categories, "?"))
                       for part in (train, test))  # fmt: skip
        model.fit(train, y, cat_features=categories)
    else:
        model.fit(train, y)
    return np.asarray(model.predict_proba(test)[:, 1], np.float64)


def main() -> dict[str, Any]:
    """Every figure, as lists over seeds, and a Markdown table on stdout."""
    torch.set_num_threads(1)
    (train, y), (test, true) = people("adult.data"), people("adult.test")
    assert (len(train), len(test)) == (32_561, 16_281)
    categories = [name for name in train.columns if name not in NUMBERS]
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in SEEDS:
        for encoding in ENCODINGS:
            if seed and encoding != "vectors":
                continue
            networks = None
            if encoding == "native":
                parts = native(train, test, categories)
            else:
                encoder = encoders(seed, categories)[encoding]
                parts = encoder.fit_transform(train, y), encoder.transform(test)
                networks = encoder.network_prediction(test)[:, 1] if encoding == "vectors" else None
            for name, (make, encodings) in models(seed).items():
                if encoding in encodings:
                    said = chances(name, make(), parts[0], y, parts[1], categories)
                    _add(found, f"{name} | {encoding}", said, true)
            if networks is not None:
                _add(found, f"the encoder's networks | {encoding}", networks, true)
    print(markdown(found))
    return {"figures": found}


def _add(found: dict[str, list[tuple[float, float]]], name: str, said: Chances, true: NDArray[np.bool_]) -> None:
    assert np.isfinite(said).all()
    found.setdefault(name, []).append((float(log_loss(true, said)), float(roc_auc_score(true, said))))
    print(f"{name}: {found[name][-1]}", flush=True)


def markdown(found: dict[str, list[tuple[float, float]]]) -> str:
    """Means over seeds, with their standard deviation where there are several."""
    lines = ["| model | encoding | log loss | AUC |", "|---|---|---|---|"]
    for name in sorted(found, key=lambda name: name.split(" | ")[0]):
        losses, areas = zip(*found[name], strict=True)
        lines.append(f"| {name} | {_told(losses)} | {_told(areas)} |")
    return "\n".join(lines)


def _told(values: tuple[float, ...]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{math.fsum(values) / len(values):.4f}{spread}"


if __name__ == "__main__":
    print(json.dumps(main()))
