# Two commands from a bare checkout: `make demo` and `make test`. `make help` lists all of them.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint requirements/constraints.txt

.PHONY: help demo demo-server serve-demo test test-fast fuzz torture siege sbom audit check docs serve-docs test-parity test-deploy test-ray test-browser test-clients page-pictures lighthouse bench bench-quick clean
.DEFAULT_GOAL := demo

##@ Try it

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/demo.done: pyproject.toml requirements/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("shelfsight needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[lite,lite-int8,server]'
	touch $@

$(VENV)/dev.done: $(VENV)/demo.done requirements/dev.txt
	$(PIP) --requirement requirements/dev.txt
	touch $@

$(VENV)/parity.done: $(VENV)/dev.done requirements/parity.txt
	$(PIP) --requirement requirements/parity.txt
	touch $@

$(VENV)/deploy.done: $(VENV)/parity.done requirements/deploy.txt
	$(PIP) --requirement requirements/deploy.txt
	touch $@

demo: $(VENV)/demo.done ## draws a shop, embeds it, and finds ten photographed products in it
	$(VENV)/bin/shelfsight demo

demo-server: $(VENV)/demo.done ## the demo again through an embedding server; compares all vectors
	$(VENV)/bin/python benchmarks/demo_server.py

serve-demo: $(VENV)/demo.done ## serves the demo's shop at http://127.0.0.1:8080: page and API
	$(VENV)/bin/shelfsight demo --serve

##@ Develop

# The pooler's tests need PgBouncer (Debian: apt-get install pgbouncer); the others need nothing.
TESTS := tests/unit tests/contract tests/cases tests/integration tests/end_to_end tests/upgrade tests/fuzz
ifneq ($(shell PATH=$$PATH:/usr/sbin command -v pgbouncer),)
TESTS += tests/pooler
endif

RUNS ?= 1
SEEDED = --runs $(RUNS) $(if $(SEED),--seed $(SEED))
SIEGE_SECONDS ?= 600

# Several threads of OpenBLAS cost more than they gain for matrices as small as those of the tests.
ONE_PROCESS := OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python -m pytest
# Four processes also on two cores: the tests often wait for a server or a page.
# In another order each time; PYTEST_ADDOPTS=--randomly-seed=N, which the first lines say, gives it again.
PYTEST := $(ONE_PROCESS) --numprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev.done ## the tests, against a real Postgres
	$(PYTEST) $(TESTS)
	@$(if $(findstring pooler,$(TESTS)),,echo "tests/pooler left out: pgbouncer is not installed")

test-fast: $(VENV)/dev.done ## the unit and contract tests: one to two minutes on two cores
	$(PYTEST) tests/unit tests/contract

FUZZ_SECONDS ?= 180

fuzz: $(VENV)/dev.done ## pictures, addresses, forms and weights, FUZZ_SECONDS each; saves what fails
	$(VENV)/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

torture: $(VENV)/dev.done ## workers, Postgres and containers killed at random; RUNS=1, SEED=...
	$(VENV)/bin/python -m tests.end_to_end.torture $(SEEDED)
	$(VENV)/bin/python -m tests.integration.container_torture $(SEEDED)

siege: $(VENV)/dev.done ## attacks on both servers beside a good caller, SIEGE_SECONDS=600
	$(VENV)/bin/python -m tests.siege --seconds $(SIEGE_SECONDS)

check: $(VENV)/dev.done ## style, types, and which room may import which
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

$(VENV)/docs.done: $(VENV)/demo.done requirements/docs.txt
	$(PIP) --requirement requirements/docs.txt
	touch $@

docs: $(VENV)/docs.done $(VENV)/dev.done ## builds the docs in site/; fails where a link leads nowhere
	$(VENV)/bin/mypy --strict docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

serve-docs: $(VENV)/docs.done ## serves the docs at http://127.0.0.1:8000 while you write
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs serve

##@ Release

# What a user gets, without the tools that look at it.
SHIPPED := $(VENV)-shipped
RELEASE := $(VENV)-release

$(SHIPPED)/done: pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv --clear --without-pip $(SHIPPED)
	$(PYTHON) -m pip --python $(SHIPPED)/bin/python --disable-pip-version-check install --quiet \
	  --constraint requirements/constraints.txt '.[lite,server]'
	touch $@

$(RELEASE)/done: requirements/release.txt requirements/constraints.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip --disable-pip-version-check install --quiet \
	  --constraint requirements/constraints.txt --requirement requirements/release.txt
	touch $@

sbom: $(SHIPPED)/done $(RELEASE)/done ## a software bill of materials, dist/shelfsight.cdx.json (CycloneDX)
	mkdir -p dist
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --validate --output-reproducible \
	  --output-file dist/shelfsight.cdx.json $(SHIPPED)

audit: $(SHIPPED)/done $(RELEASE)/done ## known vulnerabilities of what a user installs (asks PyPI)
	$(PYTHON) -m pip --python $(SHIPPED)/bin/python freeze --exclude shelfsight > $(SHIPPED)/installed.txt
	$(RELEASE)/bin/pip-audit --strict --disable-pip --no-deps --requirement $(SHIPPED)/installed.txt

##@ Tests that install more

test-parity: $(VENV)/parity.done ## SigLIP and Qwen3 against transformers (installs torch)
	$(ONE_PROCESS) tests/parity

test-deploy: $(VENV)/deploy.done ## what is in deploy/, without Docker or Modal (installs torch, modal)
	$(VENV)/bin/mypy deploy
	$(ONE_PROCESS) tests/deploy

$(VENV)/ray.done: $(VENV)/dev.done requirements/ray.txt
	$(PIP) --requirement requirements/ray.txt
	touch $@

test-ray: $(VENV)/ray.done ## workers on Ray clusters that this machine plays (installs ray)
	$(ONE_PROCESS) tests/cluster

# The clients of others ask for other versions than ours; that for Node needs npm.
CLIENTS := $(VENV)-clients
NPM := $(shell command -v npm)

$(CLIENTS)/done: requirements/clients.txt clients/python/pyproject.toml clients/typescript/package-lock.json
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip --disable-pip-version-check install --quiet --requirement requirements/clients.txt
	$(CLIENTS)/bin/python -m pip --disable-pip-version-check install --quiet --editable clients/python
	$(if $(NPM),$(NPM) ci --silent --no-audit --no-fund --ignore-scripts --prefix clients/typescript)
	$(if $(NPM),$(NPM) install --silent --no-audit --no-fund --prefix $(CLIENTS) openai@6.49.0)
	touch $@

test-clients: $(VENV)/dev.done $(CLIENTS)/done ## our clients, and those of OpenAI, LangChain, LlamaIndex, LiteLLM
	CLIENTS=$(CLIENTS) $(VENV)/bin/python -m pytest tests/clients/test_python_clients.py \
	  tests/clients/test_python_client.py \
	  $(if $(NPM),tests/clients/test_node_client.py tests/clients/test_typescript_client.py)
	@$(if $(NPM),,echo "the clients for Node left out: npm is not installed")

$(VENV)/browser.done: $(VENV)/dev.done requirements/browser.txt
	$(PIP) --requirement requirements/browser.txt
	touch $@

test-browser: $(VENV)/browser.done ## the page in Chromium (Debian: apt-get install chromium)
	$(ONE_PROCESS) tests/browser

page-pictures: $(VENV)/browser.done ## the pictures of docs/page.md, by the test of all states
	PAGE_PICTURES=docs/page $(ONE_PROCESS) tests/browser/test_states.py

##@ Measure

LIGHTHOUSE := $(VENV)-lighthouse
PAGE ?= http://127.0.0.1:8080

# 186 MB of packages, so it is no part of the tests.
lighthouse: ## Lighthouse's scores of the page on a phone (PAGE=, needs npm and Chromium)
	npm install --silent --no-audit --no-fund --prefix $(LIGHTHOUSE) lighthouse@12.8.2
	CHROME_PATH=$$(command -v chromium) $(LIGHTHOUSE)/node_modules/.bin/lighthouse $(PAGE) --quiet \
	  --chrome-flags="--headless --no-sandbox" --only-categories=performance,accessibility,best-practices \
	  --output=json --output-path=$(LIGHTHOUSE)/report.json
	@$(PYTHON) -c 'import json, sys; [print(round(100 * one["score"]), one["title"]) \
	  for one in json.load(sys.stdin)["categories"].values()]' < $(LIGHTHOUSE)/report.json

bench: $(VENV)/dev.done ## every stage against the limit of its slowest part; writes bench.json
	$(VENV)/bin/python -m benchmarks.suite

bench-quick: $(VENV)/dev.done ## the same, small: whether it runs, not how fast anything is
	$(VENV)/bin/python -m benchmarks.suite --quick
	$(VENV)/bin/python -m benchmarks.stress --demo 12

##@ Clean up

clean: ## removes .venv and its like; the next target installs it again
	rm -rf $(VENV) $(SHIPPED) $(RELEASE) $(CLIENTS) $(LIGHTHOUSE) clients/typescript/node_modules
