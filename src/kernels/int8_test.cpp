// Int8 products with one scale a row: every ISA against the scalar table bit for bit, the scalar table against double
// precision, at awkward sizes and with extreme codes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/generic/test_support.h"
#include "kernels/quant/int8_layout.h"

namespace miao::kernels {
namespace {

size_t bytes(int64_t n) { return static_cast<size_t>(n); }

// A packed matrix of `outputs` FP32 rows.
struct Weights {
  int64_t cols, blocks;
  Aligned packed;

  Weights(const Kernels& k, const std::vector<float>& w, int64_t outputs, int64_t n)
      : cols(n), blocks((outputs + 15) / 16), packed(bytes(blocks * k.int8.block_bytes(n))) {
    for (int64_t b = 0; b < blocks; ++b) {
      const void* rows[kLanes] = {};
      for (int64_t i = 0; i < kLanes && 16 * b + i < outputs; ++i) rows[i] = w.data() + (16 * b + i) * n;
      k.int8.pack(rows, n, packed.as<char>() + b * k.int8.block_bytes(n));
    }
  }
};

// Rows quantised by one table. What fills up the last tile is 0xff.
struct Rows {
  int64_t rows;
  Aligned memory;
  RowCodes codes;

  Rows(const Kernels& k, const float* x, int64_t count, int64_t cols)
      : rows(count), memory(bytes(RowCodes::bytes(count, cols))), codes(RowCodes::at(memory.as(), count, cols)) {
    std::memset(memory.as(), 0xff, bytes(RowCodes::bytes(count, cols)));
    for (int64_t r = 0; r < count; ++r) k.quantize_row(x + r * cols, nullptr, cols, codes, r);
  }
};

// What a row's value was rounded to, in units of its scale.
int code(const RowCodes& codes, int64_t row, int64_t k) {
  int out = codes.q[codes.offset(row) + k / kChunk * codes.chunk_step() + k % kChunk] - 128;
  const RowCarries carries = codes.carries(row);
  const auto count = [&](const RowCarry& c, int sign) {
    if (c.quad == k / 4) out += sign * 128 * c.digit[k % 4];
  };
  for (int i = 0; i < carries.plus; ++i) count(carries.list[i], 1);
  for (int i = 1; i <= carries.minus; ++i) count(carries.end[-i], -1);
  return out;
}

// y (rows, ldy) starts as -1, so that what a product writes beside its outputs is seen.
std::vector<float> product(const Kernels& k, const Weights& w, const Rows& in, int64_t ldy) {
  std::vector<float> y(bytes(in.rows * ldy), -1.0f);
  Activations a;
  a.rows = in.rows;
  a.row_codes = in.codes;
  Aligned scratch(bytes(k.int8.scratch_bytes(w.cols)) + 64);
  k.int8.run(const_cast<Weights&>(w).packed.as(), w.cols, w.blocks, a, y.data(), ldy, scratch.as());
  return y;
}

// All tables pack, quantise and multiply alike, and beside the outputs nothing is written.
void expect_equal(const std::vector<float>& w, int64_t outputs, const std::vector<float>& x, int64_t rows,
                  int64_t cols) {
  const auto all = tables();
  Weights want_w(*all[0], w, outputs, cols);
  Rows want_x(*all[0], x.data(), rows, cols);
  const int64_t ldy = 16 * want_w.blocks + 3;
  const auto want = product(*all[0], want_w, want_x, ldy);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = ldy - 3; c < ldy; ++c) ASSERT_EQ(want[bytes(r * ldy + c)], -1.0f);
  }
  for (const Kernels* k : all) {
    Weights packed(*k, w, outputs, cols);
    Rows in(*k, x.data(), rows, cols);
    const auto where = [&] {
      return std::string(k->name) + " rows " + std::to_string(rows) + " cols " + std::to_string(cols) + " outputs " +
             std::to_string(outputs);
    };
    ASSERT_EQ(std::memcmp(packed.packed.as(), want_w.packed.as(), bytes(want_w.blocks * k->int8.block_bytes(cols))), 0)
        << where();
    ASSERT_EQ(std::memcmp(in.memory.as(), want_x.memory.as(), bytes(RowCodes::bytes(rows, cols))), 0) << where();
    ASSERT_TRUE(same_bits(product(*k, packed, in, ldy), want)) << where();
  }
}

TEST(Int8, EveryTableGivesTheSameBits) {
  for (int64_t cols = 1; cols <= 200; cols += cols < 70 ? 3 : 13) {
    const auto w = random_floats(bytes(130 * cols), 1), x = random_floats(bytes(70 * cols), 2, 5.0f);
    for (const int64_t outputs : {1, 16, 33, 40, 64, 70, 100, 130}) {
      const int64_t rows = 1 + (cols * 7 + outputs) % 70;
      expect_equal(w, outputs, x, rows, cols);
    }
  }
}

TEST(Int8, EveryNumberOfRowsGivesTheSameBits) {
  constexpr int64_t cols = 97;
  const auto w = random_floats(112 * cols, 3), x = random_floats(70 * cols, 4);
  for (int64_t rows = 1; rows <= 70; ++rows) expect_equal(w, rows % 2 ? 112 : 80, x, rows, cols);
}

