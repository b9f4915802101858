"""EntityEncoder: a scikit-learn transformer that learns a vector per category from the target.

Fitting trains small networks (PyTorch, see `network`); everything after that is NumPy. Left out: pictures of vectors
(`unrolled.look`), whether they help another model (`comparison`), and what a column is worth (`columns`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError, import_extra
from unrolled.tables.data.columns import Column, is_frame, read_table
from unrolled.tables.data.splits import check_seed, folds, validation_rows
from unrolled.tables.data.target import fit_target, read_target
from unrolled.tables.encoder.alignment import DistanceCheck, distance_check, neighbours_kept
from unrolled.tables.encoder.coding import SPECIAL, Coding, Scaling
from unrolled.tables.encoder.config import Recipe, find_recipe
from unrolled.tables.encoder.schema import Encoded, Schema, auto_folds, fit_schema
from unrolled.tables.encoder.vectors import Counts, dimensions_of, means_of
from unrolled.tables.encoder.weights import Trained

if TYPE_CHECKING:
    from unrolled.tables.encoder.fitting import Job, Trainer


class EntityEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learn a vector for each category of a table by predicting the target, and put the vectors in its place.

    Categories (strings, truth values, declared categories, whole numbers whose values recur 10 times or more, parts of
    dates) become `dimensions` columns each; other numbers are centred. All are scaled by how far they move the
    prediction, so that distances between rows mean something. Unknown, missing and rare categories have rows of their
    own. The output is float32 (row, column), rows in the order given, never NaN.

    Parameters
    ----------
    dimensions : "auto", int, or dict from column to int
        Length of the vectors; "auto" is 3 n^(1/4) for n categories, at most n - 1.
    categorical_features : "auto", or names, positions or a mask of columns
        Which columns of numbers are categories; "auto" is the rule above, told in `describe()`.
    min_frequency : None, int or float
        Categories in fewer rows (or a smaller share of them) are merged into one rare row.
    handle_unknown : "embed" or "error"
        What `transform` does with a category never seen: give it the unknown row's vector, or raise.
    target_type : "auto", "continuous", "binary" or "multiclass"
        "auto": strings, categories and truth values are classes, two values are two classes, all else is a number;
        whole numbers with at most 20 values draw a warning. Several columns of targets are always numbers.
    log_target : "auto", True or False
        Whether to learn log(y); "auto" if all y > 0 and the logarithm takes away more than half of a skew above 1.
    recipe : "default", "quick", "guo-berkhahn" or a `Recipe`
        The networks and their training.
    n_networks : None or int
        Networks aligned and averaged; None is the recipe's number.
    validation : None, float, splitter, or rows (positions or a mask)
        Rows kept out of training for early stopping: a share at random, the last split of a splitter such as
        TimeSeriesSplit or GroupKFold, or the rows given.
    cv : "auto", None, int, splitter, or pairs of train and test rows
        With it `fit_transform` returns out-of-fold vectors, in the coordinates of the full fit. A row that no fold
        leaves out (as the first ones of TimeSeriesSplit) gets its vector from the full fit; `out_of_fold_` tells which.
        "auto" is 5 folds where some column has fewer than 10 rows a category on average, and None else.
    random_state : None, int or RandomState
        Same seed, same rows, same bits on the same machine and number of threads.
    n_jobs : None or int
        Threads of PyTorch while fitting; None leaves its setting alone, -1 takes every core.
    verbose : int
        1 tells on stderr how each column is taken, an estimate of the time, and progress.

    Attributes
    ----------
    schema_, target_, vectors_ : the codings of the columns, of the target, and the vectors
    target_type_, log_target_, classes_ : what the target was taken for
    interrupted_ : whether Ctrl-C ended the training early; the best so far was kept, and folds not begun were left out
    n_features_in_, feature_names_in_ : as in scikit-learn

    Errors are `InputError` (a ValueError) that name column and value. Source: Guo and Berkhahn, arXiv 1604.06737.
    """

    interrupted_: bool

    def __init__(
        self,
        *,
        dimensions: Any = "auto",
        categorical_features: Any = "auto",
        min_frequency: float | None = None,
        handle_unknown: str = "embed",
        target_type: str = "auto",
        log_target: bool | str = "auto",
        recipe: str | Recipe = "default",
        n_networks: int | None = None,
        validation: Any = None,
        cv: Any = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.dimensions = dimensions
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.handle_unknown = handle_unknown
        self.target_type = target_type
        self.log_target = log_target
        self.recipe = recipe
        self.n_networks = n_networks
        self.validation = validation
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn the vectors from the table `X` and its target `y`.

        `sample_weight` (row,) weighs the loss; `groups` (row,) goes to a splitter given as `validation`.
        """
        job, _ = self._prepare(X, y, sample_weight)
        self._learn(job, validation_rows(self.validation, y, groups, job.trainer.seed))
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """`fit`, and the vectors of the rows: out-of-fold ones where `cv` is set, else those of `transform`."""
        job, table = self._prepare(X, y, sample_weight)
        validation = validation_rows(self.validation, y, groups, job.trainer.seed)
        classes = self.target_.kind != "continuous"
        cv = auto_folds(table.codes, self.schema_) if isinstance(self.cv, str) and self.cv == "auto" else self.cv
        splits = None if cv is None else folds(cv, y, groups, classes, job.trainer.seed)
        self._learn(job, validation)
        tables = [vectors[table.codes[:, i]] for i, vectors in enumerate(self.vectors_.tables)]
        self.out_of_fold_ = np.zeros(len(table.codes), dtype=bool)
        if splits is not None and not self.interrupted_:
            self.out_of_fold_, self.interrupted_ = job.out_of_fold(splits, self.vectors_, tables)
        return self._columns_out(tables, table)

    def fit_parquet(
        self, path: str | Path, target: str, sample_weight: str | None = None, buffer: int = 1 << 18
    ) -> Self:
        """Learn from a Parquet file, or a folder of them, larger than memory.

        `target` names the column of targets and `sample_weight` one of weights, if any; neither is a feature. Rows are
        read `buffer` at a time, row groups in random order, and shuffled within a buffer: row groups sorted by a
        category want a buffer that holds several of them. Rows of `validation` are measured on at most a buffer of
        them; `cv` does not apply. How often whole numbers recur is judged on one buffer. Raises InputError for a path
        or column that is not there.
        """
        self._forget()
        self._check_settings()
        import_extra("torch", "train")
        from unrolled.tables.encoder.parquet import ParquetTable, StreamedRows, fit_statistics  # imports PyTorch

        table = ParquetTable(path, target, buffer, sample_weight)
        y, weight = fit_statistics(self, table), _weights(table.weights(), table.rows)
        self._settle_shapes()
        trainer = self._trainer()
        held = np.zeros(table.rows, dtype=bool)
        chosen = validation_rows(self.validation, y, None, trainer.seed)
        held[[] if chosen is None else chosen] = True
        trainer.tell(*self._sentences())
        rows = StreamedRows(table, self.schema_, self.target_, weight, held)
        batch = rows.validation(trainer.networks, np.random.default_rng(trainer.seed))
        self._keep(trainer, *trainer.train(rows, batch, trainer.seed), rows.counts())
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The table with vectors in place of categories, float32 (row, `get_feature_names_out()`)."""
        table = self._encode(X)
        return self._columns_out([v[table.codes[:, i]] for i, v in enumerate(self.vectors_.tables)], table)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the output columns: Store_0, Store_1, ... for vectors, the column's own name for a number."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(_names_out(self.schema_, self.dimensions_), dtype=object)

    def network_prediction(self, X: Any) -> NDArray[np.float64]:
        """What the networks themselves predict, averaged: (row,) or (row, output) numbers, or (row, class) chances."""
        table = self._encode(X)
        mean: NDArray[np.float64] = self.target_.decode(self.networks_.outputs(table)).mean(axis=0)
        return mean[:, 0] if self.target_.kind == "continuous" and self.target_.single else mean

    def table(self, column: str) -> EmbeddingTable:
        """The vectors of one column (for a part of a date: Date_month), with facts on each row.

        Facts: `count`; `target_mean` (for classes: the mean class number); `spread` and `neighbours_kept` between the
        networks (NaN for one network; the latter is measured on at most 2,000 rows and NaN on the others): a spread
        near 1, or few kept neighbours, says that a place is luck; `special` of the rows for unknown, missing and rare.
        """
        check_is_fitted(self)
        i = self.schema_.place(column)
        coding = self.schema_.codings[i]
        aligned = self.vectors_.alignments[i].apply(self.networks_.tables[i])
        special = np.arange(coding.rows) < len(SPECIAL)
        facts = {"count": coding.counts, "target_mean": self.target_means_[i], "spread": self.vectors_.spreads[i],
                 "neighbours_kept": neighbours_kept(aligned), "special": special}  # fmt: skip
        return EmbeddingTable(coding.names, self.vectors_.tables[i], facts)

    def distance_check(self, column: str) -> DistanceCheck:
        """Distances between the vectors of known categories against differences of their mean targets."""
        check_is_fitted(self)
        i = self.schema_.place(column)
        known = slice(len(SPECIAL), None)
        return distance_check(self.vectors_.tables[i][known], self.target_means_[i][known])

    def describe(self) -> list[str]:
        """One sentence a column on how it is taken and why, and one on the target."""
        check_is_fitted(self)
        return self._sentences()

    def _sentences(self) -> list[str]:
        lines = [_described(field.coding, field.reason, self._dimension(field.coding)) for field in self.schema_.fields]
        log = ", its logarithm learned" if self.log_target_ else ""
        return [*lines, f"target: {self.target_type_}{log}"]

    def add_category(self, column: str, category: Any, X: Any, y: Any) -> Self:
        """Learn a vector for one new category from a few rows of it; everything else stays as it is.

        `X` holds the rows (their value in `column` is not read), `y` their target. Raises InputError for a category
        that has a vector already.
        """
        check_is_fitted(self)
        import_extra("torch", "train")
        from unrolled.tables.encoder.add_category import add_category

        add_category(self, column, category, self._read(X), y)
        return self

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the fitted encoder as a folder of JSON and safetensors that loads anywhere without PyTorch."""
        check_is_fitted(self)
        from unrolled.tables.encoder.folder import save

        save(self, Path(folder))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> EntityEncoder:
        """The fitted encoder in a folder of `save_pretrained`. Raises FolderError for any other or damaged folder."""
        from unrolled.tables.encoder.folder import load

        return load(Path(folder), cls())

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[Job, Encoded]:
        """Everything about a fit but the training: the codings are learned, bad input is refused."""
        self._forget()
        self._check_settings()
        import_extra("torch", "train")
        columns = self._read(X, reset=True)
        rows = len(columns[0])
        values, single = read_target(y, rows)
        if rows < 2:
            raise InputError("the table has 1 sample, but at least 2 rows are needed to learn anything")
        by_maximum = find_recipe(self.recipe).output == "sigmoid"
        self.target_ = fit_target(values, single, self.target_type, self.log_target, by_maximum)
        numeric = self.target_.numeric(values)
        self.schema_ = fit_schema(columns, numeric, self.categorical_features, self.min_frequency)
        self._settle_shapes()
        table = self.schema_.encode(columns)
        self.target_means_ = means_of(table.codes, self.schema_.codings, numeric)
        from unrolled.tables.encoder.fitting import Job  # imports PyTorch

        weight = _weights(sample_weight, rows)
        return Job(self._trainer(), table, self.target_.encode(values), weight), table

    def _trainer(self) -> Trainer:
        from unrolled.tables.encoder.fitting import Trainer  # imports PyTorch

        recipe = find_recipe(self.recipe)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return Trainer(self.schema_, self.target_, self.dimensions_, recipe, self.n_networks or recipe.networks, seed,
                       self.n_jobs, self.verbose)  # fmt: skip

    def _settle_shapes(self) -> None:
        self.dimensions_ = dimensions_of(self.schema_.codings, self.dimensions)
        self.target_type_, self.log_target_, self.classes_ = self.target_.kind, self.target_.log, self.target_.classes

    def _learn(self, job: Job, validation: NDArray[np.int64] | None) -> None:
        job.trainer.tell(*self._sentences())
        rows = np.arange(len(job.target))
        trained, interrupted = job.train(rows, validation, job.trainer.seed)
        self._keep(job.trainer, trained, interrupted, job.counts(job.met(rows, validation)))

    def _keep(self, trainer: Trainer, trained: Trained, interrupted: bool, counts: list[Counts]) -> None:
        """Take over the networks; `counts` are those of the rows that training met."""
        self.networks_, self.vectors_ = trainer.combine(trained, counts)
        self.interrupted_ = interrupted

    def _forget(self) -> None:
        """Drop what an earlier fit left, so that a fit that fails leaves an unfitted encoder and not half of two."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "vectors_")

    def _check_settings(self) -> None:
        if self.handle_unknown not in ("embed", "error"):
            raise InputError(f"handle_unknown is {self.handle_unknown!r}, but must be 'embed' or 'error'")
        if self.n_networks is not None and not (isinstance(self.n_networks, int | np.integer) and self.n_networks > 0):
            raise InputError(f"n_networks is {self.n_networks!r}, but must be None or a whole number from 1 on")
        jobs = self.n_jobs
        if jobs is not None and not (isinstance(jobs, int | np.integer) and (jobs == -1 or jobs > 0)):
            raise InputError(f"n_jobs is {jobs!r}, but must be None, -1 for every core, or a number from 1 on")
        if isinstance(self.random_state, int | np.integer):
            check_seed(int(self.random_state), "random_state")

    def _read(self, X: Any, reset: bool = False) -> list[Column]:
        """The columns of `X`, checked by scikit-learn's rules for their names and number."""
        columns = read_table(X, _known_names(self, reset))
        try:
            validate_data(self, X if is_frame(X) else np.empty((1, len(columns))), reset=reset, skip_check_array=True)
        except (ValueError, TypeError) as error:
            raise InputError(str(error)) from None
        return columns

    def _encode(self, X: Any) -> Encoded:
        check_is_fitted(self)
        return self.schema_.encode(self._read(X), self.handle_unknown == "error")

    def _dimension(self, coding: Coding | Scaling) -> int:
        return int(self.dimensions_[self.schema_.place(coding.name)]) if isinstance(coding, Coding) else 0

    def _columns_out(self, tables: list[NDArray[np.float32]], table: Encoded) -> NDArray[np.float32]:
        """Vectors and numbers side by side, in the order of the columns they come from."""
        parts, start = [], 0
        places = {coding.name: i for i, coding in enumerate(self.schema_.codings)}
        starts, numbers = {}, table.numbers * self.vectors_.scales.numbers
        for scaling in self.schema_.scalings:
            starts[scaling.name] = start
            start += scaling.width
        for field in self.schema_.fields:
            coding = field.coding
            if isinstance(coding, Coding):
                parts.append(tables[places[coding.name]])
            else:
                parts.append(numbers[:, starts[coding.name] : starts[coding.name] + coding.width])
        out: NDArray[np.float32] = np.concatenate(parts, axis=1)
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _names_out(schema: Schema, dimensions: tuple[int, ...]) -> list[str]:
    names: list[str] = []
    for field in schema.fields:
        coding = field.coding
        if isinstance(coding, Coding):
            names += [f"{coding.name}_{d}" for d in range(dimensions[schema.place(coding.name)])]
        else:
            names += coding.outputs
    return names


def _known_names(encoder: EntityEncoder, reset: bool) -> list[str] | None:
    """Names for the columns of a bare array: those of the frame fitted on, if there was one."""
    names = None if reset else getattr(encoder, "feature_names_in_", None)
    return None if names is None else list(names)


def _described(coding: Coding | Scaling, reason: str, dimension: int) -> str:
    if isinstance(coding, Scaling):
        return f"{coding.name}: a number, scaled ({reason})"
    categories = coding.rows - len(SPECIAL)
    merged = f", {len(coding.merged):,} rare ones merged" if len(coding.merged) else ""
    noun = "category" if categories == 1 else "categories"
    return f"{coding.name}: {categories:,} {noun}{merged} -> vectors of {dimension} ({reason})"


def _weights(sample_weight: Any, rows: int) -> NDArray[np.float32]:
    """Weights with mean 1 over the rows. Raises InputError for negative, missing or all-zero ones."""
    if sample_weight is None:
        return np.ones(rows, dtype=np.float32)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, float(weights))
    if weights.shape != (rows,):
        raise InputError(f"sample_weight has shape {weights.shape}, but ({rows},) was expected")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError("sample_weight must be finite, not negative, and not zero everywhere")
    scaled: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return scaled
