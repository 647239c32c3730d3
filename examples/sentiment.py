#!/usr/bin/env python3
"""The mood of many texts: a CSV file (one of its columns) or a file of lines in, the class of each and their counts out. Any
model that classifies whole texts does: topics, languages or spam work the same. All texts go through the model together.

usage: sentiment.py [MODEL] [FILE] [--column NAME]
"""

import argparse
import collections
import csv
import pathlib
import shutil

import miao

MODEL = "hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english"
FILE = pathlib.Path(__file__).parent / "data/reviews.csv"


def read(path, column):
    with open(path, newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            return [row[column] for row in csv.DictReader(file)]
        return [line.strip() for line in file if line.strip()]


def main():
    parser = argparse.ArgumentParser(description="The class of each text, and how many texts have it.")
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=FILE)
    parser.add_argument("--column", default="text", help="of a CSV file, the one that holds the text")
    options = parser.parse_args()
    texts = read(options.file, options.column)
    model = miao.load(options.model)
    results = model.classify(texts, truncate=True)

    width = max(map(len, model.labels))
    room = shutil.get_terminal_size().columns - width - 9
    for text, result in zip(texts, results):
        line = " ".join(text.split())
        print(f"{result.label:{width}}  {result.score:4.0%}  {line if len(line) <= room else line[:room - 1] + '…'}")
    print()
    counts = collections.Counter(result.label for result in results)
    for label in model.labels:
        print(f"{label:{width}}  {counts[label]:4}  {'█' * round(30 * counts[label] / max(len(texts), 1))}".rstrip())


if __name__ == "__main__":
    main()
