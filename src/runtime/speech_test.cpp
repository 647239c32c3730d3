// The parts of a Transcriber that need no model: the rule of times, segments, windows of features, recordings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/file.h"
#include "io/testing.h"
#include "runtime/speech/decode.h"
#include "runtime/speech/features.h"
#include "runtime/speech/segments.h"
#include "runtime/speech/time_rule.h"
#include "runtime/speech_testing.h"

namespace miao::runtime {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

class Times : public testing::Test {
 protected:
  Times() : tokens_(*prep::WhisperTokens::find(tiny_whisper_tokenizer())), first_(tokens_.first_timestamp()) {}

  // What may follow on `said` where all logits are `scores`.
  std::vector<float> after(std::vector<int32_t> said, std::vector<float> scores = {}) const {
    scores.resize(static_cast<size_t>(kTinyVocab), 0);
    said.insert(said.begin(), {tokens_.sot(), tokens_.transcribe()});
    time_rule(tokens_, 50)(said, 2, scores);
    return scores;
  }
  static bool any(const std::vector<float>& scores, int32_t from, int32_t to) {
    return std::any_of(scores.begin() + from, scores.begin() + to, [](float v) { return v != kForbidden; });
  }

  prep::WhisperTokens tokens_;
  int32_t first_;
};

TEST_F(Times, ATranscriptBeginsWithATimeWithinTheFirstSecond) {
  const auto scores = after({});
  EXPECT_FALSE(any(scores, 0, first_));
  EXPECT_TRUE(any(scores, first_, first_ + 1));
  EXPECT_TRUE(any(scores, first_ + 50, first_ + 51));
  EXPECT_FALSE(any(scores, first_ + 51, kTinyVocab));
}

TEST_F(Times, ComeInPairsAndDoNotDecrease) {
  // One time at the beginning: text follows.
  auto scores = after({first_ + 10});
  EXPECT_TRUE(any(scores, 0, 1));
  EXPECT_FALSE(any(scores, first_, kTinyVocab));
  EXPECT_FALSE(any(scores, tokens_.no_timestamps(), tokens_.no_timestamps() + 1));
  // Text: more text, or a time behind the last one.
  std::vector<float> text(static_cast<size_t>(kTinyVocab), 0);
  text[1] = 100;
  scores = after({first_ + 10, 1}, text);
  EXPECT_EQ(scores[1], 100);
  EXPECT_FALSE(any(scores, first_, first_ + 11));
  EXPECT_TRUE(any(scores, first_ + 11, first_ + 12));
  // A time behind text: its twin, a later one, or the end; no text.
  std::vector<float> end(static_cast<size_t>(kTinyVocab), 0);
  end[static_cast<size_t>(tokens_.eot())] = 100;
  scores = after({first_ + 10, 1, first_ + 20}, end);
  EXPECT_FALSE(any(scores, 0, tokens_.eot()));
  EXPECT_TRUE(any(scores, tokens_.eot(), tokens_.eot() + 1));
  EXPECT_FALSE(any(scores, first_, first_ + 20));
  EXPECT_TRUE(any(scores, first_ + 20, first_ + 21));
  // A pair: text.
  scores = after({first_ + 10, 1, first_ + 20, first_ + 20});
  EXPECT_TRUE(any(scores, 0, 1));
  EXPECT_FALSE(any(scores, first_, kTinyVocab));
}

TEST_F(Times, FollowWhereTogetherTheyAreLikelierThanAnythingElse) {
  std::vector<float> scores(static_cast<size_t>(kTinyVocab), -20);
  scores[1] = 4;
  scores[static_cast<size_t>(first_) + 30] = 3;  // less likely alone
  EXPECT_TRUE(any(after({first_, 1}, scores), 0, first_));
  scores[static_cast<size_t>(first_) + 31] = 3.7f;
  EXPECT_FALSE(any(after({first_, 1}, scores), 0, first_));
}

TEST_F(Times, SegmentsAndWhereTheNextWindowBegins) {
  const auto at = [&](int32_t steps) { return first_ + steps; };
  const std::vector<int32_t> open = {at(0), 1, 2, at(100), at(120), 3, at(300), at(300), 4};
  WindowSegments out = split_at_times(open, 3000, tokens_);
  ASSERT_EQ(out.segments.size(), 2u);
  EXPECT_EQ(out.segments[0].start, 0);
  EXPECT_EQ(out.segments[0].end, 200);
  EXPECT_EQ(out.segments[0].tokens.size(), 4u);
  EXPECT_EQ(out.segments[1].start, 240);
  EXPECT_EQ(out.segments[1].end, 600);
  EXPECT_EQ(out.read, 600);
  const std::vector<int32_t> closed = {at(0), 1, at(100), at(100), 2, at(200)};
  out = split_at_times(closed, 1700, tokens_);
  ASSERT_EQ(out.segments.size(), 2u);
  EXPECT_EQ(out.segments[1].end, 400);
  EXPECT_EQ(out.read, 1700);
  out = split_at_times(std::vector<int32_t>{at(3), 1, 2, at(50)}, 1700, tokens_);
  ASSERT_EQ(out.segments.size(), 1u);
  EXPECT_EQ(out.segments[0].end, 100);
  EXPECT_EQ(out.read, 1700);
  out = split_at_times(std::vector<int32_t>{at(0), 1}, 1701, tokens_);
  EXPECT_EQ(out.segments[0].end, 1701);
  // Tokens that no rule held in order never send a window back, nor leave it where it is.
  EXPECT_GE(split_at_times(std::vector<int32_t>{at(0), at(0), 1}, 1700, tokens_).read, 1);
  EXPECT_EQ(split_at_times({}, 1700, tokens_).read, 1700);
}

TEST(SpeechText, RepetitionCompresses) {
  std::string again;
  for (int i = 0; i < 50; ++i) again += " the same words";
  EXPECT_GT(compression_ratio(again), 2.4);
  EXPECT_LT(compression_ratio("Nobody says such a thing twice."), 1.2);
  EXPECT_EQ(compression_ratio(""), 0);
}

std::vector<float> tone(size_t samples) {
  std::vector<float> out(samples);
  for (size_t i = 0; i < samples; ++i) {
    const double t = static_cast<double>(i) / 16000;
    out[i] = static_cast<float>(0.01 * (1 + t) * std::sin(2 * std::numbers::pi * (200 + 40 * t) * t));
  }
  return out;
}

class Speech : public testing::Test {
 protected:
  SpeechFeatures features(Recording recording) {
    auto out = SpeechFeatures::of(std::move(recording), kBins, *pool_);
    EXPECT_TRUE(out.ok());
    return std::move(*out);
  }

