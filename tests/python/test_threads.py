import concurrent.futures
import multiprocessing
import threading
import time

import pytest

import miao


def test_threads_share_a_model(model):
    texts = [[i, i + 1, i + 2] * 20 for i in range(16)]
    want = [model.logits(t).tobytes() for t in texts]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [x.tobytes() for x in pool.map(model.logits, texts)] == want
        ids = list(pool.map(lambda seed: model.generate("a", seed=seed, max_tokens=20).ids, [1, 2] * 8))
    assert all(i == ids[n % 2] for n, i in enumerate(ids))


def test_threads_share_other_kinds(encoder, translator):
    texts = ["a" * n for n in range(1, 17)]
    for method in (lambda t: encoder.embed(t).tobytes(), lambda t: encoder.encode(list(t.encode())).tobytes(),
                   lambda t: translator.generate(t, beams=2, max_tokens=5).ids,
                   lambda t: translator.encode(translator.tokenizer.encode(t)).tobytes()):
        want = [method(t) for t in texts]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert list(pool.map(method, texts)) == want


def test_others_run_while_it_computes(folder):
    model = miao.load(folder, threads=1, ctx=100_000)
    done = threading.Event()
    worker = threading.Thread(target=lambda: (model.score([1] * 20_000), done.set()))
    worker.start()
    ticks = 0
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    worker.join()
    assert ticks > 20


def test_a_stream_that_is_not_read_blocks_nobody(model):
    stream = model.generate("a", stream=True, max_tokens=500, ignore_end=True)
    assert model.logits([1]).shape == (1, model.vocab)
    assert len(stream.completion.ids) == 500


def test_two_streams_in_turns(model):
    streams = [model.generate("a", stream=True, seed=i, max_tokens=50, ignore_end=True) for i in (1, 2)]
    texts = ["", ""]
    for _ in range(200):
        for i, stream in enumerate(streams):
            texts[i] += next(stream, "")
    assert texts == [model.generate("a", seed=i, max_tokens=50, ignore_end=True).text for i in (1, 2)]


def use_after_fork(models, queue):
    for model in models:
        try:
            model.encode([1])
        except miao.Unsupported as error:
            queue.put(str(error))
    models.clear()  # and that destroys them


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_told(folder, encoders):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=use_after_fork, args=([miao.load(folder, threads=2), miao.load(encoders["bert"])], queue))
    child.start()
    for _ in range(2):
        assert "fork" in queue.get(timeout=60)
    child.join(10)
    assert child.exitcode == 0
