// Row functions: every table gives the bits of the scalar one at every length, and the scalar one is near the truth.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "base/memory.h"
#include "kernels/generic/test_support.h"

namespace miao::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr Act kActs[] = {Act::silu, Act::gelu_tanh, Act::gelu, Act::relu, Act::tanh};

std::vector<int64_t> lengths() {
  std::vector<int64_t> out;
  for (int64_t n = 1; n <= 100; ++n) out.push_back(n);
  for (int64_t n : {127, 128, 576, 1000, 1023, 2052}) out.push_back(n);
  return out;
}

// Values of every kind: ordinary, tiny, subnormal, huge, zeros of both signs, and when `wild` infinities and NaN.
std::vector<float> edge_values(bool wild) {
  std::vector<float> out = {0.0f,    -0.0f,  1e-45f, -1e-40f, 1e-38f, 1e-20f, -1e-8f, 1e-4f,  0.3f,     -0.5f,  0.6249f,
                            0.6251f, -0.92f, 0.93f,  1.0f,    -3.9f,  4.1f,   9.0f,   -20.0f, -87.0f,   88.7f,  88.73f,
                            -88.0f,  -103.f, -104.f, 200.0f,  -300.f, 1e10f,  -1e20f, 1e30f,  -3.4e38f, 3.4e38f};
  if (wild) out.insert(out.end(), {kInf, -kInf, kNan});
  return out;
}

TEST(Vector, EveryTableIsComplete) {
  for (const Kernels* k : tables()) {
    EXPECT_TRUE(k->quantize && k->rms_norm && k->layer_norm && k->rope && k->gated && k->activate && k->add &&
                k->scale && k->softcap && k->softmax && k->argmax);
    for (const KvKernels& kv : k->kv) EXPECT_TRUE(kv.store_k && kv.store_v && kv.attention);
  }
}

// A function of one row, run on each table with the same input.
using RowFunction = std::function<void(const Kernels&, const std::vector<float>& x, float* out)>;
struct RowCase {
  std::string name;
  RowFunction run;
};

std::vector<RowCase> row_cases() {
  const auto w = random_floats(4096, 11);
  const auto b = random_floats(4096, 12);
  const auto n = [](const std::vector<float>& x) { return static_cast<int64_t>(x.size()); };
  std::vector<RowCase> cases = {
      {"rms_norm", [=](const Kernels& k, const auto& x, float* o) { k.rms_norm(x.data(), w.data(), n(x), 1e-5f, o); }},
      {"rms_norm_plain",
       [=](const Kernels& k, const auto& x, float* o) { k.rms_norm(x.data(), nullptr, n(x), 1e-6f, o); }},
      {"layer_norm",
       [=](const Kernels& k, const auto& x, float* o) { k.layer_norm(x.data(), w.data(), b.data(), n(x), 1e-5f, o); }},
      {"layer_norm_weight",
       [=](const Kernels& k, const auto& x, float* o) { k.layer_norm(x.data(), w.data(), nullptr, n(x), 1e-5f, o); }},
      {"layer_norm_bias",
       [=](const Kernels& k, const auto& x, float* o) { k.layer_norm(x.data(), nullptr, b.data(), n(x), 1e-5f, o); }},
      {"layer_norm_plain",
       [=](const Kernels& k, const auto& x, float* o) { k.layer_norm(x.data(), nullptr, nullptr, n(x), 1e-5f, o); }},
      {"add", [=](const Kernels& k, const auto& x, float* o) { k.add(x.data(), w.data(), n(x), o); }},
      {"scale",
       [=](const Kernels& k, const auto& x, float* o) {
         std::copy(x.begin(), x.end(), o);
         k.scale(o, 0.3f, n(x));
       }},
      {"softcap",
       [=](const Kernels& k, const auto& x, float* o) {
         std::copy(x.begin(), x.end(), o);
         k.softcap(o, 3.0f, n(x));
       }},
      {"softmax", [=](const Kernels& k, const auto& x, float* o) { k.softmax(x.data(), n(x), 0.7f, o); }},
  };
  for (Act act : kActs) {
    const std::string suffix = std::to_string(static_cast<int>(act));
    cases.push_back({"gated" + suffix,
                     [=](const Kernels& k, const auto& x, float* o) { k.gated(act, x.data(), w.data(), n(x), o); }});
    cases.push_back({"activate" + suffix, [=](const Kernels& k, const auto& x, float* o) {
                       std::copy(x.begin(), x.end(), o);
                       k.activate(act, o, n(x));
                     }});
  }
  return cases;
}

