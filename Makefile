# Every target does its own set-up; `make` alone prints this list.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup system run ensemble test mutants seeds kills lint types bench docs sbom audit dist clean

help:  ## print the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/ready-for-development  ## virtual environment with everything for development

run: $(VENV)/ready-to-run  ## a first run: predicted against actual on skewed files, and the same in equal partitions
	$(BIN)/python -m jobs.first_run conf/quickstart.yaml

ensemble: $(VENV)/ready-to-run  ## train an ensemble on cost-sized sub-tasks, predict, report
	$(BIN)/python -m jobs.train_ensemble conf/ensemble.yaml

test: $(VENV)/ready-for-development system  ## all tests: real Dask processes, real Spark executors, a real browser
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

mutants: $(VENV)/ready-for-development  ## small wrong changes of the coordinator, attempts and commits: every one must fail a test
	$(BIN)/python -m tests.mutants

seeds: $(VENV)/ready-for-development  ## nightly: 10,000 seeded histories of 200 sub-tasks with every kind of fault
	$(BIN)/python -m benchmarks.simulation_seeds --seeds 10000 --tasks 200 --processes $$(nproc)

kills: $(VENV)/ready-for-development  ## nightly: drivers killed at every write and every step of publishing, workers too while rows go into tables
	$(BIN)/python -m benchmarks.table_kills
	$(BIN)/python -m tests.chaos.every_write $$(mktemp -d)
	$(BIN)/python -m tests.chaos.every_step $$(mktemp -d)
	$(BIN)/python -m tests.chaos.every_step $$(mktemp -d) --form folder --engine spark --stride 12

lint: $(VENV)/ready-for-development  ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-for-development  ## mypy --strict on the packages
	$(BIN)/mypy

bench: $(VENV)/ready-for-development  ## list the benchmarks; each prints its own table
	@grep -l '^def main' benchmarks/*.py | sed -E 's|benchmarks/(.*)\.py|$(BIN)/python -m benchmarks.\1|'

docs: $(VENV)/ready-for-development  ## the JSON Schema of the configuration
	$(BIN)/partitioner schema > docs/config.schema.json

sbom: $(VENV)/ready-for-development  ## build/sbom.json: every package of the environment, CycloneDX
	@mkdir -p build
	$(BIN)/cyclonedx-py environment --output-reproducible --of JSON -o build/sbom.json $(BIN)/python

audit: $(VENV)/ready-for-development  ## known vulnerabilities of those packages; says how many the advisory service could not tell of
	$(BIN)/python scripts/audit.py $(BIN)/pip-audit

dist: $(VENV)/ready-for-development  ## wheel, and the zip for spark-submit --py-files
	$(BIN)/python -m build --wheel --outdir dist
	$(BIN)/python scripts/build_pyfiles.py

system:  ## Java 17 and Chromium, which only tests need (installed where they are missing and apt is there)
	@sh scripts/system_packages.sh

clean:  ## remove what was built or run here
	rm -rf $(VENV) build dist out runs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready-to-run: pyproject.toml scripts/environment.sh
	sh scripts/environment.sh $(PYTHON) $(VENV) '.[ml,report]'
	@touch $@

$(VENV)/ready-for-development: pyproject.toml scripts/environment.sh
	sh scripts/environment.sh $(PYTHON) $(VENV) '.[dev]'
	$(BIN)/python scripts/compile_kernels.py
	@touch $@ $(VENV)/ready-to-run
