# Every command of the project. Each needs only the clone: the environments are made, and made anew
# when a lock changes, through the two .ready files.
.DEFAULT_GOAL := help
.PHONY: help setup run test check lint types boundaries format samples train airflow figures bench flips overload rolling sizes chaos lock clean
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
APPLICATION := .venv/.ready
ENGINE := .venv-engine/.ready
PORT ?= 8000
PRODUCERS ?= 1
CONSUMERS ?= 1
FAMILIES := $(notdir $(basename $(wildcard common/contracts/*.yaml)))
SEED ?= 7
DATA ?= ../shared/data

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(APPLICATION) $(ENGINE) ## make both environments from their locks (the others do it when needed)
	@:

$(APPLICATION): requirements/dev.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh application
	@touch $@

$(ENGINE): requirements/engine.txt scripts/setup.sh | $(APPLICATION)
	@scripts/setup.sh engine
	@touch $@

run: setup ## start the whole system here, label a sample, keep serving (PORT=8000 PRODUCERS=1 CONSUMERS=1)
	@exec $(BIN)/carimbo run --port $(PORT) --producers $(PRODUCERS) --consumers $(CONSUMERS)

# Most tests wait for a queue, so more of them than cores run at once; those that run the whole
# system need the machine to themselves.
test: check ## everything CI runs: the checks, then the tests
	$(BIN)/python -m pytest -m "not system" --numprocesses 4 --dist loadfile
	$(BIN)/python -m pytest -m system

check: lint types boundaries ## lint, format, types and import boundaries, without the tests

lint: setup ## ruff: the rules, and the format without changing it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

boundaries: setup ## import-linter: services stand on common, never on one another
	$(BIN)/lint-imports

format: setup ## rewrite the code as ruff would have it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

samples: setup ## write generated files of every family to .carimbo/samples (SEED=7)
	$(BIN)/python -m orchestration samples --contract $(FAMILIES) --out .carimbo/samples --seed $(SEED)

train: DATA := .carimbo/samples
train: setup ## train and register a champion of every family, while `make run` runs (DATA=folder)
	$(BIN)/python -m orchestration train --contract $(FAMILIES) --data $(DATA)

airflow: DATA := .carimbo/samples
airflow: setup ## start a real Airflow with the training DAGs, beside `make run` or alone (DATA=folder)
	@exec $(BIN)/carimbo airflow --data $(DATA)

figures: setup ## held-out figures of every family on real files, the majority baseline beside (DATA=folder)
	$(BIN)/python -m orchestration figures --data-root $(DATA)

bench: setup ## the system over a bare echo, the reader over pandas and pydantic: ratios, one engine
	$(BIN)/python -m benchmarks.read_validate
	$(BIN)/python -m benchmarks.end_to_end

flips: setup ## fifty alias flips under load: no failure, no mixed answer, p99 and memory beside rest (SECONDS=10)
	$(BIN)/python -m benchmarks.flips $(SECONDS)

overload: setup ## five times the sustainable load: who is answered, who is refused, how fast (SECONDS=60)
	$(BIN)/python -m benchmarks.overload $(SECONDS)

rolling: setup ## replace producers and workers under load, one by one; no caller may notice (RESTARTS=20)
	$(BIN)/python -m benchmarks.rolling $(RESTARTS)

sizes: setup ## files up to fifty megabytes on every path: one answer each, nothing left over (DATA=folder)
	$(BIN)/python -m benchmarks.sizes $(DATA)

chaos: PREDICTIONS ?= 5000
chaos: setup ## everything breaks under 5,000 files, each accounted for (PREDICTIONS= SEED=7 BREAK=law)
	$(BIN)/python -m tests.chaos --seed $(SEED) --predictions $(PREDICTIONS) $(if $(BREAK),--break $(BREAK))

lock: setup ## compile both locks anew within pyproject.toml's and engine.in's bounds
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --generate-hashes \
		--no-emit-index-url --python-version 3.11 --upgrade -o requirements/dev.txt
	$(BIN)/uv pip compile requirements/engine.in --generate-hashes \
		--no-emit-index-url --python-version 3.11 --upgrade -o requirements/engine.txt

clean: ## remove what the local system keeps and every cache; the environments stay
	rm -rf .carimbo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