// Additions of the product equal those made behind it, bit for bit.
TEST(Int8, AdditionsEqualSeparateOnes) {
  constexpr int64_t cols = 70, outputs = 112, ldy = 113, most = 40;
  const auto w = random_floats(outputs * cols, 13), x = random_floats(most * cols, 14),
             bias = random_floats(outputs, 15), before = random_floats(most * ldy, 16);
  for (const Kernels* k : tables()) {
    const Weights packed(*k, w, outputs, cols);
    for (const int64_t blocks : {1, 2, 3, 6, 7}) {
      for (const int64_t rows : {1, 3, 7, 16, 17, 40}) {
        const Rows in(*k, x.data(), rows, cols);
        const auto plain = product(*k, packed, in, ldy);
        Activations a;
        a.rows = rows;
        a.row_codes = in.codes;
        for (const Addend& add : {Addend{bias.data(), false}, Addend{nullptr, true}, Addend{bias.data(), true}}) {
          auto want = before, got = before;
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < 16 * blocks; ++c) {
              float value = plain[bytes(r * ldy + c)];
              if (add.bias) value += bias[bytes(c)];
              want[bytes(r * ldy + c)] = add.y ? value + want[bytes(r * ldy + c)] : value;
            }
          }
          k->int8.run_add(const_cast<Weights&>(packed).packed.as(), cols, blocks, a, add, got.data(), ldy, nullptr);
          ASSERT_EQ(std::memcmp(got.data(), want.data(), 4 * got.size()), 0) << k->name << " " << blocks << " " << rows;
        }
      }
    }
  }
}

// Sums as large as they can be: no instruction may saturate.
TEST(Int8, ExtremeCodes) {
  constexpr int64_t cols = 4096;
  for (const int mode : {0, 1, 2}) {
    std::mt19937 random(5);
    std::vector<float> w(64 * cols), x(20 * cols);
    for (float& v : w) v = mode == 2 && random() % 2 ? -1.0f : 1.0f;
    for (float& v : x) v = mode == 0 || (mode == 2 && random() % 2) ? 2.0f : -2.0f;
    expect_equal(w, 64, x, 20, cols);
    expect_equal(w, 64, x, 1, cols);
    if (mode == 2) continue;
    const Weights packed(*tables()[0], w, 64, cols);
    const Rows in(*tables()[0], x.data(), 1, cols);
    const double sum = 127.0 * 127.0 * cols * (mode == 0 ? 1 : -1);
    EXPECT_NEAR(product(*tables()[0], packed, in, 64)[0], sum * 2 / 127 / 127, 0.002);
  }
}

TEST(Int8, LongestRowsStayWithinTheSums) {
  const std::vector<float> w(bytes(16 * kMaxRowCodes), 1.0f), x(bytes(kMaxRowCodes), 1.0f);
  expect_equal(w, 16, x, 1, kMaxRowCodes);
  const Weights packed(*tables()[0], w, 16, kMaxRowCodes);
  EXPECT_NEAR(product(*tables()[0], packed, Rows(*tables()[0], x.data(), 1, kMaxRowCodes), 16)[3], kMaxRowCodes, 0.1);
}

// Against the values themselves: the error is that of two roundings to codes.
TEST(Int8, ScalarIsNearDoublePrecision) {
  const Kernels& k = *tables()[0];
  for (const int64_t cols : {1, 63, 64, 65, 384, 1000}) {
    constexpr int64_t outputs = 24, rows = 5;
    const auto w = random_floats(bytes(outputs * cols), 6), x = random_floats(bytes(rows * cols), 7);
    const Weights packed(k, w, outputs, cols);
    const Rows in(k, x.data(), rows, cols);
    const auto y = product(k, packed, in, 32);
    std::vector<float> decoded(bytes(cols));
    for (int64_t o = 0; o < outputs; ++o) {
      k.int8.unpack(const_cast<Weights&>(packed).packed.as<char>() + o / 16 * k.int8.block_bytes(cols), cols,
                    static_cast<int>(o % 16), decoded.data());
      float top = 0;
      for (int64_t i = 0; i < cols; ++i) top = std::max(top, std::fabs(w[bytes(o * cols + i)]));
      for (int64_t i = 0; i < cols; ++i)
        ASSERT_NEAR(decoded[bytes(i)], w[bytes(o * cols + i)], top / 254 * 1.0001f) << cols << " " << o << " " << i;
      for (int64_t r = 0; r < rows; ++r) {
        double exact = 0, wanted = 0, size = 0;
        for (int64_t i = 0; i < cols; ++i) {
          exact += double{in.codes.scale[r]} * code(in.codes, r, i) * double{decoded[bytes(i)]};
          wanted += double{x[bytes(r * cols + i)]} * double{w[bytes(o * cols + i)]};
          size += std::pow(double{x[bytes(r * cols + i)]} * double{w[bytes(o * cols + i)]}, 2);
        }
        ASSERT_NEAR(y[bytes(r * 32 + o)], exact, 1e-5 * std::sqrt(size) + 1e-6);
        ASSERT_NEAR(y[bytes(r * 32 + o)], wanted, 0.04 * std::sqrt(size) + 0.05 * std::fabs(wanted));
      }
    }
  }
}

