"""Speech: a tiny random Whisper against transformers, and the real one on what espeak-ng says."""

import dataclasses
import shutil
import subprocess
import wave

import numpy as np
import pytest
import tiny
from conftest import REAL_MODELS, SEQ2SEQ

import miao

QUICK = {"temperature": 0, "beams": 1}


@pytest.fixture(scope="module")
def samples():
    return tiny.sound(33)


@pytest.fixture(scope="module")
def recording(tmp_path_factory, samples):
    return tiny.write_wav(tmp_path_factory.mktemp("audio") / "a.wav", samples)


def test_properties(whisper):
    assert (whisper.kind, whisper.methods, whisper.start_id) == ("encoder-decoder", ["transcribe"], None)


def test_a_transcript(whisper, recording):
    heard = whisper.transcribe(recording, **QUICK)
    assert isinstance(heard, miao.Transcript) and all(isinstance(s, miao.Segment) for s in heard.segments)
    assert heard.language in ("en", "de") and 0.5 <= heard.language_probability <= 1 and heard.duration == 33
    assert heard.text == str(heard) == "".join(s.text for s in heard.segments).strip() != ""
    ends = 0
    for segment in heard.segments:
        assert ends <= segment.start < segment.end and segment.temperature == 0
        assert segment.text == whisper.tokenizer.decode([t for t in segment.tokens if t < tiny.WHISPER_IDS["endoftext"]])
        assert segment.avg_logprob < 0 and segment.compression_ratio > 0 and 0 <= segment.no_speech_prob <= 1
        ends = segment.end
    assert whisper.transcribe(str(recording), **QUICK) == whisper.transcribe(bytes(recording), **QUICK) == heard


def test_arrays_are_as_their_files(whisper, recording):
    heard = whisper.transcribe(recording, **QUICK)
    with wave.open(str(recording)) as file:
        exact = np.frombuffer(file.readframes(1 << 30), "<i2") / 32768
    for array in (exact, np.repeat(exact, 2)[::2].astype(np.float32)):
        assert whisper.transcribe(array, **QUICK) == heard


def test_other_rates_are_resampled(whisper, tmp_path):
    samples = tiny.sound(3, rate=22050)
    file = tiny.write_wav(tmp_path / "a.wav", samples, rate=22050)
    with wave.open(str(file)) as read:
        exact = np.frombuffer(read.readframes(1 << 30), "<i2") / 32768
    assert whisper.transcribe(exact, sample_rate=22050, **QUICK) == whisper.transcribe(file, **QUICK)
    with pytest.raises(miao.Unsupported, match="999 Hz"):
        whisper.transcribe(exact, sample_rate=999)


def test_a_stream_gives_the_same_segments(whisper, recording):
    want = whisper.transcribe(recording, **QUICK)
    stream = whisper.transcribe(recording, stream=True, **QUICK)
    assert isinstance(stream, miao.SpeechStream) and list(stream) == want.segments and stream.transcript == want
    assert list(stream) == []
    with whisper.transcribe(tiny.sound(600), stream=True) as stream:
            assert isinstance(next(stream), miao.Segment)
    assert all(isinstance(s, miao.Segment) for s in stream)  # what was heard before it was closed
    with pytest.raises(miao.Cancelled):
        stream.transcript


def test_options_change_what_they_name(whisper, samples):
    def hear(**options):
        return whisper.transcribe(samples, **{**QUICK, **options})

    german = hear(language="German")
    assert (german.language, german.language_probability) == ("de", 1) and german == hear(language="de")
    whole = hear(language="de", timestamps=False)
    assert [(s.start, s.end) for s in whole.segments] == [(0, 30), (30, 33)]
    alone = hear(language="de", timestamps=False, condition_on_previous_text=False)
    assert alone.segments[0].tokens == whole.segments[0].tokens and alone.segments[1].tokens != whole.segments[1].tokens
    assert hear(language="de", timestamps=False, initial_prompt="Names").segments[0].tokens != whole.segments[0].tokens
    assert hear(language="de", task="translate", timestamps=False).segments[0].tokens != whole.segments[0].tokens
    assert hear(language="de", beams=4, timestamps=False).segments[0].tokens != whole.segments[0].tokens


def test_temperatures(whisper):
    samples = tiny.sound(3)
    drawn = whisper.transcribe(samples, best_of=2, seed=7)  # a random model is not sure: all temperatures
    assert drawn.segments[0].temperature == 1 and drawn == whisper.transcribe(samples, best_of=2, seed=7)
    assert whisper.transcribe(samples, temperature=[0, 0.5], best_of=2).segments[0].temperature == 0.5
    assert whisper.transcribe(samples, temperature=0.3, best_of=1).segments[0].temperature == 0.3
    off = {"compression_ratio_threshold": None, "logprob_threshold": None}
    assert whisper.transcribe(samples, best_of=2, **off).segments[0].temperature == 0


def test_silence_is_no_speech(whisper):
    heard = whisper.transcribe(np.zeros(16000 * 35, np.float32))
    assert dataclasses.astuple(heard) == ("", None, 0, 35, [])


