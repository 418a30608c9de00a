# The one door. `make demo` and `make test` install what they need first.
.DEFAULT_GOAL := build
.PHONY: build demo test sim fmt tidy bench bench-peers bench-plots fuzz docs clean deps deps-tests deps-bench

JOBS ?= $(shell nproc)

deps:
	@tools/install-dependencies
deps-tests:
	@tools/install-dependencies --tests
deps-bench:
	@tools/install-dependencies --bench

# build/tailrace, the one binary.
build: deps
	@cmake -S . -B build -G Ninja >/dev/null
	@cmake --build build -j $(JOBS) --target tailrace

# Real orders in, segments, audiences at two sandboxed ad platforms, one live purchase. Ends by itself.
demo: build
	@tools/demo

# Everything: unit, property and end-to-end tests, with sanitizers. The last line is "N passed, N failed".
test: deps-tests build
	@tools/run-tests

# The whole of Tailrace on a simulated machine with faults: SEED=n replays one run step by step, SECONDS=n searches.
SECONDS ?= 60
sim: deps-tests
	@cmake -S . -B build -G Ninja >/dev/null
	@cmake --build build -j $(JOBS) --target sim_test
	@if [ -n "$(SEED)" ]; then TAILRACE_TRACE=1 TAILRACE_SEED=$(SEED) build/sim_test --gtest_filter='*after_all_faults'; \
	else TAILRACE_SECONDS=$(SECONDS) build/sim_test --gtest_filter='*after_all_faults'; fi

# The benchmarks' programs. `make bench BUILD=folder` for another one than build/.
BUILD ?= build
define build-bench
	@cmake -S . -B $(BUILD) -G Ninja -DTAILRACE_BENCH=ON >/dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target tailrace bench_programs
endef

# The figures of docs/performance.md, as a table with their marks. Takes some minutes and 8 GB of memory.
bench: deps-bench
	$(build-bench)
	@bench/run.sh $(BUILD)

# The seven segments in Tailrace, plain C++, DuckDB and ClickHouse, in one run. Installs the two with npm, below $(BUILD).
bench-peers: deps-bench
	$(build-bench)
	@python3 bench/peers.py $(BUILD) $(PEERS)

# How cost grows: measures, and rewrites docs/performance/. Takes a quarter of an hour.
bench-plots: deps-bench
	$(build-bench)
	@python3 bench/scaling.py $(BUILD) docs/performance

fmt:
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

# What the compiler does not say: clang-tidy over src/ (TIDY_FILES: over these only), and tools/tidy.
TIDY_FILES ?= $(shell git ls-files 'src/*.cc' ':!src/*_fuzz.cc')
tidy: deps-tests
	@tools/tidy
	@cmake -S . -B build -G Ninja >/dev/null
	@printf '%s\n' $(TIDY_FILES) | xargs -P $(JOBS) -n 1 clang-tidy-19 -p build --quiet

# Every fuzz target for FUZZ_SECONDS (20); fails on a crash.
fuzz: deps-tests
	@tools/fuzz

clean:
	@rm -rf build
