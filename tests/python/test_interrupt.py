"""Ctrl-C ends what computes within a second, as KeyboardInterrupt; the end of the interpreter waits for nothing."""

import http.server
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import SEQ2SEQ

LONG = {
    "generate": "model.generate('a', ignore_end=True)",
    "stream": "list(model.generate('a', stream=True, ignore_end=True))",
    "completion": "model.generate('a', stream=True, ignore_end=True).completion",
    "logits": "model.logits([1] * 100_000)",
    "score": "model.score([1] * 200_000)",
    "waiting": "threading.Thread(target=other, daemon=True).start(); time.sleep(0.1); model.logits([1])",
}
READERS = {
    "embed": ("bert", "model.embed(['a ' * 50] * 20_000)"),
    "encode": ("bert", "model.encode([[1] * 60] * 10_000)"),
    "classify": ("bert-sequence", "model.classify(['a ' * 50] * 20_000)"),
    "explain": ("bert-sequence", "model.explain(['a ' * 50] * 20_000)"),
    "entities": ("bert-tokens", "model.entities(['a ' * 50] * 20_000)"),
    "answer": ("bert-span", "model.answer('a', ['a ' * 50] * 20_000)"),
    "index": ("bert", "model.index(texts=['a ' * n for n in range(20_000)], passage=16)"),
    "heads": ("bert-tokens", "model.logits([[1] * 60] * 20_000)"),
}
WRITERS = {
    "generate": "model.generate(['a bad cab'] * 2_000, beams=4, max_tokens=60)",
    "translate": "model.translate(['a bad cab'] * 2_000, beams=4, max_tokens=60)",
    "logits": "model.logits([[1] * 60] * 10_000, [[0] * 60] * 10_000)",
}
HEARER = {
    "transcribe": "model.transcribe(np.sin(np.arange(16000 * 1800) / 9))",
    "segments": "list(model.transcribe(np.sin(np.arange(16000 * 1800) / 9), stream=True))",
}
OTHERS = """
import sys, miao, numpy as np
model = miao.load(sys.argv[1], threads=1)
try:
    print("begin", flush=True)
    {call}
    print("it was too fast")
except KeyboardInterrupt:
    print("stopped", {again})
    raise
"""
PROGRAM = """
import sys, threading, time, miao
model = miao.load(sys.argv[1], ctx=200_000)
def other():
    try:
        model.score([1] * 200_000)
    except miao.Cancelled:  # a daemon thread that prints when the interpreter ends may abort it
        pass
try:
    print("begin", flush=True)
    {call}
    print("it was too fast")
except KeyboardInterrupt:
    print("stopped", model.logits([1]).shape if {usable} else "")
    raise
"""


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def interrupt(process, seconds=0.4):
    assert process.stdout.readline() == "begin\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return time.monotonic() - begin, out, err


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c(folder, name):
    process = start(PROGRAM.format(call=LONG[name], usable=name != "waiting"), folder)
    took, out, err = interrupt(process)
    assert out.startswith("stopped") and "KeyboardInterrupt" in err, out + err
    assert process.returncode == -signal.SIGINT and took < 20, took


@pytest.mark.parametrize("name", [*READERS, *WRITERS, *HEARER])
def test_ctrl_c_of_other_kinds(encoders, whisper_folder, name):
    again = "model.encode([1]).shape"
    if name in READERS:
        model, call = READERS[name]
        path = encoders[model]
    elif name in WRITERS:
        path, call = SEQ2SEQ / "t5", WRITERS[name]
    else:
        path, call, again = whisper_folder, HEARER[name], "model.transcribe(np.zeros(2000))"
    took, out, err = interrupt(start(OTHERS.format(call=call, again=again), path))
    assert out.startswith("stopped") and "KeyboardInterrupt" in err, out + err
    assert took < 20, took


def test_ctrl_c_while_downloading(tmp_path):
    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            time.sleep(30)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = (f"import os; os.environ.update(MIAO_CACHE={str(tmp_path)!r}, no_proxy='*')\n"
               f"import miao; print('begin', flush=True); miao.load('http://127.0.0.1:{server.server_port}/m.gguf')")
    took, _, err = interrupt(start(program))
    assert "KeyboardInterrupt" in err and took < 20, err


def test_other_handlers_run_and_the_work_goes_on(folder):
    program = """
import signal, sys, miao
signal.signal(signal.SIGINT, lambda *_: print("handled", flush=True))
model = miao.load(sys.argv[1], ctx=200_000)
print("begin", flush=True)
print(len(model.score([1] * 20_000)))
"""
    _, out, err = interrupt(start(program, folder), 0.1)
    assert out == "handled\n19999\n", out + err


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "import gc; gc.disable(); keep = [stream]; keep.append(keep)"])
def test_exit_in_the_middle_of_a_stream(folder, end):
    program = f"""
import sys, miao
model = miao.load(sys.argv[1], ctx=200_000)
stream = model.generate("a", stream=True, ignore_end=True)
next(stream)
{end}
"""
    process = start(program, folder)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out == "", err
    assert "Traceback" not in err and "leak" not in err, err
