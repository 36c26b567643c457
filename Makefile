# biot-sidecar's front door: `make help` lists the targets. Needs Python >= 3.11 and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
PYTHONS := proxy tests deploy docs hatch_build.py
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-compiled test-emulated test-network test-docker cover mutants check types format bench fuzz schema readme completion docs site lock wheel sdist lambda sbom notices audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Says `yes` where .venv has to be made anew: it does not run or lacks pip (making it was broken off, its Python is gone or
# became another), is not of the version of the PYTHON that was asked for, or was moved (scripts name their interpreter).
SOUND := import os, sys, importlib.util as util; script = sys.prefix + "/bin/biot-sidecar"; \
    text = open(script, errors="replace").read() if os.path.exists(script) else "!" + sys.prefix + "/"; \
    version = "%d.%d" % sys.version_info[:2]; \
    sys.exit(not (util.find_spec("pip") and version in (sys.argv[1] or version) \
    and any(before + sys.prefix + "/" in text for before in "! \"")))
ASKED_FOR := $(if $(filter file,$(origin PYTHON)),,$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
STALE := $(if $(wildcard $(VENV)),$(shell $(BIN)/python -c '$(SOUND)' '$(ASKED_FOR)' >/dev/null 2>&1 || echo yes))

# Whole or not at all. Debian's Python has ensurepip in python3-venv; where that is missing, the machine's pip will do.
$(BIN)/python: $(if $(STALE),anew)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it" >&2; exit 1; }
	@rm -rf $(VENV)
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	    $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	    $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python --quiet install pip; \
	else \
	    echo "$(PYTHON) cannot make $(VENV): it comes without ensurepip and pip (Debian, Ubuntu: apt-get install python3-venv)" >&2; false; \
	fi || { rm -rf $(VENV); exit 1; }

.PHONY: anew
anew:
	@echo "$(VENV) is broken, was moved or is of another Python; making it anew ..."

# The sidecar with every extra, locked with hashes; our own package is installed in place, built by the locked hatchling.
$(VENV)/.run: requirements.lock pyproject.toml $(if $(STALE),anew) | $(BIN)/python
	@echo "installing biot-sidecar into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What `make test` needs; the tools that only a few tests want come with .dev.
$(VENV)/.test: requirements-test.lock $(VENV)/.run
	@echo "installing the test tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@

$(VENV)/.check: requirements-check.lock $(VENV)/.run
	@echo "installing the linters into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-check.lock
	@touch $@

$(VENV)/.docs: requirements-docs.lock $(VENV)/.run
	@echo "installing the documentation's tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-docs.lock
	@touch $@

# Everything.
$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing every tool into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $(VENV)/.test $(VENV)/.check $(VENV)/.compile $(VENV)/.docs $@

# What the compiled form is made with; a C compiler and Python's headers come from elsewhere (hatch_build.py looks).
$(VENV)/.compile: requirements-compile.lock $(VENV)/.run
	@echo "installing mypyc into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-compile.lock
	@touch $@

run: $(VENV)/.run ## start the sidecar on 127.0.0.1:8787; with BIOT_BASE_URL unset the BioT simulator too
	@if [ -n "$$BIOT_BASE_URL" ]; then exec $(BIN)/biot-sidecar serve; else exec $(BIN)/biot-sidecar demo; fi

# Side by side; tests/conftest.py says how many. What is given in TESTS replaces all tests. pytest keeps what it compiles,
# also where Python was told not to: each of its processes would take as long again to read the tests, on every run.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

test: $(VENV)/.test ## run the tests, but for what takes long or needs more tools
	@$(PYTEST) -m "not thorough" $(TESTS)

test-all: $(VENV)/.dev ## run every test, with every tool
	@$(PYTEST) $(TESTS)

test-network: $(VENV)/.test ## run the tests that make networks of their own (Linux, root)
	@$(PYTEST) -m network tests/network

COMPILED_UNITS ?= tests/http tests/routing tests/auth tests/telemetry
COMPILED_TESTS ?= -m e2e

test-compiled: $(VENV)/.dev build/compiled ## run unit tests and those that start the program, compiled; COMPILED_TESTS says which
	@BIOT_SIDECAR_UNDER_TEST=build/compiled $(PYTEST) $(COMPILED_UNITS)
	@BIOT_SIDECAR_UNDER_TEST=build/compiled $(PYTEST) $(COMPILED_TESTS)

test-docker: $(VENV)/.test ## build the images in a real Docker engine, bring compose up, kill each part once; skips without an engine
	@$(BIN)/python -m tests.deploy.engine

EMULATED_TESTS ?= -m "e2e and not thorough and not slow" tests/e2e tests/cli

test-emulated: $(VENV)/.test ## the tests that start the program, on Linux that looks like macOS, then like Windows; EMULATED_TESTS says which
	@BIOT_SIDECAR_EMULATED=macos $(PYTEST) $(EMULATED_TESTS)
	@BIOT_SIDECAR_EMULATED=windows $(PYTEST) $(EMULATED_TESTS)

# Those of what ships (wheels, images, pages) run little of the package, and long.
COVER_TESTS ?= -m "not thorough and not slow" $(foreach folder,deploy docs fuzz network,--ignore=tests/$(folder))

cover: $(VENV)/.dev ## measure what the tests run through, branches and other processes included; COVER_TESTS says which
	@rm -rf build/coverage && mkdir -p build/coverage
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m coverage run -m pytest -n auto --dist worksteal --timeout=900 $(COVER_TESTS); \
	    ended=$$?; $(BIN)/python -m coverage combine -q && $(BIN)/python -m tests.covered && exit $$ended

mutants: $(VENV)/.test ## change decisions and counts one by one, and see whether a test notices; SEED, COUNT
	@$(BIN)/python -m tests.mutants $(or $(SEED),14) $(or $(COUNT),50)

check: $(VENV)/.check ## format, lint, types, import contracts
	@$(BIN)/ruff format --check $(PYTHONS)
	@$(BIN)/ruff check $(PYTHONS)
	@$(BIN)/python -m tests.typecheck
	@$(BIN)/lint-imports

types: $(VENV)/.check ## mypy for each platform
	@$(BIN)/python -m tests.typecheck

format: $(VENV)/.check ## rewrite the sources in the project's format
	@$(BIN)/ruff format $(PYTHONS)
	@$(BIN)/ruff check --fix $(PYTHONS)

FUZZ_SECONDS ?= 300

# The corpus grows from run to run; what a fuzzer chokes on lies beside it as crash-*.
fuzz: $(VENV)/.dev ## run each fuzzer for FUZZ_SECONDS (300)
	@$(BIN)/python -m tests.fuzz.seeds build/fuzz
	@for name in fuzz_framing fuzz_wire; do \
	    $(BIN)/python -m tests.fuzz.$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=2000 -dict=tests/fuzz/http.dict \
	        -artifact_prefix=build/fuzz/ build/fuzz/$$name || exit 1; \
	done

bench: $(VENV)/.test ## this proxy beside its peers in one run, figures as ratios
	@$(BIN)/python -m tests.bench

schema: $(VENV)/.run ## write config/routes.schema.json anew
	@$(BIN)/python -m biot_sidecar.routing.file.schema > config/routes.schema.json.new
	@mv config/routes.schema.json.new config/routes.schema.json

docs: $(VENV)/.test ## write what docs/ lists of the code anew
	@$(BIN)/python -m tests.docs.generated

completion: $(VENV)/.test ## write the shells' completions and the manual page anew
	@$(BIN)/python -m tests.cli.shell_files

readme: docs ## the same

site: $(VENV)/.docs ## build/site, the pages as a web site; a link that leads nowhere ends it
	@$(BIN)/python -m sphinx -q -W -n --keep-going -c docs -d build/site.cache . build/site
	@cp build/site/README.html build/site/index.html

lock: $(VENV)/.run ## write the lock files anew
	@$(PIP) install uv
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra all --group build -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:compile -c requirements.lock -o requirements-compile.lock
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra all --group build --group compile --group test --group check --group docs --group dev \
	    -c requirements.lock -c requirements-compile.lock -o requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:test -c requirements-dev.lock -o requirements-test.lock
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:check -c requirements-dev.lock -o requirements-check.lock
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:docs -c requirements-dev.lock -o requirements-docs.lock

# The time of the last commit: the same sources make the same bytes, wherever and whenever.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)

wheel: $(VENV)/.run $(if $(filter 1,$(COMPILED)),$(VENV)/.compile) ## dist/*.whl, reproducible; COMPILED=1: with the forwarding path compiled
	@rm -f dist/*.whl
	@BIOT_SIDECAR_COMPILED=$(COMPILED) $(BIN)/python -m hatchling build --target wheel -d dist

sdist: $(VENV)/.run ## dist/*.tar.gz, what wheels are made of, and the pages
	@$(BIN)/python -m hatchling build --target sdist -d dist

# The whole package, compiled for .venv's Python: PYTHONPATH=build/compiled python -P -m biot_sidecar serve
build/compiled: pyproject.toml hatch_build.py deploy/prepare_start.py tests/support/fake_bases.py $(VENV)/.compile $(shell find proxy config -type f -not -name '*.pyc')
	@rm -rf $@ $@.wheel && mkdir -p $@.wheel && touch $@.wheel/.begun
	@BIOT_SIDECAR_COMPILED=1 BIOT_SIDECAR_COMPILED_ALSO=tests/support/fake_bases.py \
	    $(BIN)/python -m hatchling build --target wheel -d $@.wheel
	@$(BIN)/python -m zipfile -e $@.wheel/*.whl $@
	@$(BIN)/python -m compileall -q $@ # as an install does: to compile what the first scrape imports takes 0.8 MB
	@PYTHONPATH=$@ $(BIN)/python -P deploy/prepare_start.py # as the image and bundles have it
	@touch -r $@.wheel/.begun $@ # what was edited meanwhile is newer

lambda: ## dist/biot_sidecar/, a folder for plugins on AWS Lambda; PYTHON=python3.12 builds for that runtime, ARCH=arm64 for that architecture, COMPILED=1 as above
	@PYTHON=$(PYTHON) ARCH=$(ARCH) COMPILED=$(COMPILED) deploy/aws-lambda/build.sh dist/biot_sidecar

# What ships and nothing else: our wheel and what it needs with every extra, each dependency checked against its hash in the lock.
build/ship: requirements.lock $(VENV)/.dev wheel
	@rm -rf build/ship build/wheels
	@$(PIP) download --require-hashes --only-binary :all: --dest build/wheels -r requirements.lock
	@$(PYTHON) -m venv --without-pip build/ship
	@$(PIP) --python build/ship/bin/python install --no-index --find-links build/wheels --find-links dist "biot-sidecar[all]"

sbom: build/ship ## deploy/sbom/*.cdx.json, the lists of what wheel and image hold, with each component's support (CycloneDX)
	@SOURCE_DATE_EPOCH= $(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
	    -o build/environment.cdx.json build/ship/bin/python
	@$(BIN)/python deploy/sbom.py build/ship build/environment.cdx.json wheel > build/biot-sidecar.cdx.json
	@$(BIN)/python deploy/sbom.py build/ship build/environment.cdx.json image > build/image.cdx.json
	@mv build/biot-sidecar.cdx.json build/image.cdx.json deploy/sbom/

notices: build/ship ## THIRD-PARTY-NOTICES.txt, the licences of what ships
	@$(BIN)/python deploy/notices.py build/ship > THIRD-PARTY-NOTICES.txt

audit: $(VENV)/.dev ## known vulnerabilities of what the locks name, less what deploy/sbom/vex.cdx.json excuses; asks the package index
	@$(BIN)/python deploy/audit.py requirements.lock requirements-compile.lock

clean: ## remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
