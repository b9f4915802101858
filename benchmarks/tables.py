"""Tables with names, clean and dirty: EntityEncoder against what people use, cell by cell.

Eight public tables, five states of their column of names, each method with one fixed setting and no tuning. Rows are
capped (`--rows`); where a table has time, its later rows judge, else a random quarter. Every cell is written to `--out`
at once and is not computed again where that file holds it. `flights` and `ramen` are for judging only: nothing was
chosen on them. TabM and RealMLP want `pip install pytabkit`: their cells are left out where it is missing. Left out:
choosing anything.

    python -m benchmarks.tables [--rows 6000] [--seeds 2] [--only salaries/as-is ...] [--methods encoder ...] [--report]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from scipy.special import stdtrit
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from benchmarks.texts import data
from unrolled.errors import import_extra
from unrolled.tables.comparison.mean_of_models import mean_of_models
from unrolled.tables.encoder.estimator import EntityEncoder

Frame = Any
TYPOS, MOST_ROWS_PER_NAME, TEXT_FROM = 0.3, 5, 40
MAIN = "encoder, four averaged"
LEAKS = {"rownames", "interest_rate", "grade", "sub_grade", "installment", "balance", "loan_status",
         "initial_listing_status", "paid_total", "paid_principal", "paid_interest", "paid_late_fees"}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Features, target, the column of names that gets dirty, and the time by which rows are split, if there is one."""

    features: Frame
    target: NDArray[Any]
    names: str
    time: NDArray[Any] | None = None

    @property
    def binary(self) -> bool:
        """Whether the target is a class."""
        return len(np.unique(self.target)) == 2


def salaries() -> Table:
    """Salaries of a city's employees from dirty job titles."""
    frame = pd.read_parquet(data("tables/city_salaries.parquet")).dropna(subset=["Annual Salary"])
    features = frame[["Job Titles", "Department", "Full or Part-Time"]]
    return Table(features, frame["Annual Salary"].to_numpy(), "Job Titles")


def loans() -> Table:
    """Interest rates of loans from what is known before; job titles as their holders wrote them."""
    frame = pd.read_parquet(data("tables/loans_full_schema.parquet"))
    return Table(frame.drop(columns=sorted(LEAKS)), frame["interest_rate"].to_numpy(), "emp_title")


def birds() -> Table:
    """Whether a bird strike affected the flight, without the remarks."""
    frame = pd.read_parquet(data("tables/birds.parquet"))
    when = pd.to_datetime(frame["date"], format="mixed")
    features = frame.drop(columns=["rownames", "effect", "remarks", "opid"]).assign(date=when)
    return Table(features, frame["effect"].notna().to_numpy().astype(int), "operator", when.to_numpy())


def games() -> Table:
    """Logarithm of the copies sold of a video game; nearly every name is new."""
    frame = pd.read_csv(data("tables/vgsales.csv")).dropna(subset=["Name", "Year"])
    target = np.log(frame["Global_Sales"].to_numpy())
    return Table(frame[["Name", "Platform", "Year", "Genre", "Publisher"]], target, "Name", frame["Year"].to_numpy())


def rossmann() -> Table:
    """Logarithm of a shop's sales a day; shops are called S0001 to S1115, which says nothing."""
    frame = pd.read_parquet(data("rossmann/rossmann_open_joined.parquet"))
    shop = frame["Store"].map("S{:04d}".format)
    kept = frame[["DayOfWeek", "Promo", "SchoolHoliday", "StoreType", "Assortment"]]
    target, when = np.log(frame["Sales"].to_numpy()), pd.to_datetime(frame["Date"])
    return Table(kept.assign(Shop=shop, Date=when), target, "Shop", when.to_numpy())


def adult() -> Table:
    """Who earns over 50,000; the column of names is the country of birth."""
    frame = pd.read_csv(data("adult/adult.data"), na_values=["?"])
    return Table(frame.drop(columns="income"), (frame["income"] == ">50K").to_numpy().astype(int), "native-country")


