# The one door. `make demo` and `make test` install what they need first.
.DEFAULT_GOAL := build
.PHONY: build demo test fmt tidy bench fuzz docs clean deps deps-tests

JOBS ?= $(shell nproc)

deps:
	@tools/install-dependencies
deps-tests:
	@tools/install-dependencies --tests

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

# The figures of docs/performance.md, as a table with their marks. Takes several minutes and 8 GB of memory.
bench: deps-tests
	@cmake -S . -B build -G Ninja -DTAILRACE_BENCH=ON >/dev/null
	@cmake --build build -j $(JOBS) --target tailrace apply_bench store_bench http_load
	@bench/run.sh build

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
