// Each op against a plain computation in double precision, one row (decode) and many rows (prompt).
#include "graph/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/cpu.h"
#include "kernels/kernels.h"

namespace miao::graph {
namespace {

using Doubles = std::vector<double>;

std::vector<float> random_values(size_t n, uint32_t seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

TensorView view_of(const std::vector<float>& values, int64_t rows, int64_t cols) {
  return {
      "w", DType::f32, {rows, cols}, reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(float)};
}

struct Rig {
  explicit Rig(int threads) : owner(*ThreadPool::create(threads)) {}
  std::unique_ptr<ThreadPool> owner;
  ThreadPool& pool = *owner;
  Context context{**kernels::select(cpu_features(), ""), pool};
  Program program{context};
  Memory memory;
  std::unique_ptr<Linear> linear;

  const Linear& pack(std::vector<LinearPart> parts, Precision precision = Precision::file) {
    linear = std::make_unique<Linear>(*Linear::describe(context, std::move(parts), precision));
    memory = *Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
    EXPECT_TRUE(linear->pack(context, memory.data(), {}).ok());
    return *linear;
  }
  void run(int64_t rows) {
    const std::vector<int32_t> ids(static_cast<size_t>(rows));
    const PassSlice slice{.row = 0, .rows = rows, .position = 0};
    program.run({.ids = ids, .slices = {&slice, 1}});
  }
};

void fill(Buffer* b, int64_t rows, uint32_t seed) {
  const auto values = random_values(static_cast<size_t>(rows * b->cols), seed);
  for (int64_t t = 0; t < rows; ++t)
    std::memcpy(b->row(t), values.data() + t * b->cols, static_cast<size_t>(b->cols) * 4);
}

Doubles row_of(const Buffer* b, int64_t t) { return {b->row(t), b->row(t) + b->cols}; }

Doubles rms_norm(const Doubles& x, const std::vector<float>& weight, double eps) {
  double power = 0;
  for (const double v : x) power += v * v;
  const double scale = 1 / std::sqrt(power / static_cast<double>(x.size()) + eps);
  Doubles out(x.size());
  for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * static_cast<double>(weight[i]);
  return out;
}

Doubles times(const std::vector<float>& w, const Doubles& x) {
  Doubles out(w.size() / x.size());
  for (size_t r = 0; r < out.size(); ++r) {
    for (size_t i = 0; i < x.size(); ++i) out[r] += static_cast<double>(w[r * x.size() + i]) * x[i];
  }
  return out;
}

void expect_row(const float* got, const Doubles& want, double tolerance) {
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(static_cast<double>(got[i]), want[i], tolerance) << "column " << i;
}

TEST(Ops, Embedding) {
  Rig rig(2);
  const auto table = random_values(10 * 20, 1);
  Buffer* const x = rig.program.buffer("x", 20);
  add_embedding(rig.program, view_of(table, 10, 20), 3, x);
  ASSERT_TRUE(rig.program.plan(8).ok());
  const std::vector<int32_t> ids{9, 0, 9, 4};
  rig.program.run({.ids = ids});
  for (size_t t = 0; t < ids.size(); ++t) {
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(x->row(static_cast<int64_t>(t))[i], 3 * table[static_cast<size_t>(ids[t]) * 20 + i]);
    }
  }
}

TEST(Ops, RotationFollowsPositionsOfEachSlice) {
  Rig rig(2);
  Buffer* const out = add_rotation(rig.program, "rotation", {1.0f, 0.5f, 0.01f}, 2);
  ASSERT_TRUE(rig.program.plan(8).ok());
  const std::vector<int32_t> ids(5);
  const PassSlice slices[] = {{.row = 0, .rows = 3, .position = 7}, {.row = 3, .rows = 2, .position = 100}};
  rig.program.run({.ids = ids, .slices = slices});
  const double positions[] = {7, 8, 9, 100, 101};
  const double frequency[] = {1, 0.5, 0.01};
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(out->row(t)[i], 2 * std::cos(positions[t] * frequency[i]), 1e-5);
      EXPECT_NEAR(out->row(t)[3 + i], 2 * std::sin(positions[t] * frequency[i]), 1e-5);
    }
  }
}

