# Every target does its own set-up: a virtual environment in .venv, made once, with what the target needs.
# `make demo` installs the runtime only; `make test` and the others install everything that development needs.

VENV := .venv
BIN := $(VENV)/bin
BUILD := build/cpp
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Words for pytest, as in: make test ARGS="-k samples"
ARGS ?=
# Tests run in so many processes at once, the tests of a file in one of them. One that dies ends the run, as a
# failure: started anew, the run would wait for ever for what the dead one still had.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)

.DEFAULT_GOAL := help
.PHONY: help demo test lint format cpp bench clean distclean

help: ## Say what the targets do
	@echo "Targets (PYTHON=/path/to/python chooses the interpreter: 3.11, 3.12 or 3.13):"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do \
		printf '%-16s %s\n' "$$target" "$$what"; done

demo: $(VENV)/.has-demo ## Judge the two bundled videos, print a table and draw demo.png
	@$(BIN)/python examples/demo.py

test: $(VENV)/.has-dev ## Run every test; ARGS="..." goes to pytest
	@command -v cmake >/dev/null && { command -v c++ || command -v g++ || command -v clang++; } >/dev/null \
		|| echo "No cmake or no C++ compiler here: the tests of the C library are skipped."
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --max-worker-restart 0 $(ARGS)

lint: $(VENV)/.has-dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format' to lay these files out."; exit 1; }
	@$(BIN)/mypy

format: $(VENV)/.has-dev ## Lay the code out and mend what can be mended without thought
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@if command -v clang-format >/dev/null; then git ls-files '*.h' '*.hpp' '*.c' '*.cpp' | xargs clang-format -i; \
		else echo "No clang-format here: C and C++ files stay as they are."; fi

# ONNXRUNTIME_INCLUDE_DIR names the folder of onnxruntime_c_api.h; without it npm brings that header.
cpp: ## Build and test the C library in build/cpp
	@command -v cmake >/dev/null || { echo "make cpp needs cmake 3.21 or newer and a C++17 compiler."; exit 1; }
	@[ -n "$(ONNXRUNTIME_INCLUDE_DIR)" ] || scripts/fetch_onnxruntime_headers.sh build/onnxruntime
	cmake -S . -B $(BUILD) -DFLOWTELL_BUILD_TESTS=ON \
		-DONNXRUNTIME_INCLUDE_DIR=$(or $(ONNXRUNTIME_INCLUDE_DIR),$(CURDIR)/build/onnxruntime)
	cmake --build $(BUILD) --parallel $$(getconf _NPROCESSORS_ONLN)
	ctest --test-dir $(BUILD) --output-on-failure

# A result that is INVALID, as on a machine that others use too, is tried again.
BENCH := build/bench
bench: $(VENV)/.has-dev ## Measure the default bundle and what one would use instead, for the README's table
	@mkdir -p $(BENCH) benchmarks/results/default
	$(BIN)/flowtell export engine/flowtell/bundles/default --out $(BENCH)/bundle --precision fp16 bf16 \
		--clips engine/flowtell/samples/*.mp4
	$(BIN)/flowtell bench contenders $(BENCH)/bundle --out benchmarks/results/default/contenders.json \
		--picture $(BENCH)/contenders.png
	rm -f benchmarks/results/default/offline-*.json
	settings="cpu-fp32 openvino-fp32 openvino-fp16"; \
	! $(BIN)/flowtell doctor | grep -q '^yes *precision bf16' || settings="$$settings openvino-bf16"; \
	for setting in $$settings; do for attempt in 1 2 3; do \
		$(BIN)/flowtell bench $(BENCH)/bundle --scenario offline --provider $${setting%-*} \
			--precision $${setting#*-} --out benchmarks/results/default/offline-$$setting.json && continue 2; \
		done; exit 1; done
	$(BIN)/flowtell bench report benchmarks/results/default/offline-*.json --out $(BENCH)/report.html
	$(BIN)/python -m flowtell.benchmarks.readme_table

clean: ## Remove what was built, and caches
	rm -rf build dist demo.png .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## The same, and the virtual environment
	rm -rf $(VENV) flowtell.egg-info

$(BIN)/python:
	@scripts/make_venv.sh $(VENV) $(PYTHON)

# PYTHON is for a new environment: beside one of another version it would go unheard.
.PHONY: same-python
same-python: | $(BIN)/python
ifneq ($(PYTHON),)
	@version='import sys; print("Python %d.%d" % sys.version_info[:2])'; \
	asked=$$("$(PYTHON)" -c "$$version") && made=$$($(BIN)/python -c "$$version") || exit 1; \
	[ "$$asked" = "$$made" ] || { \
		echo "$(VENV) was made with $$made and PYTHON=$(PYTHON) is $$asked: say 'make distclean' first." >&2; exit 1; }
endif

# An empty file says that an installation is complete and newer than pyproject.toml.
$(VENV)/.has-demo: pyproject.toml | $(BIN)/python same-python
	@[ $(VENV)/.has-dev -nt pyproject.toml ] || { \
		echo "Installing the runtime into $(VENV); the first time downloads about 107 MB."; \
		$(BIN)/python -m pip install -qq -e '.[cpu,plot]'; }
	@touch $@

$(VENV)/.has-dev: pyproject.toml | $(BIN)/python same-python
	@echo "Installing everything for development into $(VENV); the first time takes some minutes."
	@$(BIN)/python -m pip install -qq -e '.[dev]'
	@touch $@
