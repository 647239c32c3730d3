import copy
import json
import logging
import pickle
import resource
import shutil

import pytest
import tiny
from conftest import GOLDEN

import miao

CODES = {miao.NotFound: "not_found", miao.Corrupt: "corrupt", miao.Unsupported: "unsupported", miao.Invalid: "invalid",
         miao.OutOfMemory: "out_of_memory", miao.Busy: "busy", miao.Cancelled: "cancelled", miao.Io: "io",
         miao.Device: "device", miao.Bug: "bug"}


@pytest.mark.parametrize("kind", CODES)
def test_hierarchy(kind):
    error = kind("a: b", "a")
    assert isinstance(error, miao.Error) and (error.code, error.where, str(error)) == (CODES[kind], "a", "a: b")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind and (str(other), other.where) == ("a: b", "a")


def test_standard_bases():
    assert issubclass(miao.Invalid, ValueError) and issubclass(miao.OutOfMemory, MemoryError)
    assert issubclass(miao.Io, OSError) and not issubclass(miao.NotFound, OSError)


def broken(tmp_path, change):
    folder = tiny.write(tmp_path / "m")
    change(folder)
    return folder


def config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return change


@pytest.mark.parametrize("change, error, where", [
    (lambda f: (f / "config.json").write_text("{"), miao.Error, "config.json"),
    (lambda f: (f / "config.json").unlink(), miao.NotFound, ""),
    (lambda f: (f / "model.safetensors").unlink(), miao.NotFound, ""),
    (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), miao.Error, "model.safetensors"),
    (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]), miao.Corrupt,
     "model.safetensors"),
    (config(architectures=["Nonsense"]), miao.Unsupported, ""),
    (config(hidden_size=-1), miao.Invalid, "hidden_size"),
    (config(hidden_size=48), miao.Error, ""),
    (config(num_hidden_layers=10**9), miao.Error, ""),
])
def test_broken_models(tmp_path, change, error, where):
    with pytest.raises(error) as caught:
        miao.load(broken(tmp_path, change))
    assert where in str(caught.value) and not isinstance(caught.value, miao.Bug)


def test_a_broken_tokenizer_is_no_hindrance_to_ids(tmp_path):
    model = miao.load(broken(tmp_path, lambda f: (f / "tokenizer.json").write_text("[]")))
    assert len(model.logits([1, 2])) == 2
    for _ in range(2):
        with pytest.raises(miao.Error):
            model.tokenizer


def test_ids_are_continued_without_a_tokenizer(folder, tmp_path):
    mute = miao.load(broken(tmp_path, lambda f: (f / "tokenizer.json").unlink()))
    options = {"greedy": True, "max_tokens": 12, "ignore_end": True}
    got = mute.generate([1, 2, 3], **options)
    assert got.ids == miao.load(folder).generate([1, 2, 3], **options).ids and len(got.ids) == 12
    assert got.text == "" and got.finish_reason == "max tokens"
    assert list(mute.generate([1, 2, 3], stream=True, **options)) == []
    for call in lambda: mute.generate("text"), lambda: mute.generate([1], stop="x", **options):
        with pytest.raises((miao.NotFound, miao.Unsupported), match="tokenizer.json"):
            call()


def test_errors_name_no_flags_of_the_program(folder):
    with pytest.raises(miao.Invalid, match=r"raise the context length \(ctx\)"):
        miao.load(folder, ctx=4).generate([1, 2, 3, 4], max_tokens=1)


@pytest.mark.parametrize("options, error", [
    ({"threads": -1}, miao.Invalid), ({"threads": 10**6}, miao.Invalid), ({"threads": "two"}, TypeError),
    ({"ctx": -1}, miao.Invalid), ({"ctx": 2**40}, miao.Invalid), ({"ctx": 1.5}, TypeError), ({"dtype": "int3"}, miao.Invalid),
    ({"dtype": None}, TypeError), ({"kv": "q4"}, miao.Invalid), ({"kv": 4}, TypeError), ({"isa": "mmx"}, miao.Error),
    ({"nonsense": 1}, TypeError),
])
def test_bad_options(folder, options, error):
    with pytest.raises(error):
        miao.load(folder, **options)


@pytest.mark.parametrize("ref, error", [
    ("/no/such/model", miao.NotFound), ("hf:", miao.Invalid), ("", miao.Error), (3, TypeError), (None, TypeError),
    ("a\0b", ValueError), (b"/no/such/model", miao.NotFound), ("\udcff", miao.NotFound),
])
def test_bad_references(ref, error):
    with pytest.raises(error):
        miao.load(ref)


def test_a_system_that_opens_no_files(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError) as caught:
            miao.load(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(caught.value, miao.Io) and str(folder) in caught.value.where


def test_paths(tmp_path):
    odd = tmp_path / "\u4e2d \U0001f600"
    shutil.copytree(GOLDEN / "llama", odd)
    assert miao.load(str(odd)).family == miao.load(odd).family == miao.load(bytes(odd)).family == "llama"


def test_warnings_go_to_logging(folder, caplog):
    with caplog.at_level(logging.INFO, "miao"):
        miao.load(folder, ctx=1 << 19, isa="scalar")
    assert any(r.levelname == "WARNING" and "positions" in r.getMessage() for r in caplog.records)


def test_models_cannot_be_made_or_copied(model):
    for call in (miao.Model, miao.Stream, miao.Completion, lambda: copy.copy(model), lambda: pickle.dumps(model)):
        with pytest.raises(TypeError):
            call()
