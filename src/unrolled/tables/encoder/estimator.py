"""EntityEncoder: a scikit-learn transformer that learns a vector per category from the target.

scikit-learn's conventions only: parameters, checks, and calls that make and use a `Fitted`. Fitting trains small
networks (PyTorch); everything after that is NumPy. Left out: pictures of vectors (`unrolled.look`), whether they help
another model (`comparison`), and what a column is worth (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from html import escape
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
from unrolled.tables.data.splits import check_seed
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.config import EncoderConfig, FitSettings, find_config
from unrolled.tables.encoder.fitted import Fitted
from unrolled.tables.encoder.folder import load, save
from unrolled.tables.encoder.schema import Encoded, Schema

if TYPE_CHECKING:
    from unrolled.tables.encoder.fitting import Fit


class EntityEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learn a vector for each category of a table by predicting the target, and put the vectors in its place.

    Categories (strings, booleans, declared categories, parts of dates, and whole numbers whose values tell of the
    target what their order does not) become vectors, of which the main axes are handed on; whole numbers and dates
    stand beside them as numbers, too. All are scaled by how far they move the prediction, so that distances between
    rows mean something. Unknown, missing and rare categories have rows of their own. The mean target of each category
    stands beside its vector, and the networks' own prediction is the last column. What is constant is left out. The
    output is float32 (row, column), rows in the order given, never NaN.

    Parameters
    ----------
    dimensions : "auto", int, or dict from column to int
        Length of the vectors; "auto" is 3 n^(1/4) for n categories, at most n - 1, of which `transform` hands on the
        main axes that hold 90 % of the variance, two at most, and none where the networks predict held-out rows as well
        without the column, told in `describe()`. Lengths that are given are handed on whole.
    categorical_features : "auto", or names, positions or a mask of columns
        Which columns of numbers are categories; "auto" measures on five folds of the rows whether a mean of each value
        predicts the target better than a curve over their order, by more than two standard errors; `describe()` tells.
    min_frequency : None, int or float
        Categories in fewer rows (or a smaller share of them) are merged into one rare row.
    handle_unknown : "embed" or "error"
        What `transform` does with a category never seen: give it the unknown row's vector, or raise.
    target_type : "auto", "continuous", "binary" or "multiclass"
        "auto": strings, categories and booleans are classes, two values are two classes, all else is a number; whole
        numbers with at most 20 values draw a warning. Several columns of targets are always numbers.
    log_target : "auto", True or False
        Whether to learn log(y); "auto" if all y > 0 and the logarithm removes more than half of a skew above 1.
    recipe : "default", "quick", "guo-berkhahn" or an `EncoderConfig`
        The networks and their training.
    n_networks : None or int
        Networks aligned and averaged; None is the recipe's number, by default 10 below 50,000 rows and 5 from there.
    validation : "auto", None, float, splitter, or rows (positions or a mask)
        Rows held out of training for early stopping. With "auto" each network holds out a tenth of the rows (a fifth
        where `cv` needs it), another one for each, and keeps what did best on it: together they see all rows. With
        fewer than 50 rows, and with None, nothing is held out. For all networks alike: a fraction at random, the last
        split of a splitter such as TimeSeriesSplit or GroupKFold, or the rows given.
    cv : "auto", None, int, splitter, or pairs of train and test rows
        With "auto", `fit_transform` gives a row vectors of the networks that held it out, in the columns that have
        fewer than 100 rows per category on average. With folds, networks are trained anew for each of them, and
        `fit_transform` returns the vectors of all columns out-of-fold, in the coordinates of the full fit; a row that
        no fold holds out (such as the first ones of TimeSeriesSplit) gets its vector from the full fit. `out_of_fold_`
        marks the out-of-fold rows. In both cases a fifth of the
        rows show names that are read as if they were new, and a tenth show one category of another column as unknown,
        so that a model fitted on them learns what to make of new categories. None: neither; `fit_transform` then
        returns what `transform` does.
    spelling : "auto", None, or list of columns
        Columns of strings whose names are read: a map from the character n-grams of a name to its vector, learned from
        the categories seen, gives a vector to names that were not, and leads those of few rows: with n rows a vector
        weighs n, its spelling 3. Beside the vector stand up to 30 main components of the n-grams, where the spelling
        explains 15 % of the vectors. "auto" reads columns with 50 categories or more if their spelling predicts the
        vectors of held-out categories, told in `describe()`; names that differ in their digits alone are never read.
        Free text (20 characters or more on average, nine in ten rows with one of their own) becomes numbers: what its
        n-grams tell of the target, by ridge regression, for the rows of `fit_transform` from other rows, and 30 main
        components.
    prediction : bool
        Whether the last columns of the output are the networks' raw prediction: the scaled number, or log odds.
        `fit_transform` gives a row that of the networks that held it out, so that a model fitted on it learns what it
        is worth. There is none with fewer than five networks or 50 rows, and unless `validation` and `cv` are "auto".
    random_state : None, int or RandomState
        Same seed, same rows, same bits on the same machine and number of threads.
    n_jobs : None or int
        Threads of PyTorch while fitting; None leaves its setting alone, -1 takes every core.
    verbose : int
        1 prints on stderr how each column is coded, progress, and an estimate of the time left.

    Attributes
    ----------
    fitted_ : everything learned, a frozen `Fitted`; the next two lines are parts of it
    schema_, target_ : the codings of the columns, and of the target, with its `kind` and whether its `log` was learned
    classes_ : the classes in the order of `network_prediction`, None for a number
    interrupted_ : whether Ctrl-C ended the training early; the best so far was kept, and folds not begun were left out
    out_of_fold_ : bool (row,), after `fit_transform`: whose vectors are of networks not trained on that row
    n_features_in_, feature_names_in_ : as in scikit-learn

    Errors are `InputError` (a ValueError) that name column and value. Source: Guo and Berkhahn, arXiv 1604.06737.
    """

    def __init__(
        self,
        *,
        dimensions: str | int | Mapping[str, int] = "auto",
        categorical_features: Any = "auto",
        min_frequency: float | None = None,
        handle_unknown: str = "embed",
        target_type: str = "auto",
        log_target: bool | str = "auto",
        recipe: str | EncoderConfig = "default",
        n_networks: int | None = None,
        validation: Any = "auto",
        cv: Any = "auto",
        spelling: Any = "auto",
        prediction: bool = True,
        random_state: int | np.random.RandomState | None = None,
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
        self.spelling = spelling
        self.prediction = prediction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: object, y: object, sample_weight: object = None, groups: object = None) -> Self:
        """Learn the vectors from the table `X` and its target `y`.

        `sample_weight` (row,) weighs the loss; `groups` (row,) goes to a splitter given as `validation`.
        """
        fit = self._prepare(X, y, sample_weight, groups)
        self.fitted_ = fit.run(fit.validation(y))
        return self

    def fit_transform(self, X: object, y: object = None, sample_weight: object = None, groups: object = None) -> Any:
        """`fit`, and the vectors of the rows, out-of-fold and with some shown as new as `cv` says."""
        fit = self._prepare(X, y, sample_weight, groups)
        self.fitted_, out, self.out_of_fold_ = fit.fit_transform(fit.validation(y), fit.splits(y))
        return out

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
        settings = self._settings()
        from unrolled.tables.encoder.parquet import ParquetTable, fit_parquet  # imports PyTorch

        self._set(fit_parquet(ParquetTable(path, target, buffer, sample_weight), settings))
        return self

    def transform(self, X: object) -> NDArray[np.float32]:
        """The table with vectors in place of categories, float32 (row, `get_feature_names_out()`)."""
        table = self._encode(X)
        return self.fitted_.transform(table)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the output columns: Store_0, Store_1, ... for vectors, the column's own name for a number."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(self.fitted_.names_out(), dtype=object)

    def network_prediction(self, X: object) -> NDArray[np.float64]:
        """The networks' own mean prediction: (row,) or (row, output) numbers, or (row, class) probabilities."""
        table = self._encode(X)
        return self.fitted_.predict(table)

    def explain(self, X: object) -> list[tuple[str, float]]:
        """What each column moved in the networks' prediction for the single row `X`, the largest first.

        A column's share is the prediction less that with the column hidden: a category read as unknown, a number at its
        mean, all parts of a date together. So it is in the units of the target, and for classes a change of the
        likeliest one's probability. Shares need not add up: two columns that say the same both move little. Raises
        InputError for another number of rows than one, or several targets.
        """
        check_is_fitted(self)
        columns = self._read(X)
        if len(columns[0]) != 1 or not self.target_.single:
            raise InputError(
                "one row, and an encoder of a single target, can be explained: give X.iloc[[0]] or the like"
            )
        return self.fitted_.explain(columns)

    def table(self, column: str) -> EmbeddingTable:
        """The vectors of one column (for a part of a date: Date_month), with facts on each row.

        Facts: `count`; `target_mean` (for classes: the mean class number); `spread` of the networks (NaN for one): near
        1 it says that a position is luck; `special` of the rows for unknown, missing and rare; `spelling_share`, of a
        column whose names are read, how much of a vector is its spelling's.
        """
        check_is_fitted(self)
        return self.fitted_.table(column)

    def describe(self) -> list[str]:
        """One sentence per column on how it is coded and why, and one on the target."""
        check_is_fitted(self)
        return self.fitted_.describe()

    def add_category(self, column: str, category: object, X: object, y: object) -> Self:
        """Learn a vector for one new category from a few rows of it; everything else stays as it is.

        `X` holds the rows (their value in `column` is not read), `y` their target. Raises InputError for a category
        that has a vector already.
        """
        check_is_fitted(self)
        import_extra("torch")
        from unrolled.tables.encoder.add_category import add_category

        self.fitted_ = add_category(self.fitted_, column, category, self._read(X), y)
        return self

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the fitted encoder as a folder of JSON and safetensors that loads anywhere without PyTorch."""
        check_is_fitted(self)
        save(self.fitted_, self.get_params(deep=False), Path(folder))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The fitted encoder in a folder of `save_pretrained`. Raises FolderError for any other or damaged folder."""
        fitted, parameters = load(Path(folder))
        encoder = cls()
        encoder.set_params(**parameters)
        encoder._set(fitted)
        return encoder

    @property
    def schema_(self) -> Schema:
        """The codings of the columns."""
        return self.fitted_.schema

    @property
    def target_(self) -> Target:
        """The coding of the target."""
        return self.fitted_.target

    @property
    def classes_(self) -> NDArray[Any] | None:
        """The classes in the order of `network_prediction`, None for a number."""
        return self.target_.classes

    @property
    def interrupted_(self) -> bool:
        """Whether Ctrl-C ended the training early."""
        return self.fitted_.interrupted

    def _prepare(self, X: object, y: object, sample_weight: object, groups: object) -> Fit:
        """Everything about a fit but the training: the codings are learned, bad input is refused."""
        settings = self._settings()
        from unrolled.tables.encoder.fitting import prepare  # imports PyTorch

        columns = self._read(X, reset=True)
        names = _known_names(self)
        return prepare(columns, y, sample_weight, groups, settings, None if names is None else tuple(names))

    def _settings(self) -> FitSettings:
        """The checked parameters of a new fit. What an earlier fit left is dropped: one that fails leaves nothing."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)
        if self.handle_unknown not in ("embed", "error"):
            raise InputError(f"handle_unknown is {self.handle_unknown!r}, but must be 'embed' or 'error'")
        if isinstance(self.random_state, int | np.integer):
            check_seed(int(self.random_state), "random_state")
        import_extra("torch")
        names = [f.name for f in fields(FitSettings) if f.name not in ("config", "seed")]
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return FitSettings(find_config(self.recipe), seed, **{name: getattr(self, name) for name in names})

    def _set(self, fitted: Fitted) -> None:
        """Take over a fit of no table in memory."""
        self.fitted_, self.n_features_in_ = fitted, fitted.statistics.features
        if fitted.statistics.feature_names is not None:
            self.feature_names_in_ = np.array(fitted.statistics.feature_names, dtype=object)

    def _read(self, X: Any, reset: bool = False) -> list[Column]:
        """The columns of `X`, checked by scikit-learn's rules for their names and number."""
        known = None if reset else _known_names(self)
        columns = read_table(X, known)
        if is_frame(X) and [column.name for column in columns] == known:
            return columns  # there is nothing to refuse, and scikit-learn's look at it takes a third of a row's time
        try:
            validate_data(self, X if is_frame(X) else np.empty((1, len(columns))), reset=reset, skip_check_array=True)
        except (ValueError, TypeError) as error:
            raise InputError(str(error)) from None
        return columns

    def _encode(self, X: object) -> Encoded:
        check_is_fitted(self)
        return self.fitted_.encode(self._read(X), self.handle_unknown == "error")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """scikit-learn's diagram for a notebook, and how each column is coded once it is fitted."""
        shown: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in shown and hasattr(self, "fitted_"):
            lines = "".join(f"<li>{escape(line)}</li>" for line in self.describe())
            shown["text/html"] += f"<ul>{lines}</ul>"
        return shown

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_().get("text/html", "")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitted_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _known_names(encoder: EntityEncoder) -> list[str] | None:
    """The names of the columns fitted on, if it was a data frame; a bare array then has them too."""
    names = getattr(encoder, "feature_names_in_", None)
    return None if names is None else list(names)
