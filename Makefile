# The commands a person and CI run. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A folder of wheels or an index that pip is configured with is used as it is.
STAMP := $(VENV)/.installed
AUDIOCRAFT := $(VENV)/.audiocraft

.PHONY: demo test check audiocraft blender-addon blender-tests clean

demo: $(STAMP)  ## install into .venv, score examples/vlogs/ with the starter model, say where to look
	$(BIN)/gvm score-folder examples/vlogs --stems --midi
	@echo
	@echo "Look here:  examples/vlogs/scored/report.html   (scored films, music and cue sheets lie beside it)"
	@echo "Your turn:  $(BIN)/gvm score-folder FOLDER"

test: $(STAMP) $(AUDIOCRAFT) check  ## everything CI checks
	$(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python scripts/blender_tests.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

audiocraft: $(AUDIOCRAFT)  ## the optional audiocraft (MultiBandDiffusion), beside the torch that is installed

# The constraint holds torch where it is; audiocraft's own pins (torch 2.1) are left out by --no-deps.
$(AUDIOCRAFT): $(STAMP) requirements-audiocraft.txt
	$(BIN)/python -c "from importlib.metadata import version; print('torch==' + version('torch'))" > $@.torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $@.torch --editable '.[audiocraft]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-audiocraft.txt
	@touch $@

blender-addon: $(STAMP)  ## the add-on's zip and a repository index to host it, in build/blender/
	$(BIN)/python scripts/blender_tests.py --prepare
	$(BIN)/python scripts/build_blender_addon.py

blender-tests: $(STAMP)  ## the add-on inside real Blenders (bpy 4.5 and 5.0); where they can't be had, says so
	$(BIN)/python scripts/blender_tests.py

clean:
	rm -rf $(VENV) .venv-bpy45 .venv-bpy50 build examples/vlogs/scored .pytest_cache .mypy_cache .ruff_cache
