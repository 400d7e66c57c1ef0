# Two commands matter: `make demo` shows it, `make test` proves it. Both set up all they need.
PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO_S ?= 60
# So many tests at a time; those with real calls mostly wait
TEST_WORKERS ?= 3

.PHONY: demo test check bench setup lock clean

setup:
	@PYTHONPATH=src $(PYTHON) -m acd.lab.bootstrap

demo: setup
	@$(BIN)/acd demo --seconds $(DEMO_S) --out build/demo

test: setup
	@$(BIN)/acd lab install asterisk sipp postgresql chromium
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	@$(BIN)/acd lab install
	$(BIN)/python -m acd.lab.bench --out build/bench

lock:
	uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock
	uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf build .venv
