# Every target bootstraps uv by itself and never needs root. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A uv on PATH is used; otherwise one is installed into a private environment.
export UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PYTHON ?= python3
# Imports stay fast where PYTHONDONTWRITEBYTECODE is set; no interpreter is ever downloaded.
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy

WHEELS := ophamin-core ophamin-seeing ophamin-measuring ophamin-comparing ophamin-instrumenting ophamin-auditing ophamin-reporting ophamin
ROOMS := proof protocols registry testing seeing measuring comparing instrumenting auditing reporting cli campaign application inspecting interop config verify
RUN := .venv/bin

.PHONY: help setup demo test lint types imports test-each test-lowest build check check-full bench docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

setup: $(filter .uv/bin/uv,$(UV))  ## install every wheel and the developers' tools into .venv
	$(UV) sync --quiet --locked --all-packages --all-extras --group dev

demo: $(filter .uv/bin/uv,$(UV))  ## five claims about a real system; prints the report's path last
	UV_PROJECT_ENVIRONMENT=.venv-demo $(UV) sync --quiet --locked --package ophamin --extra seeing --extra measuring --extra reporting --no-default-groups --no-editable
	.venv-demo/bin/ophamin demo

test: setup  ## every test
	$(RUN)/python -m pytest -q -n auto --dist loadfile -m "not full"

lint: setup  ## style, docstrings, formatting
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: setup  ## mypy --strict, one run per distribution
	@for room in $(ROOMS); do \
		echo "mypy ophamin.$$room"; $(RUN)/mypy -p ophamin.$$room; done

imports: setup  ## who may import whom
	$(RUN)/lint-imports

test-each: setup  ## each wheel's quick tests with only that wheel, core and its test group installed, real data aside
	@mkdir -p .cache/each; export UV=$(abspath $(UV)); printf '%s\n' $(WHEELS) | xargs -P 2 -I WHEEL bash -c ' \
		(cd packages/WHEEL && $$UV run --quiet --isolated --locked --package WHEEL --group test python -m pytest -q -m "not full and not slow and not data" --rootdir=../.. -c ../../pyproject.toml tests) \
			> .cache/each/WHEEL.log 2>&1 && echo "== WHEEL: $$(tail -n 1 .cache/each/WHEEL.log)" || { cat .cache/each/WHEEL.log; echo "== WHEEL FAILED"; exit 255; }'

test-lowest: setup  ## each wheel's tests on the lowest versions it declares
	@for wheel in $(WHEELS); do echo "== $$wheel, lowest versions"; \
		case $$wheel in ophamin) spec="./packages/ophamin";; ophamin-reporting) spec="./packages/ophamin-reporting[plots]";; *) spec="./packages/$$wheel";; esac; \
		$(UV) venv --quiet --clear .cache/lowest/$$wheel; \
		$(UV) pip install --quiet --python .cache/lowest/$$wheel/bin/python --resolution lowest-direct "$$spec" "./packages/ophamin-core[ed25519]" --group packages/$$wheel/pyproject.toml:test; \
		(cd packages/$$wheel && ../../.cache/lowest/$$wheel/bin/python -m pytest -q -m "not full" --rootdir=../.. -c ../../pyproject.toml tests); done

build: setup  ## all wheels and source distributions into dist/
	rm -rf dist
	$(UV) build --quiet --all-packages --no-sources --out-dir dist

check: lint types imports test test-each  ## the gate: everything that must be green

check-full: check test-lowest bench  ## the gate, and what takes longer: lowest bounds, full simulations, benchmarks
	$(RUN)/python -m pytest -q -m full

bench: setup  ## the speed promises as ratios
	$(RUN)/python tests-integration/bench.py

docs: $(filter .uv/bin/uv,$(UV))  ## the documentation as HTML into site/
	UV_PROJECT_ENVIRONMENT=.venv-docs $(UV) run --quiet --locked --all-packages --all-extras --group docs mkdocs build --quiet --strict -f docs/mkdocs.yml

lock: $(filter .uv/bin/uv,$(UV))  ## renew uv.lock
	$(UV) lock

clean:  ## remove what the targets made
	rm -rf .venv .venv-demo .venv-docs .cache dist site .mypy_cache .pytest_cache .ruff_cache
