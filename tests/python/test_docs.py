"""The examples of docs/python.md, with tiny models in the place of real ones."""

import pathlib
import re

import tiny

import miao

PAGE = pathlib.Path(__file__).parents[2] / "docs/python.md"


def test_examples_run(folder, model, encoder, classifier, translator, whisper, tasks, monkeypatch, capsys, tmp_path):
    models = {"smollm2": model, "minilm": encoder, "./sentiment": classifier, "./opus-mt-en-fr": translator,
              "./whisper-base": whisper,
              "./names": miao.load(tasks["entities"]), "./squad": miao.load(tasks["answers"]),
              "./cross-encoder": miao.load(tasks["rerank-1"])}
    load = miao.load
    monkeypatch.setattr(miao, "load", lambda ref: models[ref] if ref in models else load(ref))
    monkeypatch.setenv("MIAO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model-f16").symlink_to(folder)
    (tmp_path / "notes.txt").write_text("".join(f"the cat number {i * i} sat on mat {i}\n" for i in range(1500)))
    tiny.write_wav("talk.wav", tiny.sound(2))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks) >= 10 and "invalid" in capsys.readouterr().out
