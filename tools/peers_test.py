#!/usr/bin/env python3
"""Tests of what tools/bench_peers.py does with figures, and of the tables made of them. No engine runs."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

import bench_peers
import gen_results_table
from peers import miao
from peers.common import compare, take_turns
from peers.worker import Worker


class Compare(unittest.TestCase):
    def test_ratios_are_paired_and_above_one_where_miao_is_ahead(self):
        raw = {"miao": [10, 20], "A, x": [5, 5], "A, y": [1, 1], "B": [20, 20]}
        line = compare("t", "m", "1/s", raw, ("A", "B"))
        self.assertEqual(line["peers"]["A"]["settings"], "A, x")
        self.assertEqual(line["peers"]["A"]["ratio"], {"median": 3, "min": 2, "max": 4})
        self.assertEqual(line["peers"]["B"]["ratio"]["max"], 1)
        line = compare("t", "m", "ms", raw, ("A",), larger_is_better=False)
        self.assertEqual(line["peers"]["A"]["settings"], "A, y")
        self.assertEqual(line["peers"]["A"]["ratio"]["max"], 0.1)

    def test_peers_alone_have_no_ratio_and_a_missing_round_leaves_a_setting_out(self):
        line = compare("t", "m", "s", {"A": [1, 2], "A, broken": [9], "B": []}, ("A", "B"))
        self.assertIsNone(line["miao"])
        self.assertEqual(list(line["peers"]), ["A"])
        self.assertEqual(line["peers"]["A"]["settings"], "A")
        self.assertNotIn("ratio", line["peers"]["A"])

    def test_order_alternates(self):
        calls = []
        raw = take_turns(2, {"a": lambda: calls.append("a") or 1, "b": lambda: calls.append("b")})
        self.assertEqual(calls, ["a", "b", "b", "a"])
        self.assertEqual(raw, {"a": [1, 1], "b": []})


class Cases(unittest.TestCase):
    def test_names_choose_parts_and_cases(self):
        self.assertEqual(set(bench_peers.chosen_cases(None)), set(bench_peers.PARTS))
        self.assertEqual(bench_peers.chosen_cases("q4_0,INT8"), {"decoders": ["Q4_0"], "encoders": ["INT8"]})
        self.assertEqual(bench_peers.chosen_cases("Q4_1"), {"decoders": []})
        self.assertEqual(len(bench_peers.chosen_cases("families")["families"]), len(bench_peers.PARTS["families"][2]))
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            bench_peers.chosen_cases("Q9")


class Workers(unittest.TestCase):
    def test_calls_go_to_an_object_that_stays_and_errors_come_back(self):
        with self.assertRaisesRegex(RuntimeError, "no_such_module"):
            Worker(sys.executable, "no_such_module", "X", {}, 1)
        worker = Worker(sys.executable, "test_echo", "Echo", {"word": "a"}, 1)
        self.assertEqual(worker.call("say", times=2), "aa")
        with self.assertRaisesRegex(RuntimeError, "ZeroDivisionError"):
            worker.call("fail")


class Programs(unittest.TestCase):
    def test_miao_takes_the_place_of_a_worker(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "miao"
            program.write_text('#!/bin/sh\necho "$@" > "$0.flags"\necho \'{"latency_ms": {"p50": 250}}\'\n')
            program.chmod(0o755)
            translator = miao.Translator(program, "F", 2)
            self.assertEqual(translator.call("seconds", batch=16, beam=4, tokens=32, reps=3), 0.25)
            self.assertEqual((program.parent / "miao.flags").read_text().split(),
                             "bench F --dtype int8 -t 2 -p 32 -n 32 -b 16 --beams 4 -r 3 --json -q".split())
            program.write_text("#!/bin/sh\necho no such flag >&2\nexit 2\n")
            with self.assertRaisesRegex(SystemExit, "no such flag"):
                translator.call("seconds", batch=1, beam=1, tokens=32, reps=1)


class Tables(unittest.TestCase):
    def test_rows_with_and_without_miao(self):
        lines = [compare("speed", "m", "1/s", {"miao": [200.0], "A": [100.0]}, ("A",)), compare("other", "m", "ms", {"A": [5.0]}, ("A",))]
        text = "\n".join(gen_results_table.speeds({"lines": lines, "subject": "S", "workload": "w"}))
        self.assertEqual(text, "| S | model | miao | A | ratio |\n|---|---|--:|--:|--:|\n| speed, 1/s | m | 200 | 100 | 2.00 (2.00 - 2.00) |\n"
                               "| other, ms | m | - | 5.00 | - |")
        text = "\n".join(gen_results_table.speeds({"lines": lines[1:], "subject": "S"}))
        self.assertEqual(text, "| S | file | A |\n|---|---|--:|\n| other, ms | m | 5.00 |")


if __name__ == "__main__":
    unittest.main()
