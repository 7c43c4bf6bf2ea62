# The commands of this project. All they need is make and Python 3.11 or later; PYTHON=... chooses which.

PYTHON ?= python3.13 python3.12 python3.11 python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
DAGSTER_HOME := $(CURDIR)/data/dagster_home

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo ui test test-all test-thorough test-moments faults recording docs docs-site reference screenshots check

help:
	@echo 'make demo    plan today for a sample organisation, which is generated under data/'
	@echo 'make ui      open the plans in Dagster, http://127.0.0.1:3000'
	@echo 'make test    run the tests, but for those that take long'
	@echo 'make test-all   run all tests: also those on PostgreSQL, in a browser, of daemons and faults'
	@echo 'make test-moments   run the tests of the rules at odd moments; needs faketime'
	@echo 'make faults  repeat the fault tests often, which takes about an hour, and print what was seen'
	@echo 'make recording   write anew what the tests compare the output of the commands with'
	@echo 'make check   lint, types, import rules, and whether the reference is current'
	@echo 'make reference   renew the tables of docs/configuration.md and docs/commands.md, and that of ZIPs'
	@echo 'make docs    read the documentation at http://127.0.0.1:8000; pages are renewed as they are edited'
	@echo 'make docs-site   build it into data/site, and fail over a link that leads nowhere'
	@echo 'make screenshots   renew the pictures of the README'
	@echo 'make setup   create $(VENV) and install; the others do this by themselves'

setup: $(STAMP)

# The first candidate that is recent enough and can create environments. An environment that is there
# already is kept, unless its Python is too old or gone.
$(STAMP): pyproject.toml
	@set -e; \
	is_recent='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "import pip; $$is_recent" >/dev/null 2>&1; then \
		python=; recent=; \
		for candidate in $(PYTHON); do \
			"$$candidate" -c "$$is_recent" >/dev/null 2>&1 || continue; \
			recent=$$candidate; \
			if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then python=$$candidate; break; fi; \
		done; \
		if [ -z "$$recent" ]; then \
			echo 'make setup: needs Python 3.11 or later, tried $(PYTHON); make setup PYTHON=/path/to/python3' >&2; \
			exit 1; \
		fi; \
		if [ -z "$$python" ]; then \
			echo "make setup: $$recent cannot create virtual environments; on Debian: apt-get install python3-venv" >&2; \
			exit 1; \
		fi; \
		echo "Creating $(VENV) with $$python ..."; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	echo 'Installing, which takes a few minutes the first time ...'; \
	$(BIN)/python -m pip install --quiet --quiet --editable '.[dev]'; \
	touch $@

demo: setup
	@$(BIN)/email-scheduler demo

# The web server, and the daemon that starts what the schedules ask for. Both show what make demo did. Beside
# them a small server for the pages of reports (reporting.directory and reporting.url of config/scheduler.yaml).
ui: setup
	@mkdir -p -m 700 data/reports
	@mkdir -p -m 700 '$(DAGSTER_HOME)'
	@cp config/dagster.yaml '$(DAGSTER_HOME)/dagster.yaml'
	@trap 'kill $$pages 2>/dev/null' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(BIN)/python -m http.server 3001 --bind 127.0.0.1 --directory data/reports >/dev/null & pages=$$!; \
	DAGSTER_HOME='$(DAGSTER_HOME)' DAGSTER_DISABLE_TELEMETRY=yes PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

# One process more than the two processors that it is measured on: some tests wait for other processes.
test: setup
	$(BIN)/pytest -n 3 --dist worksteal -m 'not thorough'

test-all: test test-thorough

test-thorough: setup
	$(BIN)/pytest -n 3 --dist worksteal -m thorough

# No test depends on the day or the hour. On Debian: apt-get install faketime
test-moments: setup
	for moment in '2028-02-29 12:00:00' '2026-12-31 23:30:00' '2027-07-01 19:00:00'; do \
		TZ=America/Chicago FAKETIME_DONT_FAKE_MONOTONIC=1 faketime "$$moment" $(BIN)/pytest -n 3 --dist worksteal -m 'not thorough' \
			email_scheduler_tests/unit email_scheduler_tests/golden email_scheduler_tests/property || exit 1; \
	done

# make test-all runs the same tests with few repetitions.
faults: setup
	@mkdir -p data && rm -f data/faults.md
	EMAIL_SCHEDULER_FAULTS=1 EMAIL_SCHEDULER_FAULTS_REPORT='$(CURDIR)/data/faults.md' \
		$(BIN)/pytest -n 2 --dist worksteal email_scheduler_tests/faults
	@sort data/faults.md

# What has changed in it belongs into the commit that is the reason.
recording: setup
	EMAIL_SCHEDULER_RECORD=1 $(BIN)/pytest -n 2 email_scheduler_tests/recording
	git diff --stat email_scheduler_tests/recording/recorded

# The theme's news about its successor are not for readers of these pages.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8000

docs-site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

reference: setup
	$(BIN)/python -m email_scheduler_tests.reference

# Needs Chromium; on Debian: apt-get install chromium
screenshots: setup
	$(BIN)/python -m email_scheduler_tests.e2e.screenshots

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m email_scheduler_tests.reference --check
	$(BIN)/dagster definitions validate --workspace workspace.yaml --log-level warning
