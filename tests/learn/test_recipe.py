"""Settings: bounds, names, and the round trip through JSON."""

from dataclasses import fields, replace
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import FolderError, InputError
from unrolled.learn.recipe import Machine, Recipe, Settings


@pytest.mark.parametrize("kind", [Recipe, Machine])
def test_every_field_is_annotated_and_explained(kind):
    import inspect

    body = inspect.getsource(kind)
    for field in fields(kind):
        line = next(i for i, text in enumerate(body.splitlines()) if text.startswith(f"    {field.name}:"))
        assert body.splitlines()[line + 1].strip().startswith('"""'), f"{field.name} has no sentence"


@pytest.mark.parametrize(
    "setting",
    [
        {"hidden": 0}, {"hidden": -3}, {"layers": 0}, {"streams": 0}, {"length": 0}, {"epochs": 0.0}, {"minutes": -1.0},
        {"dropout": 1.0}, {"dropout": -0.1}, {"validation": 0.0}, {"validation": 0.6, "test": 0.4}, {"clip": 0.0},
        {"hidden": 64.5}, {"seed": 0.5}, {"rung": "lsmt"},
        {"learning_rate": float("nan")}, {"learning_rate": float("inf")}, {"epochs": 1.0, "minutes": 1.0}, {"seed": -1},
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_named(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        Recipe(**setting)


def test_an_unknown_optimizer_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'muon'"):
        Recipe(optimizer="moun")


@given(st.integers(1, 5), st.floats(1e-6, 1), st.booleans())
def test_the_round_trip_changes_nothing(layers, rate, lower):
    recipe = replace(Recipe(), layers=layers, learning_rate=rate, lower=lower)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_setting_of_another_version_is_refused():
    with pytest.raises(FolderError, match="hidden_size"):
        Recipe.from_json(Recipe().to_json() | {"hidden_size": 3})


def test_the_typed_keywords_of_train_are_the_fields_of_recipe_and_machine():
    wanted = get_type_hints(Recipe) | get_type_hints(Machine)
    assert get_type_hints(Settings) == wanted


def test_changes_are_the_settings_that_are_not_at_their_defaults():
    assert Recipe().changes() == frozenset()
    assert Recipe(hidden=8, seed=0, epochs=1.0).changes() == {"hidden", "epochs"}
