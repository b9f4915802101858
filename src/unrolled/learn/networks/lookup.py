"""Looking up the rows of a table for ids, with a gradient that is summed in the table's own precision.

`torch.nn.functional.embedding` does the same; under autocast it would either move twice the memory or sum the gradients
of hundreds of equal characters in bfloat16, which stops growing long before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unrolled.learn.networks.recurrence import first_derivative_only, under_autocast


def lookup(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of `table` (row, n) for `ids` (time, batch): (time, batch, n), in the dtype of an enclosing autocast."""
    (sample,) = under_autocast(table[:0])
    rows: Tensor = _Lookup.apply(table, ids, sample.dtype)  # type: ignore[no-untyped-call]
    return rows


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.like = table.new_empty(0), len(table)
        return torch.nn.functional.embedding(ids, table.to(dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first_derivative_only()
        (ids,), (like, rows) = ctx.saved_tensors, ctx.like
        if ids.device.type != "cpu":  # index_add_ is faster on a CPU, and not deterministic elsewhere
            return torch.ops.aten.embedding_dense_backward(gradient.to(like.dtype), ids, rows, -1, False), None, None
        total = like.new_zeros(rows, gradient.shape[-1])
        for places, part in zip(ids, gradient, strict=True):  # a time at a time stays in the cache
            total.index_add_(0, places, part.to(like.dtype))
        return total, None, None
