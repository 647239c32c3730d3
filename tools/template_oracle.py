#!/usr/bin/env python3
"""Expected renderings of chat templates, made with Python's jinja2 set up as transformers' apply_chat_template does.

  template_oracle.py                 writes tests/golden/templates/families.json and cases.json
  template_oracle.py DIR OUT.json    the same for all *.jinja files of a folder, with the sources inside the file
  template_oracle.py --miao FILE [--count 400] [--results docs/results/oracles.json]
                                     writes nothing there: renders the golden files anew, and compares `miao template` on
                                     generated conversations, --count for each template of families/

A golden file holds the versions it was made with, the conversations, and one result for each template and
conversation: {"template", "conversation", "text"} or, where jinja2 raises, {"template", "conversation", "error"}.
Needs: pip install jinja2.
"""
import argparse
import datetime
import importlib.metadata
import json
import pathlib
import platform
import random
import subprocess
import sys
import tempfile
import time

import jinja2
import jinja2.ext
import jinja2.sandbox


ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "templates"
NOW = 1721995200  # 2024-07-26 12:00 UTC: the same date in nearly every time zone
VERSIONS = {"jinja2": jinja2.__version__, "markupsafe": importlib.metadata.version("markupsafe"),
            "python": platform.python_version()}


class Generation(jinja2.ext.Extension):
    """{% generation %}: the body rendered in a scope of its own, as in transformers."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


class Dict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


class Namespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            Namespace.check(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        Namespace.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment(now=NOW):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(now).strftime(form)
    env.globals["dict"] = Dict()
    env.globals["namespace"] = Namespace
    return env


def render(source, conversation, now=NOW):
    """{"text": ...} or {"error": ...}"""
    variables = {
        "messages": conversation["messages"],
        "tools": conversation.get("tools"),
        "documents": conversation.get("documents"),
        "add_generation_prompt": conversation.get("add_generation_prompt", False),
        "bos_token": conversation.get("bos_token", ""),
        "eos_token": conversation.get("eos_token", ""),
        **conversation.get("variables", {}),
    }
    try:
        return {"text": environment(now).from_string(source).render(**variables)}
    except Exception as e:  # whatever a template may raise counts as a refusal
        return {"error": f"{type(e).__name__}: {str(e).splitlines()[0][:120] if str(e) else ''}"}


def read_cases(path):
    """(context, [(name, source)]) of a file of blocks; each starts with a line '--- name'; the first is JSON."""
    blocks = []
    for line in path.read_bytes().decode("utf-8").split("\n"):
        if line.startswith("--- "):
            blocks.append([line[4:].strip(), []])
        elif blocks:
            blocks[-1][1].append(line)
    texts = [(name, "\n".join(lines).removesuffix("\n")) for name, lines in blocks]
    names = [name for name, _ in texts]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    return json.loads(texts[0][1]), texts[1:]


def golden(conversations, templates, inline):
    results = []
    for name, source in templates:
        for label, conversation in conversations.items():
            results.append({"template": name, "conversation": label, **render(source, conversation)})
    return {
        "made_with": VERSIONS,
        "now": NOW,
        "conversations": conversations,
        "sources": dict(templates) if inline else {},
        "results": results,
    }


def write(path, conversations, templates, inline):
    made = golden(conversations, templates, inline)
    path.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    refused = sum("error" in r for r in made["results"])
    print(f"{path.name}: {len(templates)} templates, {len(made['results'])} results, {refused} of them refusals")


def read_folder(folder):
    return [(p.stem, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.jinja"))]


# ---- generated conversations -------------------------------------------------------------------------------------

WORDS = ("Hello what is the capital of France ? Please  \n \n\n \t {{ x }} {% if %} <|im_end|> <|im_start|> [INST] [/INST] <s> </s> "
         "<<SYS>> <think> </think> caf\u00e9 \u4f60\u597d \U0001f600 \u2028 \u00a0 \" ' \\ & < > 1.5 -7 null true '' \x0b \x1f").split(" ")


def make_text(rng):
    if rng.random() < 0.1:
        return rng.choice(("", " ", "\n", "  x  ", "\n\nx\n"))
    return rng.choice((" ", " ", "", "\n")).join(rng.choice(WORDS) for _ in range(rng.choice((1, 3, 8, 20))))


def make_value(rng, depth=0):
    kind = rng.random()
    if kind < 0.4 or depth > 2:
        return rng.choice((make_text(rng), rng.randrange(-5, 100), rng.random() * 10, True, False, None, 0, 1e20, 1e-7))
    if kind < 0.7:
        return [make_value(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {rng.choice(("x", "y", "name", "caf\u00e9", "type")): make_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def make_tool(rng):
    properties = {rng.choice(("city", "unit", "n")): {"type": "string", "description": make_text(rng)} for _ in range(2)}
    function = {"name": rng.choice(("weather", "add")), "description": make_text(rng),
                "parameters": {"type": "object", "properties": properties, "required": list(properties)[:1]}}
    return {"type": "function", "function": function}


def make_message(rng, role):
    if role == "assistant" and rng.random() < 0.25:
        arguments = make_value(rng, 1) if rng.random() < 0.3 else {"x": make_value(rng)}
        calls = [{"id": "call00001", "type": "function", "function": {"name": "add", "arguments": arguments}}]
        return {"role": role, "content": rng.choice((None, "", make_text(rng))), "tool_calls": calls}
    if role == "tool":
        return {"role": role, "name": "add", "tool_call_id": "call00001", "content": make_text(rng)}
    if rng.random() < 0.1:
        return {"role": role, "content": [{"type": "text", "text": make_text(rng)} for _ in range(rng.randrange(3))]}
    return {"role": role, "content": make_text(rng)}


def make_conversation(rng):
    roles = ["system"] if rng.random() < 0.4 else []
    for _ in range(rng.randrange(1, 4)):
        roles += ["user", "assistant"] + (["tool", "assistant"] if rng.random() < 0.2 else [])
    if rng.random() < 0.7:
        roles.pop()
    if rng.random() < 0.1:
        rng.shuffle(roles)
    made = {"messages": [make_message(rng, role) for role in roles], "add_generation_prompt": rng.random() < 0.7}
    if rng.random() < 0.3:
        made["tools"] = [make_tool(rng) for _ in range(rng.randrange(1, 3))]
    if rng.random() < 0.3:
        made["variables"] = {"enable_thinking": rng.random() < 0.5}
    return made


def miao_render(miao, path, conversation):
    command = [miao, "template", path, "--messages", "-"]
    command += [] if conversation["add_generation_prompt"] else ["--no-generation-prompt"]
    for name, value in conversation.get("variables", {}).items():
        command += ["--set", f"{name}={json.dumps(value)}"]
    asked = {k: conversation[k] for k in ("messages", "tools") if k in conversation}
    run = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True)
    return {"text": run.stdout.decode()} if run.returncode == 0 else {"error": run.stderr.decode()}


def compare(miao, count, results):
    """Counts disagreements: of the golden files with this jinja2, and of miao with jinja2 on generated conversations."""
    now, report = time.time(), {}
    conversations = json.loads((ROOT / "conversations.json").read_text(encoding="utf-8"))
    families = read_folder(ROOT / "families")
    context, cases = read_cases(ROOT / "cases.txt")
    for name, made in (("families", golden(conversations, families, False)), ("cases", golden({"context": context}, cases, True))):
        old = json.loads((ROOT / f"{name}.json").read_text(encoding="utf-8"))["results"]
        differ = abs(len(old) - len(made["results"])) + sum(a != b for a, b in zip(old, made["results"]))
        report[f"golden {name}"] = {"templates": len(families if name == "families" else cases),
                                    "renderings": len(made["results"]), "differ": differ}
    refused = differ = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, source in families:
            # The command line sets no begin and end tokens: the template does.
            source = "{%- set bos_token = '<s>' %}{%- set eos_token = '</s>' %}\n" + source
            path = pathlib.Path(folder) / f"{name}.jinja"
            path.write_text(source, encoding="utf-8")
            rng = random.Random(name)
            for _ in range(count):
                conversation = make_conversation(rng)
                want, got = render(source, conversation, now), miao_render(miao, path, conversation)
                refused += "error" in want
                if want.get("text") != got.get("text"):
                    differ += 1
                    if differ <= 10:
                        print(f"{name}: {json.dumps(conversation)[:600]}\n  want {want}\n  got  {got}")
    report["generated"] = {"templates": len(families), "renderings": len(families) * count, "refused": refused, "differ": differ}
    for name, row in report.items():
        print(f"templates, {name}: {row}")
    if results:
        everything = json.loads(results.read_text()) if results.exists() else {}
        everything["templates"] = {"versions": VERSIONS, "date": datetime.date.today().isoformat(), "compared": report}
        results.write_text(json.dumps(everything, indent=1) + "\n")
    return 1 if any(row["differ"] for row in report.values()) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    parser.add_argument("--miao")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--results", type=pathlib.Path)
    a = parser.parse_args()
    conversations = json.loads((ROOT / "conversations.json").read_text(encoding="utf-8"))
    if a.miao:
        return compare(a.miao, a.count, a.results)
    if a.folder:
        write(a.out, conversations, read_folder(a.folder), True)
        return 0
    write(ROOT / "families.json", conversations, read_folder(ROOT / "families"), False)
    context, cases = read_cases(ROOT / "cases.txt")
    write(ROOT / "cases.json", {"context": context}, cases, True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
