// Log-mel features against transformers' (tools/make_golden_mel.py), and against the definition computed directly.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <string>

#include "base/file.h"
#include "prep/mel.h"

namespace miao::prep {
namespace {

constexpr size_t kShort = 3500;
constexpr size_t kKept[] = {0,   1,   2,   25,  49,  50,  51,  100, 149,  299,  300, 301,
                            349, 350, 500, 698, 699, 700, 701, 702, 1500, 2998, 2999};

// sound() of tools/make_golden_mel.py.
std::vector<float> sound() {
  std::vector<float> out(112000);
  uint32_t phase = 0, noise = 1;
  for (uint32_t i = 0; i < out.size(); ++i) {
    phase += 30000000 + 4000 * i;
    noise = noise * 1664525 + 1013904223;
    const uint32_t part = i / 8000;
    if (part % 7 == 6) continue;
    const int tone = std::abs(static_cast<int>(phase >> 16) - 32768) - 16384;
    out[i] = static_cast<float>((tone >> part % 7) + ((static_cast<int>(noise >> 16) - 32768) >> 5)) / 32768;
  }
  return out;
}

std::vector<float> golden(const std::string& name) {
  const auto bytes = read_file(std::string(MIAO_SOURCE_DIR) + "/tests/golden/mel/" + name + ".bin");
  if (!bytes.ok()) return {};
  std::vector<float> out(bytes->size() / sizeof(float));
  std::memcpy(out.data(), bytes->data(), bytes->size());
  return out;
}

TEST(Mel, ChunksAreThoseOfTransformers) {
  for (const int bins : {80, 128}) {
    const std::vector<float> expected = golden(std::to_string(bins)), features = MelSpectrogram(bins).chunk(sound());
    ASSERT_EQ(features.size(), static_cast<size_t>(bins) * MelSpectrogram::kFrames);
    ASSERT_EQ(expected.size(), std::size(kKept) * static_cast<size_t>(bins));
    for (size_t i = 0; i < expected.size(); ++i) {
      const size_t frame = kKept[i / static_cast<size_t>(bins)], bin = i % static_cast<size_t>(bins);
      ASSERT_NEAR(features[bin * MelSpectrogram::kFrames + frame], expected[i], 1e-4) << bin << " of frame " << frame;
    }
  }
}

TEST(Mel, SamplesWithoutPaddingAreReflectedAtTheirEnds) {
  const std::vector<float> expected = golden("short"), samples = sound();
  const std::vector<float> features = MelSpectrogram(80)(std::span(samples).first(kShort));
  const size_t frames = kShort / MelSpectrogram::kHop;
  ASSERT_EQ(features.size(), 80 * frames);
  ASSERT_EQ(expected.size(), features.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(features[i % 80 * frames + i / 80], expected[i], 1e-4) << i;
}

TEST(Mel, TransformIsTheSumThatDefinesIt) {
  Dft400::Points x;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = {std::sin(static_cast<double>(i * i)), std::cos(static_cast<double>(3 * i * i))};
  }
  Dft400::Points y = x;
  Dft400()(y);
  for (size_t k = 0; k < x.size(); ++k) {
    double re = 0, im = 0;
    for (size_t n = 0; n < x.size(); ++n) {
      const double angle = -2 * std::numbers::pi * static_cast<double>(n * k % 400) / 400;
      re += x[n].re * std::cos(angle) - x[n].im * std::sin(angle);
      im += x[n].re * std::sin(angle) + x[n].im * std::cos(angle);
    }
    ASSERT_NEAR(y[k].re, re, 1e-11) << k;
    ASSERT_NEAR(y[k].im, im, 1e-11) << k;
  }
}

TEST(Mel, SilenceShortSoundsAndLoudOnesAreFinite) {
  const MelSpectrogram mel(80);
  for (const float v : mel.chunk({})) ASSERT_EQ(v, -1.5f);  // (log10(1e-10) + 4) / 4
  for (const size_t size : {0, 1, 159, 160, 199, 200, 201, 320}) {
    const std::vector<float> loud(size, 3e38f);
    const std::vector<float> features = mel(loud);
    ASSERT_EQ(features.size(), size / 160 * 80);
    for (const float v : features) ASSERT_TRUE(std::isfinite(v));
  }
  const std::vector<float> longer(MelSpectrogram::kChunk + 500, 0.25f);
  EXPECT_EQ(mel.chunk(longer), mel(std::span(longer).first(MelSpectrogram::kChunk)));
}

// A wide bound: some 10 ms of one core.
TEST(Mel, AChunkTakesMilliseconds) {
  const MelSpectrogram mel(128);
  std::vector<float> samples;
  while (samples.size() < MelSpectrogram::kChunk) {
    const std::vector<float> more = sound();
    samples.insert(samples.end(), more.begin(), more.end());
  }
  double best = 1e9;  // seconds
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(mel.chunk(samples).size(), 128 * MelSpectrogram::kFrames);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  RecordProperty("ms", std::to_string(best * 1e3));
  EXPECT_LT(best, 0.5);
}

}  // namespace
}  // namespace miao::prep
