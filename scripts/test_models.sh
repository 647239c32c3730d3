#!/usr/bin/env bash
# Puts the small real models that slow tests want into build/models; fetched once. Without a network the tests skip them.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/models
if path=$(build/release/miao pull --quiet smollm2); then
  ln -sfn "$path" build/models/smollm2-q4_1.gguf
else
  echo "smollm2 cannot be fetched: the tests of a real model are skipped" >&2
fi
