#!/usr/bin/env bash
# Summaries of text files, one after the other. The text goes in through a pipe, the instruction behind it. A model that was
# trained to summarise, such as hf:facebook/bart-large-cnn, wants no instruction: give it an empty one.
#
# usage: summarise.sh [MODEL] [INSTRUCTION] [FILE...]
set -euo pipefail

model=${1:-smollm2}
instruction=${2-Summarise the text above in one short sentence.}
files=("${@:3}")
if [ ${#files[@]} -eq 0 ]; then files=("$(dirname "$0")/data/policy.txt"); fi

for file in "${files[@]}"; do
  echo "$file"
  # - reads standard input alone
  miao run "$model" "${instruction:--}" --greedy --max-tokens 80 --stop $'\n\n' --quiet <"$file" | sed 's/^/  /'
  echo
done
