"""The wording of errors."""

import pytest

from unrolled.errors import EXTRAS, MissingExtraError, UnrolledError, import_extra, unknown_name


def test_the_nearest_name_is_suggested():
    assert "did you mean 'lstm'" in str(unknown_name("rung", "lsmt", ["gru", "lstm"]))


def test_without_a_near_name_all_are_listed():
    assert "choose one of: gru, lstm" in str(unknown_name("rung", "transformer", ["lstm", "gru"]))


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(EXTRAS, "no_such_library", "plot")
    with pytest.raises(MissingExtraError, match=r"unrolled\[plot\]") as caught:
        import_extra("no_such_library.part")
    assert isinstance(caught.value, UnrolledError)
    assert isinstance(caught.value, ImportError)