  static constexpr size_t kBins = 80;
  std::unique_ptr<ThreadPool> pool_ = std::move(*ThreadPool::create(3));
};

TEST_F(Speech, WindowsOfFeaturesAreThoseOfTheWhole) {
  constexpr size_t kSeconds = 67;
  const std::vector<float> samples = tone(16000 * kSeconds + 77);
  SpeechFeatures features = this->features(Recording(samples));
  EXPECT_EQ(features.frames(), static_cast<int64_t>(kSeconds) * 100);
  std::vector<float> padded = samples;
  padded.resize(samples.size() + 800);  // silence behind the end, instead of a mirror
  const std::vector<float> whole = prep::MelSpectrogram(kBins)(padded);
  const size_t frames = padded.size() / 160;
  for (const size_t first : {size_t{0}, size_t{1}, size_t{2990}, size_t{5000}}) {
    auto window = features.window(static_cast<int64_t>(first));
    ASSERT_TRUE(window.ok());
    ASSERT_EQ(window->size(), 3000 * kBins);
    EXPECT_FALSE(features.silent());
    for (size_t f = 0; f < 3000; f += 7) {
      for (size_t bin = 0; bin < kBins; bin += 3) {
        const bool there = first + f < kSeconds * 100;
        ASSERT_NEAR((*window)[f * kBins + bin], there ? whole[bin * frames + first + f] : 0, 1e-6) << first + f;
      }
    }
  }
}

TEST_F(Speech, AFileGivesTheSameWindowsAsItsSamples) {
  const io::TempDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "a.wav", wav(tone(16000 * 40))).ok());
  const auto samples = prep::read_audio(dir / "a.wav");
  ASSERT_TRUE(samples.ok());
  auto recording = Recording::open(dir / "a.wav");
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  SpeechFeatures file = features(std::move(*recording)), memory = features(Recording(*samples));
  EXPECT_EQ(file.samples(), memory.samples());
  for (const int64_t first : {0, 10, 2500, 3900, 4000, 9000}) {
    auto a = file.window(first), b = memory.window(first);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_TRUE(std::ranges::equal(*a, *b)) << first;
  }
}

TEST_F(Speech, ZerosAreSilence) {
  std::vector<float> samples(16000 * 61);
  std::ranges::copy(tone(16000), samples.begin() + 16000 * 60);
  SpeechFeatures features = this->features(Recording(samples));
  ASSERT_TRUE(features.window(0).ok());
  EXPECT_TRUE(features.silent());
  ASSERT_TRUE(features.window(3100).ok());
  EXPECT_FALSE(features.silent());
}

}  // namespace
}  // namespace miao::runtime
