# Everything a person or CI runs. Each target builds what it needs.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
EXTRAS ?= dev

.PHONY: demo test soak bench lint docs notebooks lm-eval clean

demo: $(STAMP)
	$(VENV)/bin/unrolled demo

test: $(STAMP)
	$(RUN) -m pytest --numprocesses 2 --dist worksteal

soak: $(VENV)/.soak
	$(RUN) -m pytest -m soak --timeout 14400

bench: $(VENV)/.bench
	$(RUN) -m benchmarks

docs: $(VENV)/.docs
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going docs docs/_build

notebooks: $(VENV)/.docs
	$(RUN) docs/notebooks.py docs/_build/notebooks

lint: $(STAMP)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Torch first and alone: resolved together with the rest, a newer and much larger build could be taken.
$(STAMP): pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.docs: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/.soak: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[soak]'
	touch $@

$(VENV)/.bench: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

# lm-evaluation-harness brings so many libraries that it has an environment of its own; `make test` uses it if it is there.
lm-eval: $(VENV)-lm-eval/.installed

$(VENV)-lm-eval/.installed:
	$(PYTHON) -m venv $(VENV)-lm-eval
	$(VENV)-lm-eval/bin/pip install --quiet --disable-pip-version-check --no-compile 'lm-eval[api]>=0.4.9'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lm-eval build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