TEST(Vector, RowFunctionsGiveTheSameBitsOnEveryTable) {
  const auto all = tables();
  for (const RowCase& c : row_cases()) {
    std::vector<std::vector<float>> inputs = {edge_values(false), edge_values(true)};
    for (int64_t n : lengths()) inputs.push_back(random_floats(static_cast<size_t>(n), static_cast<uint32_t>(n), 3.0f));
    for (const auto& x : inputs) {
      std::vector<float> want(x.size());
      c.run(*all[0], x, want.data());
      for (const Kernels* k : all) {
        std::vector<float> got(x.size());
        c.run(*k, x, got.data());
        ASSERT_TRUE(same_bits(got, want)) << c.name << " " << k->name << " n=" << x.size();
      }
    }
  }
}

TEST(Vector, NormsAreNearTheTruth) {
  for (int64_t n : {1, 7, 64, 576, 4096}) {
    const auto x = random_floats(static_cast<size_t>(n), 5, 4.0f), w = random_floats(static_cast<size_t>(n), 6),
               b = random_floats(static_cast<size_t>(n), 7);
    double sum = 0, squares = 0, spread = 0;
    for (float v : x) sum += v, squares += double{v} * v;
    const double mean = sum / static_cast<double>(n);
    for (float v : x) spread += (v - mean) * (v - mean);
    std::vector<float> rms(x.size()), layer(x.size());
    tables().back()->rms_norm(x.data(), w.data(), n, 1e-5f, rms.data());
    tables().back()->layer_norm(x.data(), w.data(), b.data(), n, 1e-5f, layer.data());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(rms[i], x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-5) * w[i], 1e-5);
      EXPECT_NEAR(layer[i], (x[i] - mean) / std::sqrt(spread / static_cast<double>(n) + 1e-5) * w[i] + b[i], 2e-5);
    }
  }
}

TEST(Vector, RopeRotatesPairs) {
  const auto all = tables();
  struct Shape {
    int64_t heads, head_dim, half;
  };
  for (const Shape s : {Shape{3, 64, 32}, Shape{2, 80, 40}, Shape{1, 20, 10}, Shape{2, 96, 24}, Shape{4, 6, 3}}) {
    const auto x = random_floats(static_cast<size_t>(s.heads * s.head_dim), 21);
    const auto angle = random_floats(static_cast<size_t>(s.half), 22);
    std::vector<float> cos, sin;
    for (float a : angle) cos.push_back(std::cos(a)), sin.push_back(std::sin(a));
    for (bool interleaved : {false, true}) {
      auto first = x;
      all[0]->rope(first.data(), s.heads, s.head_dim, s.half, interleaved, cos.data(), sin.data());
      for (const Kernels* k : all) {
        auto got = x;
        k->rope(got.data(), s.heads, s.head_dim, s.half, interleaved, cos.data(), sin.data());
        ASSERT_TRUE(same_bits(got, first)) << k->name;
      }
      for (int64_t h = 0; h < s.heads; ++h) {
        for (int64_t i = 0; i < s.head_dim; ++i) {
          const int64_t base = h * s.head_dim;
          double want = x[static_cast<size_t>(base + i)];
          if (i < 2 * s.half) {
            const int64_t pair = interleaved ? i / 2 : i % s.half;
            const bool second = interleaved ? i % 2 == 1 : i >= s.half;
            const size_t a = static_cast<size_t>(base + (interleaved ? 2 * pair : pair));
            const size_t b = a + static_cast<size_t>(interleaved ? 1 : s.half);
            const double c = cos[static_cast<size_t>(pair)], d = sin[static_cast<size_t>(pair)];
            want = second ? x[b] * c + x[a] * d : x[a] * c - x[b] * d;
          }
          EXPECT_NEAR(first[static_cast<size_t>(base + i)], want, 1e-6);
        }
      }
    }
  }
}

