#!/usr/bin/env python3
"""Writes docs/cli.md from the program's own --help.

usage: gen_cli_docs.py MIAO [--check]     MIAO is the built program; --check only says whether docs/cli.md is up to date
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.join(ROOT, "docs", "cli.md")

HEAD = """# Command line

<!-- Written by tools/gen_cli_docs.py from miao --help: change the verbs in src/cli/verbs/, then run it. -->

Data goes to standard output, messages and progress to standard error. A progress bar is drawn on terminals only. An
error is one line, `miao: error: <place>: <message>`, and the exit code says what kind it was.

| code | meaning |
|---|---|
| 0 | done |
| 1 | wrong input, file, model or network |
| 2 | wrong usage: unknown verb or flag, missing argument, a value that a flag does not take |
| 4 | a budget of quality (`--max-loss`) that is not kept, or that too little was measured to show |
| 70 | an error in miao itself; please report it |
| 130 | interrupted (Ctrl-C, SIGTERM); what was downloaded so far is kept and continued by the next call |

When the reader of standard output goes away (`miao ls | head -1`), miao ends by SIGPIPE without a message.

The variables that the verbs honour are in [environment.md](environment.md).
"""


def run(program, *args):
    env = dict(os.environ, COLUMNS="100", NO_COLOR="1")
    return subprocess.run([program, *args], env=env, check=True, capture_output=True, text=True).stdout.rstrip()


def document(program):
    with open(os.path.join(ROOT, "src", "cli", "verbs.inc")) as f:
        verbs = re.findall(r"^X\((\w+)\)", f.read(), re.M)
    parts = [HEAD, "## miao", "```text\n%s\n```" % run(program, "--help")]
    for verb in verbs:
        parts.append("## miao %s\n\n```text\n%s\n```" % (verb, run(program, verb, "--help")))
    return "\n".join(parts[:1]) + "\n" + "\n\n".join(parts[1:]) + "\n"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    text = document(arguments[0])
    if "--check" not in sys.argv:
        with open(TARGET, "w") as f:
            f.write(text)
        return
    with open(TARGET) as f:
        if f.read() != text:
            sys.exit("docs/cli.md is out of date: run tools/gen_cli_docs.py")


if __name__ == "__main__":
    main()
