# The project's commands. A newcomer needs two: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BENCH ?= .venvs/bench
SOURCES := pyproject.toml README.md LICENSE cellburst.py $(shell find jupyter_ext kernel_bridge remote_runtime -type f -not -name '*.py[co]')
COMPILE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-long check wheel bench picture lock torch browser postgres engines clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo $(VENV)/.wheel  ## Run notebooks/01-first-cell.ipynb and tell what happened
	@$(BIN)/python notebooks/demo --into .demo

lab: $(VENV)/.lab $(VENV)/.wheel  ## Open JupyterLab with the examples
	CELLBURST_SIMULATE_GPUS=$${CELLBURST_SIMULATE_GPUS-A100:2} $(BIN)/jupyter lab --notebook-dir notebooks

test: check browser postgres  ## Lint, types, import contracts and the quick tests, against the installed wheel
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

test-long: $(VENV)/.test $(VENV)/.wheel torch postgres engines  ## The slow tests, those with torch, those with Docker and Podman
	$(BIN)/pytest -n 2 --dist loadfile -m "(slow or torch) and not docker" $(PYTEST_ARGS)
	$(BIN)/pytest -m docker $(PYTEST_ARGS)

check: $(VENV)/.test $(VENV)/.wheel  ## Lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH)/.ready  ## Measure everything beside its peers; ARGS="warm_cell", "--compare", "--keep"
	$(BENCH)/bin/python -m benchmarks $(ARGS)

picture: $(VENV)/.test $(VENV)/.wheel browser  ## Take the README's picture
	PICTURE=docs/images/first-cell.png $(BIN)/pytest -m browser tests/journeys/test_browser.py

wheel: $(VENV)/.bootstrap  ## Build the wheel into dist/
	rm -rf dist && $(BIN)/python -m hatchling build --target wheel

lock: $(VENV)/.bootstrap  ## Resolve the dependencies anew; versions and hashes, no addresses
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --group build --group test --output-file requirements/test.txt
	$(COMPILE) --group build --constraints requirements/test.txt --output-file requirements/bootstrap.txt
	$(COMPILE) pyproject.toml --group demo --constraints requirements/test.txt --output-file requirements/demo.txt
	$(COMPILE) pyproject.toml --group lab --constraints requirements/test.txt --output-file requirements/lab.txt
	$(COMPILE) pyproject.toml --group bench --constraints requirements/test.txt --output-file requirements/bench.txt

clean:  ## Remove what the commands made
	rm -rf $(VENV) $(BENCH) .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.bootstrap: requirements/bootstrap.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Cellburst needs Python 3.11 to 3.13: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.demo $(VENV)/.lab $(VENV)/.test: $(VENV)/.%: requirements/%.txt $(VENV)/.bootstrap
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $<
	@touch $@

# The peers have an environment of their own: the tests need neither Ray nor ipyparallel.
$(BENCH)/.ready: requirements/bench.txt $(VENV)/.wheel
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BIN)/uv pip install --quiet --python $(BENCH)/bin/python --require-hashes -r requirements/bench.txt
	$(BIN)/uv pip install --quiet --python $(BENCH)/bin/python --no-deps --reinstall dist/*.whl
	@touch $@

$(VENV)/.wheel: $(SOURCES) $(VENV)/.bootstrap
	rm -rf dist && $(BIN)/python -m hatchling build --target wheel
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall dist/*.whl
	@touch $@

# The browser's tests need a Chromium; without root they are skipped and say so.
browser: $(VENV)/.test
	@if [ "$$(id -u)" = 0 ] && ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; fi

# The store's tests run on a real PostgreSQL, which they start themselves: no cluster, no service of the system's.
postgres: $(VENV)/.test
	@if [ "$$(id -u)" = 0 ] && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && command -v apt-get >/dev/null; then \
	  mkdir -p /etc/postgresql-common && { [ -e /etc/postgresql-common/createcluster.conf ] || \
	    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf; } && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    -o Dpkg::Options::=--force-confold postgresql >/dev/null; fi

# The tests start engines of their own. Debian starts services where nobody says no, so somebody does meanwhile.
engines: $(VENV)/.test
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  ! { command -v dockerd && command -v podman && command -v runc && command -v mmdebstrap; } >/dev/null; then \
	  policy=/usr/sbin/policy-rc.d; [ -e $$policy ] && policy= || { printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    docker.io podman runc mmdebstrap iproute2 >/dev/null; status=$$?; \
	  [ -z "$$policy" ] || rm -f $$policy; exit $$status; fi

# torch is never locked: which build is right depends on the machine.
torch: $(VENV)/.test
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0; fi
