"""What a target is taken for, its scale, and what cannot be one."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from unrolled.errors import InputError
from unrolled.tables.data.target import fit_target, read_target


def target_of(y, **settings):
    return fit_target(*read_target(y, len(y)), **settings)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([0.5, 1.5, 2.5], "continuous"),
        ([0, 1, 1], "binary"),
        ([True, False, True], "binary"),
        (["a", "b", "a"], "binary"),
        (["a", "b", "c"], "multiclass"),
        (pd.Series(["a", "b", "c"], dtype="category"), "multiclass"),
        (pl.Series(["a", "b", "c"]), "multiclass"),
        (np.arange(40), "continuous"),
        (np.arange(80).reshape(40, 2), "continuous"),
    ],
)
def test_kinds(y, kind):
    assert target_of(y).kind == kind


def test_whole_numbers_with_few_values_are_never_silently_a_number():
    y = np.arange(100) % 5
    with pytest.warns(UserWarning, match="whole numbers with 5 values"):
        assert target_of(y).kind == "continuous"
    assert target_of(y, target_type="multiclass").outputs == 5
    assert target_of(y, target_type="continuous").outputs == 1


def test_log_where_it_pays():
    rng = np.random.default_rng(0)
    assert target_of(np.exp(rng.normal(size=500))).log
    assert not target_of(rng.normal(10, 1, 500)).log
    assert not target_of(rng.normal(size=500)).log
    assert target_of(rng.normal(10, 1, 500), log=True).log
    with pytest.raises(InputError, match="logarithm of the target is learned, but the target is -1 in row 1"):
        target_of([1.0, -1.0, 2.0], log=True)


@pytest.mark.parametrize("log", [True, False])
def test_there_and_back(log):
    y = np.exp(np.random.default_rng(0).normal(size=(50, 2)))
    target = target_of(y, log=log)
    assert np.allclose(target.decode(target.encode(y)), y, rtol=1e-5)
    assert target.encode(y).dtype == np.float32


def test_chances_sum_to_one():
    raw = np.random.default_rng(0).normal(size=(7, 3)) * 100
    three = target_of(["a", "b", "c"])
    assert np.allclose(three.decode(raw).sum(-1), 1)
    assert three.encode(read_target(["c", "a"], 2)[0]).tolist() == [2, 0]
    assert np.allclose(target_of([0, 1]).decode(raw[:, :1]).sum(-1), 1)


@pytest.mark.parametrize(
    ("y", "settings", "sentence"),
    [
        ([1.0, np.nan], {}, "no value .NaN. in row 1"),
        ([1.0, np.inf], {}, "infinite .inf. in row 1"),
        (["a", None], {}, "no value .NaN. in row 1"),
        ([3.0, 3.0], {}, "constant: every row is 3"),
        (["a", "a"], {}, "constant"),
        ([[1.0, 2.0], [1.0, 3.0]], {}, "column 0 of the target is constant"),
        ([1j, 2j], {}, "Complex"),
        (["a", "b"], {"target_type": "continuous"}, "holds 'a'"),
        ([1, 2, 3], {"target_type": "binary"}, "has 3 values"),
        ([[1, 2], [3, 4]], {"target_type": "binary"}, "has 2 columns"),
        ([1, 2], {"target_type": "regresion"}, "unknown target_type"),
        ([-1.0, 2.0, 3.0], {"by_maximum": True}, "must be positive"),
        ([1.0, 2.0], {"log": "yes"}, "log_target is 'yes', but must be True, False or 'auto'"),
        (pd.Series(["a", None], dtype="string"), {}, "no value .NaN. in row 1"),
        (pd.Series([None, True], dtype="boolean"), {}, "no value .NaN. in row 0, counted from 0"),
        (np.array(["a", 1, "b"], dtype=object), {}, "mixes text and other values, for example 'b' and 1"),
    ],
)
def test_bad_targets_get_a_sentence(y, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        target_of(y, **settings)


def test_missing_targets_and_wrong_lengths():
    with pytest.raises(InputError, match="the target y is None"):
        read_target(None, 3)
    with pytest.raises(InputError, match="has 2 rows, but the table has 3"):
        read_target([1, 2], 3)


def test_numbers_that_are_declared_categories_are_classes():
    for y in (pd.Series([7, 9, 8, 9], dtype="category"), pd.DataFrame({"y": pd.Categorical([7, 9, 8, 9])})):
        target = target_of(y)
        assert target.kind == "multiclass"
        assert target.classes.tolist() == [7, 8, 9]
        assert target.encode(read_target(y, 4)[0]).tolist() == [0, 2, 1, 2]


@pytest.mark.parametrize(
    ("fitted", "y", "sentence"),
    [
        (["a", "b", "c"], ["c", "d"], "the target holds 'd', which is none of the classes fitted on: 'a', 'b', 'c'"),
        ([10, 20, 20], [15, 10], "holds 15, which is none of the classes fitted on: 10, 20"),
        (["a", "b", "c"], [1, 2], "holds 1, which is none of"),
        (
            np.exp([0.0, 1.0, 2.0, 9.0]),
            [1.0, -2.0],
            "logarithm of the target is learned, but the target is -2 in row 1",
        ),
        ([0.5, 1.5, 2.5], ["big", "small"], "is to be a number, but holds 'big'"),
        ([0.5, 1.5, 2.5], [[1.0, 2.0]], "has 2 columns, but was fitted on 1"),
        (["a", "b", "c"], [["a", "b"]], "has 2 columns, but was fitted on 1"),
    ],
)
def test_a_later_target_must_fit_the_fitted_one(fitted, y, sentence):
    target = target_of(fitted, log="auto" if isinstance(fitted, list) else True)
    with pytest.raises(InputError, match=sentence):
        target.encode(read_target(y, len(y))[0])
