# biot-sidecar's front door: `make help` lists the targets. Needs Python >= 3.11 and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test check format bench fuzz schema lock wheel lambda sbom notices audit clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Locked with hashes; our own package is installed in place, built by the locked hatchling.
$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing biot-sidecar into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing the test tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.run ## start the sidecar on 127.0.0.1:8787; with BIOT_BASE_URL unset the BioT simulator too
	@if [ -n "$$BIOT_BASE_URL" ]; then exec $(BIN)/biot-sidecar serve; else exec $(BIN)/biot-sidecar demo; fi

test: $(VENV)/.dev ## run every test
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## format, lint, types, import contracts
	@$(BIN)/ruff format --check proxy tests deploy
	@$(BIN)/ruff check proxy tests deploy
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## rewrite the sources in the project's format
	@$(BIN)/ruff format proxy tests deploy
	@$(BIN)/ruff check --fix proxy tests deploy

FUZZ_SECONDS ?= 300

# The corpus grows from run to run; what a fuzzer chokes on lies beside it as crash-*.
fuzz: $(VENV)/.dev ## run each fuzzer for FUZZ_SECONDS (300)
	@$(BIN)/python -m tests.fuzz.seeds build/fuzz
	@for name in fuzz_framing fuzz_wire; do \
	    $(BIN)/python -m tests.fuzz.$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=2000 -dict=tests/fuzz/http.dict \
	        -artifact_prefix=build/fuzz/ build/fuzz/$$name || exit 1; \
	done

bench: $(VENV)/.dev ## this proxy beside its peers in one run, figures as ratios
	@$(BIN)/python -m tests.bench

schema: $(VENV)/.run ## write config/routes.schema.json anew
	@$(BIN)/python -m proxy.policy.schema > config/routes.schema.json.new
	@mv config/routes.schema.json.new config/routes.schema.json

lock: $(VENV)/.run ## write both lock files anew
	@$(PIP) install uv
	@$(BIN)/uv pip compile $(LOCK) --group build -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK) --group build --group dev -c requirements.lock -o requirements-dev.lock

# The time of the last commit: the same sources make the same bytes, wherever and whenever.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)

wheel: $(VENV)/.run ## dist/*.whl, reproducible
	@rm -f dist/*.whl
	@$(BIN)/python -m hatchling build --target wheel -d dist

lambda: ## dist/biot_sidecar/, a folder for plugins on AWS Lambda; PYTHON=python3.12 builds for that runtime
	@PYTHON=$(PYTHON) deploy/aws-lambda/build.sh dist/biot_sidecar

# What ships and nothing else: our wheel and what it needs, each dependency checked against its hash in the lock.
build/ship: requirements.lock $(VENV)/.dev wheel
	@rm -rf build/ship build/wheels
	@$(PIP) download --require-hashes --only-binary :all: --dest build/wheels -r requirements.lock
	@$(PYTHON) -m venv --without-pip build/ship
	@$(PIP) --python build/ship/bin/python install --no-index --find-links build/wheels --find-links dist biot-sidecar

sbom: build/ship ## dist/biot-sidecar.cdx.json, the list of what ships (CycloneDX)
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o dist/biot-sidecar.cdx.json build/ship/bin/python

notices: build/ship ## THIRD-PARTY-NOTICES.txt, the licences of what ships
	@$(BIN)/python deploy/notices.py build/ship > THIRD-PARTY-NOTICES.txt

audit: $(VENV)/.dev ## known vulnerabilities of what the lock names; asks the package index
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

clean: ## remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
