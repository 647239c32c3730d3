// The encoders against llama.cpp's bytes (tests/golden/rounding), decoders, and the promises of compress/rounding.h.
#include "compress/rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/thread_pool.h"
#include "compress/rounding/family.h"
#include "io/npy.h"

namespace miao::compress {
namespace {

const DType kBlockTypes[] = {DType::q4_0,   DType::q4_1,   DType::q5_0, DType::q5_1, DType::q8_0,
                             DType::q2_k,   DType::q3_k,   DType::q4_k, DType::q5_k, DType::q6_k,
                             DType::iq4_nl, DType::iq4_xs, DType::mxfp4};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::vector<std::byte> encoded(DType dtype, Rounding method, std::span<const float> x,
                               std::span<const float> importance = {}) {
  std::vector<std::byte> out(static_cast<size_t>(row_bytes(dtype, static_cast<int64_t>(x.size()))));
  auto done = encode_row(dtype, method, x, importance, out.data());
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().str());
  return out;
}

std::vector<float> decoded(DType dtype, std::span<const std::byte> bytes) {
  const Format& f = format(dtype);
  std::vector<float> out(bytes.size() / static_cast<size_t>(f.bytes) * static_cast<size_t>(f.block));
  f.decode(bytes.data(), out.data(), static_cast<int64_t>(out.size()));
  return out;
}

// The weights of weights.h once more, in double and by its formulas alone.
std::vector<double> weights_of(const Family& f, std::span<const float> x, std::span<const float> importance) {
  const size_t n = x.size(), block = static_cast<size_t>(f.block), group = static_cast<size_t>(f.group);
  const auto mean_square = [&](size_t from, size_t count) {
    double sum = 0;
    for (size_t i = from; i < from + count; ++i) sum += static_cast<double>(x[i]) * x[i];
    return sum / static_cast<double>(count);
  };
  double mean = 0;
  for (float v : importance) mean += v / static_cast<double>(n);
  std::vector<double> out(n);
  for (size_t i = 0; i < n; ++i) {
    if (importance.empty()) {
      out[i] = std::sqrt(4 * mean_square(i / group * group, group) + static_cast<double>(x[i]) * x[i]);
      continue;
    }
    const double own = f.spread == Spread::row ? mean_square(0, n) : mean_square(i / block * block, block);
    const double sigma2 = f.spread == Spread::twice_block ? 2 * own : own;
    const double column = std::max(static_cast<double>(importance[i]), 1e-6 * mean);
    out[i] = f.spread == Spread::none ? column : column * std::sqrt(sigma2 + static_cast<double>(x[i]) * x[i]);
  }
  return out;
}

struct Golden {
  io::Matrix values, importance;
  static const Golden& get() {
    static const Golden golden = [] {
      const std::string folder = std::string(MIAO_SOURCE_DIR) + "/tests/golden/rounding/";
      auto values = io::read_npy(folder + "values.npy"), importance = io::read_npy(folder + "importance.npy");
      EXPECT_TRUE(values.ok() && importance.ok());
      return Golden{*values, *importance};
    }();
    return golden;
  }
  // llama.cpp's bytes: for each row without importance, then with it.
  static std::string bytes(DType dtype) {
    auto file = read_file(std::string(MIAO_SOURCE_DIR) + "/tests/golden/rounding/" + lower(format(dtype).name) + ".bin",
                          1 << 20);
    EXPECT_TRUE(file.ok());
    return *file;
  }
};

std::vector<std::byte> theirs(const std::string& all, DType dtype, int64_t row, bool with_importance) {
  const size_t size = static_cast<size_t>(row_bytes(dtype, Golden::get().values.cols));
  const auto* from =
      reinterpret_cast<const std::byte*>(all.data()) + (2 * static_cast<size_t>(row) + with_importance) * size;
  return {from, from + size};
}

TEST(Rounding, NearestHasTheBytesOfLlamaCpp) {
  const Golden& golden = Golden::get();
  for (DType dtype :
       {DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::mxfp4, DType::f16, DType::bf16}) {
    const std::string all = Golden::bytes(dtype);
    for (int64_t r = 0; r < golden.values.rows; ++r) {
      EXPECT_EQ(encoded(dtype, Rounding::nearest, golden.values.row(r)), theirs(all, dtype, r, false))
          << format(dtype).name << " row " << r;
    }
  }
}

std::vector<double> block_errors(DType dtype, std::span<const float> x, std::span<const double> w,
                                 std::span<const std::byte> bytes) {
  const std::vector<float> y = decoded(dtype, bytes);
  const size_t block = static_cast<size_t>(format(dtype).block);
  std::vector<double> out(x.size() / block);
  for (size_t i = 0; i < x.size(); ++i) {
    const double difference = static_cast<double>(x[i]) - y[i];
    out[i / block] += w[i] * difference * difference;
  }
  return out;
}

double energy(std::span<const float> x, std::span<const double> w, size_t from, size_t n) {
  double sum = 0;
  for (size_t i = from; i < from + n; ++i) sum += w[i] * static_cast<double>(x[i]) * x[i];
  return sum;
}

// The error of each block is at most that of other bytes.
void expect_no_worse(DType dtype, std::span<const float> x, std::span<const float> importance,
                     std::span<const std::byte> other, const std::string& where) {
  const Family& f = *family(dtype);
  const auto method = importance.empty() ? Rounding::least_squares : Rounding::importance;
  const std::vector<double> w = weights_of(f, x, importance);
  const auto mine = block_errors(dtype, x, w, encoded(dtype, method, x, importance)),
             its = block_errors(dtype, x, w, other);
  const size_t n = static_cast<size_t>(f.block);
  for (size_t i = 0; i < mine.size(); ++i) {
    // The search measures in float: some 1e-7 of the values are lost in their differences.
    EXPECT_LE(mine[i], its[i] * (1 + 1e-6) + 1e-13 * energy(x, w, i * n, n)) << where << " block " << i;
  }
}

TEST(Rounding, SearchIsNeverWorseThanLlamaCpp) {
  const Golden& golden = Golden::get();
  for (DType dtype : kBlockTypes) {
    const std::string all = Golden::bytes(dtype);
    for (int64_t r = 0; r < golden.values.rows; ++r) {
      const std::string where = std::string(format(dtype).name) + " row " + std::to_string(r);
      expect_no_worse(dtype, golden.values.row(r), {}, theirs(all, dtype, r, false), where);
      expect_no_worse(dtype, golden.values.row(r), golden.importance.row(r), theirs(all, dtype, r, true),
                      where + " with importance");
    }
  }
}

// Sums over a kind of values: three rows.
TEST(Rounding, SearchIsBetterThanLlamaCppForAnyKindOfValues) {
  const Golden& golden = Golden::get();
  for (DType dtype : kBlockTypes) {
    const std::string all = Golden::bytes(dtype);
    for (bool with : {false, true}) {
      for (int64_t kind = 0; kind < golden.values.rows; kind += 3) {
        double mine = 0, its = 0, size = 0;
        for (int64_t r = kind; r < kind + 3; ++r) {
          const auto x = golden.values.row(r);
          const auto importance = with ? golden.importance.row(r) : std::span<const float>();
          const std::vector<double> w = weights_of(*family(dtype), x, importance);
          const auto method = with ? Rounding::importance : Rounding::least_squares;
          for (double e : block_errors(dtype, x, w, encoded(dtype, method, x, importance))) mine += e;
          for (double e : block_errors(dtype, x, w, theirs(all, dtype, r, with))) its += e;
          size += energy(x, w, 0, x.size());
        }
        EXPECT_LE(mine, its * (1 + 1e-6) + 2e-8 * size)
            << format(dtype).name << " rows from " << kind << (with ? " with importance" : "");
      }
    }
  }
}

TEST(Rounding, SearchIsNeverWorseThanNearest) {
  const Golden& golden = Golden::get();
  for (DType dtype : kBlockTypes) {
    for (int64_t r = 0; r < golden.values.rows; ++r) {
      const auto x = golden.values.row(r);
      expect_no_worse(dtype, x, {}, encoded(dtype, Rounding::nearest, x),
                      std::string(format(dtype).name) + " row " + std::to_string(r));
    }
  }
}

// The values of any file can be stored again as they are, where the largest code or a common divisor shows the scale.
TEST(Rounding, EncodingDecodedValuesGivesThemBack) {
  const Golden& golden = Golden::get();
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q4_0, DType::q5_0, DType::q8_0, DType::q4_1,
                      DType::q5_1, DType::iq4_nl, DType::mxfp4}) {
    for (Rounding method : {Rounding::nearest, Rounding::least_squares}) {
      for (int64_t r = 0; r < golden.values.rows; ++r) {
        const std::vector<float> first = decoded(dtype, encoded(dtype, Rounding::nearest, golden.values.row(r)));
        const std::vector<float> second = decoded(dtype, encoded(dtype, method, first));
        EXPECT_EQ(first, second) << format(dtype).name << " row " << r << " method " << static_cast<int>(method);
      }
    }
  }
}

