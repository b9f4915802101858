"""Rossmann: encodings of categories x models x two splits, mean absolute percentage error of the sales.

The 844,338 open days, seven columns that are known beforehand. The last tenth (temporal) or a random tenth (seed 123)
judges; 200,000 rows drawn with replacement from the rest, or all of them, teach. All learn log(sales). Each cell
judges once, is written to `--out` at once, and is not computed again where that file holds it already; settings were
chosen on training rows (docs/experiments.md). Left out: choosing anything.

    python -m benchmarks.rossmann [--out runs/rossmann.jsonl] [--only temporal/vectors] [--list]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from sklearn.preprocessing import Normalizer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from benchmarks.texts import data
from unrolled.tables.encoder.estimator import EntityEncoder

Split = Literal["temporal", "random"]
Numbers = NDArray[np.float64]

COLUMNS = ["Store", "DayOfWeek", "Promo", "Year", "Month", "Day", "State"]
OPEN_DAYS, DRAWN, THREADS = 844_338, 200_000, 1
PAPER_DIMENSIONS = {"Store": 10, "DayOfWeek": 6, "Promo": 1, "Year": 2, "Month": 6, "Day": 10, "State": 6}
JUDGED_NEIGHBOURS = 5_000  # rows, drawn at random, that judge nearest neighbours: each costs a look at every row
ENCODINGS = ("codes", "one-hot", "target", "native", "paper's vectors", "vectors", "vectors and codes")


@dataclass(frozen=True)
class Cell:
    """One figure: `rows` is "200k" or "all"."""

    split: Split
    encoding: str
    model: str
    seed: int = 0
    rows: str = "200k"

    def __str__(self) -> str:
        return f"{self.split}/{self.encoding}/{self.model}/{self.seed}/{self.rows}"

    @property
    def table(self) -> tuple[str, ...]:
        """What decides the encoded table; codes beside the vectors are added by the model."""
        return self.rows, self.encoding.removesuffix(" and codes"), self.split, str(self.seed)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one split: tables to learn from and to be judged on, their sales, and the encoder if there is one."""

    train: Any
    test: Any
    learned: Numbers
    judged: Numbers
    seconds: float = 0.0
    encoder: EntityEncoder | None = None
    raw: Any = None


@cache
def sales() -> tuple[pd.DataFrame, Numbers]:
    """The columns known beforehand, oldest day first, and the sales."""
    table = pd.read_parquet(data("rossmann/rossmann_open_joined.parquet"))
    states = pd.read_csv(data("rossmann/store_states.csv")).set_index("Store")["State"]
    table = table.assign(Date=pd.to_datetime(table["Date"]), State=table["Store"].map(states))
    table = table.sort_values(["Date", "Store"], ascending=[True, False], kind="stable").reset_index(drop=True)
    assert len(table) == OPEN_DAYS, f"{len(table)} open days, not {OPEN_DAYS}"
    parts = {"Year": table["Date"].dt.year, "Month": table["Date"].dt.month, "Day": table["Date"].dt.day}
    return table.assign(**parts)[COLUMNS], table["Sales"].to_numpy(np.float64)


