#!/usr/bin/env bash
# What is said in recordings (WAV, FLAC, Ogg, MP3), with times, as it is heard; the language is found from the sound.
# For subtitles: miao run whisper-base talk.mp3 --format srt --output talk.srt. Without a recording espeak-ng speaks one.
#
# usage: transcribe.sh [MODEL] [RECORDING...]
set -euo pipefail

model=${1:-whisper-base}
recordings=("${@:2}")
if [ ${#recordings[@]} -eq 0 ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  espeak-ng -s 150 -v en-gb -w "$folder/said.wav" \
    "Good morning. The train to the city leaves from platform four. The library is closed on Sundays."
  recordings=("$folder/said.wav")
fi

miao run "$model" "${recordings[@]}" --timestamps