TEST(Rounding, SearchFindsALatticeThatDoesNotReachTheEndOfTheRange) {
  std::mt19937 random(5);
  for (DType dtype : {DType::q4_0, DType::q5_0, DType::q8_0, DType::q4_1, DType::q5_1}) {
    std::vector<float> x(32);
    for (int i = 0; i < 32; ++i)
      x[static_cast<size_t>(i)] = 0.0123291015625f * static_cast<float>(static_cast<int>(random() % 11) - 5);
    EXPECT_EQ(decoded(dtype, encoded(dtype, Rounding::least_squares, x)), x) << format(dtype).name;
  }
}

TEST(Rounding, CodesOfQ8_0StayWithin127) {
  for (const Rounding method : {Rounding::nearest, Rounding::least_squares, Rounding::importance}) {
    std::mt19937 random(6);
    std::normal_distribution<float> normal;
    std::vector<float> x(32 * 64), importance(x.size(), 1.0f);
    for (float& v : x) v = normal(random);
    const auto bytes =
        encoded(DType::q8_0, method, x, method == Rounding::importance ? importance : std::vector<float>());
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i % 34 >= 2) EXPECT_NE(static_cast<int8_t>(bytes[i]), -128);
    }
  }
}

TEST(Rounding, ZerosStayZeros) {
  const std::vector<float> x(512, 0.0f), importance(512, 1.0f);
  for (DType dtype : kBlockTypes) {
    EXPECT_EQ(decoded(dtype, encoded(dtype, Rounding::nearest, x)), x) << format(dtype).name;
    EXPECT_EQ(decoded(dtype, encoded(dtype, Rounding::least_squares, x)), x) << format(dtype).name;
    EXPECT_EQ(decoded(dtype, encoded(dtype, Rounding::importance, x, importance)), x) << format(dtype).name;
  }
}

