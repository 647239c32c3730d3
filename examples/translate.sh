#!/usr/bin/env bash
# A text translated line by line, each beside its original. T5 is told in words what to do; models of many languages (M2M-100,
# NLLB, mBART) take --source and --target instead, and those of one pair (opus-mt) nothing: both want an empty instruction.
#
# usage: translate.sh [MODEL] [INSTRUCTION] [FILE] [FLAGS OF miao run...]
set -euo pipefail

model=${1:-hf:google-t5/t5-small}
instruction=${2-translate English to German: }
file=${3:-$(dirname "$0")/data/letter.txt}

# Standard input has a text a line; they are computed together, and an answer comes out for each.
sed "s/^/$instruction/" "$file" | miao run "$model" - --lines --beams 4 --max-tokens 60 --quiet "${@:4}" |
  paste -d '\n' "$file" <(sed 's/^/  -> /')