TEST(Ops, LinearAssignAndAccumulate) {
  for (const int threads : {1, 3}) {
    for (const int64_t rows : {1, 4, 5, 37}) {
      for (const Store store : {Store::assign, Store::accumulate}) {
        Rig rig(threads);
        const auto w = random_values(130 * 24, 1, 0.2f);
        const auto bias = random_values(130, 2);
        const auto norm = random_values(24, 3);
        Buffer* const x = rig.program.buffer("x", 24);
        Buffer* const y = rig.program.buffer("y", 130);
        add_linear(rig.program, "linear", rig.pack({{view_of(w, 130, 24), bias}}), Norm{norm.data(), 24, 1e-5f}, x,
                   store, y);
        ASSERT_TRUE(rig.program.plan(64).ok());
        fill(x, rows, 4);
        fill(y, rows, 5);
        std::vector<Doubles> want;
        for (int64_t t = 0; t < rows; ++t) {
          want.push_back(times(w, rms_norm(row_of(x, t), norm, 1e-5)));
          for (size_t i = 0; i < 130; ++i) {
            want.back()[i] += static_cast<double>(bias[i]) + (store == Store::accumulate ? row_of(y, t)[i] : 0);
          }
        }
        rig.run(rows);
        for (int64_t t = 0; t < rows; ++t) expect_row(y->row(t), want[static_cast<size_t>(t)], 1e-4);
      }
    }
  }
}

// The product of rounded rows and weights, exactly: rows are normed and quantised whatever their number.
TEST(Ops, LinearOfInt8) {
  constexpr size_t cols = 70, outputs = 130;
  // Codes of a row that reach its largest value, or so many times the mean of its magnitudes.
  const auto codes = [](const Doubles& x, double means) {
    double top = 0, mean = 0;
    for (const double v : x) {
      top = std::max(top, std::fabs(v));
      mean += std::fabs(v) / static_cast<double>(x.size());
    }
    const double step = std::min(top, means * mean) / 127;
    Doubles out(x);
    for (double& v : out) v = std::rint(v / step) * step;
    return out;
  };
  const auto w = random_values(outputs * cols, 1, 0.2f);
  const auto bias = random_values(outputs, 2);
  const auto norm = random_values(cols, 3);
  for (const int threads : {1, 3}) {
    for (const int64_t rows : {1, 4, 5, 16, 17, 37}) {
      for (const bool normed : {false, true}) {
        const Store store = normed ? Store::accumulate : Store::assign;
        Rig rig(threads);
        Buffer* const x = rig.program.buffer("x", cols);
        Buffer* const y = rig.program.buffer("y", outputs);
        const Linear& linear = rig.pack({{view_of(w, outputs, cols), bias}}, Precision::int8);
        EXPECT_TRUE(linear.reads_row_codes() && !linear.reads_codes());
        const Doubles factor(linear.factor(), linear.factor() + cols);
        std::vector<float> rounded;
        for (size_t o = 0; o < outputs; ++o) {
          Doubles row(w.begin() + o * cols, w.begin() + (o + 1) * cols);
          for (size_t i = 0; i < cols; ++i) row[i] /= factor[i];
          row = codes(row, 1e9);
          rounded.insert(rounded.end(), row.begin(), row.end());
        }
        add_linear(rig.program, "linear", linear, normed ? std::optional(Norm{norm.data(), cols, 1e-5f}) : std::nullopt,
                   x, store, y);
        ASSERT_TRUE(rig.program.plan(64).ok());
        fill(x, rows, 4);
        fill(y, rows, 5);
        std::vector<Doubles> before;
        for (int64_t t = 0; t < rows; ++t) before.push_back(normed ? row_of(y, t) : Doubles(outputs));
        rig.run(rows);
        for (int64_t t = 0; t < rows; ++t) {
          Doubles from = normed ? rms_norm(row_of(x, t), norm, 1e-5) : row_of(x, t);
          for (size_t i = 0; i < cols; ++i) from[i] *= factor[i];
          Doubles want = times(rounded, codes(from, 6));
          for (size_t i = 0; i < outputs; ++i)
            want[i] += static_cast<double>(bias[i]) + before[static_cast<size_t>(t)][i];
          // A value between two codes may go either way in FP32: one step of one product.
          expect_row(y->row(t), want, 0.02);
        }
      }
    }
  }
}