TEST(Rounding, ImportanceOfZerosIsNone) {
  const auto x = Golden::get().values.row(0);
  const std::vector<float> none(x.size(), 0.0f);
  for (DType dtype : kBlockTypes) {
    EXPECT_EQ(encoded(dtype, Rounding::importance, x, none), encoded(dtype, Rounding::least_squares, x))
        << format(dtype).name;
  }
}

TEST(Rounding, ImportanceMovesErrorToColumnsThatDoNotMatter) {
  const auto x = Golden::get().values.row(0);
  std::vector<float> importance(x.size());
  for (size_t i = 0; i < importance.size(); ++i) importance[i] = i % 2 ? 100.0f : 0.01f;
  for (DType dtype : kBlockTypes) {
    double even[2] = {}, odd[2] = {};
    for (int with : {0, 1}) {
      const auto y = with ? decoded(dtype, encoded(dtype, Rounding::importance, x, importance))
                          : decoded(dtype, encoded(dtype, Rounding::least_squares, x));
      for (size_t i = 0; i < x.size(); ++i) (i % 2 ? odd : even)[with] += std::pow(static_cast<double>(x[i]) - y[i], 2);
    }
    EXPECT_LT(odd[1], odd[0]) << format(dtype).name;
  }
}

TEST(Rounding, MatrixIsItsRowsForAnyNumberOfThreads) {
  const io::Matrix& values = Golden::get().values;
  const std::vector<float> importance(Golden::get().importance.row(0).begin(), Golden::get().importance.row(0).end());
  for (DType dtype : {DType::q4_k, DType::q4_0, DType::iq4_xs, DType::q3_k, DType::f16}) {
    const auto bytes = static_cast<size_t>(row_bytes(dtype, values.cols));
    std::vector<std::byte> want;
    for (int64_t r = 0; r < values.rows; ++r) {
      const auto row = encoded(dtype, Rounding::importance, values.row(r), importance);
      want.insert(want.end(), row.begin(), row.end());
    }
    for (int threads : {1, 2, 5}) {
      auto pool = ThreadPool::create(threads);
      ASSERT_TRUE(pool.ok());
      std::vector<std::byte> got(bytes * static_cast<size_t>(values.rows));
      int64_t last = 0;
      MatrixOptions options;
      options.method = Rounding::importance;
      options.importance = importance;
      options.progress = [&](int64_t rows) {
        EXPECT_GT(rows, last);
        last = rows;
      };
      ASSERT_TRUE(encode_matrix(dtype, values.values, values.cols, options, **pool, got.data()).ok());
      EXPECT_EQ(got, want) << format(dtype).name << " with " << threads << " threads";
      EXPECT_GT(last, 0);
    }
  }
}

