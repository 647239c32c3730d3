import pathlib

import pytest
import tiny

import miao

GOLDEN = pathlib.Path(__file__).parents[1] / "golden/models"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model that talks; see tiny.py."""
    return tiny.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def model(folder):
    return miao.load(folder, threads=2)
