"""The examples of docs/python.md, with a tiny model in the place of a real one."""

import pathlib
import re

import miao

PAGE = pathlib.Path(__file__).parents[2] / "docs/python.md"


def test_examples_run(model, monkeypatch, capsys):
    monkeypatch.setattr(miao, "load", lambda _: model)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks) >= 4 and "invalid" in capsys.readouterr().out