@pytest.mark.parametrize("call, error, where", [
    (lambda m, f: m.transcribe(f, language="klingon"), miao.Invalid, "language"),
    (lambda m, f: m.transcribe(f, language="fr"), miao.NotFound, None),  # this one has en and de
    (lambda m, f: m.transcribe(f, task="sing"), miao.Invalid, "task"),
    (lambda m, f: m.transcribe(f, timestamps=1), TypeError, None),
    (lambda m, f: m.transcribe(f, beams=0), miao.Invalid, "beams"),
    (lambda m, f: m.transcribe(f, patience=0), miao.Invalid, "patience"),
    (lambda m, f: m.transcribe(f, length_penalty=float("nan")), miao.Invalid, "length_penalty"),
    (lambda m, f: m.transcribe(f, best_of=1000), miao.Invalid, "best_of"),
    (lambda m, f: m.transcribe(f, temperature=-1), miao.Invalid, "temperature"),
    (lambda m, f: m.transcribe(f, temperature=[]), miao.Invalid, "temperature"),
    (lambda m, f: m.transcribe(f, temperature="hot"), TypeError, None),
    (lambda m, f: m.transcribe(f, seed=-1), miao.Invalid, "seed"),
    (lambda m, f: m.transcribe(f, logprob_threshold="low"), TypeError, None),
    (lambda m, f: m.transcribe(f, initial_prompt=3), TypeError, None),
    (lambda m, f: m.transcribe(f, nonsense=1), TypeError, None),
    (lambda m, f: m.transcribe(f, stream=1), TypeError, None),
    (lambda m, f: m.transcribe(f, sample_rate=8000), miao.Invalid, "sample_rate"),
    (lambda m, f: m.transcribe(np.zeros(10, np.float32)), miao.Invalid, "audio"),
    (lambda m, f: m.transcribe(np.zeros(0, np.float32)), miao.Invalid, "audio"),
    (lambda m, f: m.transcribe(np.full(16000, np.nan, np.float32)), miao.Invalid, "audio"),
    (lambda m, f: m.transcribe(np.full(16000, np.inf), sample_rate=8000), miao.Invalid, "audio"),
    (lambda m, f: m.transcribe(np.zeros((2, 16000), np.float32)), miao.Invalid, "audio"),
    (lambda m, f: m.transcribe(np.zeros(16000, np.int16)), TypeError, None),
    (lambda m, f: m.transcribe([0.0] * 16000), TypeError, None),
    (lambda m, f: m.transcribe(np.zeros(16000, np.float32), sample_rate=0), miao.Invalid, "sample_rate"),
    (lambda m, f: m.transcribe(None), TypeError, None),
    (lambda m, f: m.transcribe("/nowhere.wav"), miao.NotFound, "/nowhere.wav"),
    (lambda m, f: m.transcribe(__file__), miao.Invalid, __file__),
])
def test_bad_arguments(whisper, recording, call, error, where):
    with pytest.raises(error) as caught:
        call(whisper, recording)
    if where is not None:
        assert caught.value.where == where
    assert whisper.transcribe(tiny.sound(1), **QUICK).duration == 1  # and nothing else has happened


def test_a_whisper_without_its_tokenizer():
    with pytest.raises(miao.Error):
        miao.load(SEQ2SEQ / "whisper").transcribe(tiny.sound(1))


@pytest.mark.oracle
@pytest.mark.parametrize("task", ["transcribe", "translate"])
@pytest.mark.parametrize("timestamps", [True, False])
def test_transformers_now(whisper_folder, task, timestamps):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    peer = transformers.WhisperForConditionalGeneration.from_pretrained(whisper_folder, dtype=torch.float32).eval()
    model = miao.load(whisper_folder, dtype="fp32")
    off = {"compression_ratio_threshold": None, "logprob_threshold": None, "no_speech_threshold": None}
    for seed in range(4):
        samples = tiny.sound(30, seed=seed)
        features = transformers.WhisperFeatureExtractor()(samples, sampling_rate=16000, return_tensors="pt").input_features
        with torch.no_grad():
            ids = peer.generate(features, language="de", task=task, return_timestamps=timestamps, num_beams=1, do_sample=False)
        heard = model.transcribe(samples, language="de", task=task, timestamps=timestamps, **QUICK, **off)
        got = heard.segments[0].tokens  # of all of the window, or up to its second time
        assert len(got) > 2 and got == ids[0].tolist()[:len(got)]


def test_the_real_one(tmp_path):
    if not (REAL_MODELS / "whisper-base").exists() or not shutil.which("espeak-ng"):
        pytest.skip("needs whisper-base in build/models, and espeak-ng")
    model = miao.load(REAL_MODELS / "whisper-base", dtype="int8")

    def say(voice, text):
        subprocess.run(["espeak-ng", "-s", "150", "-v", voice, "-w", tmp_path / "said.wav", text], check=True)
        return tmp_path / "said.wav"

    english = model.transcribe(say("en-gb", "The train to the city leaves from platform four."))
    assert (english.language, english.text) == ("en", "The train to the city leaves from platform 4.")
    with wave.open(str(tmp_path / "said.wav")) as file:
        samples, rate = np.frombuffer(file.readframes(1 << 30), "<i2") / 32768, file.getframerate()
    assert model.transcribe(samples, sample_rate=rate) == english
    french = model.transcribe(say("fr-fr", "La biblioth\u00e8que est ferm\u00e9e le dimanche."))
    assert french.language == "fr" and "le dimanche" in french.text
