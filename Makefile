# The commands a person and CI run. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A folder of wheels or an index that pip is configured with is used as it is.
STAMP := $(VENV)/.installed

.PHONY: demo test check clean

demo: $(STAMP)  ## install into .venv, score examples/vlogs/ with the starter model, say where to look
	$(BIN)/gvm score-folder examples/vlogs --stems --midi
	@echo
	@echo "Look here:  examples/vlogs/scored/report.html   (scored films, music and cue sheets lie beside it)"
	@echo "Your turn:  $(BIN)/gvm score-folder FOLDER"

test: $(STAMP) check  ## everything CI checks
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build examples/vlogs/scored .pytest_cache .mypy_cache .ruff_cache
