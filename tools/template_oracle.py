#!/usr/bin/env python3
"""Expected renderings of chat templates, made with Python's jinja2 set up as transformers' apply_chat_template does.

  template_oracle.py                 writes tests/golden/templates/families.json and cases.json
  template_oracle.py DIR OUT.json    the same for all *.jinja files of a folder, with the sources inside the file

A golden file holds the versions it was made with, the conversations, and one result for each template and
conversation: {"template", "conversation", "text"} or, where jinja2 raises, {"template", "conversation", "error"}.
Needs: pip install jinja2.
"""
import datetime
import importlib.metadata
import json
import pathlib
import platform
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox


ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "templates"
NOW = 1721995200  # 2024-07-26 12:00 UTC: the same date in nearly every time zone


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


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(NOW).strftime(form)
    env.globals["dict"] = Dict()
    env.globals["namespace"] = Namespace
    return env


def render(source, conversation):
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
        return {"text": environment().from_string(source).render(**variables)}
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


def write(path, conversations, templates, inline):
    results = []
    for name, source in templates:
        for label, conversation in conversations.items():
            results.append({"template": name, "conversation": label, **render(source, conversation)})
    golden = {
        "made_with": {"jinja2": jinja2.__version__, "markupsafe": importlib.metadata.version("markupsafe"),
                      "python": platform.python_version()},
        "now": NOW,
        "conversations": conversations,
        "sources": dict(templates) if inline else {},
        "results": results,
    }
    path.write_text(json.dumps(golden, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    refused = sum("error" in r for r in results)
    print(f"{path.name}: {len(templates)} templates, {len(results)} results, {refused} of them refusals")


def read_folder(folder):
    return [(p.stem, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.jinja"))]


def main():
    conversations = json.loads((ROOT / "conversations.json").read_text(encoding="utf-8"))
    if len(sys.argv) == 3:
        write(pathlib.Path(sys.argv[2]), conversations, read_folder(pathlib.Path(sys.argv[1])), True)
        return
    write(ROOT / "families.json", conversations, read_folder(ROOT / "families"), False)
    context, cases = read_cases(ROOT / "cases.txt")
    write(ROOT / "cases.json", {"context": context}, cases, True)


if __name__ == "__main__":
    main()
