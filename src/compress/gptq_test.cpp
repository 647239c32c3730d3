#include "compress/gptq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/cpu.h"
#include "compress/rounding.h"
#include "kernels/kernels.h"

namespace miao::compress {
namespace {

struct Rig {
  explicit Rig(int threads = 2, const char* isa = "")
      : pool(*ThreadPool::create(threads)), context{**kernels::select(cpu_features(), isa), *pool} {}
  std::unique_ptr<ThreadPool> pool;
  graph::Context context;
};

// Rows of correlated values, some columns large, as activations are.
std::vector<float> inputs(int64_t rows, int64_t cols, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mix(static_cast<size_t>(cols * 8)), out;
  for (float& v : mix) v = normal(random);
  for (int64_t r = 0; r < rows; ++r) {
    float hidden[8];
    for (float& v : hidden) v = normal(random);
    for (int64_t c = 0; c < cols; ++c) {
      float v = 0.3f * normal(random);
      for (int64_t k = 0; k < 8; ++k) v += hidden[k] * mix[static_cast<size_t>(c * 8 + k)] / 3;
      out.push_back(v * (c % 17 == 0 ? 4.0f : 1.0f));
    }
  }
  return out;
}

std::vector<float> weights(int64_t rows, int64_t cols) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> out(static_cast<size_t>(rows * cols));
  for (float& v : out) v = normal(random);
  return out;
}

Moments moments_of(const Rig& rig, const std::vector<float>& x, int64_t cols) {
  Moments out(cols);
  const int64_t rows = static_cast<int64_t>(x.size()) / cols, half = rows / 2;
  out.add(rig.context, x.data(), nullptr, half, cols);
  out.add(rig.context, x.data() + half * cols, nullptr, rows - half, cols);
  return out;
}

// Mean squared error of the product with the inputs.
double loss(DType dtype, const std::vector<float>& w, const std::vector<std::byte>& bytes, const std::vector<float>& x,
            int64_t cols) {
  const int64_t rows = static_cast<int64_t>(w.size()) / cols;
  std::vector<float> v(w.size());
  format(dtype).decode(bytes.data(), v.data(), rows * cols);
  double sum = 0;
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(cols)) {
    for (int64_t r = 0; r < rows; ++r) {
      double y = 0;
      for (int64_t c = 0; c < cols; ++c) {
        const auto i = static_cast<size_t>(r * cols + c);
        y += (double{w[i]} - double{v[i]}) * x[at + static_cast<size_t>(c)];
      }
      sum += y * y;
    }
  }
  return sum / static_cast<double>(x.size() / static_cast<size_t>(cols));
}

std::vector<std::byte> gptq(const Rig& rig, DType dtype, const std::vector<float>& w, const Feedback& feedback,
                            const GptqOptions& options = {}) {
  const int64_t rows = static_cast<int64_t>(w.size()) / feedback.cols;
  std::vector<std::byte> out(static_cast<size_t>(rows * row_bytes(dtype, feedback.cols)));
  const auto done = encode_gptq(dtype, w, feedback, options, rig.context, out.data());
  EXPECT_TRUE(done.ok()) << done.error().str();
  return out;
}

std::vector<std::byte> plain(const Rig& rig, DType dtype, const std::vector<float>& w,
                             const std::vector<float>& importance) {
  const auto cols = static_cast<int64_t>(importance.size());
  std::vector<std::byte> out(static_cast<size_t>(static_cast<int64_t>(w.size()) / cols * row_bytes(dtype, cols)));
  EXPECT_TRUE(encode_matrix(dtype, w, cols, {.method = Rounding::importance, .importance = importance, .progress = {}},
                            *rig.pool, out.data())
                  .ok());
  return out;
}

TEST(Moments, AreTheSumsOfProducts) {
  for (const int64_t cols : {1, 15, 16, 100, 300}) {
    const Rig rig;
    const auto x = inputs(70, cols);
    const Moments moments = moments_of(rig, x, cols);
    EXPECT_EQ(moments.rows(), 70);
    for (int64_t i = 0; i < cols; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double want = 0, size = 0;
        for (size_t r = 0; r < 70; ++r) {
          const double product = double{x[r * static_cast<size_t>(cols) + static_cast<size_t>(i)]} *
                                 x[r * static_cast<size_t>(cols) + static_cast<size_t>(j)];
          want += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(moments.at(i, j), want, 1e-5 * size) << cols << ' ' << i << ' ' << j;
        ASSERT_EQ(moments.at(i, j), moments.at(j, i));
      }
    }
  }
}