// Rows of a few large values: every code is within half a step of its value, and steps stay as fine as the small ones
// want, until there are more large ones than carries.
TEST(Int8, LargeValuesAreCarried) {
  constexpr int64_t cols = 500, rows = 20, outputs = 70;
  auto x = random_floats(rows * cols, 21);
  std::mt19937 random(22);
  for (int64_t r = 0; r < rows; ++r) {
    const float size = r % 4 == 3 ? 3000.0f : 20.0f;  // the former is beyond what a carry holds
    for (int64_t i = 0; i < r * r; ++i) x[bytes(r * cols + random() % cols)] = random() % 2 ? size : -size;
  }
  auto factor = random_floats(cols, 23);
  for (float& f : factor) f = std::fabs(f) + 0.5f;
  const auto w = random_floats(outputs * cols, 24);
  expect_equal(w, outputs, x, rows, cols);
  const auto all = tables();
  Rows plain(*all[0], x.data(), rows, cols);
  int64_t carried = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float scale = plain.codes.scale[r];
    for (int64_t k = 0; k < cols; ++k)
      ASSERT_NEAR(double{scale} * code(plain.codes, r, k), x[bytes(r * cols + k)], scale * 0.5001f) << r << " " << k;
    if (plain.codes.carries(r).any()) ++carried;
    if (r == 1 || r == 2) {
      EXPECT_LT(scale, 0.1f) << "20 / 127 is 0.157";
    }
  }
  EXPECT_GT(carried, 3);
  EXPECT_LT(carried, rows);  // 300 large ones have no room
  for (const Kernels* k : all) {
    auto scaled = x;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= factor[i % cols];
    const Rows want(*k, scaled.data(), rows, cols);
    Rows got(*k, x.data(), rows, cols);
    std::memset(got.memory.as(), 0xff, bytes(RowCodes::bytes(rows, cols)));
    for (int64_t r = 0; r < rows; ++r) k->quantize_row(x.data() + r * cols, factor.data(), cols, got.codes, r);
    const auto all_bytes = bytes(RowCodes::bytes(rows, cols));
    ASSERT_EQ(std::memcmp(got.memory.as(), const_cast<Rows&>(want).memory.as(), all_bytes), 0) << k->name;
  }
}

TEST(Int8, RowsDoNotDependOnTheirNeighbours) {
  constexpr int64_t cols = 130, outputs = 96, most = 67;
  const auto w = random_floats(outputs * cols, 8);
  auto x = random_floats(most * cols, 9);
  for (float& v : x) v = v * v * v;  // with carries
  for (const Kernels* k : tables()) {
    const Weights packed(*k, w, outputs, cols);
    const auto together = product(*k, packed, Rows(*k, x.data(), most, cols), outputs);
    for (const int64_t first : {0, 15, 16, 40, 66}) {
      for (const int64_t count : {1, 2, 9, 17, 27}) {
        if (first + count > most) continue;
        const auto alone = product(*k, packed, Rows(*k, x.data() + first * cols, count, cols), outputs);
        ASSERT_EQ(std::memcmp(alone.data(), together.data() + first * outputs, 4 * alone.size()), 0)
            << k->name << " " << first << " " << count;
      }
    }
  }
}

// Rows of zeros, of denormals, with infinities and NaN, and absent weights.
TEST(Int8, RowsWithoutCodes) {
  constexpr int64_t cols = 100, rows = 6;
  auto x = random_floats(rows * cols, 10);
  const auto row = [&](int64_t r) { return x.begin() + r * cols; };
  std::fill(row(1), row(2), 0.0f);
  std::fill(row(2), row(3), 1e-42f);
  *(row(3) + 50) = INFINITY;
  *(row(4) + 99) = -NAN;
  *(row(5) + 3) = 3.4e38f;
  expect_equal(x, rows, x, rows, cols);
  for (const Kernels* k : tables()) {
    const Weights packed(*k, random_floats(16 * cols, 11), 16, cols);
    const auto y = product(*k, packed, Rows(*k, x.data(), rows, cols), 16);
    for (size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(y[16 + i], 0);
      EXPECT_EQ(y[32 + i], 0);
      EXPECT_TRUE(std::isnan(y[48 + i]) && std::isnan(y[64 + i]));
      EXPECT_TRUE(std::isfinite(y[i]));
    }
    const Weights odd(*k, x, rows, cols);
    const auto z = product(*k, odd, Rows(*k, x.data(), 1, cols), 16);
    EXPECT_EQ(z[1], 0);
    EXPECT_TRUE(std::isnan(z[3]) && std::isnan(z[4]));
    for (size_t i = rows; i < 16; ++i) EXPECT_EQ(z[i], 0);
  }
}

}  // namespace
}  // namespace miao::kernels
