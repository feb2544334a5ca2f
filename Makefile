# Everything sets itself up: Python 3.11+ and make are enough.
.DEFAULT_GOAL := help
.PHONY: help setup playground demo run test test-browser soak several bench check audit secrets texts format clean

TOOLS := .tools
# uv from the PATH when there is one, else one of our own below this folder
UV := $(or $(shell command -v uv 2>/dev/null),$(TOOLS)/bin/uv)
RUN := $(UV) run --frozen --all-extras

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(TOOLS)/bin/uv:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

.venv/.ready: pyproject.toml uv.lock | $(filter $(TOOLS)/bin/uv,$(UV))
	$(UV) sync --quiet --frozen --all-extras
	@touch $@

setup: .venv/.ready ## make the environment

playground: setup ## the whole bot in a local browser, no token needed
	@$(RUN) wanbot playground

demo: setup ## one video in the terminal, no token needed (ARGS="--prompt …")
	@$(RUN) wanbot demo $(ARGS)

run: setup ## serve Discord; needs DISCORD_TOKEN
	@$(RUN) wanbot run

test: setup ## run every test
	$(RUN) pytest -n auto --dist worksteal $(ARGS)

test-browser: setup ## walk through the playground and the operator's page in Chromium (ARGS="--pictures docs/images" draws the pictures of the documents)
	$(RUN) --group browser pyright tests/browser
	$(RUN) --group browser pytest tests/browser $(ARGS)

soak: setup ## kill bots 300 times at random instants, and check their books (ARGS="--kills 50 --seed 7")
	@$(RUN) python -m tests.recovery.soak $(ARGS)

several: setup ## kill one of three processes every ten seconds while members ask for 300 videos (ARGS="--jobs 60 --seed 7")
	@$(RUN) python -m tests.recovery.several $(ARGS)

bench: setup ## measure beside naive baselines: a table and bench/results.json (ARGS="--rows command,start --runs 3")
	@$(RUN) python -m bench $(ARGS)

check: setup ## lint, types, layers, keys, known vulnerabilities, then every test
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) lint-imports
	$(RUN) pyright
	$(RUN) hadolint Dockerfile
	$(MAKE) secrets audit test

audit: setup ## ask for known vulnerabilities of what uv.lock names
	$(RUN) .ci/audit

secrets: setup ## look for keys in every file that git knows
	$(RUN) .ci/secrets

texts: setup ## gather the marked texts into the catalogues, and compile these
	$(RUN) .ci/texts

format: setup ## put the code into its form
	$(RUN) ruff check --fix
	$(RUN) ruff format

clean: ## remove what was set up
	rm -rf .venv $(TOOLS)
