import importlib.metadata
import pathlib

import miao


def test_version_and_files():
    assert miao.__version__ == importlib.metadata.version("miao-llm")
    files = {path.name for path in pathlib.Path(miao.__file__).parent.iterdir()}
    assert {"py.typed", "_miao.pyi", "errors.py"} <= files


def test_everything_has_a_word(model):
    for name in miao.__all__:
        thing = getattr(miao, name)
        assert thing.__doc__, name
        for method in vars(thing) if isinstance(thing, type) else []:
            assert method.startswith("_") or method in ("code",) or getattr(thing, method).__doc__, f"{name}.{method}"
