"""Whether two executions of the same mathematics agree: the one comparison that all such tests use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 2e-2}


def assert_agree(ours: Iterable[Any], theirs: Iterable[Any]) -> None:
    """Assert that two sequences of arrays or tensors agree entry by entry, relative to the largest entry of each.

    Shapes and dtypes must be equal and every number finite; the tolerance is that of the dtype. Nothing at all to
    compare is a failure.
    """
    pairs = list(zip(map(_array, ours), map(_array, theirs), strict=True))
    assert pairs, "there was nothing to compare"
    for place, ((dtype, mine), (other_dtype, other)) in enumerate(pairs):
        assert dtype == other_dtype, f"at {place}: {dtype} against {other_dtype}"
        assert mine.shape == other.shape, f"at {place}: shape {mine.shape} against {other.shape}"
        assert mine.size, f"at {place}: no numbers"
        assert np.isfinite(mine).all(), f"at {place}: a number is not finite"
        error = np.abs(mine - other).max() / max(1.0, np.abs(other).max())
        assert error <= TOLERANCE[dtype], f"at {place}: differs by {error:.3g}, allowed {TOLERANCE[dtype]}"


def _array(value: Any) -> tuple[str, np.ndarray]:
    assert value is not None, "a gradient is missing"
    if isinstance(value, torch.Tensor):
        return str(value.dtype).removeprefix("torch."), value.detach().to(torch.float64).numpy()
    return str(value.dtype), np.asarray(value, np.float64)
