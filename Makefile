# Two commands: `make demo` shows it, `make test` proves it. Everything is installed into .venv, nothing else is touched.
PYTHON ?= python3
BIN = .venv/bin
DEMO = .venv/.demo
BOARD = .venv/.board
ALL = .venv/.all

.PHONY: demo board screenshots test lint unit unit-integration faults matrix as-default as-avx2 as-rounded mutants attacks soak benchmark clean

# What has been installed, with all that it contains.
$(DEMO): pyproject.toml deploy/constraints.txt
	@$(PYTHON) deploy/install.py conse local sample
	@touch $(DEMO)

$(BOARD): pyproject.toml deploy/constraints.txt
	@$(PYTHON) deploy/install.py board conse local sample
	@touch $(DEMO) $(BOARD)

$(ALL): pyproject.toml deploy/constraints.txt
	@$(PYTHON) deploy/install.py board conse evaluate local openvino sample test
	@touch $(DEMO) $(BOARD) $(ALL)

demo: $(DEMO)  ## a real broker, real pictures, every post labelled and counted
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.demo

board: $(BOARD)  ## live pages on http://127.0.0.1:8090/ and posts that keep coming, until Ctrl-C
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.board show

screenshots: $(ALL)  ## every view of the board, light and dark
	$(BIN)/python -m deploy.local run -- $(BIN)/python -m deploy.board screenshots screenshots

# So many files of tests at once: most tests wait for something. Each has a core: more threads would wait for each other.
AT_ONCE ?= 2
PYTEST = $(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile
unit unit-integration faults: export OMP_NUM_THREADS ?= 1

# Every part is run, whatever became of those before it.
define every
failed=; for part in $(1); do $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; done; \
[ -z "$$failed" ] || { echo "failed:$$failed (make PART runs one again)" >&2; exit 1; }
endef

test: $(ALL)  ## the whole suite, the real broker and Redis included; those with faults come last, apart from what loads models
	@$(call every,lint unit-integration faults)

lint: $(ALL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(ALL)  ## the tests that need no broker and are quick: a minute or a little more on 2 cores
	$(PYTEST) -m "not slow" tests/unit

unit-integration: $(ALL)
	$(PYTEST) tests/unit tests/integration

faults: $(ALL)
	$(PYTEST) tests/faults

# The tests that compute.
COMPUTES = tests/unit/consumer/classify tests/unit/consumer/evaluate tests/unit/consumer/benchmark tests/unit/consumer/label \
	tests/integration/consumer/evaluate/test_join.py tests/integration/consumer/evaluate/test_whole_way.py tests/integration/consumer/benchmark \
	tests/integration/consumer/label/test_main_line.py tests/integration/consumer/label/test_open_clip.py \
	tests/integration/consumer/label/test_openvino.py tests/faults/test_conse.py

matrix: $(ALL)  ## the tests that compute as other CPUs and other batches would: none may see a difference; 45 minutes on 2 cores
	@$(call every,as-default as-avx2 as-rounded)

as-default: export ATEN_CPU_CAPABILITY = default
as-default: export ONEDNN_MAX_CPU_ISA = SSE41
as-avx2: export ATEN_CPU_CAPABILITY = avx2
as-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
as-default as-avx2: export MKL_CBWR = COMPATIBLE
as-rounded: export TESTS_ROUNDING = 1
as-default as-avx2 as-rounded: $(ALL)
	@failed=; for threads in 1 2; do \
		OMP_NUM_THREADS=$$threads $(PYTEST) $(COMPUTES) || failed="$$failed $$threads"; \
	done; [ -z "$$failed" ] || { echo "$@ failed with threads:$$failed" >&2; exit 1; }

mutants: $(ALL)  ## take out one guard at a time: the tests that name it must fail; about 20 minutes
	$(BIN)/python -m tests.mutants

SECONDS ?= 120
attacks: $(ALL)  ## what a stranger may send, at full size; then SECONDS of damaged posts, and 100,000 invented cities
	$(BIN)/python -m tests.stranger --seconds $(SECONDS)

MINUTES ?= 20
soak: $(ALL)  ## faults at random moments for MINUTES; nothing lost or doubled; from 10 on, no memory that only grows
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

BENCHMARK ?=
MALLOC = MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456
benchmark: $(ALL)  ## the pipeline beside the bare model; BENCHMARK="--posts 100 --json FILE" passes options
	$(BIN)/python -m deploy.local run -- env $(MALLOC) $(BIN)/python -m consumer benchmark $(BENCHMARK)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
