"""scikit-learn's own checks of a transformer, on the encoder with the quick recipe."""

import inspect

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from unrolled.tables.encoder.estimator import EntityEncoder

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "training draws rows in batches at random, so a row of weight two and a row that stands twice "
        "give the same loss only on average"
    ),
}
STRICT = {"xfail_strict": True} if "xfail_strict" in inspect.signature(parametrize_with_checks).parameters else {}
"""scikit-learn has it from 1.8 on."""


@pytest.mark.filterwarnings("ignore:the target holds whole numbers:UserWarning")
@parametrize_with_checks([EntityEncoder(recipe="quick")], expected_failed_checks=lambda _: EXPECTED, **STRICT)
def test_sklearn(estimator, check):
    check(estimator)
