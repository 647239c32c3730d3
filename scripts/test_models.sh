#!/usr/bin/env bash
# Puts the small real models that slow tests want into build/models; fetched once. Without a network the tests skip them.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/models
fetch() { # ALIAS NAME
  if path=$(build/release/miao pull --quiet "$1"); then
    ln -sfn "$path" "build/models/$2"
  else
    echo "$1 cannot be fetched: the tests of a real model are skipped" >&2
  fi
}
fetch smollm2 smollm2-q4_1.gguf
fetch minilm minilm
