// Transcriber on a tiny random model: what comes out does not depend on how it came in, options do what they say, bad
// input is an Error. On the real model: SlowRealWhisper in transcribe_real_test.cpp.
#include "runtime/transcribe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/file.h"
#include "models/testing.h"
#include "prep/audio.h"
#include "runtime/speech_testing.h"

namespace miao::runtime {
namespace {

std::vector<float> noise(double seconds, uint32_t seed = 5) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> out(static_cast<size_t>(seconds * 16000));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = normal(random) * static_cast<float>(std::sin(static_cast<double>(i) * std::numbers::pi / 8000));
  }
  return out;
}

class Transcribe : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new io::TempDir;
    write_tiny_whisper(*folder_ / "m");
    engine_ = Engine::open(*folder_ / "m", {.threads = 2})->release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    delete folder_;
  }
  Transcribe() : whisper_(*Transcriber::of(*engine_)) { quick_.temperatures = {0}; }

  static Transcript good(Result<Transcript> result) {
    EXPECT_TRUE(result.ok()) << result.error().str();
    return result.ok() ? std::move(*result) : Transcript();
  }
  static void same(const Transcript& a, const Transcript& b) {
    EXPECT_EQ(a.language, b.language);
    EXPECT_EQ(a.seconds, b.seconds);
    ASSERT_EQ(a.segments.size(), b.segments.size());
    for (size_t i = 0; i < a.segments.size(); ++i) {
      EXPECT_EQ(a.segments[i].tokens, b.segments[i].tokens);
      EXPECT_EQ(a.segments[i].start, b.segments[i].start);
      EXPECT_EQ(a.segments[i].avg_log_probability, b.segments[i].avg_log_probability);
    }
  }

  static io::TempDir* folder_;
  static Engine* engine_;
  Transcriber whisper_;
  TranscribeOptions quick_;
};
io::TempDir* Transcribe::folder_ = nullptr;
Engine* Transcribe::engine_ = nullptr;

TEST_F(Transcribe, SamplesAndTheirFileGiveTheSame) {
  ASSERT_TRUE(write_file_atomic(*folder_ / "a.wav", wav(noise(70))).ok());
  const auto samples = prep::read_audio(*folder_ / "a.wav");
  ASSERT_TRUE(samples.ok());
  std::vector<SpeechSegment> streamed;
  std::vector<double> done;
  quick_.on_segment = [&](const SpeechSegment& s) { streamed.push_back(s); };
  quick_.on_progress = [&](double at, double of) {
    EXPECT_EQ(of, 70);
    done.push_back(at);
  };
  const Transcript memory = good(whisper_.run(*samples, quick_));
  ASSERT_FALSE(memory.segments.empty());
  ASSERT_EQ(streamed.size(), memory.segments.size());
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), 70);
  EXPECT_TRUE(memory.language == "en" || memory.language == "de");
  EXPECT_GE(memory.language_probability, 0.5);
  double last = 0;
  for (const SpeechSegment& s : memory.segments) {
    EXPECT_LT(s.start, s.end);
    EXPECT_GE(s.start, last);
    EXPECT_EQ(s.temperature, 0);
    last = s.end;
    for (const int32_t token : s.tokens) EXPECT_TRUE(token != 1 && token != 2 && token != kTinyNoTimes);
  }
  quick_.on_segment = nullptr;
  quick_.on_progress = nullptr;
  same(memory, good(whisper_.run_file(*folder_ / "a.wav", quick_)));
}

TEST_F(Transcribe, DrawsAreRepeatable) {
  TranscribeOptions o;  // a random model is unlikely to be sure: all temperatures
  o.seed = 7;
  o.best_of = 2;
  const std::vector<float> samples = noise(3);
  const Transcript first = good(whisper_.run(samples, o));
  ASSERT_FALSE(first.segments.empty());
  EXPECT_EQ(first.segments[0].temperature, 1);
  same(first, good(whisper_.run(samples, o)));
  o.min_log_probability.reset();
  o.max_compression_ratio.reset();
  EXPECT_EQ(good(whisper_.run(samples, o)).segments.at(0).temperature, 0);
}

