# The two commands to know: `make demo` and `make test`. Both build the virtual environment first.

PYTHON ?= python3.11
CIRCUITDB_DATA ?= ../shared/data
WEIGHTS = $(CIRCUITDB_DATA)/models
PHOTOGRAPHS = $(CIRCUITDB_DATA)/images/kodak24_png.tar
BIN = .venv/bin
READY = .venv/ready

N ?= 1000

.PHONY: demo test agree zoo bench lint format types clean help
.DELETE_ON_ERROR:

help: ## List these targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	@echo "Installing torch and the rest into .venv, several minutes the first time."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY) ## Ingest the handwritten networks, search them and show what was found
	$(BIN)/circuitdb demo

test: $(READY) ## Run all tests, those of Neo4j and of a browser where these can be had
	@$(BIN)/python tests/neo4j_server.py fetch || echo "The tests that need Neo4j will be skipped."
	@$(BIN)/python tests/browser.py fetch || echo "The tests that need a browser will be skipped."
	$(BIN)/python -m pytest -n logical --durations=15

agree: $(READY) ## Compare the stores with the oracle on N random queries (N=1000)
	$(BIN)/python -m tests.agree $(N)

zoo: $(READY) ## Ingest the five real networks into zoo.duckdb and report on InceptionV1
	$(BIN)/circuitdb ingest inceptionv1 --weights $(WEIGHTS)/bvlc_googlenet_inceptionv1.safetensors --replace --db zoo.duckdb
	$(BIN)/circuitdb ingest alexnet --weights $(WEIGHTS)/alexnet_features_torchvision.safetensors --replace --db zoo.duckdb
	$(BIN)/circuitdb ingest vgg16 --weights $(WEIGHTS)/vgg16_features_torchvision.safetensors --replace --db zoo.duckdb
	$(BIN)/circuitdb ingest squeezenet1_1 --weights $(WEIGHTS)/squeezenet1_1_caffe.safetensors --replace --db zoo.duckdb
	$(BIN)/circuitdb ingest resnetv2_50 --weights $(WEIGHTS)/resnet_v2_50_slim_blocks1-3.safetensors --partial --replace --db zoo.duckdb
	$(BIN)/circuitdb ls --db zoo.duckdb
	@if test -f $(PHOTOGRAPHS); then \
	  $(BIN)/circuitdb probe inceptionv1 --weights $(WEIGHTS)/bvlc_googlenet_inceptionv1.safetensors \
	    --probes $(PHOTOGRAPHS) --maps flip --db zoo.duckdb && \
	  $(BIN)/circuitdb report union_over_cases --model inceptionv1 --limit 50 --samples 50 --db zoo.duckdb -o zoo.html; \
	else \
	  echo "No photographs at $(PHOTOGRAPHS): the report asks a question that needs none."; \
	  $(BIN)/circuitdb report cross_inhibition --model inceptionv1 --limit 50 --samples 50 --db zoo.duckdb -o zoo.html; \
	fi

bench: $(READY) ## Run the benchmarks and print their table
	$(BIN)/python -m benchmarks

lint: $(READY) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Put the code in its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## Check types
	$(BIN)/mypy

clean: ## Remove the virtual environment, caches and built files
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
