import ast
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


def test_types_of_one_text_come_before_those_of_lists():
    """A str is a sequence of str: a type checker would take the list's overload for it."""
    stub = ast.parse((pathlib.Path(miao.__file__).parent / "_miao.pyi").read_text())
    model = next(node for node in stub.body if getattr(node, "name", "") == "Model")
    overloads = {}
    for node in model.body:
        if isinstance(node, ast.FunctionDef) and len(node.args.args) > 1:
            overloads.setdefault(node.name, []).append(ast.unparse(node.args.args[1].annotation))
    lists = {"Sequence[str]", "Iterable[str]"}
    several = {name: texts for name, texts in overloads.items() if lists & set(texts)}
    assert {"generate", "translate", "embed", "classify", "explain", "entities"} <= set(several)
    for name, texts in several.items():
        assert texts[0] == "str", name
