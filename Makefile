# The common commands. Each may be repeated: what is done already costs nothing.
#   make            build/release/miao            make demo     compress a small model, check it and let it answer
#   make test       unit tests, fast and slow     make check    tree rules, formatting
#   make golden     reference data anew           make format   clang-format over src
#   make python-test   builds the Python package, runs its tests
#   make lm-eval-test  the same of miao.lm_eval, with lm-evaluation-harness
#   make conformance   docs/conformance.md anew from the golden tests
#   make oracle     token ids, chat templates and logits against the libraries that define them (ten minutes)
JOBS ?= $(shell nproc)
RELEASE := build/release
SOURCES = $(shell find src -name '*.cpp' -o -name '*.h' -o -name '*.inl')
PROMPT ?= Write one sentence about cats.

.PHONY: all setup build demo test python-test lm-eval-test bench-peers golden conformance oracle format check tidy clean
all: build

setup:
	@scripts/setup.sh

# Ninja asks CMake again by itself when a list of sources has changed.
$(RELEASE)/build.ninja: CMakePresets.json | setup
	@cmake --preset release

build: setup $(RELEASE)/build.ninja
	@cmake --build $(RELEASE) --parallel $(JOBS)

demo: build
	@scripts/demo.sh "$(PROMPT)"

test: build
	@scripts/test_models.sh
	@MIAO_TEST_MODELS=$(CURDIR)/build/models ctest --test-dir $(RELEASE) -L 'fast|slow' --output-on-failure

python-test: build
	@scripts/test_models.sh
	@scripts/test_python.sh

# lm-evaluation-harness and all that it needs: 0.5 GB
lm-eval-test: build
	@scripts/test_python.sh --lm-eval

bench-peers: build
	@scripts/venv.sh --oracle
	build/venv/bin/python tools/bench_peers.py --tokenise

golden:
	@scripts/venv.sh --oracle
	build/venv/bin/python tools/make_golden.py
	build/venv/bin/python tools/make_golden_encoders.py
	build/venv/bin/python tools/make_golden_seq2seq.py
	build/venv/bin/python tools/make_golden_tasks.py
	build/venv/bin/python tools/make_golden_mel.py
	build/venv/bin/python tools/make_golden_rounding.py

conformance: build
	tools/gen_conformance.py $(RELEASE)/runtime_test

oracle: build
	@scripts/venv.sh --oracle
	build/venv/bin/python tools/tokenizer_oracle.py --miao $(RELEASE)/miao --results docs/results/oracles.json
	build/venv/bin/python tools/sentencepiece_oracle.py --miao $(RELEASE)/miao
	build/venv/bin/python tools/template_oracle.py --miao $(RELEASE)/miao --results docs/results/oracles.json
	tools/gen_oracle_table.py
	build/venv/bin/python tools/make_golden.py --check
	build/venv/bin/python tools/make_golden_encoders.py --check
	build/venv/bin/python tools/make_golden_seq2seq.py --check
	build/venv/bin/python tools/make_golden_tasks.py --check
	build/venv/bin/python tools/make_golden_mel.py --check
	build/venv/bin/python tools/make_golden_rounding.py --check

format:
	@scripts/setup.sh --ci
	clang-format -i $(SOURCES)

check:
	@scripts/setup.sh --ci
	@tools/check_tree.py
	@python3 tools/check_tree_test.py
	@python3 tools/peers_test.py
	@tools/gen_results_table.py --check
	@python3 tests/oracle/golden_files_test.py
	@tools/gen_conformance.py --check
	@clang-format --dry-run -Werror $(SOURCES)

# The checks of .clang-tidy; minutes, so not part of every run.
tidy: build
	@scripts/setup.sh --ci
	run-clang-tidy -p $(RELEASE) -quiet -j $(JOBS) '/src/.*(?<!_test)\.cpp$$'

clean:
	rm -rf build
