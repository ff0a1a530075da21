# Everything a developer or CI runs. `make run` and `make test` need Python 3.11+, make and a package index, nothing else.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.8
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install run test test-faults check eval bench bench-scale load load-tools lock clean

install: .venv/installed

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Footnote needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing dependencies (about 400 MB to fetch the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

run: install  ## start everything; without Slack tokens that includes a local Slack
	@honcho start || test $$? -eq 130  # which is Ctrl-C

test: install  ## all tests, three files at a time, the slow ones first: most of an end-to-end test is waiting
	@pytest -n 3 --dist loadfile --no-loadscope-reorder

check: install  ## format, lint, types, architecture, released prompts
	@ruff format --check
	@ruff check
	@mypy
	@lint-imports
	@python -m backend prompts check

eval: install  ## the story on labelled data: make eval [SET=name]
	@python -m tests.evals.run $(SET)

test-faults: install  ## kill -9, again and again, while documents are queued and questions asked
	@python -m tests.faults

bench: install  ## speed, each figure beside a baseline from the same run
	@python -m tests.bench

bench-scale: install  ## 10,000 to a million chunks: make bench-scale [SIZES=10000,100000] [FOOTNOTE_BENCH_DIR=folder]
	@SIZES=$(SIZES) python -m tests.bench.bench_scale

load: install load-tools  ## people at work: make load [SCENARIO=steady|spike|stress|soak] [SECONDS=60] [BACKENDS=2]
	@BACKENDS=$(BACKENDS) python -m tests.load $(or $(SCENARIO),steady) $(SECONDS)

load-tools: .venv-load/installed  ## locust, in a venv of its own: it patches the standard library

.venv-load/installed: pyproject.toml | install
	@uv venv --quiet --clear --python $(BIN)/python .venv-load
	@uv pip install --quiet --python .venv-load/bin/python --group load
	@touch $@

lock: install  ## compile requirements.lock, and the image's lock without development tools, from pyproject.toml
	@uv pip compile --quiet --universal --python-version 3.11 --group dev pyproject.toml -o requirements.lock \
		--generate-hashes --no-annotate --no-header --no-emit-index-url
	@uv pip compile --quiet --universal --python-version 3.11 pyproject.toml -c requirements.lock -o deploy/requirements.lock \
		--generate-hashes --no-annotate --no-header --no-emit-index-url

clean:
	rm -rf .venv .venv-load .mypy_cache .ruff_cache .pytest_cache .hypothesis