def split_rows(split: Split, rows: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the rows that teach and of those that judge."""
    order = np.arange(OPEN_DAYS) if split == "temporal" else np.random.RandomState(123).permutation(OPEN_DAYS)
    cut = int(OPEN_DAYS * 0.9)
    teach, judge = order[:cut], order[cut:]
    if rows != "all":
        teach = teach[np.random.RandomState(seed + 1000).randint(0, cut, DRAWN)]
    assert not np.isin(judge, teach).any(), "rows that judge are among those that teach"
    return teach, judge


def mape(predicted: Numbers, true: Numbers) -> float:
    """Mean absolute percentage error, as a share."""
    assert np.isfinite(predicted).all()
    return float(np.mean(np.abs(predicted - true) / true))


def encoded(split: Split, rows: str, encoding: str, seed: int) -> Rows:
    """The table of a split in one encoding, fitted on the rows that teach."""
    X, y = sales()
    teach, judge = split_rows(split, rows, seed)
    train, test = X.iloc[teach].reset_index(drop=True), X.iloc[judge].reset_index(drop=True)
    start = time.process_time()
    encoder = None
    if encoding.endswith("vectors"):
        encoder = entity_encoder(encoding, seed).fit(train, y[teach])
        parts = encoder.transform(train), encoder.transform(test)
    else:
        parts = PLAIN[encoding](train, np.log(y[teach]), test, seed)
    seconds = time.process_time() - start
    return Rows(*parts, y[teach], y[judge], seconds, encoder, (train, test))


def entity_encoder(encoding: str, seed: int) -> EntityEncoder:
    """The default recipe, or the paper's with its dimensions."""
    settings: dict[str, Any] = {"categorical_features": COLUMNS, "log_target": True, "random_state": seed}
    if encoding == "paper's vectors":
        return EntityEncoder(recipe="guo-berkhahn", dimensions=PAPER_DIMENSIONS, cv=None, **settings)
    return EntityEncoder(cv=None, **settings)


def _codes(train: pd.DataFrame, y: Numbers, test: pd.DataFrame, seed: int) -> tuple[Any, Any]:
    coder = OrdinalEncoder(dtype=np.float32, handle_unknown="use_encoded_value", unknown_value=-1).fit(train)
    return coder.transform(train), coder.transform(test)


def _one_hot(train: pd.DataFrame, y: Numbers, test: pd.DataFrame, seed: int) -> tuple[Any, Any]:
    coder = OneHotEncoder(dtype=np.float32, handle_unknown="ignore").fit(train)
    return coder.transform(train), coder.transform(test)


def _target(train: pd.DataFrame, y: Numbers, test: pd.DataFrame, seed: int) -> tuple[Any, Any]:
    coder = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=seed))
    return coder.fit_transform(train, y), coder.transform(test)


def _native(train: pd.DataFrame, y: Numbers, test: pd.DataFrame, seed: int) -> tuple[Any, Any]:
    kinds = {name: pd.CategoricalDtype(np.unique(train[name])) for name in COLUMNS}
    return train.astype(kinds), test.astype(kinds)


PLAIN: dict[str, Callable[[pd.DataFrame, Numbers, pd.DataFrame, int], tuple[Any, Any]]] = {
    "codes": _codes, "one-hot": _one_hot, "target": _target, "native": _native}  # fmt: skip