TEST(Feedback, FactorsTheMeanOfTheMoments) {
  for (const int64_t cols : {1, 64, 128, 129, 400}) {
    const Rig rig;
    const Moments moments = moments_of(rig, inputs(600, cols), cols);
    const auto feedback = Feedback::of(rig.context, moments, 32, 0.01);
    ASSERT_TRUE(feedback.ok()) << feedback.error().str();
    double mean = 0;
    for (int64_t i = 0; i < cols; ++i) mean += moments.at(i, i) / 600.0 / static_cast<double>(cols);
    const auto l = [&](int64_t i, int64_t j) { return double{feedback->l[static_cast<size_t>(i * cols + j)]}; };
    for (int64_t i = 0; i < cols; i += 7) {
      for (int64_t j = 0; j < cols; j += 5) {
        if (j > i) ASSERT_EQ(l(i, j), 0);
        double got = 0;
        for (int64_t k = 0; k < cols; ++k) got += l(k, i) * l(k, j);
        const int64_t a = feedback->order[static_cast<size_t>(i)], b = feedback->order[static_cast<size_t>(j)];
        const double want = moments.at(a, b) / 600.0 + (a == b ? 0.01 * mean : 0);
        ASSERT_NEAR(got, want, 1e-4 * mean) << cols << ' ' << i << ' ' << j;
        ASSERT_NEAR(feedback->h[static_cast<size_t>(a * cols + b)], want, 1e-6 * mean);
      }
    }
  }
}

TEST(Feedback, BadMoments) {
  const Rig rig;
  EXPECT_EQ(Feedback::of(rig.context, Moments(16), 16).error().code, Code::invalid);
  auto x = inputs(10, 16);
  x[7] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Feedback::of(rig.context, moments_of(rig, x, 16), 16).error().code, Code::corrupt);
  // Fewer rows than columns, and columns that nothing reaches: damping makes a factor of it.
  x = inputs(4, 200);
  for (size_t i = 3; i < x.size(); i += 200) x[i] = 0;
  EXPECT_TRUE(Feedback::of(rig.context, moments_of(rig, x, 200), 1, 1e-9).ok());
  EXPECT_TRUE(Feedback::of(rig.context, moments_of(rig, std::vector<float>(320), 16), 16).ok());
}

TEST(Gptq, LosesLessOfTheProduct) {
  const Rig rig;
  constexpr int64_t kCols = 512;
  const auto x = inputs(1500, kCols), unseen = inputs(1500, kCols);
  const auto w = weights(40, kCols);
  const Moments moments = moments_of(rig, x, kCols);
  for (const DType dtype : {DType::q4_0, DType::q4_1, DType::q5_0, DType::q8_0, DType::q2_k, DType::q3_k, DType::q4_k,
                            DType::q6_k, DType::iq4_nl, DType::iq4_xs, DType::mxfp4}) {
    const auto feedback = *Feedback::of(rig.context, moments, format(dtype).block);
    const double with = loss(dtype, w, gptq(rig, dtype, w, feedback), x, kCols);
    const double without = loss(dtype, w, plain(rig, dtype, w, feedback.importance), x, kCols);
    EXPECT_LT(with, 0.7 * without) << format(dtype).name;
  }
}

// With damping, which the error that is made smaller has in it; with many bits that outweighs what is gained.
TEST(Gptq, ARoundOfDescentLosesLess) {
  const Rig rig;
  constexpr int64_t kCols = 512;
  const auto x = inputs(1500, kCols), w = weights(40, kCols);
  const Moments moments = moments_of(rig, x, kCols);
  for (const DType dtype :
       {DType::q4_0, DType::q4_1, DType::q8_0, DType::q2_k, DType::q4_k, DType::q6_k, DType::iq4_xs, DType::mxfp4}) {
    const auto feedback = *Feedback::of(rig.context, moments, format(dtype).block);
    const auto after = [&](int rounds) {
      return loss(dtype, w, gptq(rig, dtype, w, feedback, {.rounds = rounds}), x, kCols);
    };
    const double before = after(0), one = after(1), two = after(2);
    EXPECT_LT(one, (format(dtype).bytes * 8 < 6 * format(dtype).block ? 0.98 : 1.01) * before) << format(dtype).name;
    EXPECT_LE(two, 1.01 * one) << format(dtype).name;
  }
}

