# Everything a person types: make app, make test, make lint, make clean.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 7860
# On Linux, pip's PyTorch brings gigabytes of CUDA libraries. For the CPU build name PyTorch's own
# index of it: make app TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

# Tests run in as many processes as there are cores, four at most; a file's tests stay together.
# For one process: make test PYTEST_ARGS="-n 0"
PYTEST_ARGS ?=

BIN := .venv/bin

.PHONY: help app test lint screenshots clean
.DEFAULT_GOAL := help

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

app: .venv/.app ## Start the app on http://127.0.0.1:7860
	$(BIN)/python app.py --host $(HOST) --port $(PORT)

lint: .venv/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: .venv/.dev lint ## Check style and types, then run all tests in a real browser too
	CHROMIUM="$$(bash .ci/chromium)" && export CHROMIUM && $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

screenshots: .venv/.dev ## Take the README's pictures again
	CHROMIUM="$$(bash .ci/chromium)" && export CHROMIUM && $(BIN)/python -m tests.screenshots

clean: ## Remove the virtual environment and the caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "CAISeg needs Python 3.10 or newer; name one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python cannot make a virtual environment; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }

.venv/.app: requirements.txt | .venv/bin/python
	@test -z "$(TORCH_INDEX)" || \
		$(BIN)/pip install --quiet --index-url "$(TORCH_INDEX)" "$$(grep ^torch== $<)"
	$(BIN)/pip install --quiet -r $<
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.app
	$(BIN)/pip install --quiet -r $<
	@touch $@
