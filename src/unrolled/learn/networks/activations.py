"""Nonlinearities in place, and the way of a gradient back through them, for the hand-written recurrences.

Each backward form needs the nonlinearity's output alone, so that inputs need not be kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

_aten = torch.ops.aten


def tanh_(v: Tensor) -> Tensor:
    """tanh(v) in place.

    On a CPU by 2 σ(2v) - 1: `torch.tanh` takes four to six times as long there (341 against 81 µs for 512 x 256 float32
    numbers on one core of an AMD EPYC, torch 2.13). The error is at most 2e-7 in float32; bfloat16 takes the way
    through float32, for σ near 1/2 would lose the small values.
    """
    if v.device.type != "cpu":
        return v.tanh_()
    if v.dtype == torch.bfloat16:
        return v.copy_(tanh_(v.float()))
    return v.mul_(2).sigmoid_().mul_(2).sub_(1)


def activate_(v: Tensor, nonlinearity: str) -> Tensor:
    """tanh or relu in place, by name."""
    return tanh_(v) if nonlinearity == "tanh" else v.relu_()


def back_through_(gradient: Tensor, output: Tensor, nonlinearity: str) -> Tensor:
    """Multiply `gradient` in place by the slope that tanh, relu or sigmoid has where its value is `output`."""
    if nonlinearity == "tanh":
        _aten.tanh_backward.grad_input(gradient, output, grad_input=gradient)
    elif nonlinearity == "sigmoid":
        _aten.sigmoid_backward.grad_input(gradient, output, grad_input=gradient)
    else:
        _aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient
