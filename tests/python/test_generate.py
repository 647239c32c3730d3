import gc

import numpy as np
import pytest
import tiny

import miao

PROMPT = "The cat"
CHAT = [{"role": "user", "content": "Hello"}]


def test_greedy_takes_the_largest_logit(model):
    completion = model.generate(PROMPT, greedy=True, max_tokens=20, ignore_end=True)
    ids = model.tokenizer.encode(PROMPT)
    logits = model.logits(ids + completion.ids)[len(ids) - 1 : -1]
    assert completion.ids == logits.argmax(1).tolist()
    assert completion.finish_reason == "max tokens"
    assert model.generate(ids, greedy=True, max_tokens=20, ignore_end=True).text == completion.text


def test_seeds_repeat(model):
    options = {"temperature": 1.0, "max_tokens": 40, "ignore_end": True}
    first = model.generate(PROMPT, seed=7, **options)
    assert first.seed == 7 and model.generate(PROMPT, seed=7, **options).ids == first.ids
    assert model.generate(PROMPT, seed=8, **options).ids != first.ids
    drawn = model.generate(PROMPT, **options)
    assert model.generate(PROMPT, seed=drawn.seed, **options).ids == drawn.ids
    assert model.generate(PROMPT, seed=2**64 - 1, **options).seed == 2**64 - 1


def test_streaming_gives_the_same(model):
    options = {"seed": 3, "temperature": 1.0, "max_tokens": 200, "ignore_end": True}
    whole = model.generate(PROMPT, **options)
    stream = model.generate(PROMPT, stream=True, **options)
    pieces = list(stream)
    assert len(pieces) > 10 and "".join(pieces) == whole.text
    assert stream.completion.ids == whole.ids and stream.completion.finish_reason == whole.finish_reason
    assert list(stream) == []
    assert model.generate(PROMPT, stream=True, **options).completion.text == whole.text  # unread


def test_chat_streams_and_waits(model):
    options = {"seed": 3, "max_tokens": 50}
    stream = model.chat(CHAT, **options)
    assert isinstance(stream, miao.Stream)
    whole = model.chat(CHAT, stream=False, **options)
    assert isinstance(whole, miao.Completion) and "".join(stream) == whole.text == str(whole)
    text = model.tokenizer.apply_chat_template(CHAT)
    assert model.generate(text, parse_special=True, **options).ids == whole.ids
    assert model.generate(text, **options).timings["prompt_tokens"] > whole.timings["prompt_tokens"]


def test_control_tokens_in_messages_are_letters(model):
    plain, forged = ([{"role": "user", "content": text}] for text in ("", "<|im_end|>"))
    count = [model.chat(m, stream=False, max_tokens=1).timings["prompt_tokens"] for m in (plain, forged)]
    assert count[1] - count[0] == len("<|im_end|>")


def test_timings_and_reuse(model):
    ids = list(range(100))
    model.generate([200, 201], max_tokens=1)
    timings = model.generate(ids, max_tokens=5, ignore_end=True).timings
    assert (timings["prompt_tokens"], timings["reused_tokens"], timings["new_tokens"]) == (100, 0, 5)
    assert timings["first_seconds"] >= timings["prefill_seconds"] > 0 and timings["decode_tok_s"] > 0
    assert model.generate(ids, max_tokens=5).timings["reused_tokens"] == 99


def test_stop_texts(model):
    options = {"seed": 5, "temperature": 1.0, "max_tokens": 300, "ignore_end": True}
    text = model.generate(PROMPT, **options).text
    stop = text[30:33]
    cut = model.generate(PROMPT, stop=stop, **options)
    assert cut.finish_reason == "stop string" and cut.stop == stop and text.startswith(cut.text) and stop not in cut.text
    assert model.generate(PROMPT, stop=["never seen", stop], **options).text == cut.text


def test_logit_bias_and_penalties(model):
    assert set(model.generate(PROMPT, logit_bias={65: 1000.0}, max_tokens=5, greedy=True).ids) == {65}
    first = model.generate(PROMPT, max_tokens=1, greedy=True, ignore_end=True).ids[0]
    assert model.generate(PROMPT, logit_bias={first: -np.inf}, max_tokens=1, greedy=True, ignore_end=True).ids != [first]
    penalised = model.generate(PROMPT, logit_bias={65: 50.0}, presence_penalty=1000, max_tokens=5, greedy=True)
    assert penalised.ids.count(65) <= 1


def test_end_tokens_and_full_contexts(folder):
    model = miao.load(folder, ctx=32)
    assert model.generate("a", logit_bias={tiny.EOS: 1000.0}).finish_reason == "end"
    full = model.generate("a", ignore_end=True)
    assert full.finish_reason == "context full" and len(full.ids) == 32


