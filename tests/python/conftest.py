import os
import pathlib

import pytest
import tiny

import miao

ROOT = pathlib.Path(__file__).parents[2]
ALL_GOLDEN = ROOT / "tests/golden"
REAL_MODELS = pathlib.Path(os.environ.get("MIAO_TEST_MODELS", ROOT / "build/models"))  # scripts/test_models.sh
GOLDEN = ALL_GOLDEN / "models"
ENCODERS = ALL_GOLDEN / "encoders"
SEQ2SEQ = ALL_GOLDEN / "seq2seq"
TASKS = ALL_GOLDEN / "tasks"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model that talks; see tiny.py."""
    return tiny.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def real_model():
    """SmolLM2-135M in Q4_1."""
    path = REAL_MODELS / "smollm2-q4_1.gguf"
    if not path.exists():
        pytest.skip(f"needs {path.name} in {REAL_MODELS}")
    return path


@pytest.fixture(scope="session")
def model(folder):
    return miao.load(folder, threads=2)


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Folders of encoders of the kinds there are, with a tokenizer, by the names of tests/golden/encoders."""
    names = ["bert", "bert-sequence", "bert-tokens", "bert-span"]
    root = tmp_path_factory.mktemp("encoders")
    return {name: tiny.with_tokenizer(ENCODERS / name, root / name) for name in names}


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    """Folders of encoders with heads, by the names of tests/golden/tasks."""
    root = tmp_path_factory.mktemp("tasks")
    tokenizer = (TASKS / "tokenizer.json").read_text()
    return {name: tiny.with_tokenizer(TASKS / name, root / name, tokenizer)
            for name in ("entities", "answers", "rerank-1", "rerank-2")}


@pytest.fixture(scope="session")
def encoder(encoders):
    return miao.load(encoders["bert"], threads=2)


@pytest.fixture(scope="session")
def classifier(encoders):
    return miao.load(encoders["bert-sequence"], threads=2)


@pytest.fixture(scope="session")
def translator():
    """An encoder-decoder."""
    return miao.load(SEQ2SEQ / "t5", threads=2)


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    return tiny.write_whisper(tmp_path_factory.mktemp("whisper") / "m")


@pytest.fixture(scope="session")
def whisper(whisper_folder):
    return miao.load(whisper_folder, threads=2)
