# Vitrine's commands. `make help` lists them.

SHELL := /bin/sh
PYTHON := .venv/bin/python
CODE := app telemetry dashboards alerts bench loadtests deploy rigs tests
PROCESSES ?= $(shell nproc 2>/dev/null || echo 2)
NAME ?= payment-brownout

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-moments check format peak drill drills env prove-crash prove-checkout prove-doors prove-ledger bench-checkout screenshots render lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install and build what `make demo` needs (no root, no Node, no Docker)
	@deploy/setup.sh

setup-dev: ## the same and the developers' tools
	@deploy/setup.sh --dev

demo: setup ## everything on http://127.0.0.1:8000, with live traffic; Ctrl-C stops all of it
	@$(PYTHON) -m deploy.demo

check: setup-dev ## the fast inner loop: format, lint, types, imports, unit tests, rendered files
	@$(PYTHON) -m deploy.check

test: setup-dev ## all tests (installs missing Debian packages, with sudo when needed)
	@$(PYTHON) -m deploy.debian
	@$(PYTHON) -m deploy.check --all

test-moments: setup-dev ## the unit tests at four other moments: a night of daylight saving, a year's end, a leap day, five years on
	@$(PYTHON) -m deploy.check --moments

format: setup-dev ## put code into the one format
	@$(PYTHON) -m ruff check --fix --quiet $(CODE) || true
	@$(PYTHON) -m ruff format --quiet $(CODE)

render: setup-dev ## rebuild boards, alert rules and docs/metrics.md from the catalogue
	@$(PYTHON) -m dashboards.build
	@$(PYTHON) -m dashboards.metrics
	@$(PYTHON) -m alerts.build

peak: setup ## the holiday-peak rehearsal at this machine's scale, with verdict and report
	@$(PYTHON) -m loadtests peak

drill: setup ## one drill, for example: make drill NAME=payment-brownout
	@$(PYTHON) -m loadtests drill $(NAME)

drills: setup ## all drills, with verdict and report
	@$(PYTHON) -m loadtests drills

prove-crash: setup ## kill -9 the shop under load and restart it: no confirmed order is lost
	@$(PYTHON) -m loadtests crash

prove-checkout: setup-dev ## the long proofs of checkout: races, kill -9, a database that goes away, every crash point
	@VITRINE_PROOFS=long $(PYTHON) -m pytest -q tests/proofs

prove-doors: setup-dev ## the long proofs of what comes from outside and what breaks inside, in both shapes
	@VITRINE_PROOFS=long $(PYTHON) -m pytest -q tests/doors

prove-ledger: setup-dev ## the long proofs of the ledger: an oracle, two other engines, every rule broken, any order
	@VITRINE_PROOFS=long $(PYTHON) -m pytest -q tests/ledger tests/insight/archive

bench-checkout: setup ## purchases beside pgbench and a base revision; seven minutes; writes docs/benchmarks.md
	@$(PYTHON) -m bench

screenshots: setup-dev ## the pictures in the README, taken from a running demo's pages
	@$(PYTHON) -m tests.screenshots

env: setup ## write .env with fresh secrets for docker-compose.yml; never over one that is there
	@$(PYTHON) -m app.frame.start.envfile

# The larger lock is made first; the smaller ones are held to its versions, so that all three agree.
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links pyproject.toml
lock: setup-dev ## resolve the dependency lists again (UPGRADE=--upgrade takes newer versions)
	@$(COMPILE) $(UPGRADE) --group dev -o requirements/dev.txt
	@$(COMPILE) -c requirements/dev.txt --group demo -o requirements/demo.txt
	@$(COMPILE) -c requirements/dev.txt -o requirements/runtime.txt
	@echo "  Locked: $$(grep -c == requirements/dev.txt) packages"

clean: ## remove what was built and what the demo stored; keeps .venv
	@rm -rf build var reports .cache .hypothesis assets/node_modules
