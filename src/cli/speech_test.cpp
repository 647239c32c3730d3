// miao run on models of speech: formats, files, and what is wrong with some of several.
#include <cmath>

#include "base/json.h"
#include "cli/speech/formats.h"
#include "cli/testing.h"
#include "runtime/speech_testing.h"

namespace miao::cli {
namespace {

class SpeechCli : public Cli {
 protected:
  SpeechCli() { runtime::write_tiny_whisper(dir_ / "m"); }
  std::string sound(const std::string& name, double seconds = 2) {
    std::vector<float> samples(static_cast<size_t>(seconds * 16000));
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3f * std::sin(0.05f * static_cast<float>(i));
    return put(name, runtime::wav(samples)).string();
  }
  Outcome hear(std::vector<std::string> files, std::vector<std::string> flags = {}) {
    std::vector<std::string> arguments{"run", (dir_ / "m").string()};
    arguments.insert(arguments.end(), files.begin(), files.end());
    for (const char* flag : {"--greedy", "--beams", "1", "-t", "2"}) arguments.emplace_back(flag);
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run(arguments, "what is piped in is no part of it");
  }
};

TEST(SpeechFormats, Lines) {
  runtime::SpeechSegment s;
  s.start = 3661.5;
  s.end = 3662.25;
  s.text = " a --> b\tc\n";
  EXPECT_EQ(speech_line(SpeechFormat::text, s, 0, false), "a --> b c \n");
  EXPECT_EQ(speech_line(SpeechFormat::text, s, 0, true), "[01:01:01.500 --> 01:01:02.250]  a --> b c \n");
  EXPECT_EQ(speech_line(SpeechFormat::srt, s, 4, false), "5\n01:01:01,500 --> 01:01:02,250\na -> b\tc \n\n");
  EXPECT_EQ(speech_line(SpeechFormat::tsv, s, 0, false), "3661500\t3662250\ta --> b c \n");
  s.start = 0;
  s.end = 59.9996;
  EXPECT_EQ(speech_line(SpeechFormat::vtt, s, 0, false), "00:00.000 --> 01:00.000\na -> b\tc \n\n");
  EXPECT_EQ(speech_header(SpeechFormat::vtt), "WEBVTT\n\n");
  EXPECT_EQ(speech_header(SpeechFormat::tsv), "start\tend\ttext\n");
}

TEST_F(SpeechCli, TextAndFigures) {
  const Outcome text = hear({sound("a.wav")}, {"--language", "German"});
  EXPECT_EQ(text.code, kOk) << text.err;
  EXPECT_FALSE(text.out.empty());
  EXPECT_EQ(text.out.find("==>"), std::string::npos);
  EXPECT_NE(text.err.find("1 file, 2.0 s of audio in "), std::string::npos) << text.err;
  EXPECT_NE(text.err.find("x real time"), std::string::npos);
  EXPECT_EQ(hear({sound("a.wav")}, {"--language", "German", "-q"}).err, "");
}

TEST_F(SpeechCli, ADamagedFileDoesNotLoseTheOthers) {
  const std::string one = sound("one.wav"), two = sound("two.wav");
  const std::string cut = put("cut.wav", get("one.wav").substr(0, 9000)).string(), none = (dir_ / "none.wav").string();
  const Outcome all = hear({one, cut, none, two}, {"--json"});
  EXPECT_EQ(all.code, kFailed);
  EXPECT_NE(all.err.find("cut.wav: has only"), std::string::npos) << all.err;
  EXPECT_NE(all.err.find("none.wav: does not exist"), std::string::npos) << all.err;
  const auto json = parse_json(all.out, "stdout");
  ASSERT_TRUE(json.ok()) << all.out;
  const Json& results = (*json)["results"];
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0]["segments"], results[3]["segments"]);
  EXPECT_EQ(results[0]["duration"], 2.0);
  EXPECT_FALSE(results[0]["segments"].empty());
  EXPECT_TRUE(results[1].contains("error"));
  EXPECT_TRUE(results[2].contains("error"));
  EXPECT_EQ((*json)["audio_seconds"], 4.0);
  const Outcome text = hear({one, cut, two}, {"-q"});
  EXPECT_NE(text.out.find("==> " + two + " <=="), std::string::npos) << text.out;
}