// Largest error in units of the last place over a sweep of ordinary values.
double worst(const std::function<void(float*, int64_t)>& run, const std::function<double(double)>& truth, float low,
             float high) {
  std::vector<float> x;
  const int n = 20000;
  for (int i = 0; i <= n; ++i) x.push_back(low + (high - low) * static_cast<float>(i) / static_cast<float>(n));
  auto y = x;
  run(y.data(), static_cast<int64_t>(y.size()));
  double out = 0;
  for (size_t i = 0; i < x.size(); ++i) out = std::max(out, ulps(y[i], truth(x[i])));
  return out;
}

TEST(Vector, FunctionsAreWithinAFewUnits) {
  const Kernels& k = *tables().back();
  const auto tanh = [&](float* x, int64_t n) { k.softcap(x, 1.0f, n); };
  EXPECT_LT(worst(
                tanh, [](double x) { return std::tanh(x); }, -10.0f, 10.0f),
            2.0);
  EXPECT_LT(worst(
                tanh, [](double x) { return std::tanh(x); }, -0.01f, 0.01f),
            1.0);
  const auto silu = [&](float* x, int64_t n) { k.activate(Act::silu, x, n); };
  EXPECT_LT(worst(
                silu, [](double x) { return x / (1 + std::exp(-x)); }, -80.0f, 80.0f),
            3.0);
  // The sums 1 + tanh and 1 + erf lose digits on the negative side, as in FP32 elsewhere: absolute error there.
  const auto gelu = [&](float* x, int64_t n) { k.activate(Act::gelu, x, n); };
  const auto gelu_truth = [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); };
  EXPECT_LT(worst(gelu, gelu_truth, 0.0f, 10.0f), 3.0);
  const auto gelu_tanh = [&](float* x, int64_t n) { k.activate(Act::gelu_tanh, x, n); };
  const auto gelu_tanh_truth = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  };
  EXPECT_LT(worst(gelu_tanh, gelu_tanh_truth, 0.0f, 10.0f), 3.0);
  for (float x = -8.0f; x < 0.0f; x += 0.01f) {
    float a = x, b = x;
    gelu(&a, 1);
    gelu_tanh(&b, 1);
    EXPECT_NEAR(a, gelu_truth(x), 4e-7);
    EXPECT_NEAR(b, gelu_tanh_truth(x), 4e-7);
  }
}

TEST(Vector, SoftmaxIsAccurateAndSumsToOne) {
  for (const Kernels* k : tables()) {
    for (int64_t n : {1, 2, 17, 1000}) {
      const auto x = random_floats(static_cast<size_t>(n), 31, 5.0f);
      std::vector<float> p(x.size());
      k->softmax(x.data(), n, 0.8f, p.data());
      double sum = 0, total = 0;
      const float top = *std::max_element(x.begin(), x.end());
      for (float v : x) sum += std::exp((double{v} - top) / 0.8f);
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_NEAR(p[i], std::exp((double{x[i]} - top) / 0.8f) / sum, 3e-6 * p[i] + 1e-40);
        total += p[i];
      }
      EXPECT_NEAR(total, 1.0, 1e-5);
    }
    const float hidden[] = {1.0f, -kInf, 1.0f, -200.0f};
    float p[4];
    k->softmax(hidden, 4, 1.0f, p);
    EXPECT_FLOAT_EQ(p[0], 0.5f);
    EXPECT_EQ(p[1], 0.0f);
    EXPECT_EQ(p[3], 0.0f);
  }
}