TEST(Rounding, MatrixStopsWhenCancelled) {
  auto pool = ThreadPool::create(2);
  ASSERT_TRUE(pool.ok());
  std::atomic<bool> cancel{false};
  const std::vector<float> x(32 * 1000, 1.0f);
  std::vector<std::byte> out(18 * 1000);
  MatrixOptions options;
  options.cancel = &cancel;
  options.progress = [&](int64_t) { cancel = true; };
  auto done = encode_matrix(DType::q4_0, x, 32, options, **pool, out.data());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::cancelled);
}

TEST(Rounding, NanAndInfinityAreReportedWithTheirPlace) {
  std::vector<std::byte> out(4 * 512);
  for (DType dtype : {DType::q4_0, DType::q6_k, DType::mxfp4, DType::f32, DType::f16, DType::bf16}) {
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                      -std::numeric_limits<float>::infinity()}) {
      std::vector<float> x(512, 0.5f);
      x[300] = bad;
      auto done = encode_row(dtype, Rounding::nearest, x, {}, out.data());
      ASSERT_FALSE(done.ok()) << format(dtype).name;
      EXPECT_EQ(done.error().code, Code::invalid);
      EXPECT_NE(done.error().message.find("value 300 is "), std::string::npos) << done.error().message;
    }
  }
}

TEST(Rounding, TheFirstBadRowIsReportedWhateverTheThreads) {
  std::vector<float> x(32 * 64, 0.5f);
  x[32 * 40 + 7] = x[32 * 41] = x[32 * 63] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::byte> out(18 * 64);
  for (int threads : {1, 4}) {
    auto pool = ThreadPool::create(threads);
    ASSERT_TRUE(pool.ok());
    auto done = encode_matrix(DType::q4_0, x, 32, {}, **pool, out.data());
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().where, "row 40");
    EXPECT_NE(done.error().message.find("value 7 is NaN"), std::string::npos) << done.error().message;
  }
}

TEST(Rounding, ValuesBeyondTheRangeOfAFormatAreRefused) {
  std::vector<std::byte> out(4 * 256);
  const auto refused = [&](DType dtype, float value) {
    std::vector<float> x(256, 0.0f);
    x[5] = value;
    for (Rounding method : {Rounding::nearest, Rounding::least_squares}) {
      auto done = encode_row(dtype, method, x, {}, out.data());
      if (done.ok()) {
        for (float y : decoded(dtype, std::span(out).first(static_cast<size_t>(row_bytes(dtype, 256)))))
          EXPECT_TRUE(std::isfinite(y));
        return false;
      }
      EXPECT_NE(done.error().message.find("beyond the range"), std::string::npos) << done.error().message;
    }
    return true;
  };
  EXPECT_TRUE(refused(DType::f16, 65520.0f));
  EXPECT_FALSE(refused(DType::f16, 65519.0f));
  EXPECT_TRUE(refused(DType::bf16, 3.4e38f));
  EXPECT_TRUE(refused(DType::q4_0, 1e6f));
  EXPECT_FALSE(refused(DType::q4_0, 5e5f));
  EXPECT_FALSE(refused(DType::q4_0, -5e5f));
  EXPECT_TRUE(refused(DType::q4_1, -7e4f));
  EXPECT_FALSE(refused(DType::q6_k, 1e8f));
  EXPECT_FALSE(refused(DType::mxfp4, 3e38f));
}

TEST(Rounding, RowsAndImportanceAreChecked) {
  std::vector<std::byte> out(4096);
  const std::vector<float> x(256, 1.0f);
  const auto code = [&](DType dtype, std::span<const float> row, std::vector<float> importance) {
    auto done = encode_row(dtype, Rounding::importance, row, importance, out.data());
    return done.ok() ? std::string("ok") : std::string(code_name(done.error().code)) + ": " + done.error().message;
  };
  EXPECT_EQ(code(DType::q4_k, x, std::vector<float>(256, 1.0f)), "ok");
  EXPECT_NE(code(DType::q4_k, std::span(x).first(128), std::vector<float>(128, 1.0f)).find("whole blocks of Q4_K"),
            std::string::npos);
  EXPECT_NE(code(DType::i32, x, std::vector<float>(256, 1.0f)).find("no encoder for I32"), std::string::npos);
  EXPECT_NE(code(DType::q4_0, x, std::vector<float>(255, 1.0f)).find("255 columns"), std::string::npos);
  EXPECT_NE(code(DType::q4_0, x, {}).find("0 columns"), std::string::npos);
  std::vector<float> importance(256, 1.0f);
  importance[9] = -1;
  EXPECT_NE(code(DType::q4_0, x, importance).find("column 9"), std::string::npos);
  importance[9] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(code(DType::q4_0, x, importance).find("column 9"), std::string::npos);
}

// Whatever the sizes, what is stored is finite; and sizes that a power of two relates get the same codes.
TEST(Rounding, ExtremeSizesStayFinite) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (float size : {1e-38f, 1e-30f, 1e-20f, 1e-12f, 1e-7f, 1e4f, 1e18f, 1e37f}) {
    std::vector<float> x(512), importance(512);
    for (float& v : x) v = size * normal(random);
    for (float& v : importance) v = std::exp(20 * normal(random));
    for (DType dtype : kBlockTypes) {
      if (size > 5e3f && dtype != DType::mxfp4 && (size > 1e5f || dtype == DType::q4_1 || dtype == DType::q5_1))
        continue;
      for (Rounding method : {Rounding::nearest, Rounding::least_squares, Rounding::importance}) {
        const auto bytes =
            encoded(dtype, method, x, method == Rounding::importance ? importance : std::vector<float>());
        for (float v : decoded(dtype, bytes)) ASSERT_TRUE(std::isfinite(v)) << format(dtype).name << " at " << size;
      }
    }
  }
}

}  // namespace
}  // namespace miao::compress
