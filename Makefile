# make start   a search over the Wine data, from nothing but Python 3.11 or newer
# make test    the tests, in the same environment
# make quick   those that need no database servers, no cluster and no crowd of workers: about five minutes
# make lint    formatting, linter, types

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: start test quick lint clean

start: $(STAMP)
	$(VENV)/bin/faqnas-optuna doctor
	$(VENV)/bin/faqnas-optuna start --dataset wine

# More processes than cores: half of the time of these tests is waiting for servers, outages and heartbeats.
test: $(STAMP)
	$(VENV)/bin/python -m pytest -n 4

quick: $(STAMP)
	$(VENV)/bin/python -m pytest -n 2 -m 'not slow'

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The stamp is written last: an installation that was interrupted is done again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "faqnas-optuna needs Python 3.11 or newer; name one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable '.[test,postgres,mysql,dask,qiskit]'
	touch $(STAMP)

clean:
	rm -rf $(VENV)