TEST(Vector, ArgmaxTakesTheFirstOfEqualsAndNeverNan) {
  for (const Kernels* k : tables()) {
    for (int64_t n : {1, 2, 15, 16, 17, 31, 100, 1023, 1024, 1025, 5000, 49152}) {
      auto x = random_floats(static_cast<size_t>(n), static_cast<uint32_t>(n));
      const int64_t want = std::max_element(x.begin(), x.end()) - x.begin();
      EXPECT_EQ(k->argmax(x.data(), n), want);
      for (int64_t at : {int64_t{0}, n / 2, n - 1}) {
        auto y = x;
        for (int64_t i = at; i < n; ++i) y[static_cast<size_t>(i)] = 50.0f;
        EXPECT_EQ(k->argmax(y.data(), n), at);
        y[static_cast<size_t>(at)] = kNan;
        if (at + 1 < n) {
          EXPECT_EQ(k->argmax(y.data(), n), at + 1);
        }
      }
      const std::vector<float> none(static_cast<size_t>(n), kNan);
      EXPECT_EQ(k->argmax(none.data(), n), 0);
      std::vector<float> low(static_cast<size_t>(n), -kInf);
      low[0] = kNan;
      EXPECT_EQ(k->argmax(low.data(), n), n > 1 ? 1 : 0);
      low.back() = -3e38f;
      EXPECT_EQ(k->argmax(low.data(), n), n - 1);
    }
  }
}

TEST(Vector, QuantizeKeepsItsPromises) {
  const auto all = tables();
  auto x = random_floats(32 * 40, 41);
  for (size_t i = 0; i < 32; ++i) {
    x[32 + i] = 0.0f;                                     // a group of zeros
    x[64 + i] = 1e-44f;                                   // below what a scale can say
    x[96 + i] = static_cast<float>(i) - 15.5f;            // ties to even: 127 / 15.5 apart
    x[128 + i] = (i % 2 ? 1.0f : -1.0f) * 3.4e38f;        // the extremes
    x[160 + i] = static_cast<float>(i % 3) * 0.5f + 126;  // near the largest
  }
  x[192 + 5] = 127.0f;  // codes fall on halves: scale 1
  for (size_t i = 6; i < 32; ++i) x[192 + i] = static_cast<float>(i) + 0.5f;
  x[224 + 3] = kNan;
  x[256 + 20] = -kInf;
  const int64_t n = static_cast<int64_t>(x.size());
  const auto bytes = static_cast<size_t>(Quantised::bytes(1, n));
  Memory memory = *Memory::allocate(bytes), first = *Memory::allocate(bytes);
  const Quantised want = Quantised::at(first.data(), 1, n), c = Quantised::at(memory.data(), 1, n);
  all[0]->quantize(x.data(), kGroup, n / kGroup, want, 0);
  const auto is_nan = [](size_t g) { return g == 7 || g == 8; };
  for (const Kernels* k : all) {
    k->quantize(x.data(), kGroup, n / kGroup, c, 0);
    EXPECT_EQ(std::memcmp(c.q, want.q, x.size()), 0) << k->name;
    for (size_t g = 0; g < x.size() / 32; ++g) {
      EXPECT_EQ(std::isnan(c.scale[g]), is_nan(g)) << k->name << " group " << g;
      EXPECT_EQ(std::isnan(c.dsum[g]) && std::isnan(c.dsum16[0][g]) && std::isnan(c.dsum16[1][g]), is_nan(g));
      if (is_nan(g)) continue;
      EXPECT_TRUE(c.scale[g] == want.scale[g] && c.dsum[g] == want.dsum[g] && c.nsum[g] == want.nsum[g]);
      for (int h = 0; h < 2; ++h)
        EXPECT_TRUE(c.dsum16[h][g] == want.dsum16[h][g] && c.nsum16[h][g] == want.nsum16[h][g]);
    }
  }
  const int8_t* const q = c.q;
  for (size_t g = 0; g < x.size() / 32; ++g) {
    if (is_nan(g)) continue;
    float top = 0;
    int sums[2] = {0, 0};
    for (size_t i = 0; i < 32; ++i) top = std::max(top, std::fabs(x[g * 32 + i]));
    for (size_t i = 0; i < 32; ++i) {
      sums[i / 16] += q[g * 32 + i];
      EXPECT_GE(q[g * 32 + i], -127);
      EXPECT_LE(std::fabs(double{x[g * 32 + i]} - double{c.scale[g]} * q[g * 32 + i]), top / 127 * 0.5001 + 1e-35);
    }
    EXPECT_EQ(c.scale[g], g == 2 ? 0.0f : top / 127.0f);
    EXPECT_EQ(c.nsum[g], -(sums[0] + sums[1]));
    EXPECT_EQ(c.dsum[g], c.scale[g] * static_cast<float>(sums[0] + sums[1]));
    for (int h = 0; h < 2; ++h) {
      EXPECT_EQ(c.nsum16[h][g], -sums[h]);
      EXPECT_EQ(c.dsum16[h][g], c.scale[g] * static_cast<float>(sums[h]));
    }
  }
  EXPECT_EQ(q[192 + 6], 6);  // 6.5 to even
  EXPECT_EQ(q[192 + 7], 8);  // 7.5 to even
}

