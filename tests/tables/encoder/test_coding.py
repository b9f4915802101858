"""Categories become rows of an embedding and numbers scaled values; no value is ever out of range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.tables.data.columns import read_table
from unrolled.tables.encoder.coding import MISSING, RARE, UNKNOWN, Constant, fit_coding, fit_scaling

values = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=False)), min_size=1, max_size=40),
).filter(lambda column: any(value is not None and value == value for value in column))


def column_of(items, name="c"):
    return read_table([[item] for item in items], [name])[0]


@given(values, st.integers(1, 4))
def test_every_value_has_its_row(items, least):
    column = column_of(items)
    coding = fit_coding(column, np.arange(len(items), dtype=float), least)
    codes = coding.encode(column)
    assert (codes != UNKNOWN).all()
    assert codes.max() < coding.rows
    assert (np.bincount(codes, minlength=coding.rows) == coding.counts).all()
    by_code = {}
    for item, code in zip(items, codes, strict=True):
        if item is None or item != item:
            assert code == MISSING
        elif code != RARE:
            assert by_code.setdefault(code, item) == item
            assert coding.counts[code] >= least


@given(values)
def test_scaling_is_finite_and_centred(items):
    column = column_of(items)
    if column.kind in ("string", "boolean"):
        return
    try:
        scaling = fit_scaling(column)
    except InputError as error:
        assert "too large" in str(error)  # noqa: PT017 - only numbers near the end of float64 may be refused
        return
    out = scaling.encode(column)
    assert np.isfinite(out).all()
    assert out.shape == (len(items), scaling.width)


def test_rows_are_given_by_count_then_mean_target():
    column = column_of(["b", "a", "c", "c", "a", "b", "c"])
    coding = fit_coding(column, np.array([1.0, 9, 0, 0, 9, 1, 0]))
    assert coding.known.tolist() == ["c", "b", "a"]
    renamed = fit_coding(column_of(["x", "y", "w", "w", "y", "x", "w"]), np.array([1.0, 9, 0, 0, 9, 1, 0]))
    assert renamed.known.tolist() == ["w", "x", "y"]
    assert (renamed.counts == coding.counts).all()


def test_unseen_missing_and_rare():
    coding = fit_coding(column_of(["a", "a", "b", None]), np.zeros(4), 2)
    assert coding.encode(column_of(["a", "b", "z", None])).tolist() == [3, RARE, UNKNOWN, MISSING]
    assert coding.encode(column_of([None, None])).tolist() == [MISSING, MISSING]
    with pytest.raises(InputError, match="'c', row 1: the category 'z' was not seen"):
        coding.encode(column_of(["a", "z"]), refuse_unknown=True)


def test_one_and_one_point_zero_are_the_same_category_and_a_string_is_not():
    coding = fit_coding(column_of([1, 2, 2]), np.zeros(3))
    assert (coding.encode(column_of([1.0, 2.0])) == coding.encode(column_of([1, 2]))).all()
    assert coding.encode(column_of([1.5])).tolist() == [UNKNOWN]
    for wrong, noun in (("1", "strings"), (True, "booleans")):
        with pytest.raises(InputError, match=f"'c' was fitted on whole numbers, but now holds {noun}"):
            coding.encode(column_of([wrong]))
    floats = fit_coding(column_of([1.0, None, 2.0]), np.zeros(3))
    assert floats.kind == "integer"


def test_large_ids_do_not_collide():
    big = 2**60
    coding = fit_coding(column_of([big, big + 1, big + 2]), np.arange(3.0))
    assert len(set(coding.encode(column_of([big, big + 1, big + 2])).tolist())) == 3


def test_a_category_called_like_a_special_row_keeps_its_own_name():
    names = fit_coding(column_of(["(missing)", None]), np.zeros(2)).names
    assert len(set(names)) == len(names)


def test_missing_numbers_become_zero_with_a_mark():
    scaling = fit_scaling(column_of([1.0, 3.0, None]))
    assert scaling.encode(column_of([None, 3.0])).tolist() == [[0, 1], [1, 0]]
    assert scaling.outputs == ("c", "c_missing")
    scored = fit_scaling(column_of([1.0, 3.0, 5.0, None]))
    assert scored.encode(column_of([None]))[0] == pytest.approx([0, 1, 0], abs=0.02)
    assert scored.at_mean == pytest.approx([0, 0, 0], abs=0.02)
    assert fit_scaling(column_of([5, 5])) == Constant("c", "5")
    with pytest.raises(InputError, match="'c' was fitted on numbers, but now holds strings, for example 'x'"):
        scaling.encode(column_of(["x"]))


def test_normal_scores_follow_the_order_of_the_values_alone():
    values = np.random.default_rng(0).normal(size=2000)
    plain, skewed = (fit_scaling(column_of(v.tolist())) for v in (values, np.exp(5 * values)))
    assert (plain.outputs, plain.width) == (("c",), 2)  # for the networks alone
    scores = plain.encode(column_of([-9.0, -1.0, 0.0, 1.0, 9.0]))[:, 1]
    assert scores == pytest.approx([-2.58, -1, 0, 1, 2.58], abs=0.1)
    of_skewed = skewed.encode(column_of(np.exp(5 * np.array([-9.0, -1.0, 0.0, 1.0, 9.0])).tolist()))[:, 1]
    assert of_skewed == pytest.approx(scores, abs=0.1)
    ties = fit_scaling(column_of([0.0] * 80 + list(range(1, 21))))  # 0.4 is the middle rank of the zeros
    assert ties.encode(column_of([0.0, 20.0]))[:, 1] == pytest.approx([-0.25, 2.58], abs=0.01)