TEST(Ops, GatedActivation) {
  for (const int64_t rows : {1, 20}) {
    Rig rig(2);
    const auto gate = random_values(70 * 32, 1, 0.3f);
    const auto up = random_values(70 * 32, 2, 0.3f);
    const auto gate_bias = random_values(70, 3);
    const auto up_bias = random_values(70, 4);
    Buffer* const x = rig.program.buffer("x", 32);
    Buffer* const y = rig.program.buffer("y", 70);
    add_activated(rig.program, "ffn", rig.pack({{view_of(gate, 70, 32), gate_bias}, {view_of(up, 70, 32), up_bias}}),
                  kernels::Act::silu, std::nullopt, x, y);
    ASSERT_TRUE(rig.program.plan(32).ok());
    fill(x, rows, 5);
    rig.run(rows);
    for (int64_t t = 0; t < rows; ++t) {
      Doubles g = times(gate, row_of(x, t));
      const Doubles u = times(up, row_of(x, t));
      for (size_t i = 0; i < 70; ++i) {
        g[i] += static_cast<double>(gate_bias[i]);
        g[i] = g[i] / (1 + std::exp(-g[i])) * (u[i] + static_cast<double>(up_bias[i]));
      }
      expect_row(y->row(t), g, 1e-4);
    }
  }
}

TEST(Ops, NormResidual) {
  Rig rig(2);
  const auto weight = random_values(40, 1);
  Buffer* const y = rig.program.buffer("y", 40);
  Buffer* const x = rig.program.buffer("x", 40);
  add_norm_residual(rig.program, "post", {weight.data(), 40, 1e-6f}, y, x);
  ASSERT_TRUE(rig.program.plan(8).ok());
  fill(x, 5, 2);
  fill(y, 5, 3);
  std::vector<Doubles> want;
  for (int64_t t = 0; t < 5; ++t) {
    want.push_back(rms_norm(row_of(y, t), weight, 1e-6));
    for (size_t i = 0; i < 40; ++i) want.back()[i] += row_of(x, t)[i];
  }
  rig.run(5);
  for (int64_t t = 0; t < 5; ++t) expect_row(x->row(t), want[static_cast<size_t>(t)], 1e-5);
}

TEST(Ops, LogitsOfWantedRowsWithSoftcap) {
  Rig rig(2);
  const auto w = random_values(50 * 16, 1);
  const auto norm = random_values(16, 2);
  Buffer* const x = rig.program.buffer("x", 16);
  rig.program.select({x});
  add_logits(rig.program, "lm_head", rig.pack({{view_of(w, 50, 16), {}}}),
             {.norm = Norm{norm.data(), 16, 1e-5f}, .softcap = 4}, x);
  ASSERT_TRUE(rig.program.plan(16).ok());
  fill(x, 9, 3);
  const std::vector<int32_t> ids(9);
  const std::vector<int32_t> wanted{1, 4, 8};
  std::vector<Doubles> want;
  for (const int32_t t : wanted) {
    want.push_back(times(w, rms_norm(row_of(x, t), norm, 1e-5)));
    for (double& v : want.back()) v = 4 * std::tanh(v / 4);
  }
  auto logits = Memory::allocate(3 * 64 * sizeof(float));
  rig.program.run({.ids = ids, .wanted = wanted, .logits = logits->as<float>(), .ld_logits = 64});
  for (size_t i = 0; i < 3; ++i) expect_row(logits->as<float>() + i * 64, want[i], 1e-4);
}