// A tile holds the entries that its rows have one after another.
TEST(Vector, QuantizeGivesTheSameEntriesInTiles) {
  constexpr int64_t rows = 21, cols = 96;
  const auto x = random_floats(rows * cols, 42);
  Memory memory = *Memory::allocate(static_cast<size_t>(Quantised::bytes(rows, cols)));
  Memory single = *Memory::allocate(static_cast<size_t>(Quantised::bytes(1, cols)));
  const Quantised tiled = Quantised::at(memory.data(), rows, cols), one = Quantised::at(single.data(), 1, cols);
  ASSERT_TRUE(tiled.tiled && !one.tiled);
  for (const Kernels* k : tables()) {
    for (int64_t unit = 0; unit < quantize_units(rows, tiled); ++unit)
      quantize_unit(*k, x.data(), cols, rows, tiled, unit);
    for (int64_t r = 0; r < rows; ++r) {
      quantize_unit(*k, x.data() + r * cols, cols, 1, one, 0);
      for (int64_t g = 0; g < cols / kGroup; ++g) {
        const int64_t at = tiled.index(r, g);
        EXPECT_EQ(std::memcmp(tiled.q + 32 * at, one.q + 32 * g, 32), 0) << k->name << " row " << r;
        EXPECT_EQ(tiled.scale[at], one.scale[g]);
        EXPECT_EQ(tiled.nsum[at], one.nsum[g]);
        EXPECT_EQ(tiled.dsum16[1][at], one.dsum16[1][g]);
      }
    }
  }
}

// Tiles are multiplied whole, and bytes of an earlier use read as denormal scales made a prompt of 18 tokens three
// times slower than one of 20.
TEST(Vector, RowsThatFillUpATileHaveScaleZero) {
  constexpr int64_t rows = 18, cols = 96;
  const auto x = random_floats(rows * cols, 42);
  Memory memory = *Memory::allocate(static_cast<size_t>(Quantised::bytes(rows, cols)));
  std::memset(memory.data(), 0x01, static_cast<size_t>(Quantised::bytes(rows, cols)));
  const Quantised tiled = Quantised::at(memory.data(), rows, cols);
  for (int64_t unit = 0; unit < quantize_units(rows, tiled); ++unit)
    quantize_unit(*tables().front(), x.data(), cols, rows, tiled, unit);
  for (int64_t r = rows; r < 2 * kTileRows; ++r) {
    for (int64_t g = 0; g < cols / kGroup; ++g) {
      const int64_t at = tiled.index(r, g);
      EXPECT_EQ(tiled.scale[at], 0);
      EXPECT_EQ(tiled.dsum[at], 0);
      EXPECT_EQ(tiled.dsum16[0][at], 0);
      EXPECT_EQ(tiled.dsum16[1][at], 0);
    }
  }
}

}  // namespace
}  // namespace miao::kernels
