#!/usr/bin/env bash
# The main job from end to end, with what is at hand: SmolLM2-135M in 16 bits becomes the fastest model that keeps a
# budget of quality, on this machine; it is checked, and answers. A few minutes on two cores.
#   scripts/demo.sh ["a question"]
# The model that is fetched is a 4-bit file, of which tools/make_reference.py makes a 16-bit one with its weights in an
# order that no 4-bit grid lies on. The text that the model should stay good at is this project's documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

question=${1:-Write one sentence about cats.}
miao=build/release/miao folder=build/demo
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s$ %s%s\n' "$bold" "${*/#$miao/miao}" "$plain"; }
run() { say "$@"; "$@"; }

mkdir -p "$folder"
run "$miao" pull smollm2
if [ ! -f "$folder/reference/model.gguf" ]; then
  scripts/venv.sh
  run build/venv/bin/python tools/make_reference.py "$("$miao" pull --quiet smollm2)" "$folder/reference"
fi
# Short texts and few types, so that it takes minutes; a search that matters takes more of both.
# Of five paragraphs, three are searched on, and two are for the last measurement alone.
paragraphs() { awk -v RS= -v ORS='\n\n' "$1" README.md docs/ARCHITECTURE.md docs/python.md docs/measurement.md docs/howto/*.md; }
paragraphs 'NR % 5 < 3' > "$folder/text.txt"
paragraphs 'NR % 5 >= 3' > "$folder/final.txt"

kept=0
run "$miao" compress "$folder/reference/model.gguf" -o "$folder/small" --max-loss kld:0.05 --text "$folder/text.txt" \
  --final-text "$folder/final.txt" --types Q4_0,Q5_0,Q8_0 --prompt 256 --gen 64 --tries 2 --time-budget 4min || kept=$?
model=$folder/small/model.gguf
if [ "$kept" = 3 ]; then
  echo "On this machine no candidate kept the budget in the time; nearest.gguf is the nearest."
  model=$folder/small/nearest.gguf
elif [ "$kept" != 0 ]; then
  exit "$kept"
fi
run "$miao" verify "$model"
run "$miao" run "$model" "$question" -n 60
printf '\nThe report: %s\n' "$PWD/$folder/small/report.html"
