#!/usr/bin/env python3
"""Questions about a text file. An extractive reader, such as the default model, says where the answer stands, how sure it is,
and when the text has none: it cannot invent anything. With a chat model the same questions are answered in its own words.

usage: document_qa.py [MODEL] [FILE] [QUESTION...]        MODEL: a reader (question answering), or a chat model
"""

import argparse
import pathlib

import miao

MODEL = "hf:distilbert/distilbert-base-cased-distilled-squad"
FILE = pathlib.Path(__file__).parent / "data/policy.txt"
QUESTIONS = ["How much does delivery cost?", "How long is the guarantee of a kettle?", "When is the shop open?"]


def extracted(model, question, text):
    found = model.answer(question, text)
    if not found.best:
        return f"(not in the text, {found.no_answer:.0%} sure)"
    begin = text.rfind("\n", 0, found.best.begin) + 1
    end = text.find("\n", found.best.end)
    answer, line = (" ".join(part.split()) for part in (found.best.text, text[begin:end if end >= 0 else None]))
    return f"{answer}    ({found.best.score:.0%} sure)\n   in: {line}"


def told(model, question, text):
    messages = [{"role": "system", "content": "Answer in one short sentence, from the text alone."},
                {"role": "user", "content": f"{text}\n\n{question}"}]
    return model.chat(messages, stream=False, greedy=True, max_tokens=60).text.strip()


def main():
    parser = argparse.ArgumentParser(description="Questions about a text file.")
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=FILE)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    options = parser.parse_args()
    model, text = miao.load(options.model), options.file.read_text()
    answer = extracted if "answer" in model.methods else told
    for question in options.questions:
        print(f"Q: {question}\nA: {answer(model, question, text)}\n")


if __name__ == "__main__":
    main()
