#!/usr/bin/env python3
"""A shop's assistant: a system prompt with the shop's policy, and a conversation of several turns that it remembers. Each
turn is computed only from where the conversation differs from the last one, so that answers begin at once however long
it has become. Without --talk it answers the questions below; a model of 135 M parameters talks nicely and gets facts
wrong, so take a larger one to work with.

usage: customer_service.py [MODEL] [--talk]       MODEL: any chat model, such as smollm2 or hf:Qwen/Qwen3-1.7B
"""

import argparse
import pathlib
import sys

import miao

POLICY = pathlib.Path(__file__).parent / "data/policy.txt"
SYSTEM = "You are the assistant of a shop. Answer in one or two friendly sentences, from these facts alone.\n\n"
QUESTIONS = ["Hello! Do you deliver on Saturdays, and what does it cost?",
             "My kettle leaks. I bought it a year ago. What can I do?",
             "Who pays for sending it back?"]


def questions(talk):
    if not talk:
        yield from QUESTIONS
        return
    while line := input("customer > ").strip():
        yield line


def main():
    parser = argparse.ArgumentParser(description="A shop's assistant.")
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--talk", action="store_true", help="ask yourself; an empty line ends")
    options = parser.parse_args()
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")

    model = miao.load(options.model)
    messages = [{"role": "system", "content": SYSTEM + POLICY.read_text()}]
    for question in questions(options.talk):
        if not options.talk:
            print(f"{bold}customer >{plain} {question}")
        messages.append({"role": "user", "content": question})
        print(f"{bold}shop     >{plain} ", end="", flush=True)
        answer = model.chat(messages, greedy=True, stop="\n", max_tokens=80)
        for piece in answer:
            print(piece, end="", flush=True)
        print("\n")
        messages.append({"role": "assistant", "content": answer.completion.text})


if __name__ == "__main__":
    main()
