"""Every kind of model says what it can do, and refuses the rest with a word about it."""

import pytest
import tiny

import miao

CALLS = {
    "generate": lambda m: m.generate("a", max_tokens=1),
    "chat": lambda m: m.chat([{"role": "user", "content": "a"}], stream=False, max_tokens=1),
    "translate": lambda m: m.translate("a", max_tokens=1),
    "logits": lambda m: m.logits([1], [0] if "translate" in m.methods else None),
    "score": lambda m: m.score("ab", "c" if "translate" in m.methods else None),
    "embed": lambda m: m.embed("a"),
    "encode": lambda m: m.encode([1]),
    "index": lambda m: m.index(texts=["a"]),
    "classify": lambda m: m.classify("a"),
    "explain": lambda m: m.explain("a"),
    "rerank": lambda m: m.rerank("a", ["b"]),
    "entities": lambda m: m.entities("a"),
    "answer": lambda m: m.answer("a", "b"),
    "transcribe": lambda m: m.transcribe(tiny.sound(1), temperature=0),
}


@pytest.fixture(scope="module")
def models(model, translator, whisper, encoders, tasks):
    return [model, translator, whisper, *map(miao.load, [*encoders.values(), tasks["rerank-1"], tasks["rerank-2"]])]


def test_what_models_can_do(models):
    for model in models:
        for name, call in CALLS.items():
            if name in model.methods:
                call(model)
                continue
            with pytest.raises(miao.Unsupported) as caught:
                call(model)
            assert caught.value.where == name and f"it has {', '.join(model.methods)}" in str(caught.value)
        assert set(model.methods) <= set(CALLS)


def test_arguments_of_other_kinds(model, encoder, classifier):
    for call, where in [(lambda: model.generate("a", beams=2), "beams"), (lambda: model.score("a", "b"), "target"),
                        (lambda: model.logits([1], [1]), "decoder_input_ids"),
                        (lambda: model.logits([[1]], token_type_ids=[[0]]), "token_type_ids"),
                        (lambda: classifier.logits([1], [1]), "decoder_input_ids"),
                        (lambda: model.chat([], prefix="a"), "prefix")]:
        with pytest.raises(miao.Unsupported) as caught:
            call()
        assert caught.value.where == where


def test_lists_of_prompts(model):
    options = {"max_tokens": 9, "ignore_end": True, "temperature": 1.0}
    both = model.generate(["ab", "cd"], seed=3, **options)
    assert [c.ids for c in both] == [model.generate(t, seed=3 + i, **options).ids for i, t in enumerate(["ab", "cd"])]
    assert [c.ids for c in model.generate([[97, 98], [99, 100]], seed=3, **options)] == [c.ids for c in both]
    assert both[0].score is None and both[0].alternatives == []
    with pytest.raises(TypeError):
        model.generate(["ab"], stream=True)
    with pytest.raises(miao.Invalid, match=r"prompt\[1\]"):
        model.generate(["ab", ""])
