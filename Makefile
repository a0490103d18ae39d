# Two commands: `make demo` shows it, `make test` proves it. Everything is installed into .venv, nothing else is touched.
PYTHON ?= python3
INSTALLED = .venv/.installed
BIN = .venv/bin

.PHONY: demo board screenshots test lint unit mutants soak benchmark clean

$(INSTALLED): pyproject.toml deploy/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -c deploy/constraints.txt -e '.[board,conse,evaluate,local,openvino,sample,test]'
	touch $@

demo: $(INSTALLED)  ## a real broker, real pictures, every post labelled and counted
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.demo

board: $(INSTALLED)  ## live pages on http://127.0.0.1:8090/ and posts that keep coming, until Ctrl-C
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.board show

screenshots: $(INSTALLED)  ## every view of the board, light and dark
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.board screenshots screenshots

# So many files of tests at once: most tests wait for something. Those with faults come last, apart from what loads models.
AT_ONCE ?= 2
# Each has a core: more threads would wait for each other.
test unit: export OMP_NUM_THREADS ?= 1

test: lint  ## the whole suite, the real broker and Redis included
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile tests/unit tests/integration
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile tests/faults

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(INSTALLED)  ## the tests that need no broker and are quick: a minute or a little more on 2 cores
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile -m "not slow" tests/unit

mutants: $(INSTALLED)  ## take out one guard at a time: the tests that name it must fail; about 20 minutes
	$(BIN)/python -m tests.mutants

MINUTES ?= 20
soak: $(INSTALLED)  ## faults at random moments for MINUTES; nothing lost or doubled; from 10 on, no memory that only grows
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

BENCHMARK ?=
MALLOC = MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456
benchmark: $(INSTALLED)  ## the pipeline beside the bare model; BENCHMARK="--posts 100 --json FILE" passes options
	$(BIN)/python -m deploy.local run -- env $(MALLOC) $(BIN)/python -m consumer benchmark $(BENCHMARK)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
