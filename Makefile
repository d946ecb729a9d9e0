# `make demo` and `make test` do all their own set-up. They need Python >= 3.11 and nothing else.

# The first interpreter that is new enough; say PYTHON=... for another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
KERNELS := $(shell grep -rl --include=*.py 'njit' mecopt formulations learning)
TORCH := $(shell grep '^torch==' constraints.txt)

BENCHMARKS := $(addprefix offloading.,correctness gaps compare_solvers growth replay ascent policies trace_hour) page
DEMO_POLICIES := one-step-oracle,one-step-oracle-drop,priced,lookahead,sft,sft-lookahead,grpo,random
CACHING_POLICIES := rolling,priced,myopic,lfu-sensible,fifo-sensible,cloud
DATA := $(or $(MECOPT_DATA),../shared/data)

# One thread a process: several processes share the cores, and more threads only get in the way.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MPLBACKEND := agg

# Two installs into one environment would get in each other's way.
.NOTPARALLEL:
.PHONY: help demo test lint format bench oldest newest clean

help:
	@echo 'make demo    install, benchmark policies on COMLLM episodes, write a report'
	@echo 'make test    install, then lint, types, dependency rule, tests, notebooks'
	@echo 'make lint    ruff, mypy and the dependency rule only'
	@echo 'make format  let ruff rewrite the sources'
	@echo 'make bench   the measurements behind the figures (takes hours; see benchmarks/)'
	@echo 'make oldest  install the oldest dependencies that are allowed, run every command once;'
	@echo '             make newest does the same with the newest'
	@echo 'make clean   remove everything that was installed or made, runs excepted'

# ---------------------------------------------------------------- set-up
$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'mecopt needs Python >= 3.11; say make PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than pyproject.toml or constraints.txt exactly when something must be installed.
$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing mecopt with its trained policies into $(VENV) (a few minutes)'
	@$(PIP) $(TORCH)
	@$(PIP) -e '.[learning]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing mecopt with its test and notebook tools into $(VENV) (a few minutes)'
	@$(PIP) $(TORCH)
	@$(PIP) -e '.[dev,notebooks,distributed,learning,drl,serve,export]'
	@touch $(VENV)/.base $@

$(VENV)/.bench: $(VENV)/.dev
	@$(PIP) -e '.[bench]'
	@touch $@

# Numba keys its cache on the file of a kernel, not on the kernels it calls: start afresh.
$(VENV)/.warm: $(KERNELS) | $(VENV)/.base
	@echo 'compiling the kernels (two minutes)'
	@find mecopt formulations learning -name '*.nb[ic]' -delete
	@$(BIN)/python -c 'import formulations as f, learning.warm as w; [f.warm_up(name) for name in f.methods.METHODS]; w.warm_up()'
	@touch $@

# ---------------------------------------------------------------- the two commands
demo: $(VENV)/.base $(VENV)/.warm
	@rm -rf runs/demo runs/demo-caching runs/demo-trace
	$(BIN)/mecopt bench comllm --preset paper,busy --seeds 100:104 \
	  --policies $(DEMO_POLICIES) --out runs/demo
	@$(BIN)/mecopt report runs/demo --growth benchmarks/results/growth.json >/dev/null
	@echo; echo 'Which models an edge server keeps in memory (T2DRL)'
	$(BIN)/mecopt bench caching --preset ten --seeds 100:102 --time-limit 20 \
	  --policies $(CACHING_POLICIES) --out runs/demo-caching
	@if [ -f '$(DATA)/traces/azure_llm_2023_conv.csv.gz' ]; then \
	  echo; echo 'Real requests: two minutes of the Azure conversation trace over Melbourne sites'; \
	  $(BIN)/mecopt bench traces --trace azure-conv --window 0:120 --time-limit 10 \
	    --policies one-step-oracle,one-step-oracle-drop,least-loaded,random --out runs/demo-trace; \
	else \
	  echo 'Real traces: no data in $(DATA); `$(BIN)/mecopt data` says what is needed and how to get it.'; \
	fi

test: lint $(VENV)/.warm
	$(BIN)/pytest -n 2 --dist loadfile
	MECOPT_QUICK=1 $(BIN)/pytest -n 2 --nbmake --nbmake-timeout=300 $(NOTEBOOKS)

# ---------------------------------------------------------------- for developers
lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.bench $(VENV)/.warm
	for script in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$script || exit 1; done

# Lower bounds in pyproject.toml are versions that were run: move them only with `make oldest`.
oldest newest: $(VENV)/.dev
	$(BIN)/python -m benchmarks.versions $@

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
