#!/usr/bin/env bash
# Puts the small real models that slow tests want into build/models; fetched once. Without a network the tests skip them.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/models
while read -r model name; do
  if path=$(build/release/miao pull --quiet "$model"); then
    ln -sfn "$path" "build/models/$name"
  else
    echo "$model cannot be fetched: its tests are skipped" >&2
  fi
done <<END
smollm2 smollm2-q4_1.gguf
minilm all-MiniLM-L6-v2
whisper-base whisper-base
END
