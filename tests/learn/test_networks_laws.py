"""Laws between rungs, and against `torch.nn` and the plain equations: outputs and gradients, in float64."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from agreement import assert_agree
from unrolled.learn.networks import RUNGS
from unrolled.learn.networks.scan import doubling_, scan, stepwise_

INPUTS, HIDDEN, BATCH, TIME = 5, 7, 3, 9


def layer_of(rung, form=None, seed=0):
    layer = RUNGS[rung](INPUTS, HIDDEN, form).double()
    layer.initialise(torch.Generator().manual_seed(seed))
    return layer


def noise(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def gradients(outputs, inputs):
    total = sum((output * noise(*output.shape, seed=2).detach()).sum() for output in outputs)
    return torch.autograd.grad(total, inputs)


@pytest.mark.parametrize("layout", ["batch first", "time first"])
@pytest.mark.parametrize(
    ("rung", "form", "reference"),
    [
        ("rnn", None, nn.RNN(INPUTS, HIDDEN, batch_first=True)),
        ("rnn", "relu", nn.RNN(INPUTS, HIDDEN, nonlinearity="relu", batch_first=True)),
        ("irnn", "tanh", nn.RNN(INPUTS, HIDDEN, batch_first=True)),
        ("irnn", "relu", nn.RNN(INPUTS, HIDDEN, nonlinearity="relu", batch_first=True)),
        ("gru", None, nn.GRU(INPUTS, HIDDEN, batch_first=True)),
        ("lstm", None, nn.LSTM(INPUTS, HIDDEN, batch_first=True)),
    ],
)
def test_equals_torch_nn(rung, form, reference, layout):
    layer, reference = layer_of(rung, form), reference.double()
    layer.load_state_dict({n.removesuffix("_l0"): p for n, p in reference.named_parameters()})
    x = noise(BATCH, TIME, INPUTS) if layout == "batch first" else noise(TIME, BATCH, INPUTS).transpose(0, 1)
    start = tuple(noise(BATCH, HIDDEN, seed=10 + i) for i, _ in enumerate(layer.cell.parts))
    expected, last = reference(x, tuple(s[None] for s in start) if len(start) > 1 else start[0][None])
    last = [part[0] for part in (last if isinstance(last, tuple) else (last,))]
    h, after = layer(x, start)
    assert_agree([h, *after], [expected, *last])
    ours, theirs = [*layer.parameters(), x, *start], [*reference.parameters(), x, *start]
    order = [f"{name}_l0" for name, _ in layer.named_parameters()]
    named = dict(reference.named_parameters())
    theirs = [*(named[name] for name in order), x, *start]
    assert_agree(gradients([h, *after], ours), gradients([expected, *last], theirs))


def test_rnn_equals_a_hand_loop_over_the_elman_cell():
    layer, cell = layer_of("rnn"), nn.RNNCell(INPUTS, HIDDEN).double()
    cell.load_state_dict(layer.state_dict())
    x, start = noise(BATCH, TIME, INPUTS), noise(BATCH, HIDDEN, seed=3)
    h, steps = start, []
    for t in range(TIME):
        h = cell(x[:, t], h)
        steps.append(h)
    ours, _ = layer(x, (start,))
    assert_agree([ours], [torch.stack(steps, 1)])
    theirs = gradients(
        [torch.stack(steps, 1)], [*(cell.get_parameter(n) for n, _ in layer.named_parameters()), x, start]
    )
    assert_agree(gradients([ours], [*layer.parameters(), x, start]), theirs)


def test_three_char_equals_loop_on_windows_of_three():
    three, loop = layer_of("three-char"), layer_of("loop", seed=1)
    loop.load_state_dict(three.state_dict())
    x = noise(BATCH, 3, INPUTS)
    ours, _ = three(x, three.initial_state(BATCH))
    theirs, _ = loop(x, loop.initial_state(BATCH))
    assert_agree([ours[:, -1]], [theirs[:, -1]])
    assert_agree(
        gradients([ours[:, -1]], [*three.parameters(), x]), gradients([theirs[:, -1]], [*loop.parameters(), x])
    )


def test_three_char_sees_exactly_three_characters():
    three = layer_of("three-char")
    x = noise(BATCH, TIME, INPUTS)
    h, _ = three(x, three.initial_state(BATCH))
    (slope,) = torch.autograd.grad(h[:, 5].sum(), x)
    assert [bool(seen) for seen in slope.abs().sum((0, 2)) > 0] == [t in (3, 4, 5) for t in range(TIME)]


@pytest.mark.parametrize("rung", ["loop", "concat"])
def test_lesson_cells_equal_their_equations_over_linear_layers(rung):
    layer = layer_of(rung)
    inner = nn.Linear(layer.weight_in.shape[1], HIDDEN).double()
    outer = nn.Linear(HIDDEN, HIDDEN).double()
    inner.weight, inner.bias, outer.weight, outer.bias = layer.weight_in, layer.bias_in, layer.weight_h, layer.bias_h
    x, start = noise(BATCH, TIME, INPUTS), noise(BATCH, HIDDEN, seed=3)
    h, steps = start, []
    for t in range(TIME):
        if rung == "loop":
            h = torch.tanh(outer(h + torch.relu(inner(x[:, t]))))
        else:
            h = torch.tanh(outer(torch.relu(inner(torch.cat([h, x[:, t]], 1)))))
        steps.append(h)
    inputs = [*layer.parameters(), x, start]
    expected = torch.stack(steps, 1)
    ours, after = layer(x, (start,))
    assert_agree([ours, *after], [expected, h])
    assert_agree(gradients([ours, *after], inputs), gradients([expected, h], inputs))


def test_irnn_starts_as_the_identity():
    layer = layer_of("irnn")
    assert torch.equal(layer.weight_hh, torch.eye(HIDDEN, dtype=torch.float64))
    assert not layer.bias_ih.any()
    assert not layer.bias_hh.any()


@settings(max_examples=60)
@given(
    time=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 39), max_size=4),
    start=st.floats(-1e6, 1e6),
    sharpness=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_mingru_parallel_equals_step_for_any_chunking_and_start(time, cuts, start, sharpness, seed):
    keep = torch.sigmoid(sharpness * noise(time, 2, 3, seed=seed)).detach()
    add = noise(time, 2, 3, seed=seed + 1).detach()
    state = torch.full((2, 3), start, dtype=torch.float64)
    steps, h = [], state
    for k, a in zip(keep, add, strict=True):
        h = k * h + a
        steps.append(h)
    for solve_ in (stepwise_, doubling_):
        parts, h = [], state
        edges = sorted({0, time, *(cut for cut in cuts if cut < time)})
        for first, last in pairwise(edges):
            hidden = add[first:last].clone()
            hidden[0].addcmul_(keep[first], h)
            solve_(keep[first:last], hidden)
            parts.append(hidden)
            h = hidden[-1]
        assert_agree([torch.cat(parts)], [torch.stack(steps)])


@pytest.mark.parametrize("solve_", [stepwise_, doubling_])
@pytest.mark.parametrize("start", [0.0, 1e4, -1e4])
def test_mingru_is_safe_in_float32_over_long_times(solve_, start):
    time = 20_000
    keep = torch.sigmoid(8 * noise(time, 1, 4)).detach()
    add = noise(time, 1, 4, seed=2).detach() * (1 - keep)
    exact = add.clone()
    exact[0] += keep[0] * start
    single = exact.float()
    stepwise_(keep, exact)
    solve_(keep.float(), single)
    assert_agree([single], [exact.float()])


def test_mingru_scan_has_the_gradient_of_its_steps():
    keep = torch.sigmoid(noise(TIME, 2, 3)).detach().requires_grad_()
    add, start = noise(TIME, 2, 3, seed=2), noise(2, 3, seed=3)
    steps, h = [], start
    for k, a in zip(keep, add, strict=True):
        h = k * h + a
        steps.append(h)
    inputs = [keep, add, start]
    assert_agree(gradients([scan(*inputs)], inputs), gradients([torch.stack(steps)], inputs))


def test_gradients_can_be_taken_of_a_part_of_the_inputs():
    for rung in RUNGS:
        layer = layer_of(rung).requires_grad_(False)
        x = noise(BATCH, TIME, INPUTS)
        h, _ = layer(x, layer.initial_state(BATCH))
        (slope,) = torch.autograd.grad(h.sum(), x)
        assert slope.any(), rung


@pytest.mark.parametrize("rung", ["loop", "concat", "rnn", "irnn", "gru", "mingru"])
def test_a_second_derivative_is_refused_and_not_wrong(rung):
    layer = layer_of(rung)
    x = noise(BATCH, TIME, INPUTS)
    h, _ = layer(x, layer.initial_state(BATCH))
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(h.sum(), x, create_graph=True)