// ---------------------------------------------------------------- attention

struct AttentionCase {
  const char* name;
  int64_t heads, kv_heads, head_dim, half;
  bool interleaved;
  bool qk_norm;
  int64_t window;
  float softcap;
};

// Keys and values of one sequence in one layer.
struct Pages {
  Memory memory;
  std::vector<const void*> k, v;
  int64_t capacity = 4;

  Pages(int64_t layers, int64_t kv_heads, int64_t head_dim) {
    const int64_t bytes = kernels::page_bytes(kernels::KvType::f32, head_dim);
    memory = *Memory::allocate(static_cast<size_t>(2 * layers * kv_heads * capacity * bytes));
    for (int64_t i = 0; i < layers * kv_heads * capacity; ++i) {
      k.push_back(memory.data() + 2 * i * bytes);
      v.push_back(memory.data() + (2 * i + 1) * bytes);
    }
  }
  KvPages view() const { return {k.data(), v.data(), capacity}; }
};

void rotate(double* x, const AttentionCase& c, double position, const std::vector<float>& frequency) {
  for (int64_t i = 0; i < c.half; ++i) {
    double& a = x[c.interleaved ? 2 * i : i];
    double& b = x[c.interleaved ? 2 * i + 1 : i + c.half];
    const double angle = position * static_cast<double>(frequency[static_cast<size_t>(i)]);
    const double was = a;
    a = was * std::cos(angle) - b * std::sin(angle);
    b = b * std::cos(angle) + was * std::sin(angle);
  }
}

// `qkv` is (rows, q | k | v) without padding.
std::vector<Doubles> attend(const AttentionCase& c, const std::vector<Doubles>& qkv, const std::vector<float>& q_norm,
                            const std::vector<float>& k_norm, const std::vector<float>& frequency, double scale) {
  const auto d = static_cast<size_t>(c.head_dim);
  std::vector<Doubles> rows = qkv;
  const int64_t all = c.heads + c.kv_heads;
  for (size_t t = 0; t < rows.size(); ++t) {
    for (int64_t h = 0; h < all; ++h) {
      double* const x = rows[t].data() + h * c.head_dim;
      if (c.qk_norm) {
        const Doubles normed = rms_norm(Doubles(x, x + d), h < c.heads ? q_norm : k_norm, 1e-6);
        std::copy(normed.begin(), normed.end(), x);
      }
      rotate(x, c, static_cast<double>(t), frequency);
    }
  }
  std::vector<Doubles> out;
  for (size_t t = 0; t < rows.size(); ++t) {
    Doubles row(static_cast<size_t>(c.heads) * d);
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t kv = h / (c.heads / c.kv_heads);
      Doubles p(t + 1);
      double sum = 0;
      for (size_t j = 0; j <= t; ++j) {
        if (c.window > 0 && static_cast<int64_t>(t - j) >= c.window) continue;
        double s = 0;
        for (size_t i = 0; i < d; ++i) {
          s += rows[t][static_cast<size_t>(h) * d + i] * rows[j][static_cast<size_t>(c.heads + kv) * d + i];
        }
        s *= scale;
        if (c.softcap > 0) s = static_cast<double>(c.softcap) * std::tanh(s / static_cast<double>(c.softcap));
        sum += p[j] = std::exp(s);
      }
      for (size_t j = 0; j <= t; ++j) {
        for (size_t i = 0; i < d; ++i) {
          row[static_cast<size_t>(h) * d + i] += p[j] / sum * rows[j][static_cast<size_t>(all + kv) * d + i];
        }
      }
    }
    out.push_back(std::move(row));
  }
  return out;
}

