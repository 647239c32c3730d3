import pytest
import tiny

import miao


@pytest.fixture
def tokenizer(model):
    return model.tokenizer


@pytest.mark.parametrize("text", ["", "a", "Hello, world!\n", "\u00e9\u4e2d\u6587 \U0001f600", "\0\x7f", " " * 100, "<|im"])
def test_round_trip(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids == list(text.encode()) and tokenizer.decode(ids) == text


def test_control_tokens(tokenizer):
    text = "a<|im_end|>"
    assert tokenizer.encode(text) == [97, tiny.IM_END]
    assert tokenizer.encode(text, parse_special=False) == list(text.encode())
    assert tokenizer.decode([97, tiny.IM_END]) == "a"
    assert tokenizer.decode([97, tiny.IM_END], skip_special=False) == text


def test_decode_never_fails_on_ids(tokenizer):
    assert tokenizer.decode([]) == "" and tokenizer.decode([97, 10**6, -5, 98]) == "ab"
    assert tokenizer.decode([0xFF, 97]) == "\ufffda"


def test_ids(tokenizer):
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (260, 256, 257, None)
    assert "260" in repr(tokenizer)


def test_it_outlives_its_model(folder):
    model = miao.load(folder)
    tokenizer = model.tokenizer
    del model
    assert tokenizer.encode("ab") == [97, 98]


def test_chat_template(tokenizer):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    want = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    assert tokenizer.apply_chat_template(messages, add_generation_prompt=False) == want
    assert tokenizer.apply_chat_template(messages) == want + "<|im_start|>assistant\n"
    assert '"f"' in tokenizer.apply_chat_template(messages, tools=[{"name": "f"}])
    assert tokenizer.apply_chat_template([]) == "<|im_start|>assistant\n"


@pytest.mark.parametrize("call, error", [
    (lambda t: t.encode(3), TypeError), (lambda t: t.encode(b"a"), TypeError), (lambda t: t.encode(None), TypeError),
    (lambda t: t.encode("\ud800"), UnicodeEncodeError), (lambda t: t.decode("a"), TypeError),
    (lambda t: t.decode(["a"]), TypeError), (lambda t: t.decode(5), TypeError), (lambda t: t.decode([2**40]), miao.Invalid),
    (lambda t: t.apply_chat_template([{"role": "user", "content": "a"}], tools="x"), TypeError),
])
def test_bad_input(tokenizer, call, error):
    with pytest.raises(error):
        call(tokenizer)
