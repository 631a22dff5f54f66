# Fairlead. `make demo` and `make test` do their own set-up; `make` alone lists what there is.
# Paths are relative on purpose: the checkout's own path may be long and contain spaces.

export PYTHONUTF8 := 1
PYTHON ?=
export PYTHON

python := .venv/bin/python
# These drive Prefect's server, whole programs, or many kills: `make test` runs them, `make check` does not.
thorough := tests/flows tests/cli tests/demo tests/control_plane tests/driver/test_killing.py tests/faults
ours := blocks deployments flows tasks

.PHONY: help setup wheelhouse demo test check faults bench docs lock clean

help:  ## List the commands
	@echo "Fairlead: every release goes out completely or comes back completely."
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: wheelhouse  ## Deploy real programs, upgrade them under load, and see a bad release come back
	@$(python) -m examples.demo

test: wheelhouse  ## Run every test, two files at a time: most of them wait for something
	@$(python) -m pytest -n 2 --dist loadfile

check: wheelhouse  ## Format, lint, types, floors, security, and the fast tests with coverage
	@$(python) -m ruff format --check .
	@$(python) -m ruff check .
	@$(python) -m mypy
	@$(python) -c "from importlinter.cli import lint_imports_command; lint_imports_command()" --cache-dir .cache/imports --no-logo
	@$(python) -m bandit --quiet --recursive --configfile pyproject.toml $(ours) tools
	@$(python) -m pytest --cov --cov-report=term $(addprefix --ignore=,$(thorough))

faults: setup  ## Kill the controller at every boundary of every kind of deployment, and write the table
	@$(python) -m tests.faults --write

bench: wheelhouse  ## Measure, side by side, what the design promises
	@$(python) -m benchmarks

docs: setup  ## Write the pages that are generated from the code
	@$(python) -m docs.generate

lock: setup  ## Pin all requirements again, with hashes
	@sh tools/lock.sh

setup:  ## Make the virtual environment, or find it made
	@sh tools/python.sh tools/set_up.py

wheelhouse: setup
	@$(python) tools/wheelhouse.py

clean:  ## Remove everything that set-up, tests and checks made here
	@rm -rf .venv .wheelhouse .cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