TEST(Ops, Attention) {
  const AttentionCase cases[] = {{"plain", 4, 4, 16, 8, false, false, 0, 0},
                                 {"grouped, interleaved", 6, 2, 16, 8, true, false, 0, 0},
                                 {"norms, odd sizes", 3, 1, 20, 10, false, true, 0, 0},
                                 {"window", 4, 2, 32, 16, false, false, 10, 0},
                                 {"softcap", 2, 1, 8, 4, false, false, 0, 2.0f},
                                 {"part of a head rotated", 2, 2, 24, 6, false, false, 70, 0}};
  constexpr int64_t kRows = 150;
  for (const AttentionCase& c : cases) {
    SCOPED_TRACE(c.name);
    const int64_t q_dim = c.heads * c.head_dim;
    const int64_t kv_dim = c.kv_heads * c.head_dim;
    std::vector<Doubles> qkv;
    for (int64_t t = 0; t < kRows; ++t) {
      const auto values = random_values(static_cast<size_t>(q_dim + 2 * kv_dim), static_cast<uint32_t>(t));
      qkv.emplace_back(values.begin(), values.end());
    }
    std::vector<float> frequency;
    for (int64_t i = 0; i < c.half; ++i) frequency.push_back(std::pow(0.7f, static_cast<float>(i)));
    const auto q_norm = random_values(static_cast<size_t>(c.head_dim), 1);
    const auto k_norm = random_values(static_cast<size_t>(c.head_dim), 2);
    const std::vector<Doubles> want = attend(c, qkv, q_norm, k_norm, frequency, 0.3);

    std::vector<std::vector<float>> first;
    for (const int threads : {1, 2}) {
      for (const int64_t piece : {1, 7, 16, 17, 64, 150}) {  // rows of a pass
        Rig rig(threads);
        Attention a{.layer = 1, .heads = c.heads, .kv_heads = c.kv_heads, .head_dim = c.head_dim};
        a.k = kernels::round_up(q_dim, 16);
        a.v = a.k + kernels::round_up(kv_dim, 16);
        a.half = c.half;
        a.interleaved = c.interleaved;
        if (c.qk_norm) {
          a.q_norm = Norm{q_norm.data(), c.head_dim, 1e-6f};
          a.k_norm = Norm{k_norm.data(), c.head_dim, 1e-6f};
        }
        a.kv = kernels::KvType::f32;
        a.window = c.window;
        a.scale = 0.3f;
        a.softcap = c.softcap;
        Buffer* const in = rig.program.buffer("qkv", a.v + kernels::round_up(kv_dim, 16));
        Buffer* const rotation = add_rotation(rig.program, "rotation", frequency, 1);
        Buffer* const out = rig.program.buffer("out", q_dim);
        add_attention(rig.program, "attn", a, in, rotation, out);
        ASSERT_TRUE(rig.program.plan(kRows).ok());
        Pages pages(2, c.kv_heads, c.head_dim);
        std::vector<std::vector<float>> got;
        for (int64_t at = 0; at < kRows; at += piece) {
          const int64_t n = std::min(piece, kRows - at);
          for (int64_t t = 0; t < n; ++t) {
            const Doubles& row = qkv[static_cast<size_t>(at + t)];
            std::copy_n(row.begin(), q_dim, in->row(t));
            std::copy_n(row.begin() + q_dim, kv_dim, in->row(t) + a.k);
            std::copy_n(row.begin() + q_dim + kv_dim, kv_dim, in->row(t) + a.v);
          }
          const PassSlice slice{.row = 0, .rows = n, .position = at, .kv = pages.view()};
          const std::vector<int32_t> ids(static_cast<size_t>(n));
          rig.program.run({.ids = ids, .slices = {&slice, 1}});
          for (int64_t t = 0; t < n; ++t) got.emplace_back(out->row(t), out->row(t) + q_dim);
        }
        if (first.empty()) {
          first = got;
          for (size_t t = 0; t < got.size(); ++t) expect_row(got[t].data(), want[t], 2e-5);
        }
        for (size_t t = 0; t < got.size(); ++t) {
          ASSERT_EQ(std::memcmp(got[t].data(), first[t].data(), got[t].size() * sizeof(float)), 0)
              << "row " << t << " in pieces of " << piece << " with " << threads << " threads";
        }
      }
    }
  }
}

}  // namespace
}  // namespace miao::graph
