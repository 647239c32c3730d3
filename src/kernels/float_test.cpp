// Products of the float formats: one bit pattern for every table, token count and block count; near the truth.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/generic/test_support.h"

namespace miao::kernels {
namespace {

struct Product {
  DType dtype;
  int64_t cols, blocks, rows;
  int parts = 0;     // of weights by Kernels::bf16x3; 0 = by Kernels::matmul
  bool two = false;  // by Kernels::bf16x2
};

// Weights of (16 * blocks, cols) in the file's element type, at an odd address.
std::vector<unsigned char> file_rows(DType dtype, const std::vector<float>& values) {
  const size_t size = dtype == DType::f32 ? 4 : 2;
  std::vector<unsigned char> out(values.size() * size + 1);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(out.data() + 1 + i * size, dtype == DType::f32 ? static_cast<const void*>(&values[i]) : &half, size);
  }
  return out;
}

std::vector<float> run(const Kernels& k, const Product& p, const std::vector<unsigned char>& file,
                       const std::vector<float>& x, int64_t absent_row) {
  const MatMul& m = p.two         ? k.bf16x2[p.parts - 1]
                    : p.parts > 0 ? k.bf16x3[p.parts - 1]
                                  : k.matmul[static_cast<size_t>(p.dtype)];
  const int64_t row = p.cols * (p.dtype == DType::f32 ? 4 : 2);
  const int64_t bytes = m.block_bytes(p.cols);
  EXPECT_EQ(bytes % 64, 0);
  Aligned packed(static_cast<size_t>(bytes * p.blocks));
  for (int64_t b = 0; b < p.blocks; ++b) {
    const void* rows[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) {
      rows[r] = b * kLanes + r == absent_row ? nullptr : file.data() + 1 + (b * kLanes + r) * row;
    }
    m.pack(rows, p.cols, packed.as<char>() + b * bytes);
  }
  Aligned scratch(static_cast<size_t>(m.scratch_bytes(p.cols)));
  const int64_t ldx = p.cols + 3, ldy = p.blocks * kLanes + 5;
  std::vector<float> padded(static_cast<size_t>(p.rows * ldx), NAN);
  for (int64_t t = 0; t < p.rows; ++t) std::copy_n(x.begin() + t * p.cols, p.cols, padded.begin() + t * ldx);
  Activations in;
  in.x = padded.data();
  in.ldx = ldx;
  in.rows = p.rows;
  Aligned parts(static_cast<size_t>(FloatParts::bytes(p.rows, p.cols)));
  in.parts = FloatParts::at(parts.as(), p.rows, p.cols);
  for (int64_t t = 0; m.reads == Reads::parts && t < p.rows; ++t)
    k.split_row(padded.data() + t * ldx, p.cols, in.parts, t);
  std::vector<float> y(static_cast<size_t>(p.rows * ldy), -7.0f);
  m.run(packed.as(), p.cols, p.blocks, in, y.data(), ldy, scratch.as());
  std::vector<float> out;
  for (int64_t t = 0; t < p.rows; ++t) {
    out.insert(out.end(), y.begin() + t * ldy, y.begin() + t * ldy + p.blocks * kLanes);
    for (int64_t i = p.blocks * kLanes; i < ldy; ++i) EXPECT_EQ(y[static_cast<size_t>(t * ldy + i)], -7.0f);
  }
  return out;
}

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

TEST(FloatProduct, SameBitsOnEveryTableAndForEveryTokenCount) {
  const auto all = tables();
  for (DType dtype : kTypes) {
    for (int64_t cols : {1, 5, 64, 300}) {
      const int64_t blocks = 3, rows = 19;
      const auto w = random_floats(static_cast<size_t>(blocks * kLanes * cols), 3);
      const auto x = random_floats(static_cast<size_t>(rows * cols), 4);
      const auto file = file_rows(dtype, w);
      const auto want = run(*all[0], {dtype, cols, blocks, rows}, file, x, 7);
      for (const Kernels* k : all) {
        for (int64_t n = 1; n <= rows; ++n) {
          const auto got = run(*k, {dtype, cols, blocks, n}, file, x, 7);
          ASSERT_TRUE(same_bits(got, {want.data(), got.size()})) << k->name << " cols=" << cols << " rows=" << n;
        }
      }
      for (int64_t t = 0; t < rows; ++t) EXPECT_EQ(want[static_cast<size_t>(t * blocks * kLanes + 7)], 0.0f);
    }
  }
}

// Exponents of a wide range, so that parts of many sizes meet.
std::vector<float> wide_floats(size_t n, uint32_t seed) {
  std::vector<float> out = random_floats(n, seed);
  for (size_t i = 0; i < n; ++i) out[i] = std::ldexp(out[i], static_cast<int>(i * 7919 % 61) - 40);
  return out;
}

TEST(FloatProduct, PartsGiveSameBitsOnEveryTableAndForEveryTokenCount) {
  const auto all = tables();
  for (int64_t cols : {1, 5, 33, 64, 300, 1100}) {
    const int64_t blocks = 5, rows = 70;
    for (const bool wide : {false, true}) {
      const auto make = wide ? wide_floats : [](size_t n, uint32_t seed) { return random_floats(n, seed); };
      const auto w = make(static_cast<size_t>(blocks * kLanes * cols), 3);
      const auto x = make(static_cast<size_t>(rows * cols), 4);
      const auto file = file_rows(DType::f32, w);
      const auto want = run(*all[0], {DType::f32, cols, blocks, rows, 3}, file, x, 7);
      for (const Kernels* k : all) {
        // Only kernels of tiles treat numbers of rows differently; the others are slow.
        const std::vector<int64_t> counts =
            k->isa == Isa::amx ? std::vector<int64_t>{1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 49, 64, 70}
                               : std::vector<int64_t>{1, 3};
        for (const int64_t n : counts) {
          const auto got = run(*k, {DType::f32, cols, blocks, n, 3}, file, x, 7);
          ASSERT_TRUE(same_bits(got, {want.data(), got.size()})) << k->name << " cols=" << cols << " rows=" << n;
        }
        for (int64_t n = 1; n < blocks; ++n) {
          const auto got = run(*k, {DType::f32, cols, n, 3, 3}, file, x, 7);
          for (int64_t t = 0; t < 3; ++t) {
            const auto count = static_cast<size_t>(n * kLanes);
            ASSERT_TRUE(same_bits({got.data() + static_cast<size_t>(t) * count, count},
                                  {want.data() + t * blocks * kLanes, count}))
                << k->name << " blocks=" << n;
          }
        }
      }
      for (int64_t t = 0; t < rows; ++t) EXPECT_EQ(want[static_cast<size_t>(t * blocks * kLanes + 7)], 0.0f);
    }
  }
}

// Weights of BF16 need one part and those of F16 two: more change nothing, whatever the table.
TEST(FloatProduct, PartsThatWeightsDoNotHaveAreLeftOut) {
  const auto all = tables();
  for (const DType dtype : {DType::bf16, DType::f16}) {
    for (const int64_t cols : {5, 64, 300}) {
      const int64_t blocks = 5, rows = 40;
      auto w = random_floats(static_cast<size_t>(blocks * kLanes * cols), 3);
      for (float& v : w) v = dtype == DType::f16 ? f16_to_f32(f32_to_f16(v)) : bf16_to_f32(f32_to_bf16(v));
      const auto x = wide_floats(static_cast<size_t>(rows * cols), 4);
      const auto file = file_rows(DType::f32, w);
      const auto want = run(*all[0], {DType::f32, cols, blocks, rows, 3}, file, x, 7);
      for (const Kernels* k : all) {
        for (int parts = dtype == DType::f16 ? 2 : 1; parts <= 3; ++parts) {
          for (const int64_t n : {int64_t{1}, int64_t{7}, int64_t{16}, rows}) {
            if (n > 7 && k->isa != Isa::amx) continue;
            const auto got = run(*k, {DType::f32, cols, blocks, n, parts}, file, x, 7);
            ASSERT_TRUE(same_bits(got, {want.data(), got.size()})) << k->name << " cols=" << cols << " parts=" << parts;
          }
          const MatMul& m = k->bf16x3[parts - 1];
          EXPECT_EQ(&k->bf16x3_of(dtype) == &m, parts == (dtype == DType::f16 ? 2 : 1));
          EXPECT_EQ(m.block_bytes(cols), (cols + 31) / 32 * 1024 * parts);
          Aligned packed(static_cast<size_t>(m.block_bytes(cols)));
          const void* from[kLanes];
          for (int64_t r = 0; r < kLanes; ++r) from[r] = w.data() + r * cols;
          m.pack(from, cols, packed.as<char>());
          std::vector<float> back(static_cast<size_t>(cols));
          m.unpack(packed.as<char>(), cols, 11, back.data());
          EXPECT_TRUE(same_bits(back, {w.data() + 11 * cols, back.size()}));
        }
      }
    }
  }
}

TEST(FloatProduct, TwoPartsGiveSameBitsOnEveryTableAndAreNearTheTruth) {
  const auto all = tables();
  for (const int64_t cols : {5, 64, 300}) {
    const int64_t blocks = 5, rows = 40;
    const auto x = random_floats(static_cast<size_t>(rows * cols), 4);
    for (int parts = 1; parts <= 2; ++parts) {
      auto w = random_floats(static_cast<size_t>(blocks * kLanes * cols), 3);
      for (float& v : w) v = parts == 1 ? bf16_to_f32(f32_to_bf16(v)) : v;
      const auto file = file_rows(DType::f32, w);
      const auto want = run(*all[0], {DType::f32, cols, blocks, rows, parts, true}, file, x, 7);
      for (const Kernels* k : all) {
        for (const int64_t n : {int64_t{1}, int64_t{7}, int64_t{16}, rows}) {
          if (n > 7 && k->isa != Isa::amx) continue;
          const auto got = run(*k, {DType::f32, cols, blocks, n, parts, true}, file, x, 7);
          ASSERT_TRUE(same_bits(got, {want.data(), got.size()})) << k->name << " cols=" << cols << " parts=" << parts;
        }
        EXPECT_EQ(&k->bf16x2_of(DType::bf16), &k->bf16x2[0]);
        EXPECT_EQ(&k->bf16x2_of(DType::f16), &k->bf16x2[1]);
      }
      double most = 0;
      for (int64_t t = 0; t < rows; ++t) {
        for (int64_t r = 0; r < blocks * kLanes; ++r) {
          if (r == 7) continue;
          double sum = 0, size = 0;
          for (int64_t i = 0; i < cols; ++i) {
            const double term =
                double{w[static_cast<size_t>(r * cols + i)]} * double{x[static_cast<size_t>(t * cols + i)]};
            sum += term;
            size += std::fabs(term);
          }
          most = std::max(most, std::fabs(want[static_cast<size_t>(t * blocks * kLanes + r)] - sum) / size);
        }
      }
      EXPECT_LT(most, 0x1p-15);  // what is left out: at most 2^-16 of each product, and rounding
      EXPECT_GT(most, 1e-8);
    }
  }
}

TEST(FloatProduct, PartsAddBiasAndWhatIsThere) {
  const int64_t cols = 600, blocks = 5;
  const auto w = random_floats(static_cast<size_t>(blocks * kLanes * cols), 3);
  const auto bias = random_floats(static_cast<size_t>(blocks * kLanes), 5);
  for (const int64_t rows : {1, 16, 20, 40}) {
    const auto x = random_floats(static_cast<size_t>(rows * cols), 4);
    const auto before = random_floats(static_cast<size_t>(rows * blocks * kLanes), 6);
    std::vector<float> want;
    for (const Kernels* k : tables()) {
      const MatMul& m = k->bf16x3[2];
      Aligned packed(static_cast<size_t>(m.block_bytes(cols) * blocks));
      for (int64_t b = 0; b < blocks; ++b) {
        const void* from[kLanes];
        for (int64_t r = 0; r < kLanes; ++r) from[r] = w.data() + (b * kLanes + r) * cols;
        m.pack(from, cols, packed.as<char>() + b * m.block_bytes(cols));
      }
      Aligned memory(static_cast<size_t>(FloatParts::bytes(rows, cols)));
      Activations in{.rows = rows, .parts = FloatParts::at(memory.as(), rows, cols)};
      for (int64_t t = 0; t < rows; ++t) k->split_row(x.data() + t * cols, cols, in.parts, t);
      std::vector<float> y = before;
      m.run_add(packed.as(), cols, blocks, in, {.bias = bias.data(), .y = true}, y.data(), blocks * kLanes, nullptr);
      if (want.empty()) want = y;
      EXPECT_TRUE(same_bits(y, want)) << k->name << " rows=" << rows;
    }
    for (size_t i = 0; i < want.size(); ++i) {
      const size_t t = i / static_cast<size_t>(blocks * kLanes), r = i % static_cast<size_t>(blocks * kLanes);
      double sum = double{before[i]} + double{bias[r]}, size = std::fabs(sum);
      for (size_t k = 0; k < static_cast<size_t>(cols); ++k) {
        const double term = double{w[r * static_cast<size_t>(cols) + k]} * double{x[t * static_cast<size_t>(cols) + k]};
        sum += term;
        size += std::fabs(term);
      }
      EXPECT_NEAR(want[i], sum, size * 1e-7);
    }
  }
}

TEST(FloatProduct, UnpackedRowsAreThoseOfTheFile) {
  for (const Kernels* k : tables()) {
    for (DType dtype : kTypes) {
      for (int64_t cols : {1, 16, 37}) {
        const auto w = random_floats(static_cast<size_t>(kLanes * cols), 3);
        const auto file = file_rows(dtype, w);
        const MatMul& m = k->matmul[static_cast<size_t>(dtype)];
        const void* rows[kLanes];
        for (int64_t r = 0; r < kLanes; ++r) rows[r] = file.data() + 1 + r * row_bytes(dtype, cols);
        Aligned packed(static_cast<size_t>(m.block_bytes(cols)));
        m.pack(rows, cols, packed.as<char>());
        std::vector<float> want(static_cast<size_t>(cols)), got(want.size() + 1, -7.0f);
        for (int r = 0; r < kLanes; ++r) {
          format(dtype).decode(rows[r], want.data(), cols);
          m.unpack(packed.as(), cols, r, got.data());
          EXPECT_TRUE(same_bits({got.data(), want.size()}, want)) << k->name << " cols=" << cols << " row " << r;
          EXPECT_EQ(got.back(), -7.0f);
        }
      }
    }
  }
}

TEST(FloatProduct, SameBitsForEveryBlockCount) {
  const auto all = tables();
  const int64_t cols = 70, most = 19;
  const auto w = random_floats(static_cast<size_t>(most * kLanes * cols), 3);
  const auto x = random_floats(static_cast<size_t>(14 * cols), 4);
  for (DType dtype : kTypes) {
    const auto file = file_rows(dtype, w);
    for (int64_t rows : {1, 14}) {
      const auto want = run(*all[0], {dtype, cols, most, rows}, file, x, -1);
      for (const Kernels* k : all) {
        for (int64_t blocks = 1; blocks <= most; ++blocks) {
          const auto got = run(*k, {dtype, cols, blocks, rows}, file, x, -1);
          for (int64_t t = 0; t < rows; ++t) {
            const auto n = static_cast<size_t>(blocks * kLanes);
            ASSERT_TRUE(same_bits({got.data() + static_cast<size_t>(t) * n, n}, {want.data() + t * most * kLanes, n}))
                << k->name << " blocks=" << blocks;
          }
        }
      }
    }
  }
}

TEST(FloatProduct, IsNearTheTruth) {
  const Kernels& k = *tables().back();
  const int64_t cols = 1100, blocks = 2, rows = 13;
  const auto w = random_floats(static_cast<size_t>(blocks * kLanes * cols), 3);
  const auto x = random_floats(static_cast<size_t>(rows * cols), 4);
  for (const auto [dtype, parts] : {std::pair(DType::f32, 0), {DType::f16, 0}, {DType::bf16, 0}, {DType::f32, 3}}) {
    const auto y = run(k, {dtype, cols, blocks, rows, parts}, file_rows(dtype, w), x, -1);
    for (int64_t t = 0; t < rows; ++t) {
      for (int64_t r = 0; r < blocks * kLanes; ++r) {
        double sum = 0, size = 0;
        for (int64_t i = 0; i < cols; ++i) {
          float v = w[static_cast<size_t>(r * cols + i)];
          if (dtype == DType::f16) v = f16_to_f32(f32_to_f16(v));
          if (dtype == DType::bf16) v = bf16_to_f32(f32_to_bf16(v));
          const double term = double{v} * x[static_cast<size_t>(t * cols + i)];
          sum += term;
          size += std::fabs(term);
        }
        EXPECT_NEAR(y[static_cast<size_t>(t * blocks * kLanes + r)], sum, size * (parts > 0 ? 1e-7 : 1e-6));
      }
    }
  }
}

}  // namespace
}  // namespace miao::kernels
