# Thin calls of customer-matrix; everything they need is put into .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help report test test-slow lab lint messages bench outputs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

report: $(READY) ## build everything on the default data and print where the report is
	$(BIN)/customer-matrix run data/cdnow.yml

# Two halves that take as long go side by side, and more threads would only wait: one starts kernels and fits models,
# the other holds all rooms that read the invented company, which is made and judged once.
RUNS := tests/run tests/models notebooks
test: export OMP_NUM_THREADS := 1
test: $(READY) ## run all tests
	@$(BIN)/python -m pytest -p no:cacheprovider $(RUNS) & runs=$$!; \
	$(BIN)/python -m pytest tests $(RUNS:%=--ignore=%); rest=$$?; \
	wait $$runs && exit $$rest

test-slow: export OMP_NUM_THREADS := 1
test-slow: $(READY) ## prove the methods by hundreds of repetitions; before each release
	$(BIN)/python -m pytest -p no:cacheprovider tests -m slow

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/customer-matrix lab

lint: $(READY) ## check style, types and the notebooks' form
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

messages: $(READY) ## refresh the catalogues of translations with the messages of today
	$(BIN)/python -m analysis.report.catalogues

bench: $(READY) ## measure the default run, reading, fitters, forecasts, risks and groups against their peers and the truth
	$(BIN)/python tests/bench/default_run.py
	$(BIN)/python tests/bench/reading.py
	$(BIN)/python tests/bench/btyd_speed.py
	$(BIN)/python tests/bench/accuracy.py
	$(BIN)/python tests/bench/worlds.py
	$(BIN)/python tests/bench/churn.py
	$(BIN)/python tests/bench/churn.py 1000000
	$(BIN)/python tests/bench/contracts.py
	$(BIN)/python tests/bench/segments_speed.py
	$(BIN)/python tests/bench/allocation.py
	$(BIN)/python tests/bench/recommend.py
	$(BIN)/customer-matrix run data/crm_demo.yml
	$(BIN)/python tests/bench/planted.py
	$(BIN)/python tests/bench/mutants.py

outputs: $(READY) ## refresh the checked summaries kept in the notebooks
	$(BIN)/jupyter execute --inplace notebooks/0*.ipynb
	$(BIN)/nbstripout --keep-count --keep-id notebooks/0*.ipynb

clean: $(READY) ## remove everything generated; your raw data stay
	$(BIN)/customer-matrix clean --all
