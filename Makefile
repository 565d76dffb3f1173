# The two commands that a newcomer needs are "make run" and "make test"; each does all its own set-up.

PYTHON ?= python3
VENV ?= .venv
# How long to fuzz, by default an hour, and to kill servers and workers, by default a minute.
SECONDS ?=
# How often to kill a server that has a store.
KILLS ?= 200

BIN := $(VENV)/bin
COMPILED := $(patsubst gearcore/%.pyi,gearcore.%,$(wildcard gearcore/*.pyi))
EXTENSION_SOURCES := setup.py $(wildcard src/gearcore/*.pyx src/gearcore/*.pxd)

.PHONY: help run test lint docs coverage sanitize conformance interop fuzz chaos crash accelerate-suites \
	bench-accelerate bench bench-clients durable build dist clean
.DELETE_ON_ERROR:

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 30

run: build ## Serve on 127.0.0.1:4730 with a demonstration worker, and send it a job
	@$(BIN)/gearcore demo

test: build ## Run the whole test suite
	$(BIN)/pytest -rs

lint: build ## Check style, spelling, types, and that the stubs say what the extension modules have
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --concise --mypy-config-file pyproject.toml --allowlist .ci/stubtest.txt $(COMPILED)

docs: build $(VENV)/documented ## Build the documentation, docs/_build/html/index.html, and the man pages, docs/_build/man
	$(BIN)/sphinx-build -M html docs docs/_build --quiet --fail-on-warning --keep-going
	$(BIN)/sphinx-build -M man docs docs/_build --quiet --fail-on-warning --keep-going

coverage: ## Measure which lines the tests reach, of Python and of Cython, in a build of its own: a table, and HTML
	PYTHON=$(PYTHON) .ci/coverage

sanitize: ## Run the tests of compiled code under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of its own
	PYTHON=$(PYTHON) .ci/sanitize

conformance: build ## Put the same bytes to Debian's gearmand and to gearcore, and count what is equal
	$(BIN)/python -m tests.conformance

interop: build ## Run clients and workers of other languages against gearcore, a line for each
	$(BIN)/python tests/interop

fuzz: build ## Fuzz the codec and the broker for SECONDS, by default an hour
	$(BIN)/python tests/fuzz --seconds $(or $(SECONDS),3600)

chaos: build ## Kill servers and workers under load for SECONDS, by default a minute, of each kind of server
	$(BIN)/python tests/chaos --seconds $(or $(SECONDS),60)

accelerate-suites: build ## Run other Gearman libraries' own tests with the codec in them and without; CHECKOUTS=DIR for what PyPI lacks
	$(BIN)/python -m tests.differential $(CHECKOUTS)

bench-accelerate: build ## Compare other Gearman libraries' speed with the codec in them and without
	$(BIN)/python -m benchmarks.accelerate

bench: build ## Compare the speed with gearmand's, on a quiet machine for half an hour; BENCH=--quick for a look
	$(BIN)/python -m benchmarks.server $(BENCH)

bench-clients: build ## Compare the client and the worker with other libraries' in a quarter of an hour; BENCH=--quick for a look
	$(BIN)/python -m benchmarks.clients $(BENCH)

durable: build ## Compare durable queues with gearmand's, on a quiet machine
	$(BIN)/python -m benchmarks.durable

crash: build ## Kill a server KILLS times under load, and see whether it loses a job
	$(BIN)/python -m tests.crash --kills $(KILLS)

build: $(VENV)/built ## Compile what has changed, into the virtual environment

# An editable install: Python files take effect as they are, and the extensions are compiled in place. It is
# not isolated because an isolated build has a Cython of its own, after which the next would start anew.
$(VENV)/installed: pyproject.toml gearcore/_version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip  # that of Debian 12 knows no --group
	$(BIN)/python -m pip install --quiet --group dev
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

$(VENV)/built: $(VENV)/installed $(EXTENSION_SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

$(VENV)/documented: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

dist: $(VENV)/installed ## Make the sdist, and wheels for the CPythons of this machine; check, install and test them
	$(BIN)/python -m pip install --quiet --group dist
	$(BIN)/python packaging/distributions.py

clean: ## Remove what was built, the virtual environment too
	rm -rf $(VENV) build dist docs/_build *.egg-info gearcore/*.so
