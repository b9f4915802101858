"""Every HTML page that is written, in a real browser, with markup in every name: nothing of it runs."""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from serve import browser
from serve.running import running
from tiny import tiny_parts
from unrolled.embedding import EmbeddingTable
from unrolled.look.units.paint import painted_page
from unrolled.look.vectors.plot import plot_embedding
from unrolled.model.char_model import CharModel
from unrolled.tables.comparison.effects import ComparisonCell
from unrolled.tables.comparison.result import Comparison
from unrolled.tables.report.columns import examine_columns

pytestmark = pytest.mark.skipif(browser.PATH is None, reason="no chromium or google-chrome on the PATH")

EVIL = "'\"></script></style></title><script>owned=1</script><img src=x onerror=owned=1><svg onload=owned=1>`${owned=1}"
"""Runs in the text of a page, in a script, a style, a title and an attribute."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser.browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def runs_nothing(page, path):
    page.open(path if isinstance(path, str) else path.as_uri())
    page.wait_for("document.readyState == 'complete'")
    time.sleep(0.2)  # for an image that is not found
    return page.run("typeof owned == 'undefined'")


def columns(path):
    rows = 60
    table = pd.DataFrame({f"a{EVIL}": [f"{i % 3}{EVIL}" for i in range(rows)], "b": np.arange(rows) % 7})
    table[f"y{EVIL}"] = [f"{['no', 'yes'][i % 3 > 0]}{EVIL}" for i in range(rows)]
    examine_columns(table, f"y{EVIL}", cv=2, seeds=1).save(path)


def comparison(path):
    cells = tuple(ComparisonCell(EVIL, encoding, (1.0,), (1.0, 1.1), 0.1) for encoding in ("codes", "embeddings"))
    Comparison(EVIL, "continuous", "rmse", False, cells, (EVIL,), 9, 9, 2, 1, 2, 1.0).save(path)


def vectors(path):
    plot_embedding(evil_table(0), path, title=EVIL)


def evil_table(seed):
    facts = {f"count{EVIL}": np.arange(5), "kind": np.array([f"{EVIL}{i}" for i in range(5)])}
    random = np.random.default_rng(seed).normal(size=(5, 3)).astype(np.float32)
    return EmbeddingTable(tuple(f"{EVIL}{i}" for i in range(5)), random, facts)


def units(path):
    path.write_text(painted_page(EVIL * 3, np.linspace(-1, 1, 3 * len(EVIL)), EVIL, EVIL), encoding="utf-8")


def in_a_notebook(path):
    corpus = {"sources": [EVIL], "characters": 9, "sha256": EVIL}
    parts = dataclasses.replace(tiny_parts("rnn", text=EVIL), training={"corpus": corpus})
    path.write_text(CharModel(parts)._repr_html_() + evil_table(0)._repr_html_(), encoding="utf-8")


@pytest.mark.parametrize("write", [columns, comparison, vectors, units, in_a_notebook])
def test_pages_run_nothing_of_their_names(page, tmp_path, write):
    write(tmp_path / "page.html")
    assert runs_nothing(page, tmp_path / "page.html")
    assert "owned" in page.run("document.documentElement.outerHTML")


@pytest.mark.parametrize("around", ["{}", "<title>{}</title>", "<p title='{}'>", "<script>'{}'</script>"])
def test_the_markup_would_run(page, tmp_path, around):
    (tmp_path / "page.html").write_text(f"<!doctype html>{around.format(EVIL)}")
    assert not runs_nothing(page, tmp_path / "page.html")


def test_the_page_of_a_model_from_a_stranger(page, tmp_path):
    corpus = {"sources": [EVIL], "characters": 9, "sha256": EVIL}
    training = {"corpus": corpus, "losses": {EVIL: {"nats": 1.0, "bits": 1.4}}}
    parts = dataclasses.replace(tiny_parts("rnn", text=f"{EVIL}\n"), training=training)
    run = tmp_path / EVIL.replace("/", "")
    CharModel(parts).save_pretrained(run)
    with running(run, tmp_path / "said.txt") as server:
        assert runs_nothing(page, server.address)
        page.wait_for("document.querySelector('textarea')")
        page.run("document.querySelector('textarea').focus()")
        page.send("Input.insertText", text=EVIL)
        time.sleep(1)
        assert page.run("typeof owned == 'undefined'")
