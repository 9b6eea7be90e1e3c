# make demo: from nothing to a verified release. make test: all checks. make bench: the measurements there are.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
DEMO_DIR ?= demo-project
BIN := .venv/bin
PIP := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt

.PHONY: demo test lint format types imports tests test-backends docs bench clean

demo: .venv/core.stamp
	$(BIN)/emotrace demo --project "$(DEMO_DIR)"

test: lint types imports tests

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/dev.stamp
	$(BIN)/mypy

imports: .venv/dev.stamp
	$(BIN)/lint-imports

tests: .venv/dev.stamp
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

# WhisperX and the like as published, with weights made on the spot. The first time uv installs gigabytes.
test-backends: .venv/dev.stamp
	$(BIN)/pytest --timeout=1800 $(PYTEST_ARGS) tests/backends

docs: .venv/dev.stamp  # writes the generated parts of docs/ anew
	$(BIN)/python -m docs.generate

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks $(NAME) $(ARGS)

clean:
	rm -rf .venv demo-project .mypy_cache .ruff_cache .pytest_cache

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 13) else f"emotrace needs Python 3.11 or 3.12, this is {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

.venv/core.stamp: pyproject.toml constraints.txt | .venv/bin/uv
	$(PIP) -e .
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/uv
	$(PIP) -e '.[dev]'
	@touch $@ .venv/core.stamp
