"""miao.lm_eval: the harness's requests, and a small task of its own, without the network. `make lm-eval-test` installs it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import miao

pytestmark = pytest.mark.oracle
lm_eval = pytest.importorskip("lm_eval")
from lm_eval.api.instance import Instance  # noqa: E402

import miao.lm_eval  # noqa: E402


@pytest.fixture(scope="module")
def lm(model):
    return miao.lm_eval.MiaoLM(model)


def requests(kind, arguments):
    return [Instance(request_type=kind, doc={}, arguments=a, idx=i) for i, a in enumerate(arguments)]


def log_probabilities(model, ids):
    rows = model.logits(ids).astype(np.float64)
    return rows - np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True)) - rows.max(1, keepdims=True)


def test_loglikelihood(lm, model):
    pairs = [("the cat", " sat"), ("the cat ", "sat on"), ("", "the cat")]
    answers = lm.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True)
    encode = model.tokenizer.encode
    for (context, continuation), (value, greedy) in zip(pairs, answers):
        whole = encode(context + continuation, add_special=False)
        count = len(whole) - len(encode(context.rstrip(), add_special=False)) if context else len(whole)
        ids = ([] if context else [model.tokenizer.bos_id]) + whole
        rows = log_probabilities(model, ids[:-1])[-count:]
        assert value == pytest.approx(sum(rows[i, t] for i, t in enumerate(ids[-count:])), abs=1e-6)
        assert greedy == all(rows.argmax(1) == ids[-count:])
    # What the model itself would say next is greedy.
    answer = model.generate("the cat", max_tokens=3, greedy=True, ignore_end=True)
    text = model.tokenizer.decode(answer.ids)
    if encode("the cat" + text, add_special=False)[-3:] == list(answer.ids):
        assert lm.loglikelihood(requests("loglikelihood", [("the cat", text)]), disable_tqdm=True)[0][1]


def test_texts_longer_than_the_context_lose_their_beginning(folder):
    lm = miao.lm_eval.MiaoLM(folder, max_length=32, threads=2)
    assert lm.max_length == 32
    (long, _), (short, _) = lm.loglikelihood(requests("loglikelihood", [("x" * 100 + "y" * 30, "abc"), ("y" * 30, "abc")]),
                                             disable_tqdm=True)
    assert long == pytest.approx(short, abs=1e-6)
    assert len(lm.generate_until(requests("generate_until", [("x" * 100, {"max_gen_toks": 5})]), disable_tqdm=True)) == 1


def test_rolling(lm, folder, model):
    text = "the cat sat on the mat " * 4
    ids = model.tokenizer.encode(text, add_special=False)
    (whole,) = lm.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,)]), disable_tqdm=True)
    assert whole == pytest.approx(float(model.score([model.tokenizer.bos_id, *ids]).sum()), rel=1e-5)
    short = miao.lm_eval.MiaoLM(folder, max_length=32, threads=2)
    (parts,) = short.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,)]), disable_tqdm=True)
    assert np.isfinite(parts) and parts != whole


def test_generate_until(lm, model):
    free = model.generate("the cat", max_tokens=40, greedy=True).text
    stop = next(letter for letter in free[1:] if letter.isascii() and letter.isprintable())
    asked = [("the cat", {"max_gen_toks": 40}), ("the cat", {"max_new_tokens": 40, "until": [stop], "do_sample": False}),
             ("the cat", {"max_gen_toks": 12, "temperature": 1.0, "seed": 1, "do_sample": True})]
    answers = lm.generate_until(requests("generate_until", asked), disable_tqdm=True)
    assert answers[0] == free and answers[1] == free[:free.index(stop)]
    assert answers[2] == model.generate("the cat", max_tokens=12, temperature=1.0, seed=1).text


def test_only_decoders(encoder):
    with pytest.raises(miao.Unsupported, match="asks decoders"):
        miao.lm_eval.MiaoLM(encoder)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Two tasks of a local file: multiple choice, and a text that has to come."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "odd.jsonl").write_text("".join(
        json.dumps({"question": f"is {i} odd?", "choices": ["yes", "no"], "answer": 1 - i % 2}) + "\n" for i in range(20)))
    common = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / 'odd.jsonl'}}}}}\ntest_split: test\n"
    (folder / "odd.yaml").write_text(
        f"task: odd\n{common}output_type: multiple_choice\ndoc_to_text: \"Question: {{{{question}}}}\\nAnswer:\"\n"
        "doc_to_choice: choices\ndoc_to_target: answer\nmetric_list: [{metric: acc}]\n")
    (folder / "said.yaml").write_text(
        f"task: said\n{common}output_type: generate_until\ndoc_to_text: \"{{{{question}}}}\"\ndoc_to_target: \"yes\"\n"
        "generation_kwargs: {until: [\"\\n\"], max_gen_toks: 4}\nmetric_list: [{metric: exact_match}]\n")
    return folder


def test_a_task(task, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from lm_eval.tasks import TaskManager
    manager = TaskManager(include_path=str(task), include_defaults=False)
    found = lm_eval.simple_evaluate(model="miao", model_args={"pretrained": str(folder), "threads": 2}, tasks=["odd", "said"],
                                    task_manager=manager, bootstrap_iters=0)["results"]
    questions = [json.loads(line) for line in (task / "odd.jsonl").read_text().splitlines()]
    own = miao.eval(folder, choices=questions, threads=2)
    assert found["odd"]["acc,none"] == pytest.approx(own.accuracy)  # miao's own evaluation asks the same
    assert 0 <= found["said"]["exact_match,none"] <= 1


def test_the_command_line(task, folder, tmp_path):
    done = subprocess.run([sys.executable, "-m", "miao.lm_eval", "run", "--model", "miao", "--model_args",
                           f"pretrained={folder},threads=2", "--include_path", task, "--tasks", "odd", "--limit", "4"],
                          capture_output=True, text=True, env={**os.environ, "HF_HOME": str(tmp_path),
                                                               "HF_HUB_OFFLINE": "1"}, cwd=tmp_path)
    assert done.returncode == 0 and "odd" in done.stdout and "acc" in done.stdout, done.stderr[-3000:]
