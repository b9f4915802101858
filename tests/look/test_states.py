"""The state over time: its plane against scikit-learn, the order of units, pictures that open."""

import json

import numpy as np
import pytest

from small import model_of, network_for
from unrolled import plotting as style
from unrolled.embedding import principal_components, visible
from unrolled.errors import InputError
from unrolled.look.units.states import draw_map, order_by_similarity, state_path

TEXT = "the state after each of these characters, $5 _x^2, \n and a space"


@pytest.fixture(scope="module")
def model():
    return model_of(*network_for(TEXT, "gru", hidden=20, layers=2))


def test_the_plane_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    states = np.random.default_rng(0).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    path, explained = principal_components(states, 2)
    pca = decomposition.PCA(2, svd_solver="full").fit(states)
    np.testing.assert_allclose(np.abs(path), np.abs(pca.transform(states)), atol=1e-9)
    np.testing.assert_allclose(explained, pca.explained_variance_ratio_, atol=1e-12)


@pytest.mark.parametrize("value", [1.0, 0.1])  # a mean of 0.1s is a rounding off
def test_the_plane_of_states_that_never_change(value):
    path, explained = principal_components(np.full((6, 3), value), 2)
    assert (path == 0).all()
    assert (explained == 0).all()


def test_units_that_go_together_stand_together():
    rng = np.random.default_rng(1)
    courses = rng.normal(size=(100, 2))
    group = rng.permutation(np.repeat([0, 1], 10))
    states = courses[:, group] * rng.uniform(0.5, 2, 20) + 0.05 * rng.normal(size=(100, 20))
    order = order_by_similarity(states)
    assert sorted(order) == list(range(20))
    assert (np.diff(group[order]) != 0).sum() == 1


def test_dead_units_are_kept():
    states = np.random.default_rng(0).normal(size=(30, 5))
    states[:, 2] = 0.1
    order = order_by_similarity(states)
    assert sorted(order) == list(range(5))
    states[:, 2] = 0.7
    assert (order_by_similarity(states) == order).all()


def test_state_of_a_layer_is_what_the_model_carries(model):
    for layer in (0, 1):
        states = state_path(model, TEXT, layer)
        np.testing.assert_allclose(states.hidden[-1], model.read(TEXT).hidden[layer], atol=1e-6)
    assert state_path(model, TEXT).layer == 1
    assert json.loads(json.dumps(states.to_json()))["text"] == TEXT


def test_the_axes_of_the_map_name_the_characters_and_the_units_in_their_order(model):
    states = state_path(model, TEXT)
    axis = draw_map(states).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == [visible(character) for character in TEXT]
    for tick, label in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True):
        assert label.get_text() == f"{states.order[int(tick)]}"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures_are_written(model, tmp_path, kind):
    states = state_path(model, TEXT)
    file = tmp_path / f"map.{kind}"
    style.save(draw_map(states, "a title"), file)
    assert file.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


def test_bad_requests_are_explained(model):
    with pytest.raises(InputError, match="shows 3 to 400"):
        state_path(model, "th")
    with pytest.raises(InputError, match="shows 3 to 400"):
        state_path(model, "the " * 101)
    with pytest.raises(InputError, match="no layer 2"):
        state_path(model, TEXT, 2)
    with pytest.raises(InputError, match="'Q'"):
        state_path(model, "the Q")
