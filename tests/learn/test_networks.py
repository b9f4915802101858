"""The contract of the ladder: what every rung of the registry must hold, so that a new rung is tested at once."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from agreement import assert_agree
from unrolled.errors import InputError
from unrolled.learn.networks import RUNGS, find_recurrence
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.networks.recurrence import Recurrence
from unrolled.model.cells import CELLS, CellNetwork
from unrolled.model.folder import ModelConfig

VOCABULARY, EMBEDDING, HIDDEN, BATCH, TIME = 11, 5, 7, 3, 9
FORMS = [(rung, form) for rung, kind in RUNGS.items() for form in (kind.cell.nonlinearities or (None,))]
FORMS += [(rung, None) for rung in ("lstm+block", "mingru+block", "lru+block", "deltanet+conv")]
"""Every rung in each of its forms, and some in a block, one of them with a convolution."""

every_form = pytest.mark.parametrize(("rung", "form"), FORMS)
every_precision = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def network_of(rung, form=None, layers=2, seed=0, dtype=torch.float64, **settings):
    config = ModelConfig(rung, VOCABULARY, EMBEDDING, HIDDEN, layers, form)
    return CharNetwork(config, seed=seed, **settings).to(dtype)


def some_ids(seed=0, batch=BATCH, time=TIME):
    return torch.randint(VOCABULARY, (batch, time), generator=torch.Generator().manual_seed(seed))


def some_state(network, batch=BATCH, seed=1):
    """A state that the network can be in: after a few characters. Not all are: a sum of positive keys is positive."""
    with torch.no_grad():
        return network(some_ids(seed, batch, 4), network.initial_state(batch))[1]


def gradients(network, outputs, inputs=()):
    """Gradients of a fixed random combination of `outputs`, to the parameters and `inputs`."""
    generator = torch.Generator().manual_seed(2)
    total = sum((output * torch.randn(output.shape, generator=generator).to(output)).sum() for output in outputs)
    return torch.autograd.grad(total, [*network.parameters(), *inputs])


def chunks(cuts):
    return list(zip([0, *cuts], [*cuts, TIME], strict=True))


@every_form
def test_shapes(rung, form):
    network = network_of(rung, form)
    state = network.initial_state(BATCH)
    logits, after = network(some_ids(), state)
    assert logits.shape == (BATCH, TIME, VOCABULARY)
    assert [part.shape for part in after] == [part.shape for part in state]
    assert len(state) == 2 * len(find_recurrence(rung).cell.parts)
    assert not any(part.any() for part in state)


@every_form
def test_features_are_what_the_head_reads(rung, form):
    network = network_of(rung, form)
    state = some_state(network)
    features, after = network.features(some_ids(), state)
    assert features.shape == (BATCH, TIME, HIDDEN)
    assert_agree([network.head(features), *after], [network(some_ids(), state)[0], *network(some_ids(), state)[1]])


@every_form
@pytest.mark.parametrize("cuts", [(1,), (4,), (2, 3, 8), tuple(range(1, TIME))])
def test_whole_equals_chunked_with_carried_state(rung, form, cuts):
    network = network_of(rung, form)
    start = tuple(part.requires_grad_() for part in some_state(network))
    whole, end = network(some_ids(), start)
    parts, state = [], start
    for first, last in chunks(cuts):
        logits, state = network(some_ids()[:, first:last], state)
        parts.append(logits)
    joined = torch.cat(parts, 1)
    assert_agree([joined, *state], [whole, *end])
    assert_agree(gradients(network, [joined, *state], start), gradients(network, [whole, *end], start))


@every_form
@every_precision
def test_network_equals_numpy_step(rung, form, dtype):
    network = network_of(rung, form, dtype=dtype)
    start = some_state(network)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    cells = CellNetwork(rung, weights, form)
    state, steps = tuple(part.numpy() for part in start), []
    for ids in some_ids().T.numpy():
        logits, state = cells.step(ids, state)
        steps.append(logits)
    whole, end = network(some_ids(), start)
    assert_agree([np.stack(steps, 1), *state], [whole, *end])


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_in_a_block_with_a_convolution_whole_in_pieces_and_step_by_step(rung):
    network = network_of(f"{rung}+conv")
    start = tuple(part.requires_grad_() for part in some_state(network))
    whole, end = network(some_ids(), start)
    first, state = network(some_ids()[:, :2], start)
    rest, state = network(some_ids()[:, 2:], state)
    pieces = [torch.cat([first, rest], 1), *state]
    assert_agree(pieces, [whole, *end])
    assert_agree(gradients(network, pieces, start), gradients(network, [whole, *end], start))
    cells = CellNetwork(f"{rung}+conv", {name: p.numpy() for name, p in network.state_dict().items()})
    steps, last = cells.read(some_ids().T.numpy(), tuple(part.detach().numpy() for part in start))
    assert_agree([steps.swapaxes(0, 1), *last], [whole, *end])


@every_form
def test_gradients_are_those_of_finite_differences(rung, form):
    layer = find_recurrence(rung)(3, 4, form).double()
    layer.initialise(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator)
    start = [part.detach() for part in layer(x[:, :2].flip(1), layer.initial_state(2))[1]]
    names, inputs = [name for name, _ in layer.named_parameters()], [x, *start, *layer.parameters()]
    shapes = [part.shape for part in inputs]

    def run(numbers):
        parts = [part.view(shape) for part, shape in zip(numbers.split([*map(math.prod, shapes)]), shapes, strict=True)]
        state, parameters = parts[1 : 1 + len(start)], dict(zip(names, parts[1 + len(start) :], strict=True))
        h, after = torch.func.functional_call(layer, parameters, (parts[0], tuple(state)))
        return torch.cat([part.flatten() for part in (h, *after)])

    # along a random direction of all numbers: an error in any one of them shows in it, and it costs one derivative
    torch.manual_seed(0)
    numbers = torch.cat([part.detach().flatten() for part in inputs]).requires_grad_()
    assert torch.autograd.gradcheck(run, numbers, fast_mode=True)


@every_form
@pytest.mark.parametrize("time", [1, 2])
def test_short_windows_and_one_stream(rung, form, time):
    network = network_of(rung, form)
    logits, after = network(some_ids(batch=1, time=time), network.initial_state(1))
    logits.sum().backward()
    assert logits.shape == (1, time, VOCABULARY)
    assert [part.shape for part in after] == [part.shape for part in network.initial_state(1)]
    assert all(parameter.grad is not None for parameter in network.parameters())


@every_form
def test_one_batch_is_learned_by_heart(rung, form):
    network = network_of(rung, form, layers=1, dtype=torch.float32)
    ids = torch.stack([torch.arange(8), torch.arange(8).flip(0)])  # the last three characters decide the next
    optimizer = torch.optim.Adam(network.parameters(), 3e-2)
    for _ in range(300):
        logits, _ = network(ids[:, :-1], network.initial_state(2))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            return
    pytest.fail(f"the loss is {loss:.3f} after 300 steps")


@every_form
def test_same_seed_same_network_and_another_seed_another(rung, form):
    first, again, other = (network_of(rung, form, seed=seed) for seed in (5, 5, 6))
    torch.manual_seed(99)  # ambient randomness must not matter
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    state = first.initial_state(BATCH)
    assert not torch.equal(first(some_ids(), state)[0], other(some_ids(), state)[0])
    assert torch.equal(
        first(some_ids(), first.initial_state(BATCH))[0], again(some_ids(), again.initial_state(BATCH))[0]
    )


@every_form
def test_the_future_is_not_seen(rung, form):
    network = network_of(rung, form)
    ids = some_ids()
    changed = ids.clone()
    changed[:, 6] = (changed[:, 6] + 1) % VOCABULARY
    before, after = (network(each, network.initial_state(BATCH))[0] for each in (ids, changed))
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6], after[:, 6])


@every_form
def test_streams_do_not_mix(rung, form):
    network = network_of(rung, form)
    start = some_state(network)
    whole, _ = network(some_ids(), start)
    single, _ = network(some_ids()[1:2], tuple(part[1:2] for part in start))
    assert_agree([single], [whole[1:2]])


@every_form
def test_bfloat16_autocast_stays_near(rung, form):
    network = network_of(rung, form, layers=1, dtype=torch.float32)
    exact = [*network(some_ids(), network.initial_state(BATCH))[0:1]]
    with torch.autocast("cpu", torch.bfloat16):
        rough, _ = network(some_ids(), network.initial_state(BATCH))
    assert rough.dtype == torch.bfloat16
    assert_agree([rough], [exact[0].bfloat16()])
    assert all(gradient.isfinite().all() for gradient in gradients(network, [rough.float()]))


@every_form
def test_inputs_stay_as_they_are(rung, form):
    layer = find_recurrence(rung)(EMBEDDING, HIDDEN, form)
    layer.initialise(torch.Generator().manual_seed(0))
    x = torch.ones(BATCH, TIME, EMBEDDING)
    state = tuple(part + 1 for part in layer.initial_state(BATCH))
    h, after = layer(x, state)
    kept = h.detach().clone()
    layer(x, after)
    assert bool((x == 1).all())
    assert all(bool((part == 1).all()) for part in state)
    assert torch.equal(h, kept)


@every_form
def test_a_copy_is_independent(rung, form):
    network = network_of(rung, form)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.head.weight.zero_()
    assert network.head.weight.any()


def test_registries_name_the_same_rungs():
    assert list(RUNGS) == list(CELLS)
    assert all(RUNGS[rung].cell is CELLS[rung] for rung in RUNGS)
    assert all(issubclass(kind, Recurrence) and kind.__doc__ for kind in RUNGS.values())


@every_form
def test_parameters_are_the_tensors_of_the_model_folder(rung, form):
    network = network_of(rung, form)
    assert {name: tuple(p.shape) for name, p in network.state_dict().items()} == network.config.shapes()


@pytest.mark.parametrize("rung", ["lstmm", "lstmm+block", "lstm+conv+block"])
def test_unknown_rung_suggests_the_nearest(rung):
    with pytest.raises(InputError, match="did you mean 'lstm'"):
        network_of(rung)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (-1, 3)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(InputError, match="at least 1"):
        RUNGS["rnn"](*sizes)


def test_a_nonlinearity_is_chosen_from_those_offered():
    assert RUNGS["irnn"](2, 3).nonlinearity == "tanh"
    with pytest.raises(InputError, match="did you mean 'relu'"):
        RUNGS["irnn"](2, 3, "rellu")
    with pytest.raises(InputError, match="one form only"):
        RUNGS["gru"](2, 3, "tanh")


@settings(max_examples=25)
@given(batch=st.integers(1, 4), time=st.integers(1, 6), sizes=st.tuples(*[st.integers(1, 5)] * 4), data=st.data())
def test_any_sizes(batch, time, sizes, data):
    rung, form = data.draw(st.sampled_from(FORMS))
    vocabulary, embedding, hidden, layers = sizes
    network = CharNetwork(ModelConfig(rung, vocabulary, embedding, hidden, layers, form))
    ids = torch.zeros(batch, time, dtype=torch.int64)
    logits, after = network(ids, network.initial_state(batch))
    assert logits.shape == (batch, time, vocabulary)
    assert len(after) == layers * len(find_recurrence(rung).cell.parts)


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ([], [], "nothing"),
        ([torch.ones(2)], [torch.ones(2), torch.ones(2)], "shorter|argument 2"),
        ([torch.ones(2)], [torch.ones(2, 1)], "shape"),
        ([torch.ones(2)], [torch.ones(2).double()], "float64"),
        ([torch.ones(2).double()], [torch.ones(2).double() + 1e-9], "differs"),
        ([torch.ones(2)], [torch.ones(2) + 1e-4], "differs"),
        ([torch.tensor([1.0, torch.nan])], [torch.tensor([1.0, torch.nan])], "finite"),
        ([torch.ones(0)], [torch.ones(0)], "no numbers"),
        ([None], [None], "missing"),
    ],
)
def test_the_comparison_can_fail(ours, theirs, why):
    with pytest.raises((AssertionError, ValueError), match=why):
        assert_agree(ours, theirs)
