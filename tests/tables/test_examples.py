"""The examples in the docstrings of the public functions run and print what they say."""

import doctest
from collections.abc import Callable

import pytest

import unrolled


@pytest.mark.parametrize("function", [unrolled.examine_columns, unrolled.compare_encodings, unrolled.mean_of_models])
def test_the_example_runs(function: Callable[..., object]) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__, globs={})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
