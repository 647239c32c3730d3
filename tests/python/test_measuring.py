"""miao.eval() and miao.compress(): the same figures as the program's JSON, functions as figures, and how they fail."""

import json
import math
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tiny

import miao

TEXT = "".join(f"the cat number {i * i} sat on mat {i}\n" for i in range(1500))
TEXTS = [f"the {chr(97 + i % 26)}at sat on {chr(97 + i // 26)}s {'very ' * (i % 3)}{chr(97 + i * i % 23)}" for i in range(200)]
QUESTIONS = [{"question": f"is {i} odd?", "choices": ["yes", "no"], "answer": 1 - i % 2} for i in range(40)]
SMALL = dict(prompt=16, gen=4, types=["Q4_0", "Q8_0"], tries=1, threads=2, text=TEXT)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same model with other weights."""
    return tiny.write(tmp_path_factory.mktemp("other"), seed=2)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MIAO_CACHE", str(tmp_path / "cache"))


def test_a_text_against_a_base(folder, model, other):
    result = miao.eval(other, text=TEXT, against=folder, ctx=64, chunks=10, max_loss=["ppl:2%", "kld:50"], threads=2)
    assert result.units == 10 and result.unit == "chunk" and result.level == 95
    assert result.ppl == result.json["ppl"] == result.metrics["ppl"] > 1
    assert result.kld_mean > 0 and result.kld_p99 > result.kld_median and 0 <= result.same_top1 <= 1
    low, high = result.intervals["ppl"]
    assert low < result.ppl < high
    assert [v.budget for v in result.verdicts] == ["ppl:2%", "kld:50"] and result.verdicts[1].outcome == "passes"
    assert result.verdicts[1].loss == pytest.approx(result.kld_mean) and result.verdicts[1].upper < 50
    assert result.passes == all(v.outcome == "passes" for v in result.verdicts)
    assert result.json["command"].startswith(f"miao.eval(model={str(other)!r}, text='text'")
    with pytest.raises(AttributeError, match="no 'accuracy' here; measured were ppl"):
        _ = result.accuracy
    # Loaded models give the same, and the perplexity is what score() says.
    again = miao.eval(miao.load(other, threads=2), text=TEXT, against=model, ctx=64, chunks=10)
    assert again.metrics == {k: v for k, v in result.metrics.items()} and again.passes and again.verdicts == []
    same = miao.eval(model, text=TEXT, against=model, ctx=64, chunks=4)
    assert same.kld_mean == 0 and same.same_top1 == 1
    scores = []
    ids = model.tokenizer.encode(TEXT, add_special=False)
    for begin in range(0, 256, 64):
        scores += list(model.score(ids[begin:begin + 64])[32:])  # behind the first half and a token
    assert same.ppl == pytest.approx(math.exp(-np.mean(scores, dtype=float)), rel=1e-4)


def test_a_file_is_a_text_too(folder, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    both = [miao.eval(folder, text=text, ctx=64, chunks=2, threads=1) for text in (TEXT, tmp_path / "a.txt")]
    assert both[0].metrics == both[1].metrics and both[1].json["data"]["file"] == str(tmp_path / "a.txt")


def test_choices(folder, other, tmp_path):
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    results = [miao.eval(folder, choices=c, against=other, max_loss="accuracy:99%")
               for c in (QUESTIONS, tmp_path / "q.jsonl", str(tmp_path / "q.jsonl"))]
    assert results[0].metrics == results[1].metrics == results[2].metrics
    assert results[0].units == 40 and 0 <= results[0].accuracy <= 1 and "base_accuracy_norm" in results[0].metrics
    assert results[0].verdicts[0].budget == "accuracy:99%"


def scored_pairs(encoder):
    vectors = encoder.embed(TEXTS)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [(a, b, float(u @ v)) for a, b, u, v in zip(TEXTS, TEXTS[1:], vectors, vectors[1:], strict=False)]


def test_vectors_pairs_and_labels(encoders, encoder, classifier, tmp_path):
    same = miao.eval(encoder, texts=TEXTS, against=encoders["bert"], near=3, max_loss=["cosine:0.1%", "overlap:5%"])
    assert same.units == 200 and same.unit == "text" and same.cosine_mean == pytest.approx(1) and same.passes
    (tmp_path / "texts").write_text("".join(text + "\n" for text in TEXTS))
    coarse = [miao.eval(encoders["bert"], texts=texts, against=encoder, near=3, dtype="int8") for texts in
              (TEXTS, tmp_path / "texts")]
    assert coarse[0].metrics == coarse[1].metrics and coarse[0].cosine_mean < 1
    wide = miao.load(tiny.write_bert(tmp_path / "wide"), threads=2)
    assert miao.eval(wide, pairs=scored_pairs(wide)).spearman == pytest.approx(1, abs=1e-3)
    labels = [(text, classifier.classify(text).label) for text in TEXTS]
    result = miao.eval(classifier, labels=labels, against=classifier, max_loss="accuracy:10%")
    assert result.accuracy == 1 and result.verdicts[0].loss == 0
    assert result.json["command"].endswith("max_loss='accuracy:10%', level=95, dtype='auto', base_dtype='auto')")


def test_what_cannot_be_measured(folder, model, encoder, tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    for call, word in (
        (lambda: miao.eval(folder), "one of text, choices"),
        (lambda: miao.eval(folder, text=TEXT, choices=QUESTIONS), "one of text, choices"),
        (lambda: miao.eval(encoder, texts=TEXTS), "beside those of a base"),
        (lambda: miao.eval(encoder, texts=["a\nb"], against=encoder), r"texts\[0\] is of several lines"),
        (lambda: miao.eval(encoder, pairs=[("a", "b", "c")]), "pairs:1: .*score"),
        (lambda: miao.eval(folder, text=""), "empty"),
        (lambda: miao.eval(folder, text="a"), "token"),
        (lambda: miao.eval(folder, text=tmp_path / "b.txt"), "no UTF-8"),
        (lambda: miao.eval(folder, choices=[{"question": "a"}]), "choices:1: has no list"),
        (lambda: miao.eval(folder, choices=[]), "empty"),
        (lambda: miao.eval(folder, text=TEXT, max_loss="ppl:1%"), "against"),
        (lambda: miao.eval(folder, text=TEXT, against=model, max_loss="many"), "no budget"),
        (lambda: miao.eval(folder, text=TEXT, against=model, ctx=64, chunks=2, max_loss="wer:1%"), "no such loss"),
        (lambda: miao.eval(folder, text=TEXT, level=20), "level"),
        (lambda: miao.eval(folder, text=TEXT, dtype="int3"), "dtype"),
    ):
        with pytest.raises(miao.Invalid, match=word):
            call()
    with pytest.raises(miao.Unsupported, match="for decoders"):
        miao.eval(encoder, text=TEXT)
    with pytest.raises(miao.Unsupported, match="for encoders"):
        miao.eval(folder, texts=TEXTS, against=folder)
    with pytest.raises(ValueError):
        miao.eval(encoder, pairs=[("a", "b")])
    with pytest.raises(miao.NotFound):
        miao.eval(tmp_path / "none.gguf", text=TEXT)
    with pytest.raises(TypeError):
        miao.eval(3, text=TEXT)


def test_two_evaluations_of_the_same_models_do_not_wait_for_each_other_for_ever(model, other):
    second, done = miao.load(other, threads=1), []

    def measure(a, b):
        for _ in range(5):
            done.append(miao.eval(a, text=TEXT, against=b, ctx=64, chunks=2).kld_mean)

    threads = [threading.Thread(target=measure, args=pair, daemon=True) for pair in ((model, second), (second, model))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(done) == 10


def test_compress_with_a_figure_of_ones_own(folder, tmp_path):
    asked = []

    def score(path):
        asked.append(path)
        size = sum(f.stat().st_size for f in pathlib.Path(path).iterdir()) if pathlib.Path(path).is_dir() else 0
        return np.float32(100 if size else 99.5)

    result = miao.compress(folder, tmp_path / "out", max_loss="evaluate:1%", evaluate=score, kv=["int8"], **SMALL)
    assert result.json["candidates"][0]["kv"] == "INT8"
    assert result.kept and result.misses == [] and result.file == tmp_path / "out/model.gguf" and result.file.exists()
    assert len(asked) == 2 and asked[0] == str(folder)
    assert result.evaluate == 99.5 and result.base_evaluate == 100 and result.verdicts[0].upper is None
    assert result.verdicts[0].loss == pytest.approx(0.005) and result.verdicts[0].outcome == "passes"
    assert result.bytes == result.file.stat().st_size and result.speed > 0 and result.kld_mean >= 0
    assert json.loads((tmp_path / "out/report.json").read_text()) == result.json
    assert {"report.html", "report.md", "reproduce.sh", "types.txt"} <= {f.name for f in (tmp_path / "out").iterdir()}
    assert "evaluate='test_compress_with_a_figure_of_ones_own.<locals>.score'" in result.json["command"]
    assert len(result.json["command"]) < 1000  # without the text
    assert len(miao.load(result.file).generate("a", max_tokens=3, ignore_end=True).ids) == 3

    lower = miao.compress(folder, tmp_path / "out", max_loss="evaluate:0.4", evaluate=score, **SMALL)
    assert not lower.kept and "as it was printed" in lower.misses[0] and lower.file.name == "nearest.gguf"


def test_compress_with_other_budgets(folder, tmp_path):
    result = miao.compress(folder, tmp_path / "out", max_loss=["kld:9", "accuracy:99%"], max_size="60%", max_latency=60,
                           max_memory=10 ** 9, choices=QUESTIONS, **SMALL)
    assert result.kept, result.misses
    assert [v.budget for v in result.verdicts] == ["kld:9", "accuracy:99%"] and result.json["questions"]["final"] == 24
    assert result.json["limits"] == {"request_seconds": 60, "bytes_share": 0.6, "memory": 1e9}


def test_what_a_figure_raises_ends_the_search(folder, tmp_path):
    class Mine(Exception):
        pass

    def broken(path):
        if path != str(folder):
            raise Mine("of a candidate")
        return 1.0

    with pytest.raises(Mine, match="of a candidate"):
        miao.compress(folder, tmp_path / "out", max_loss="evaluate:1%", evaluate=broken, **SMALL)
    assert not (tmp_path / "out/model.gguf").exists()
    assert len(list((tmp_path / "out/.miao-compress").glob("*.gguf"))) >= 1  # what was built
    for figure, error, word in ((math.nan, miao.Invalid, "no finite number"), ("much", TypeError, "evaluate returned"),
                                (None, TypeError, "evaluate returned"), (0, miao.Invalid, "nothing is a share")):
        with pytest.raises(error, match=word):
            miao.compress(folder, tmp_path / "out", max_loss="evaluate:1%", evaluate=lambda _, f=figure: f, **SMALL)


def test_compress_an_encoder(tmp_path):
    folder = tiny.write_bert(tmp_path / "bert")
    encoder = miao.load(folder, threads=2)
    pairs = scored_pairs(encoder)
    result = miao.compress(folder, tmp_path / "out", max_loss=["spearman:90%", "cosine:90%"], pairs=pairs,
                           text="".join(text + "\n" for text in TEXTS), near=2, batch=8, lengths="uniform:4:16",
                           types=["Q4_0", "Q8_0"], tries=1, threads=2)
    assert result.kept and result.spearman > 0.1 and [v.budget for v in result.verdicts] == ["spearman:90%", "cosine:90%"]
    latency = result.json["latency"]
    assert latency["lengths"] == "uniform:4:16" and latency["base"]["expected_seconds"] > 0 < latency["own"]["expected_seconds"]
    assert "lengths='uniform:4:16'" in result.json["command"] and "pairs='pairs'" in result.json["command"]
    assert miao.load(result.file).embed("the cat").shape == encoder.embed("the cat").shape


def test_compress_of_wrong_arguments(folder, encoder, tmp_path):
    for given, word in (({}, "no budget to keep"), ({"max_loss": "evaluate:1%"}, "no figure of your own"),
                        ({"max_loss": "accuracy:1%"}, "is of questions"), ({"max_loss": "wer:1%"}, "not measured here"),
                        ({"min_speed": "fast"}, "factor of speed"), ({"max_size": "small"}, "no.*size"),
                        ({"max_ttft": "5"}, "time with its unit"), ({"max_loss": "1%", "text": ""}, "empty"),
                        ({"max_loss": "1%", "types": ["Q9_9"]}, "no type of weights"),
                        ({"max_loss": "1%", "kv": ["int3"]}, "no type of keys and values"),
                        ({"max_loss": "1%", "lengths": "wide"}, "lengths"),
                        ({"max_loss": "1%", "lengths": [3, 0]}, "lengths"), ({"max_loss": "1%", "tries": 0}, "tries"), ({"max_loss": "1%", "text": "short"}, "text")):
        with pytest.raises(miao.Invalid, match=word):
            miao.compress(folder, tmp_path / "out", **(SMALL | given))
    with pytest.raises(TypeError):
        miao.compress(folder, tmp_path / "out", max_loss="1%", surprise=1)


@pytest.mark.parametrize("evaluate", ["None", "lambda path: [1.0, print('begin', flush=True), time.sleep(60)][0]"])
def test_ctrl_c(folder, tmp_path, evaluate):
    program = f"""
import sys, time, miao
evaluate = {evaluate}
text = "".join("the cat number %d sat on mat %d\\n" % (i * i, i) for i in range(20000))
if not evaluate: print("begin", flush=True)
try:
    miao.compress(sys.argv[1], sys.argv[2], max_loss="1%", evaluate=evaluate, text=text, tries=100, fresh=True)
except KeyboardInterrupt:
    print("stopped")
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(folder), str(tmp_path / "out")], stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == "begin\n"
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert out == "stopped\n" and process.returncode == 0 and time.monotonic() - begin < 20
