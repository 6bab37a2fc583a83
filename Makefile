# make start   a search over the Wine data, from nothing but Python 3.11 or newer
# make test    the tests, in the same environment, to which it adds what they need
# make quick   those that are not slow: no database servers, clusters or crowds of workers, and samples of large grids
# make lint    formatting, linter, types
# make docs    the documents and the API reference as a site in site/; broken links are errors
# make bench   performance on this machine, against PennyLane, torch.profiler and plain Optuna, in about eight minutes;
#              in two: make bench ARGS=--quick

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/.installed
TESTS := $(VENV)/.installed-for-tests

.PHONY: start test quick lint docs bench clean

start: $(RUN)
	$(VENV)/bin/faqnas-optuna doctor
	$(VENV)/bin/faqnas-optuna start --dataset wine

# More processes than cores: many tests wait for servers, outages and heartbeats.
test: $(TESTS)
	$(VENV)/bin/python -m pytest -n 8

quick: $(TESTS)
	$(VENV)/bin/python -m pytest -n 3 -m 'not slow'

lint: $(TESTS)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# A copy of the documents and of what they link to, by their paths in the repository: a site is built from one folder.
# Without templates (*.html), which would be taken for pages.
docs: $(TESTS)
	rm -rf .pages site
	mkdir .pages
	tar -cf - --exclude '*.parquet' --exclude '*.html' --exclude __pycache__ *.md *.toml CITATION.cff deploy docs studies faqnas_optuna tests | tar -xf - -C .pages
	$(VENV)/bin/zensical build --strict --clean
	$(VENV)/bin/python -m tests.support.built_site site

bench: $(RUN)
	$(VENV)/bin/python -m benchmarks $(ARGS)

# A stamp is written last: an installation that was interrupted is done again.
$(RUN): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "faqnas-optuna needs Python 3.11 or newer; name one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable .
	touch $@

$(TESTS): $(RUN)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable '.[test,docs,postgres,mysql,dask,qiskit]'
	touch $@

clean:
	rm -rf $(VENV) .pages site
