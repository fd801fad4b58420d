# Two commands for people and CI alike: `make check` and `make test`. `make quick` runs the tests that need no system component
# and little time; `make run` listens. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
USER_READY := $(VENV)/.ready-user

# What the system must bring. The second list is for the tests: real devices, brokers, windows and sounds.
SYSTEM := libportaudio2 libasound2-plugins libegl1 libgl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 \
	libxcb-shape0 libdbus-1-3 libfontconfig1
SYSTEM_TEST := pulseaudio pulseaudio-utils mosquitto openssl espeak-ng fluidsynth fluid-soundfont-gm xvfb xauth systemd gcc libc6-dev \
	chromium chromium-driver

# What `make run` installs: HEADLESS=1 leaves out the window, EXTRAS=tiny all models but the embedded one.
# An update keeps the choice.
EXTRAS := $(if $(HEADLESS),headless,$(or $(shell cat $(USER_READY) 2>/dev/null),all))
ifneq ($(filter run system,$(or $(MAKECMDGOALS),run)),)
ifneq ($(EXTRAS),all)
SYSTEM := libportaudio2 libasound2-plugins
endif
endif
# Debian's Python can't make an environment without it.
SYSTEM += $(shell $(PYTHON) -c "import ensurepip" 2>/dev/null || echo python3-venv)

NEW_ENOUGH := -c "import sys; sys.exit(sys.version_info < (3, 11))"
REQUIRE_PYTHON := if $(BIN)/python -c "" 2>/dev/null; then $(BIN)/python $(NEW_ENOUGH) || { echo "$(VENV) has a Python before 3.11: \
	remove it with 'make clean', and give a newer one: make run PYTHON=python3.12" >&2; exit 1; }; \
	else $(PYTHON) $(NEW_ENOUGH) || { echo "Earshot needs Python 3.11 or newer: give one, as in make run PYTHON=python3.12" >&2; exit 1; }; fi

# An environment without pip gets it, as where its Python had no python3-venv; one whose Python is gone is made again.
MAKE_VENV := $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null 2>&1 || \
	if rmdir $(VENV) 2>/dev/null || test ! -e $(VENV) || { test -f $(VENV)/pyvenv.cfg && ! $(BIN)/python -c ''; }; \
	then $(PYTHON) -m venv --clear $(VENV); else $(PYTHON) -m venv $(VENV) 2>/dev/null && \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || \
	{ echo "$(VENV) is not an environment with pip: move it away, or give another one with VENV=" >&2; exit 1; }; fi

# PyTorch's build: cpu, cuda, or auto for the one without CUDA where there is no NVIDIA GPU.
TORCH ?= auto

# Test processes at once: most tests wait more than they compute.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: run quick test soak fuzz check site bench system system-test clean

run: $(USER_READY)
	@$(BIN)/python run_live.py $(ARGS)

quick: $(READY)
	QT_QPA_PLATFORM=offscreen $(PYTEST) -m "not system and not slow" $(ARGS)

test: $(READY) system-test
	$(PYTEST) $(ARGS)

# So many times as many examples of bad input as the tests take, and others each time; then guided by coverage, where atheris is installed.
FUZZ ?= 20
fuzz: $(READY) system-test
	FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz --timeout=0 $(ARGS)
	$(BIN)/python tests/fuzz/guided.py

soak: $(READY) system-test
	$(BIN)/python benchmarks/reliability.py $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, with the reference of the Python interface.
site: $(READY)
	$(BIN)/python docs/build_site.py site

bench: $(READY)
	$(BIN)/python run_live.py bench $(ARGS)

system:
	@./system-packages.sh $(SYSTEM)

system-test:
	@./system-packages.sh $(SYSTEM_TEST)

$(USER_READY): pyproject.toml constraints.txt | system
	@$(REQUIRE_PYTHON)
	@$(MAKE_VENV)
	@TORCH=$(TORCH) ./python-packages.sh $(VENV) $(EXTRAS)
	@echo $(EXTRAS) > $@

$(READY): pyproject.toml constraints.txt | system
	@$(REQUIRE_PYTHON)
	@$(MAKE_VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,workers,dev]"
	@touch $@
	@echo all > $(USER_READY)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
