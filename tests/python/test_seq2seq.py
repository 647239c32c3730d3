"""Encoder-decoders: logits and the sequences of generate() against transformers, and texts."""

import json
import shutil

import numpy as np
import pytest
from conftest import SEQ2SEQ

import miao

MANIFEST = json.loads((SEQ2SEQ / "manifest.json").read_text())
CASES = [case for case in MANIFEST["cases"] if case["inputs"][0]["ids"]]  # the others hear
NAMES = [case["name"] for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_logits_of_transformers(case):
    folder = SEQ2SEQ / case["name"]
    want = np.load(folder / "logits.npy")
    ids, targets = ([i[key] for i in case["inputs"]] for key in ("ids", "decoder_ids"))
    for path in [folder] + [folder / "model.gguf"] * case["gguf"]:
        model = miao.load(path, kv="f32", threads=2)
        batch = model.logits(ids, targets)
        assert [b.shape for b in batch] == [(len(t), model.vocab) for t in targets]
        np.testing.assert_allclose(np.concatenate(batch), want, rtol=0, atol=1e-5 * np.abs(want).max())
        for one, i, t in zip(batch, ids, targets):
            assert model.logits(i, decoder_input_ids=np.array(t)).tobytes() == one.tobytes()


@pytest.mark.parametrize("search", MANIFEST["searches"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_sequences_of_generate(tmp_path, case, search):
    options = MANIFEST["searches"][search]
    folder = tmp_path / "m"
    shutil.copytree(SEQ2SEQ / case["name"], folder)
    settings = json.loads((folder / "generation_config.json").read_text()) | options
    (folder / "generation_config.json").write_text(json.dumps(settings | {"max_new_tokens": MANIFEST["words"]}))
    model = miao.load(folder, kv="f32", threads=2)
    inputs = [i for i in case["inputs"] if i["generate"]]
    best = options.get("num_return_sequences", 1)
    for i, found in zip(inputs, model.generate([i["ids"] for i in inputs], best=best)):
        wanted = next(g for g in i["generate"] if g["name"] == search)
        completions = [found, *found.alternatives]
        assert len(completions) == len(wanted["sequences"])
        for completion, tokens in zip(completions, wanted["sequences"]):
            ended = tokens[-1] == settings["eos_token_id"]
            assert completion.ids == (tokens[:-1] if ended else tokens)
            assert completion.finish_reason == ("end" if ended else "max tokens")
            assert completion.timings == {"prompt_tokens": len(i["ids"]), "new_tokens": len(tokens)}
        if wanted["scores"]:
            np.testing.assert_allclose([c.score for c in completions], wanted["scores"], rtol=1e-4, atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_transformers_now(case):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = SEQ2SEQ / case["name"]
    peer = getattr(transformers, case["architecture"]).from_pretrained(folder, dtype=torch.float32).eval()
    model = miao.load(folder, dtype="fp32")
    ids, target = [5, 9, 2, 7, 11, 3], [model.start_id, 8, 6]
    with torch.no_grad():
        logits = peer(torch.tensor([ids]), decoder_input_ids=torch.tensor([target])).logits[0].numpy()
        state = peer.get_encoder()(torch.tensor([ids])).last_hidden_state[0].numpy()
        beams = peer.generate(torch.tensor([ids]), num_beams=3, max_new_tokens=9)[0, 1:].tolist()
    np.testing.assert_allclose(model.logits(ids, target), logits, rtol=0, atol=1e-5 * np.abs(logits).max())
    np.testing.assert_allclose(model.encode(ids), state, rtol=0, atol=1e-5 * np.abs(state).max())
    got = model.generate(ids, beams=3, max_tokens=9).ids
    assert beams[:len(got)] == got


def test_properties(translator):
    assert translator.kind == "encoder-decoder" and translator.start_id == 0 and translator.labels == []
    assert translator.methods == ["generate", "translate", "logits", "score", "embed", "encode"]


def test_texts(translator):
    texts = ["abc", "a bad cab", "", "dab"]
    all_ = translator.generate(texts, beams=3, best=2, max_tokens=8)
    assert [type(c) for c in all_] == [miao.Completion] * 4
    for text, completion in zip(texts, all_):
        alone = translator.generate(text, beams=3, best=2, max_tokens=8)
        assert (alone.ids, alone.score, alone.text) == (completion.ids, completion.score, completion.text)
        assert str(completion) == completion.text == translator.tokenizer.decode(completion.ids)
        assert len(completion.alternatives) == 1 and completion.alternatives[0].score <= completion.score
        assert completion.alternatives[0].alternatives == []
        ids = translator.tokenizer.encode(text, parse_special=False)
        assert translator.generate(ids, beams=3, max_tokens=8).ids == completion.ids
    assert [c.ids for c in translator.translate(texts, beams=3, max_tokens=8)] == [c.ids for c in all_]
    assert translator.translate("abc", beams=3, max_tokens=8).ids == all_[0].ids
    assert translator.translate([]) == []


def test_greedy_takes_the_largest_logit(translator):
    ids = translator.tokenizer.encode("a bad cab")
    found = translator.generate(ids, max_tokens=9, greedy=True).ids
    logits = translator.logits(ids, [translator.start_id, *found])
    assert found and found == logits.argmax(1).tolist()[:len(found)]


def test_a_prefix_is_held(translator):
    led = translator.generate("abc", prefix="gag", max_tokens=4)
    ids = [translator.start_id, *translator.tokenizer.encode("gag", add_special=False)]
    logits = translator.logits(translator.tokenizer.encode("abc"), ids + led.ids)
    assert led.ids == logits.argmax(1).tolist()[len(ids) - 1:][:len(led.ids)]


def test_seeds_repeat(translator):
    options = {"temperature": 1.5, "max_tokens": 12}
    drawn = translator.generate("abc", **options)
    assert translator.generate("abc", seed=drawn.seed, **options).ids == drawn.ids
    assert len({tuple(translator.generate("abc", seed=s, **options).ids) for s in range(8)}) > 1


def test_control_tokens_in_texts_are_letters(translator):
    count = [c.timings["prompt_tokens"] for c in translator.generate(["ab", "ab<pad>"], max_tokens=1)]
    parsed = translator.generate("ab<pad>", parse_special=True, max_tokens=1).timings["prompt_tokens"]
    assert count[1] > parsed == count[0] + 1


def test_too_long_texts(translator):
    for method in (translator.generate, translator.translate):
        with pytest.raises(miao.Invalid, match="64") as caught:
            method(["ab", "abc " * 100])
        assert caught.value.where.endswith("[1]")
        assert method("abc " * 100, truncate=True, max_tokens=2).timings["prompt_tokens"] == 64


def test_score_is_the_log_softmax(translator):
    text, target = "a bad cab", translator.tokenizer.encode("dab")
    scores = translator.score(text, target)
    assert scores.shape == (len(target),) and scores.dtype == np.float32
    ids = translator.tokenizer.encode(text)
    x = translator.logits(ids, [translator.start_id, *target[:-1]]).astype(np.float64)
    want = x[range(len(target)), target] - x.max(1) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1))
    np.testing.assert_allclose(scores, want, rtol=1e-6)
    assert np.array_equal(translator.score(text, "dab"), scores) and np.array_equal(translator.score(ids, target), scores)


def test_encode_and_embed(translator):
    ids = translator.tokenizer.encode("a bad cab")
    state = translator.encode(ids)
    assert state.shape == (len(ids), 48) and translator.encode([ids, ids[:1]])[0].tobytes() == state.tobytes()
    np.testing.assert_allclose(translator.embed("a bad cab"), state.mean(0), rtol=0, atol=1e-5 * np.abs(state).max())


@pytest.mark.parametrize("call, error, where", [
    (lambda m: m.generate([]), miao.Invalid, "prompt"),
    (lambda m: m.generate([[1], []]), miao.Invalid, "prompt[1]"),
    (lambda m: m.generate([[1], [-1]]), miao.Invalid, "input 2"),
    (lambda m: m.generate([1] * 65), miao.Invalid, "input 1"),
    (lambda m: m.generate(["a", 1]), TypeError, None),
    (lambda m: m.generate([["a"]]), TypeError, None),
    (lambda m: m.generate(None), TypeError, None),
    (lambda m: m.generate("a", stream=True), miao.Unsupported, "stream"),
    (lambda m: m.generate("a", stop="b"), miao.Unsupported, "stop"),
    (lambda m: m.generate("a", logit_bias={1: 1.0}), miao.Unsupported, "logit_bias"),
    (lambda m: m.generate("a", beams=0), miao.Invalid, "beams"),
    (lambda m: m.generate("a", beams=257), miao.Invalid, "beams"),
    (lambda m: m.generate("a", beams=1.5), TypeError, None),
    (lambda m: m.generate("a", beams=2, best=3), miao.Invalid, None),
    (lambda m: m.generate("a", best=2, temperature=1.0), miao.Invalid, "temperature"),
    (lambda m: m.generate("a", greedy=True, temperature=1.0), miao.Invalid, "greedy"),
    (lambda m: m.generate("a", temperature=-1), miao.Invalid, None),
    (lambda m: m.generate("a", top_p=2), miao.Invalid, None),
    (lambda m: m.generate("a", length_penalty=float("nan")), miao.Invalid, "length_penalty"),
    (lambda m: m.generate("a", length_penalty="long"), TypeError, None),
    (lambda m: m.generate("a", repetition_penalty=0), miao.Invalid, "repetition_penalty"),
    (lambda m: m.generate("a", prefix=3), TypeError, None),
    (lambda m: m.generate("a", prefix="gag " * 4000), miao.Invalid, "prefix"),
    (lambda m: m.generate("a", max_tokens=0), miao.Invalid, None),
    (lambda m: m.generate("a", truncate=1), TypeError, None),
    (lambda m: m.translate("a", target="fr"), miao.Unsupported, "source, target"),
    (lambda m: m.translate("a", source=3), TypeError, None),
    (lambda m: m.translate([[1]]), TypeError, None),
    (lambda m: m.translate("a", stop="b"), miao.Unsupported, "stop"),
    (lambda m: m.logits([1]), miao.Invalid, "decoder_input_ids"),
    (lambda m: m.logits([1], []), miao.Invalid, "decoder_input_ids"),
    (lambda m: m.logits([1], [m.vocab]), miao.Invalid, None),
    (lambda m: m.logits([-1], [1]), miao.Invalid, None),
    (lambda m: m.logits([1], [1] * (m.ctx + 1)), miao.Invalid, None),
    (lambda m: m.logits([[1], [2]], [[1]]), miao.Invalid, "decoder_input_ids"),
    (lambda m: m.logits([[1], [2]], [1, 2]), TypeError, None),
    (lambda m: m.logits([1], [0], token_type_ids=[0]), miao.Unsupported, "token_type_ids"),
    (lambda m: m.score("a"), miao.Invalid, "target"),
    (lambda m: m.score("a", []), miao.Invalid, "target"),
    (lambda m: m.score("a", [m.vocab]), miao.Invalid, "ids"),
    (lambda m: m.score([], "a"), miao.Invalid, "text"),
    (lambda m: m.score("abc " * 100, "a"), miao.Invalid, None),
    (lambda m: m.encode([]), miao.Invalid, "input_ids"),
    (lambda m: m.encode([1] * 65), miao.Invalid, "input 1"),
])
def test_bad_arguments(translator, call, error, where):
    with pytest.raises(error) as caught:
        call(translator)
    if where is not None:
        assert caught.value.where == where
    assert len(translator.generate([5], max_tokens=2).ids) <= 2  # and nothing else has happened


def test_settings_that_cannot_be_read(tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(SEQ2SEQ / "t5", folder)
    (folder / "generation_config.json").write_text('{"num_beams": "four"}')
    model = miao.load(folder)
    with pytest.raises(miao.Invalid, match="num_beams"):
        model.generate("a")
    assert model.logits([1], [0]).shape == (1, model.vocab)


def test_languages(tmp_path):
    folder = shutil.copytree(SEQ2SEQ / "m2m_100", tmp_path / "m")
    shutil.copytree(SEQ2SEQ.parent / "sentencepiece" / "m2m", folder, dirs_exist_ok=True)
    model = miao.load(folder)
    first = [model.translate("the cat", source="en", target=t, max_tokens=3).ids[0] for t in ("fr", "de", "fr")]
    assert first[0] == first[2] != first[1]
    assert [c.ids[0] for c in model.translate(["the cat", "a"], source="en", target="de", max_tokens=3)] == [first[1]] * 2
    with pytest.raises(miao.NotFound, match="xx"):
        model.translate("the cat", target="xx")


def test_one_pair_has_no_choice(translator):
    with pytest.raises(miao.Unsupported, match="no choice"):
        translator.translate("abc", target="fr")
