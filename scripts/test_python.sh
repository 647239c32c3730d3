#!/usr/bin/env bash
# Builds and installs the Python package into build/venv-python as a user would (pip install .), and runs tests/python.
#   scripts/test_python.sh [pytest arguments...]     such as -k chat; -m oracle compares with an installed transformers
#   scripts/test_python.sh --lm-eval                 the tests of miao.lm_eval, with lm-evaluation-harness
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x build/venv-python/bin/pip ] || python3 -m venv build/venv-python
# The compiler by the name that CMake gives it otherwise, so that the objects of build/release come out of the cache.
CXX=${CXX:-c++} CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)} build/venv-python/bin/pip install --quiet \
  --disable-pip-version-check --config-settings=build-dir=build/python ".[test]" numpy==2.4.6 pytest==9.2.0 gguf==0.19.0 safetensors==0.8.0
if [ "${1:-}" = --lm-eval ]; then
  build/venv-python/bin/pip install --quiet --disable-pip-version-check lm-eval==0.4.13
  set -- -m oracle tests/python/test_lm_eval.py
fi
build/venv-python/bin/python -m pytest "$@"
