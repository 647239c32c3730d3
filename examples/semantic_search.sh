#!/usr/bin/env bash
# Search by meaning: a folder of notes, or one file, and questions that need not share a word with the answer. The first call
# computes a vector of each passage and keeps them; later ones compute only what has changed.
#
# usage: semantic_search.sh [MODEL] [DOCUMENTS] [QUESTION...]
set -euo pipefail

model=${1:-minilm}
documents=${2:-$(dirname "$0")/data/policy.txt}
questions=("${@:3}")
if [ ${#questions[@]} -eq 0 ]; then
  questions=("can I get my money back" "how do I remove limescale" "phone number")
fi

miao search "$model" --docs "$documents" --top 2 --quiet "${questions[@]}"