def flights() -> Table:
    """Delay on arrival from what is known before take-off. For judging only."""
    frame = pd.read_parquet(data("tables/flights.parquet")).dropna(subset=["arr_delay"])
    unknown = ["rownames", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    when = pd.to_datetime(frame[["year", "month", "day"]]).to_numpy()
    features = frame.drop(columns=[name for name in unknown if name in frame])
    return Table(features, frame["arr_delay"].to_numpy(), "tailnum", when)


def ramen() -> Table:
    """Stars for noodles; nearly every variety is new. For judging only."""
    frame = pd.read_csv(data("tables/ramen-ratings.csv"))
    stars = pd.to_numeric(frame["stars"], errors="coerce")
    rated = frame.loc[stars.notna(), ["brand", "variety", "style", "country"]]
    return Table(rated, stars[stars.notna()].to_numpy(), "variety")


TABLES: dict[str, Callable[[], Table]] = {
    f.__name__: f for f in (salaries, loans, birds, games, rossmann, adult, flights, ramen)
}
STATES = ("as-is", "typos-at-test", "typos-in-both", "tenth-hidden", "never-seen")


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows that judge."""

    train: Frame
    target: NDArray[Any]
    test: Frame
    judged: NDArray[Any]
    binary: bool


@lru_cache(maxsize=1)
def whole(name: str) -> Table:
    """The table, read once."""
    return TABLES[name]()


def split(name: str, state: str, seed: int, rows: int) -> Split:
    """A sample of `rows` rows, a quarter of which judges, with the column of names in `state`.

    "tenth-hidden": a tenth of the names is not learned from; "never-seen": half of them, and only their rows judge, at
    most five per name.
    """
    table, rng = whole(name), np.random.default_rng(seed)
    chosen = rng.permutation(len(table.target))[:rows]
    if table.time is not None:
        chosen = chosen[np.argsort(table.time[chosen], kind="stable")]
    features, target = table.features.iloc[chosen].reset_index(drop=True), table.target[chosen]
    test = np.arange(len(chosen)) >= len(chosen) - len(chosen) // 4
    train = ~test
    if state in ("tenth-hidden", "never-seen"):
        names = features[table.names]
        known = names.dropna().unique()
        hidden = rng.permutation(known)[: round(len(known) * (0.1 if state == "tenth-hidden" else 0.5))]
        gone = names.isin(hidden).to_numpy()
        train &= ~gone
        if state == "never-seen":
            test = gone & (test if table.time is not None else np.ones_like(test))
            test &= features[test].groupby(table.names).cumcount().reindex(features.index).lt(MOST_ROWS_PER_NAME)
    first, last = features[train].reset_index(drop=True), features[test].reset_index(drop=True)
    if state.startswith("typos"):
        last = with_typos(last, table.names, rng)
    if state == "typos-in-both":
        first = with_typos(first, table.names, rng)
    return Split(first, target[train], last, target[test], table.binary)


def with_typos(frame: Frame, column: str, rng: np.random.Generator) -> Frame:
    """`frame` with one wrong keystroke in 30 % of the cells of `column`: left out, added, another, or two swapped."""
    cells = frame[column].to_numpy(dtype=object).copy()
    for row in np.flatnonzero(rng.random(len(cells)) < TYPOS):
        if isinstance(cells[row], str) and len(cells[row]) > 1:
            cells[row] = typo(cells[row], rng)
    return frame.assign(**{column: cells})


def typo(text: str, rng: np.random.Generator) -> str:
    """`text` with one wrong keystroke."""
    at, kind = int(rng.integers(len(text) - 1)), int(rng.integers(4))
    letter = "abcdefghijklmnopqrstuvwxyz"[rng.integers(26)]
    letter = letter.upper() if text.isupper() else letter
    swapped = text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + (text[at + 1 :], letter + text[at:], letter + text[at + 1 :], swapped)[kind]


def forest(binary: bool) -> Any:
    """The LightGBM of every method that has one."""
    settings = {"n_estimators": 300, "learning_rate": 0.05, "num_leaves": 31, "n_jobs": 1, "verbose": -1}
    return (LGBMClassifier if binary else LGBMRegressor)(random_state=0, **settings)


def predicted(model: Any, table: Any, binary: bool) -> NDArray[np.float64]:
    """Numbers, or the probability of the second class."""
    out: NDArray[np.float64] = model.predict_proba(table)[:, 1] if binary else model.predict(table)
    return out


Predictions = dict[str, NDArray[np.float64]]


def encoder(part: Split, seed: int) -> Predictions:
    """EntityEncoder with its defaults, and what is done with its vectors."""
    vectors = EntityEncoder(random_state=seed, n_jobs=1)
    train = vectors.fit_transform(part.train, part.target)
    test = vectors.transform(part.test)
    own = vectors.network_prediction(part.test)
    own = own[:, 1] if part.binary else own
    boosted = HistGradientBoostingClassifier if part.binary else HistGradientBoostingRegressor
    linear = LogisticRegression(max_iter=500) if part.binary else RidgeCV(np.logspace(-2, 3, 6))
    near = (KNeighborsClassifier if part.binary else KNeighborsRegressor)(15, weights="distance")
    models = {
        "encoder + LightGBM": forest(part.binary),
        "encoder + HistGB": boosted(random_state=0),
        "encoder + linear": make_pipeline(StandardScaler(), linear),
        "encoder + neighbours": near,
        MAIN: mean_of_models(2 * part.binary, random_state=0),
    }
    found = {name: predicted(model.fit(train, part.target), test, part.binary) for name, model in models.items()}
    found["encoder's network"] = own
    found["encoder + LightGBM, and network"] = (found["encoder + LightGBM"] + own) / 2
    return found


def native(part: Split, seed: int) -> Predictions:
    """LightGBM with its own categories."""
    train, test = parted(part.train), parted(part.test)
    for name in strings(train):
        train[name] = train[name].astype("category")
        test[name] = pd.Categorical(test[name], categories=train[name].cat.categories)
    return {"LightGBM native": predicted(forest(part.binary).fit(train, part.target), test, part.binary)}


def target(part: Split, seed: int) -> Predictions:
    """LightGBM on cross-fitted target means."""
    train, test = parted(part.train), parted(part.test)
    columns = strings(train)
    means = TargetEncoder(target_type="binary" if part.binary else "continuous", random_state=seed)
    train[columns] = means.fit_transform(filled(train[columns]), part.target)
    test[columns] = means.transform(filled(test[columns]))
    model = forest(part.binary).fit(train.astype(float), part.target)
    return {"target means + LightGBM": predicted(model, test.astype(float), part.binary)}


def skrub(kind: str) -> Callable[[Split, int], Predictions]:
    """skrub's TableVectorizer with one of its encoders of strings, and LightGBM."""

    def run(part: Split, seed: int) -> Predictions:
        import skrub as library

        encoders = {
            "String": library.StringEncoder(n_components=30, random_state=seed),
            "Gap": library.GapEncoder(n_components=30, random_state=seed),
            "MinHash": library.MinHashEncoder(n_components=30),
        }
        table = library.TableVectorizer(high_cardinality=encoders[kind])
        train = np.asarray(table.fit_transform(part.train, part.target), dtype=float)
        model = forest(part.binary).fit(train, part.target)
        test = np.asarray(table.transform(part.test), dtype=float)
        return {f"skrub {kind}Encoder + LightGBM": predicted(model, test, part.binary)}

    return run


def catboost(text: bool) -> Callable[[Split, int], Predictions]:
    """CatBoost, which takes categories itself; with `text`, the strings with many values as texts beside them."""

    def run(part: Split, seed: int) -> Predictions:
        from catboost import CatBoostClassifier, CatBoostError, CatBoostRegressor

        train, test = parted(part.train), parted(part.test)
        columns = strings(train)
        train[columns], test[columns] = filled(train[columns]), filled(test[columns])
        long = [name for name in columns if text and train[name].nunique() > TEXT_FROM]
        for name in long:
            train[f"{name} (text)"], test[f"{name} (text)"] = train[name], test[name]
        model = (CatBoostClassifier if part.binary else CatBoostRegressor)(
            iterations=400, learning_rate=0.1, thread_count=1, verbose=0, random_seed=seed, allow_writing_files=False
        )
        texts = [f"{name} (text)" for name in long]
        try:
            model.fit(train, part.target, cat_features=columns, text_features=texts or None)
        except CatBoostError as error:  # a column whose words are all too rare has no dictionary
            raise ImportError(str(error).splitlines()[0]) from None
        return {f"CatBoost{' with text' * text}": predicted(model, test, part.binary)}

    return run


def means(part: Split, seed: int) -> Predictions:
    """Four others averaged: of all means of six the best on the tables as they are, which was looked up afterwards."""
    members = (skrub("String"), skrub("MinHash"), target, catboost(text=False))
    found = [prediction for member in members for prediction in member(part, seed).values()]
    return {"four others averaged": np.mean(found, axis=0)}


def deep(kind: str) -> Callable[[Split, int], Predictions]:
    """TabM or RealMLP at the defaults of pytabkit, on one core; categories are theirs to embed."""

    def run(part: Split, seed: int) -> Predictions:
        pytabkit = import_extra("pytabkit")

        name = f"{kind}_{'Classifier' if part.binary else 'Regressor'}"
        train, test = parted(part.train), parted(part.test)
        columns = strings(train)
        train[columns], test[columns] = filled(train[columns]), filled(test[columns])
        for column in [c for c in train if c not in columns and train[c].isna().any()]:
            train[f"{column} (missing)"], test[f"{column} (missing)"] = (f[column].isna() * 1.0 for f in (train, test))
            middle = train[column].median()
            train[column], test[column] = train[column].fillna(middle), test[column].fillna(middle)
        model = getattr(pytabkit, name)(random_state=seed, n_threads=1, device="cpu")
        model.fit(train, part.target, cat_col_names=columns)
        return {kind.split("_")[0]: predicted(model, test, part.binary)}

    return run


METHODS: dict[str, Callable[[Split, int], Predictions]] = {
    "encoder": encoder,
    "native": native,
    "target": target,
    "string": skrub("String"),
    "gap": skrub("Gap"),
    "minhash": skrub("MinHash"),
    "means": means,
    "catboost": catboost(text=False),
    "catboost-text": catboost(text=True),
    "tabm": deep("TabM_D"),
    "realmlp": deep("RealMLP_TD"),
}


def parted(frame: Frame) -> Frame:
    """A copy with dates as numbers: year, month, day of the year, weekday."""
    frame = frame.copy()
    for name in [name for name in frame if pd.api.types.is_datetime64_any_dtype(frame[name])]:
        when = frame.pop(name).dt
        parts = {"year": when.year, "month": when.month, "day": when.day_of_year, "weekday": when.day_of_week}
        frame = frame.assign(**{f"{name}_{part}": values for part, values in parts.items()})
    return frame


def strings(frame: Frame) -> list[str]:
    """The columns that hold no numbers."""
    return [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]


def filled(frame: Frame) -> Frame:
    """Strings with a word for what is missing."""
    return frame.fillna("(missing)").astype(str)


def score(part: Split, prediction: NDArray[np.float64]) -> dict[str, float]:
    """R² of a number; AUC and log loss of a class."""
    if not part.binary:
        return {"score": float(r2_score(part.judged, prediction))}
    chance = np.clip(prediction, 1e-6, 1 - 1e-6)
    return {"score": float(roc_auc_score(part.judged, chance)), "log_loss": float(log_loss(part.judged, chance))}


def run(out: Path, rows: int, seeds: int, only: list[str], methods: list[str]) -> None:
    """Compute the cells that `out` lacks, table by table; of those named by `only`, in that order."""
    done = {line["cell"] for line in read(out)}
    for wanted, seed, name, state, method in itertools.product(only, range(seeds), TABLES, STATES, methods):
        cell = f"{name}/{state}/{method}/{seed}/{rows}"
        if cell in done or not cell.startswith(wanted):
            continue
        part = split(name, state, seed, rows)
        start = time.process_time()
        try:
            found = METHODS[method](part, seed)
        except ImportError as error:
            print(cell, f"left out: {error}", flush=True)
            continue
        seconds = time.process_time() - start
        scores = {label: score(part, prediction) for label, prediction in found.items()}
        line = {"cell": cell, "table": name, "state": state, "seed": seed, "rows": rows, "seconds": round(seconds, 2),
                "train": len(part.target), "test": len(part.judged), "scores": scores}  # fmt: skip
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a") as file:
            print(json.dumps(line), file=file)
        done.add(cell)
        print(cell, f"{seconds:.1f} s", {label: round(s["score"], 3) for label, s in scores.items()}, flush=True)


def read(out: Path) -> list[dict[str, Any]]:
    """The cells computed so far."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def report(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: a table per state, the rank of each use of the encoder, and the main one against each other method."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        for label, own in line["scores"].items():
            found[line["table"], line["state"]][label].append(own["score"])
            seconds[label].append(line["seconds"])
    scores = {cell: {label: float(np.mean(own)) for label, own in of.items()} for cell, of in found.items()}
    for state in (state for state in STATES if any(cell[1] == state for cell in scores)):
        names = [name for name in TABLES if (name, state) in scores]
        yield f"\n| {state} | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
        for label in seconds:
            shown = [f"{scores[name, state][label]:.3f}" if label in scores[name, state] else "" for name in names]
            yield f"| {label} | {' | '.join(shown)} |"
    yield from ranks(scores, list(seconds), seconds)
    yield from duels(scores, list(seconds))


Scores = dict[tuple[str, str], dict[str, float]]


def ranks(scores: Scores, labels: list[str], seconds: dict[str, list[float]]) -> Iterator[str]:
    """Mean rank with its standard error over cells, cells won, the worst distance as is, and processor seconds.

    Each use of the encoder is ranked among all other methods, and each of these beside the main use.
    """
    yield "\n| method | mean rank | first in | behind the best other, as is, at most | processor seconds |"
    yield "|---|---|---|---|---|"
    for label in labels:
        uses = {label if is_ours(label) else MAIN}
        cells = {cell: {m: s for m, s in own.items() if m in uses or not is_ours(m)}
                 for cell, own in scores.items() if label in own and MAIN in own}  # fmt: skip
        place = np.array([1 + sum(s > own[label] for s in own.values()) for own in cells.values()])
        behind = {name: (1 - own[label]) / (1 - max(s for m, s in own.items() if m != label)) - 1
                  for (name, state), own in cells.items() if state == "as-is" and len(own) > 1}  # fmt: skip
        worst = max(behind, key=lambda name: behind[name], default="")
        shown = f"{worst} {behind[worst]:+.1%}" if behind else ""
        error = place.std() / np.sqrt(max(len(place), 1))
        yield (f"| {label} | {place.mean():.1f} ± {error:.1f} | {(place == 1).sum()} of {len(place)} | {shown} | "
               f"{np.mean(seconds[label]):.1f} |")  # fmt: skip


def duels(scores: Scores, labels: list[str]) -> Iterator[str]:
    """The main use against each other method: cells won, and the change of the error with its interval over tables."""
    yield f"\n| {MAIN} against | cells won | error, mean over tables | 95 % interval |\n|---|---|---|---|"
    for label in (label for label in labels if not is_ours(label)):
        both = {cell: own for cell, own in scores.items() if label in own and MAIN in own}
        won = sum(own[MAIN] > own[label] for own in both.values())
        by_table: dict[str, list[float]] = defaultdict(list)
        for (name, _), own in both.items():
            by_table[name].append(np.log((1 - own[MAIN]) / (1 - own[label])))
        changes = np.array([np.mean(own) for own in by_table.values()])
        row, interval = f"| {label} | {won} of {len(both)} | {np.expm1(changes.mean()):+.1%}", ""
        if len(changes) > 1:
            reach = stdtrit(len(changes) - 1, 0.975) * changes.std(ddof=1) / np.sqrt(len(changes))
            low, high = np.expm1([changes.mean() - reach, changes.mean() + reach])
            interval = f"{low:+.1%} to {high:+.1%}"
        yield f"{row} | {interval} |"


def is_ours(label: str) -> bool:
    """Whether a method is a use of the encoder."""
    return label.startswith("encoder")


def main() -> None:
    """Compute what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("runs/tables.jsonl"))
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[""], help="cells whose name starts so: table/state/method/seed")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--report", action="store_true", help="compute nothing")
    arguments = parser.parse_args()
    if not arguments.report:
        run(arguments.out, arguments.rows, arguments.seeds, arguments.only, arguments.methods)
    print(*report([line for line in read(arguments.out) if line["rows"] == arguments.rows]), sep="\n")


if __name__ == "__main__":
    main()