TEST_F(SpeechCli, AFileForEachInput) {
  const std::string one = sound("one.wav"), two = sound("two.wav");
  const Outcome all = hear({one, two}, {"--format", "srt", "--output", (dir_ / "out").string()});
  EXPECT_EQ(all.code, kOk) << all.err;
  EXPECT_EQ(all.out, "");
  EXPECT_EQ(get("out/one.srt").find("1\n00:00:"), 0u) << get("out/one.srt");
  EXPECT_EQ(get("out/one.srt"), get("out/two.srt"));
  EXPECT_EQ(hear({one}, {"--format", "vtt", "--output", (dir_ / "x.vtt").string()}).code, kOk);
  EXPECT_EQ(get("x.vtt").find("WEBVTT\n\n00:0"), 0u);
  EXPECT_EQ(hear({one}, {"--format", "json", "--output", (dir_ / "x.json").string()}).code, kOk);
  const auto json = parse_json(get("x.json"), "x");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["file"], one);
  const Outcome same = hear({one, sound("b/one.wav")}, {"--output", (dir_ / "out").string()});
  EXPECT_EQ(same.code, kFailed);
  EXPECT_NE(same.err.find("two inputs would be written there"), std::string::npos) << same.err;
}

TEST_F(SpeechCli, QuantisedModelsHear) {
  runtime::write_tiny_whisper(dir_ / "hf", 3, 32);
  runtime::write_tiny_whisper_ct2(dir_ / "ct2", dir_ / "hf");
  const std::string one = sound("one.wav"), small = dir_ / "small.gguf";
  const auto hear_with = [&](const std::string& model) {
    return run({"run", model, one, "--greedy", "--beams", "1", "-t", "2", "-q", "--language", "en"}).out;
  };
  for (const char* kind : {"hf", "ct2"}) {
    const std::string source = dir_ / kind;
    const Outcome full = run({"quantize", source, "-o", small, "--type", kind == std::string("hf") ? "f32" : "f16"});
    ASSERT_EQ(full.code, kOk) << full.err;
    EXPECT_NE(hear_with(small), "");
    EXPECT_EQ(hear_with(small), hear_with(source));
    put("mix.txt", "dec.blk.0.ffn_up.weight=Q5_0\ntoken_embd.weight=Q6_K\n");
    const Outcome mixed = run({"quantize", source, "-o", small, "--type", "q4_0", "--tensor-types", dir_ / "mix.txt"});
    ASSERT_EQ(mixed.code, kOk) << mixed.err;
    EXPECT_NE(mixed.out.find("Q5_0"), std::string::npos) << mixed.out;
    EXPECT_NE(mixed.out.find("dec.blk.*.cross_attn_q.weight"), std::string::npos) << mixed.out;
    EXPECT_EQ(run({"verify", small}).code, kOk);
    put("spoken.tsv", one + "\thello\n");
    const Outcome rated = run({"eval", small, "--against", source, "--speech", dir_ / "spoken.tsv"});
    EXPECT_EQ(rated.code, kOk) << rated.err;
    const Outcome refused = run({"quantize", source, "-o", small, "--type", "q4_0", "--calibration", "own"});
    EXPECT_EQ(refused.code, kFailed);
    EXPECT_NE(refused.err.find("calibration text is for decoders"), std::string::npos) << refused.err;
  }
  std::string bytes = get("small.gguf");
  bytes[bytes.size() - 100] ^= 1;
  put("small.gguf", bytes);
  EXPECT_EQ(run({"verify", small}).code, kFailed);
}

TEST_F(SpeechCli, WhatIsNoAudioIsTold) {
  const Outcome words = hear({"Say something."});
  EXPECT_EQ(words.code, kUsage);
  EXPECT_NE(words.err.find("give it audio files"), std::string::npos) << words.err;
  EXPECT_NE(hear({sound("a.wav")}, {"--language", "klingon"}).err.find("no language that Whisper knows"),
            std::string::npos);
  const Outcome other = run({"run", model(), sound("a.wav"), "--raw", "-n", "2", "-q"});  // a prompt like any other
  EXPECT_EQ(other.code, kOk) << other.err;
}

}  // namespace
}  // namespace miao::cli
