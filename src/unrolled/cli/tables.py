"""`unrolled columns`, `embed` and `compare`: a table in, a report, vectors or a comparison out."""

from __future__ import annotations

import math
import warnings
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from unrolled.cli.options import (
    Flag,
    Json,
    MaxRows,
    Names,
    RowFlags,
    RowOptions,
    Seed,
    SplitFlags,
    SplitOptions,
    Table,
    Target,
)
from unrolled.cli.output import print_json, say
from unrolled.cli.showing import print_table
from unrolled.errors import InputError, import_extra
from unrolled.files import check_out
from unrolled.progress import progress_bar

if TYPE_CHECKING:
    from unrolled.embedding import EmbeddingTable
    from unrolled.tables.data.columns import Column
    from unrolled.tables.data.table import Table as DataTable
    from unrolled.tables.data.target import TargetType
    from unrolled.tables.report.result import ColumnReport

DEMO = "demo"


def columns(
    table: Table,
    *,
    target: Target,
    out: Path | None = None,
    budget: float = 120.0,
    folds: int = 5,
    seeds: int = 2,
    split: SplitFlags = SplitOptions(),  # noqa: B008 - frozen
    rows: RowFlags = RowOptions(),  # noqa: B008 - frozen
    max_rows: MaxRows = 20_000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Report on every column: what it tells alone, what it costs to drop it, and a verdict.

    Parameters
    ----------
    out
        Where to write the report: a file ending in .html, .md, .json or .csv.
    budget
        Time budget in seconds, kept by using fewer rows and fewer folds.
    folds
        Folds of the rows; each is held out once.
    seeds
        How often new folds are drawn.
    """
    from unrolled.tables.report.columns import examine_columns
    from unrolled.tables.report.result import ENDINGS

    if out:
        check_out(out, ENDINGS, "a report")
    opened = _opened(table, target, rows)
    with progress_bar() as progress, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the report was stopped")  # reported below
        report = examine_columns(
            opened, target, progress=progress, budget=budget, seeds=seeds, categories=rows.categories,
            ignore=rows.ignore, target_type=rows.target_type, max_rows=max_rows, seed=seed, **_splitting(split, folds),
        )  # fmt: skip
    if report.interrupted:
        say(f"stopped early, after {report.rounds} folds: the report is of these")
    if out:
        report.save(out)
        say(f"written: {out}")
    print_json(report.to_dict()) if json else _print_columns(report)


def embed(
    table: Table,
    *,
    target: Target,
    out: Path,
    rows: RowFlags = RowOptions(),  # noqa: B008 - frozen
    networks: int | None = None,
    min_frequency: int | None = None,
    parquet: Annotated[bool, Flag] = False,
    safe_csv: Annotated[bool, Flag] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Learn a vector per category, and write the encoder and its vectors.

    Parameters
    ----------
    out
        The folder to write; it must not exist yet. It holds the encoder, ready for EntityEncoder.from_pretrained and
        for the command plot, and in its folder vectors one file per column.
    networks
        Networks to train, align and average; at least 5 are trained if a column has fewer than 100 rows per category.
    min_frequency
        Categories with fewer rows share one vector.
    parquet
        Write the vectors as Parquet instead of CSV.
    safe_csv
        Put an apostrophe before names that a spreadsheet would run as formulas, such as =cmd.
    """
    from unrolled.tables.data.splits import check_seed
    from unrolled.tables.encoder.estimator import EntityEncoder

    check_seed(seed)
    if out.exists():
        raise InputError(f"{out} exists already: choose another --out, or remove it")
    features, outcome, kind = _learnable(table, target, rows)
    encoder = EntityEncoder(
        n_networks=networks, min_frequency=min_frequency, target_type=kind, random_state=seed, verbose=1
    )
    with warnings.catch_warnings():  # reported below, without the line of code that a warning brings along
        warnings.filterwarnings("ignore", "training was interrupted")
        encoder.fit(features.to_frame(), outcome.values)
    if encoder.interrupted_:
        say("stopped early: the best so far is kept")
    encoder.save_pretrained(out)
    tables = {coding.name: encoder.table(coding.name) for coding in encoder.schema_.codings}
    written = _write_vectors(tables, out / "vectors", parquet, safe_csv)
    if json:
        return print_json({"encoder": str(out), "vectors": written, "columns": encoder.describe()})
    _print_vectors(tables, written)
    return say(f"written: {out}")


def _learnable(path: Path, target: str, rows: RowOptions) -> tuple[DataTable, Column, TargetType]:
    """The columns to learn from, without empty ones, which are reported; the target, and its type."""
    from unrolled.tables.data.table import check_chosen
    from unrolled.tables.data.target import split_target

    opened = _opened(path, target, rows)
    check_chosen(opened, target, rows.categories, rows.ignore)
    features, outcome = split_target(opened.without(rows.ignore), target, rows.target_type)
    empty = [column.name for column in features.columns if column.missing.all()]
    for name in empty:
        say(f"{name!r} has no values and is left out")
    return features.without(empty).declaring(rows.categories), opened[target], outcome.kind


def compare(
    table: str,
    *,
    target: Target | None = None,
    out: Path | None = None,
    metric: str | None = None,
    folds: int = 3,
    seeds: int = 3,
    split: SplitFlags = SplitOptions(),  # noqa: B008 - frozen
    models: Names = (),
    rows: RowFlags = RowOptions(),  # noqa: B008 - frozen
    networks: int | None = None,
    tune: int = 0,
    max_rows: MaxRows = 10_000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Did embeddings help? Every encoding of the categories under many models, on the same folds.

    Parameters
    ----------
    table
        A CSV or Parquet file, or demo: generated sales of shops on a hidden map.
    target
        The column to predict; demo has its own.
    out
        Where to write the comparison: a file ending in .html, .md, .json, or .png for the figure alone.
    metric
        rmse, mae, mape or rmspe for numbers; log-loss, error or 1-auc for classes. Lower is better.
    folds
        Folds of the rows; each is held out once.
    seeds
        How often everything is repeated, with other folds and other starts.
    models
        Models to use, such as linear or "random forest"; all that are installed unless named.
    networks
        Networks of the encoder to align and average.
    tune
        Settings to try for each model beside its fixed ones, on a fifth of the training rows.
    """
    from unrolled.tables.comparison.compare import compare_encodings
    from unrolled.tables.comparison.result import check_ending

    if out:
        check_ending(out)
    opened, target = _table_or_demo(table, target, seed, rows)
    with progress_bar() as progress, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the comparison was stopped")  # reported below
        comparison = compare_encodings(
            opened, target, progress=progress, metric=metric, seeds=seeds, models=models or None,
            categories=rows.categories, ignore=rows.ignore, networks=networks, tune=tune,
            target_type=rows.target_type, max_rows=max_rows, seed=seed, **_splitting(split, folds),
        )  # fmt: skip
    if comparison.interrupted:
        say(comparison.notes[-1])
    if out:
        comparison.save(out)
        say(f"written: {out}")
    print_json(comparison.to_dict()) if json else print(comparison.to_markdown(), end="")


def _table_or_demo(table: str, target: str | None, seed: int, rows: RowOptions) -> tuple[DataTable, str]:
    if table == DEMO and not Path(table).exists():
        from unrolled.tables.data.demo import TARGET, demo_table
        from unrolled.tables.data.table import Table as DataTable

        return DataTable.read(demo_table(seed).frame), target or TARGET
    if target is None:
        raise InputError("name the column to predict with --target")
    return _opened(Path(table), target, rows), target


def _opened(table: Path, target: str, rows: RowOptions) -> DataTable:
    """The table, without rows that lack a target if these are to be dropped; a doubtful target is reported."""
    from unrolled.tables.data.files import open_table
    from unrolled.tables.data.table import Table as DataTable
    from unrolled.tables.data.target import few_whole_numbers

    opened = _with_target(DataTable.read(open_table(table, rows.encoding)), target, rows.missing_target)
    column = opened[target]
    few = few_whole_numbers(column.values) if rows.target_type is None and not column.declared else 0
    if few:
        say(
            f"{target!r} holds whole numbers with {few} values and is taken as a number; if they are codes of classes, "
            "add --target-type multiclass"
        )
    return opened


def _with_target(table: DataTable, target: str, missing: str) -> DataTable:
    gaps = table[target].missing
    if not gaps.any() or gaps.all():
        return table
    if missing == "error":
        raise InputError(
            f"the target {target!r} is missing in {gaps.sum():,} of {len(gaps):,} rows, first in row "
            f"{gaps.argmax() + 1:,} below the line of names: leave them out with --missing-target drop, or fill them"
        )
    say(f"left out {gaps.sum():,} of {len(gaps):,} rows, in which {target!r} is missing")
    return table.take((~gaps).nonzero()[0])


def _splitting(split: SplitOptions, folds: int) -> dict[str, Any]:
    if folds < 2:
        raise InputError(f"--folds is {folds}, but at least 2 are needed: one to train on, one to test on")
    if split.split == "random":
        return {"cv": folds, "order": split.by}
    if split.by is None:
        raise InputError(f"--split {split.split} needs the column to go by: add --by COLUMN")
    if split.split == "group":
        return {"cv": folds, "groups": split.by}
    selection = import_extra("sklearn.model_selection")
    return {"cv": selection.TimeSeriesSplit(folds), "order": split.by}


def _write_vectors(tables: dict[str, EmbeddingTable], folder: Path, parquet: bool, safe: bool) -> dict[str, str]:
    """One file a column, under its name; the answer tells which is which."""
    folder.mkdir(parents=True)
    written: dict[str, str] = {}
    for name, vectors in tables.items():
        path = _free(folder, name, ".parquet" if parquet else ".csv")
        _to_parquet(vectors, path) if parquet else vectors.to_csv(path, safe=safe)
        written[name] = str(path)
    return written


def _free(folder: Path, name: str, ending: str) -> Path:
    """A path that is not taken, of `name` with what a file system may refuse as _: some read A and a as the same."""
    plain = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in name).strip(". ")[:100] or "column"
    taken = {path.stem.lower() for path in folder.iterdir()}
    numbered = (plain if n == 1 else f"{plain}-{n}" for n in count(1))
    return folder / (next(stem for stem in numbered if stem.lower() not in taken) + ending)


def _to_parquet(vectors: EmbeddingTable, path: Path) -> None:
    from unrolled.files import write_file

    data = {"name": list(vectors.names), **vectors.facts}
    data |= {f"d{i}": vectors.vectors[:, i] for i in range(vectors.vectors.shape[1])}
    write_file(path, import_extra("pandas").DataFrame(data).to_parquet(index=False))


def _print_columns(report: ColumnReport) -> None:
    from unrolled.html import column_title, figure
    from unrolled.tables.report.verdicts import cost_text

    print("\n".join(report.summary()), end="\n\n")
    rows = [
        [column_title(row.name), row.verdict, cost_text(row.evidence), figure(row.evidence.alone, 3),
         row.evidence.kind, f"{row.evidence.cardinality:,}", f"{row.evidence.missing:.1%}"]
        for row in report.rows
    ]  # fmt: skip
    print_table(["column", "verdict", "drop cost", "alone", "kind", "values", "missing"], rows)
    print()
    for row in report.rows:
        print(f"{column_title(row.name)}: {row.verdict}. {row.reason}")


def _print_vectors(tables: dict[str, EmbeddingTable], written: dict[str, str]) -> None:
    """What came of each column; how it was taken, and why, was told while fitting."""
    from unrolled.html import column_title

    rows = []
    for name, vectors in tables.items():
        known = ~vectors.facts["special"].astype(bool)
        spread = float(vectors.facts["spread"][known].mean())
        shown = "" if math.isnan(spread) else f"{spread:.2f}"  # a single network has none
        rows.append([column_title(name), f"{known.sum():,}", str(vectors.vectors.shape[1]), shown, written[name]])
    print_table(["column", "categories", "dimensions", "spread", "file"], rows)
    say("spread: how far single networks differ, as a share of how far categories do; near 1, positions are chance")
