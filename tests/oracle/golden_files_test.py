#!/usr/bin/env python3
"""The committed reference models are the files their manifest lists, byte for byte. Needs nothing but Python."""
import hashlib
import json
import pathlib
import unittest

MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden/models"


class GoldenFiles(unittest.TestCase):
    def test_each_file_has_its_hash_and_no_other_file_is_there(self):
        cases = json.loads((MODELS / "manifest.json").read_text())["cases"]
        self.assertEqual({case["name"] for case in cases}, {path.name for path in MODELS.iterdir() if path.is_dir()})
        for case in cases:
            found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (MODELS / case["name"]).iterdir()}
            self.assertEqual(found, case["files"], case["name"])


if __name__ == "__main__":
    unittest.main()