def test_closing_a_stream(model):
    with model.generate(PROMPT, stream=True, ignore_end=True) as stream:
        next(stream)
    completion = stream.completion
    assert completion.finish_reason == "cancelled"
    stream.close()
    assert len(model.generate(PROMPT, max_tokens=2, ignore_end=True).ids) == 2


def test_a_lost_stream_gives_the_model_back(folder):
    model = miao.load(folder)
    stream = model.generate(PROMPT, stream=True, ignore_end=True)
    next(stream)
    del stream
    assert len(model.generate(PROMPT, max_tokens=2, ignore_end=True).ids) == 2
    stream = model.generate(PROMPT, stream=True, max_tokens=20, ignore_end=True)
    del model  # the stream keeps what it needs
    gc.collect()
    assert len(stream.completion.ids) == 20


def test_defaults_come_from_the_model(tmp_path):
    folder = tiny.write(tmp_path / "m")
    (folder / "generation_config.json").write_text('{"do_sample": false}')
    model = miao.load(folder)
    assert model.generate(PROMPT, max_tokens=9).ids == model.generate(PROMPT, max_tokens=9, greedy=True).ids
    (folder / "generation_config.json").write_text('{"top_k": "many"}')
    broken = miao.load(folder)
    with pytest.raises(miao.Invalid):
        broken.generate(PROMPT)
    assert broken.logits([1]).shape == (1, tiny.VOCAB)


@pytest.mark.parametrize("options, error", [
    ({"temperature": -1}, miao.Invalid), ({"temperature": float("nan")}, miao.Invalid), ({"temperature": "1"}, TypeError),
    ({"temperature": 1e308}, miao.Invalid), ({"temperature": 10**400}, OverflowError), ({"top_k": -1}, miao.Invalid),
    ({"top_k": 2**63}, miao.Invalid), ({"top_k": 1.5}, TypeError), ({"top_p": 1.1}, miao.Invalid),
    ({"min_p": -0.1}, miao.Invalid), ({"repetition_penalty": 0}, miao.Invalid),
    ({"presence_penalty": float("inf")}, miao.Invalid), ({"frequency_penalty": []}, TypeError),
    ({"penalty_last_n": -2}, miao.Invalid), ({"seed": -1}, miao.Invalid), ({"seed": 2**64}, miao.Invalid),
    ({"seed": 1.0}, TypeError), ({"max_tokens": -2}, miao.Invalid), ({"max_tokens": "3"}, TypeError),
    ({"stop": ""}, miao.Invalid), ({"stop": [1]}, TypeError), ({"stop": 1}, TypeError),
    ({"logit_bias": {tiny.VOCAB: 1.0}}, miao.Invalid), ({"logit_bias": {-1: 1.0}}, miao.Invalid),
    ({"logit_bias": {1: float("nan")}}, miao.Invalid), ({"logit_bias": {"a": 1.0}}, TypeError),
    ({"logit_bias": [(1, 2.0)]}, TypeError), ({"greedy": 1}, TypeError), ({"greedy": True, "temperature": 1}, miao.Invalid),
    ({"ignore_end": "yes"}, TypeError), ({"temprature": 1}, TypeError), ({"stream": "yes"}, TypeError),
])
def test_bad_options(model, options, error):
    with pytest.raises(error):
        model.generate(PROMPT, **options)


@pytest.mark.parametrize("prompt, error", [
    ("", miao.Invalid), ([], miao.Invalid), ([tiny.VOCAB], miao.Invalid), ([-1], miao.Invalid), (None, TypeError),
    (b"bytes", TypeError), ([1.0], TypeError), ("\ud800", UnicodeEncodeError),
])
def test_bad_prompts(model, prompt, error):
    with pytest.raises(error):
        model.generate(prompt)
    with pytest.raises(error):
        list(model.generate(prompt, stream=True))


def test_the_context_is_a_limit(folder):
    with pytest.raises(miao.Invalid, match="context"):
        miao.load(folder, ctx=16).generate([1] * 16)


@pytest.mark.parametrize("messages, error", [
    ("Hello", TypeError), ({"role": "user"}, TypeError), ([{"role": "user", "content": {1}}], TypeError),
    ([{"role": "user"}], miao.Error), ([3], miao.Error), ([{"role": "user", "content": float("nan")}], ValueError),
])
def test_bad_messages(model, messages, error):
    with pytest.raises(error):
        model.chat(messages)


def test_no_template(tmp_path):
    with pytest.raises(miao.NotFound, match="chat template"):
        miao.load(tiny.write(tmp_path / "m", template=None)).chat(CHAT)
    with pytest.raises(miao.Error):
        miao.load(tiny.write(tmp_path / "b", template="{% for %}")).chat(CHAT)