TEST_F(Transcribe, OptionsChangeWhatTheyNameAlone) {
  const std::vector<float> samples = noise(35);
  quick_.language = "German";
  const Transcript german = good(whisper_.run(samples, quick_));
  EXPECT_EQ(german.language, "de");
  EXPECT_EQ(german.language_probability, 1);
  quick_.timestamps = false;
  const Transcript whole = good(whisper_.run(samples, quick_));
  ASSERT_EQ(whole.segments.size(), 2u);
  EXPECT_EQ(whole.segments[0].end, 30);
  EXPECT_EQ(whole.segments[1].start, 30);
  EXPECT_EQ(whole.segments[1].end, 35);
  // What was said before changes what follows, unless it is not to.
  quick_.condition = false;
  const Transcript alone = good(whisper_.run(samples, quick_));
  EXPECT_EQ(alone.segments[0].tokens, whole.segments[0].tokens);
  EXPECT_NE(alone.segments[1].tokens, whole.segments[1].tokens);
  quick_.prompt = "Names";
  EXPECT_NE(good(whisper_.run(samples, quick_)).segments[0].tokens, whole.segments[0].tokens);
}

TEST_F(Transcribe, SilenceIsNoSpeech) {
  const Transcript none = good(whisper_.run(std::vector<float>(16000 * 95), quick_));
  EXPECT_TRUE(none.segments.empty());
  EXPECT_EQ(none.language, "");
  EXPECT_EQ(none.seconds, 95);
  std::vector<float> late(16000 * 60 + 8000);
  const std::vector<float> sound = noise(5);
  late.insert(late.end(), sound.begin(), sound.end());
  const Transcript some = good(whisper_.run(late, quick_));
  ASSERT_FALSE(some.segments.empty());
  EXPECT_GE(some.segments[0].start, 60);
  EXPECT_NE(some.language, "");
}

TEST_F(Transcribe, BadInputIsAnError) {
  const auto failed = [](const Result<Transcript>& r) { return r.ok() ? "" : r.error().str(); };
  const std::vector<float> samples = noise(1);
  EXPECT_NE(failed(whisper_.run({}, quick_)).find("is shorter than 0.1 s"), std::string::npos);
  EXPECT_NE(failed(whisper_.run(std::span(samples).first(1599), quick_)).find("0.1 s"), std::string::npos);
  EXPECT_TRUE(whisper_.run(std::span(samples).first(1600), quick_).ok());
  std::vector<float> broken = samples;
  broken[500] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(failed(whisper_.run(broken, quick_)).find("sample 500 is not a number"), std::string::npos);
  std::string file = wav(samples);
  ASSERT_TRUE(write_file_atomic(*folder_ / "cut.wav", file.substr(0, file.size() / 2)).ok());
  const std::string cut = failed(whisper_.run_file(*folder_ / "cut.wav", quick_));
  EXPECT_NE(cut.find("cut.wav"), std::string::npos);
  EXPECT_NE(cut.find("incomplete"), std::string::npos) << cut;
  EXPECT_NE(failed(whisper_.run_file(*folder_ / "none.wav", quick_)).find("does not exist"), std::string::npos);
  const auto with = [&](auto change) {
    TranscribeOptions o = quick_;
    change(o);
    return failed(whisper_.run(samples, o));
  };
  EXPECT_NE(with([](auto& o) { o.language = "fr"; }).find("french"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.language = "xx"; }).find("xx"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.temperatures.clear(); }).find("temperature"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.temperatures = {-1}; }).find("temperature"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.beams = 0; }).find("beams"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.patience = 0; }).find("patience"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.best_of = 0, o.temperatures = {1}; }).find("draws"), std::string::npos);
}

TEST_F(Transcribe, CancelEndsIt) {
  std::atomic<bool> cancel = false;
  int windows = 0;
  quick_.cancel = &cancel;
  quick_.on_progress = [&](double, double) { cancel = ++windows == 1; };
  quick_.timestamps = false;
  const auto result = whisper_.run(noise(95), quick_);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::cancelled);
  EXPECT_EQ(windows, 1);
}

TEST_F(Transcribe, OtherModelsAreRefused) {
  const auto path = *folder_ / "m.gguf";
  ASSERT_TRUE(models::TinyModel{}.gguf().write(path).ok());
  EXPECT_FALSE(*is_speech_model(path));
  EXPECT_TRUE(*is_speech_model(*folder_ / "m"));
  auto engine = Engine::open(path);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ(Transcriber::of(**engine).error().code, Code::unsupported);
}

}  // namespace
}  // namespace miao::runtime