// Inputs that rounding of earlier matrices has changed: the product with what they were is made again.
TEST(Gptq, AimsAtTheProductWithUndisturbedInputs) {
  const Rig rig;
  constexpr int64_t kCols = 128, kInputs = 1000;
  const auto x = inputs(kInputs, kCols);
  auto undisturbed = x;  // a linear function of x: the weights can make up for all of it
  for (size_t i = 1; i < x.size(); ++i) undisturbed[i] += (i % kCols % 3 == 0 ? 0.2f : 0) * x[i - 1];
  const auto w = weights(20, kCols);
  Moments moments(kCols);
  moments.add(rig.context, x.data(), undisturbed.data(), kInputs, kCols);
  const auto feedback = *Feedback::of(rig.context, moments, 32, 1e-4);
  std::vector<float> v(w.size());
  format(DType::q8_0).decode(gptq(rig, DType::q8_0, w, feedback, {.drift = 1}).data(), v.data(), 20 * kCols);
  double error = 0, change = 0;
  for (size_t at = 0; at < x.size(); at += kCols) {
    for (size_t r = 0; r < 20; ++r) {
      double want = 0, got = 0, before = 0;
      for (size_t c = 0; c < kCols; ++c) {
        want += double{w[r * kCols + c]} * undisturbed[at + c];
        got += double{v[r * kCols + c]} * x[at + c];
        before += double{w[r * kCols + c]} * x[at + c];
      }
      error += (want - got) * (want - got);
      change += (want - before) * (want - before);
    }
  }
  EXPECT_LT(error, 0.02 * change);
}

// Where columns have nothing to do with each other, there is nothing to make up for: codes are the nearest.
TEST(Gptq, OfIndependentColumnsIsRounding) {
  const Rig rig;
  constexpr int64_t kCols = 288;
  std::vector<float> x(kCols * kCols);
  for (size_t i = 0; i < kCols; ++i) x[i * kCols + i] = 1 + static_cast<float>(i % 7);
  const auto feedback = *Feedback::of(rig.context, moments_of(rig, x, kCols), 32);
  const auto w = weights(19, kCols);
  for (const DType dtype : {DType::q4_0, DType::q5_1, DType::iq4_nl, DType::q8_0}) {
    const auto own = gptq(rig, dtype, w, feedback);
    EXPECT_LE(loss(dtype, w, own, x, kCols),
              1.0001 * loss(dtype, w, plain(rig, dtype, w, feedback.importance), x, kCols))
        << format(dtype).name;
  }
}

TEST(Gptq, SameBytesForAnyThreadsAndIsa) {
  constexpr int64_t kCols = 512;
  const auto x = inputs(100, kCols), w = weights(17, kCols);
  std::vector<std::byte> want;
  for (const auto& [threads, isa] : {std::pair{1, "scalar"}, {3, "avx2"}, {2, ""}}) {
    if (!kernels::select(cpu_features(), isa).ok()) continue;
    const Rig rig(threads, isa);
    const auto bytes = gptq(rig, DType::q4_k, w, *Feedback::of(rig.context, moments_of(rig, x, kCols), 256));
    if (want.empty()) want = bytes;
    EXPECT_EQ(bytes, want) << threads << isa;
  }
}

TEST(Gptq, WhatCannotBeRounded) {
  const Rig rig;
  const auto feedback = *Feedback::of(rig.context, moments_of(rig, inputs(99, 96), 96), 32);
  std::vector<float> w = weights(2, 96);
  std::vector<std::byte> out(4096);
  const auto encode = [&](DType dtype) { return encode_gptq(dtype, w, feedback, {}, rig.context, out.data()); };
  EXPECT_EQ(encode(DType::q4_k).error().code, Code::unsupported);
  EXPECT_EQ(encode(DType::f16).error().code, Code::unsupported);
  w[100] = std::nanf("");
  EXPECT_EQ(encode(DType::q4_0).error().code, Code::invalid);
  EXPECT_EQ(encode(DType::q4_0).error().where, "row 1");
  w[100] = 0;
  const std::atomic<bool> cancel = true;
  EXPECT_EQ(encode_gptq(DType::q4_0, w, feedback, {.cancel = &cancel}, rig.context, out.data()).error().code,
            Code::cancelled);
}

}  // namespace
}  // namespace miao::compress