def _neighbours(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    """Of rows scaled to length 1 where the paper's code did so; judged on some rows only."""
    from sklearn.neighbors import KNeighborsRegressor

    chosen = np.random.RandomState(seed).permutation(len(rows.judged))[:JUDGED_NEIGHBOURS]
    train, test = rows.train, rows.test[chosen]
    if encoding in ("one-hot", "paper's vectors"):
        train, test = Normalizer().transform(train), Normalizer().transform(test)
    model = KNeighborsRegressor(10, weights="distance", p=1, algorithm="brute", n_jobs=THREADS)
    return _learned(model, rows, train, test), rows.judged[chosen]


def _forest(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    from sklearn.ensemble import RandomForestRegressor

    return _learned(RandomForestRegressor(100, max_depth=35, n_jobs=THREADS, random_state=seed), rows), rows.judged


def _xgboost(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    """Codes of 1,115 stores need as many bins: with the 256 of the default, four stores would be one."""
    import xgboost

    model = xgboost.XGBRegressor(n_estimators=1500, learning_rate=0.04, max_depth=10, subsample=0.7,
                                 colsample_bytree=0.7, max_bin=1200 if encoding == "codes" else 256, n_jobs=THREADS,
                                 random_state=seed)  # fmt: skip
    return _learned(model, rows), rows.judged


def _hist(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    """Given the native table, a store stays a number: there are more of them than the 255 levels it takes."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    native = {"categorical_features": [name for name in COLUMNS if name != "Store"]} if encoding == "native" else {}
    model = HistGradientBoostingRegressor(max_iter=1000, learning_rate=0.1, max_leaf_nodes=63, early_stopping=False,
                                          random_state=seed, **native)  # fmt: skip
    parts = [part.astype({"Store": int}) for part in (rows.train, rows.test)] if native else []
    return _learned(model, rows, *parts), rows.judged


@lru_cache(maxsize=1)  # the next cell may want its mean with the networks
def _lightgbm(rows: Rows, encoding: str, seed: int, objective: str = "regression") -> tuple[Numbers, Numbers]:
    """With vectors: smaller steps, larger trees, a part of the columns and rows for each (docs/experiments.md)."""
    import lightgbm

    chosen = VECTOR_TREES if encoding.startswith("vectors") else PLAIN_TREES
    model = lightgbm.LGBMRegressor(objective=objective, n_jobs=THREADS, verbose=-1, random_state=seed, **chosen)
    return _learned(model, rows, *(_with_codes(rows) if encoding == "vectors and codes" else ())), rows.judged


def _with_codes(rows: Rows) -> tuple[Any, Any]:
    """The vectors, and beside them the columns as they are: a day's number keeps the order of days."""
    codes = _codes(rows.raw[0], rows.learned, rows.raw[1], 0)
    return np.hstack([rows.train, codes[0]]), np.hstack([rows.test, codes[1]])


PLAIN_TREES: dict[str, Any] = {"n_estimators": 1500, "learning_rate": 0.05, "num_leaves": 127}
VECTOR_TREES: dict[str, Any] = {
    "n_estimators": 2000, "learning_rate": 0.03, "num_leaves": 255, "min_child_samples": 80, "feature_fraction": 0.3,
    "bagging_fraction": 0.7, "bagging_freq": 1}  # fmt: skip


def _lightgbm_absolute(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    return _lightgbm(rows, encoding, seed, "regression_l1")


def _catboost(rows: Rows, encoding: str, seed: int, loss: str = "RMSE") -> tuple[Numbers, Numbers]:
    import catboost

    model = catboost.CatBoostRegressor(iterations=380, learning_rate=0.1, depth=8, loss_function=loss, verbose=False,
                                       thread_count=THREADS, random_seed=seed, allow_writing_files=False,
                                       cat_features=COLUMNS if encoding == "native" else None)  # fmt: skip
    parts = [part.astype(str) for part in (rows.train, rows.test)] if encoding == "native" else []
    return _learned(model, rows, *parts), rows.judged


def _catboost_absolute(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    return _catboost(rows, encoding, seed, "MAE")


def _ridge(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    from sklearn.linear_model import Ridge

    scaler = StandardScaler(with_mean=encoding != "one-hot", with_std=encoding != "one-hot").fit(rows.train)
    return _learned(Ridge(), rows, scaler.transform(rows.train), scaler.transform(rows.test)), rows.judged


def _networks(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    """The encoder's own networks, averaged."""
    assert rows.encoder is not None
    return rows.encoder.network_prediction(rows.raw[1]), rows.judged


def _lightgbm_and_networks(rows: Rows, encoding: str, seed: int) -> tuple[Numbers, Numbers]:
    """The middle (geometric mean) of the forest on the vectors and of the networks that the vectors come from."""
    trees, networks = _lightgbm(rows, encoding, seed)[0], _networks(rows, encoding, seed)[0]
    return np.sqrt(trees * networks), rows.judged


def _learned(model: Any, rows: Rows, *parts: Any) -> Numbers:
    """Fitted on the logarithm of the sales; predictions of sales."""
    train, test = parts or (rows.train, rows.test)
    predicted: Numbers = np.exp(np.asarray(model.fit(train, np.log(rows.learned)).predict(test), np.float64))
    return predicted


Judge = Callable[[Rows, str, int], tuple[Numbers, Numbers]]
BOTH = ("paper's vectors", "vectors")
MODELS: dict[str, tuple[Judge, tuple[str, ...]]] = {
    "networks": (_networks, BOTH),
    "LightGBM": (_lightgbm, ("native", "target", "vectors", "vectors and codes")),
    "LightGBM and the networks": (_lightgbm_and_networks, ("vectors and codes",)),
    "LightGBM, absolute loss": (_lightgbm_absolute, ("native",)),
    "CatBoost": (_catboost, ("native",)),
    "CatBoost, absolute loss": (_catboost_absolute, ("native",)),
    "HistGradientBoosting": (_hist, ("native", "target", "vectors")),
    "xgboost": (_xgboost, ("codes", *BOTH)),
    "random forest": (_forest, ("codes", "target", *BOTH)),
    "nearest neighbours": (_neighbours, ("one-hot", "target", *BOTH)),
    "ridge": (_ridge, ("one-hot", "target", "vectors")),
}
SEEDS = (0, 1, 2)
SEEDED = {("networks", "vectors"), ("LightGBM", "native"), ("LightGBM", "vectors and codes"),
          ("LightGBM and the networks", "vectors and codes"), ("HistGradientBoosting", "vectors"),
          ("xgboost", "vectors"), ("random forest", "vectors"), ("nearest neighbours", "vectors"),
          ("ridge", "vectors")}  # fmt: skip  # three seeds; all else one


def plan() -> list[Cell]:
    """Every cell; those that share a table stand together."""
    splits: tuple[Split, ...] = ("temporal", "random")
    cells = [
        Cell(split, encoding, model, seed)
        for split in splits
        for model, (_, encodings) in MODELS.items()
        for encoding in encodings
        for seed in (SEEDS if (model, encoding) in SEEDED else SEEDS[:1])
    ]
    full = [("LightGBM", "native"), ("networks", "vectors"), ("LightGBM", "vectors and codes"),
            ("LightGBM and the networks", "vectors and codes")]  # fmt: skip
    cells += [Cell(split, encoding, model, 0, "all") for split in splits for model, encoding in full]
    return sorted(cells, key=lambda cell: cell.table)


def measure(cells: list[Cell], done: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells not done yet: error, and processor seconds of the encoding and of the model."""
    for table, group in groupby([cell for cell in cells if str(cell) not in done], key=lambda cell: cell.table):
        wanted = list(group)
        rows = encoded(wanted[0].split, table[0], table[1], wanted[0].seed)
        for cell in wanted:
            start = time.process_time()
            predicted, true = MODELS[cell.model][0](rows, cell.encoding, cell.seed)
            seconds = time.process_time() - start
            yield {"cell": str(cell), **dataclasses.asdict(cell), "error": mape(predicted, true),
                   "judged": len(true), "encoding_seconds": round(rows.seconds), "seconds": round(seconds)}  # fmt: skip


def markdown(found: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds of every cell found."""
    lines = ["| model | encoding | rows | temporal | random |", "|---|---|---|---|---|"]
    seen = {(f["model"], f["encoding"], f["rows"]): None for f in found}
    order = list(MODELS)
    for model, encoding, rows in sorted(seen, key=lambda k: (k[2] == "all", order.index(k[0]), ENCODINGS.index(k[1]))):
        errors = [_told(found, model, encoding, rows, split) for split in ("temporal", "random")]
        lines.append(f"| {model} | {encoding} | {rows} | {' | '.join(errors)} |")
    return "\n".join(lines)


def _told(found: list[dict[str, Any]], model: str, encoding: str, rows: str, split: str) -> str:
    wanted = {"model": model, "encoding": encoding, "rows": rows, "split": split}
    errors = [f["error"] for f in found if wanted.items() <= f.items()]
    if not errors:
        return "not measured"
    spread = f" ± {np.std(errors, ddof=1):.4f}" if len(errors) > 1 else ""
    return f"{math.fsum(errors) / len(errors):.4f}{spread}"


def main(out: Path, only: list[str], list_them: bool) -> None:
    """Measure what is asked for and not there yet; print the table of all that is there."""
    torch.set_num_threads(THREADS)
    found = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    cells = [cell for cell in plan() if not only or any(part in str(cell) for part in only)]
    if list_them:
        print("\n".join(map(str, cells)))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    for figure in measure(cells, {f["cell"]: f for f in found}):
        print(f"{figure['cell']}: {figure['error']:.4f} in {figure['seconds']} s", flush=True)
        found.append(figure)
        with out.open("a") as file:
            file.write(json.dumps(figure) + "\n")
    print(markdown(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/rossmann.jsonl"), help="figures, one JSON object a line")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of cells")
    parser.add_argument("--list", action="store_true", help="only list the cells")
    given = parser.parse_args()
    main(given.out, given.only, given.list)
