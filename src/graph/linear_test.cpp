#include "graph/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"

namespace miao::graph {
namespace {

// A matrix that owns its bytes. Q8_0 blocks: F16 scale, 32 signed codes.
struct Source {
  std::string bytes;
  TensorView view;

  Source(std::string name, DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
    std::mt19937 random(seed);
    bytes.resize(static_cast<size_t>(rows * row_bytes(dtype, cols)));
    if (dtype == DType::f32) {
      std::normal_distribution<float> normal;
      for (size_t i = 0; i < bytes.size(); i += 4) {
        const float value = normal(random);
        std::memcpy(bytes.data() + i, &value, 4);
      }
    } else {
      for (char& byte : bytes) byte = static_cast<char>(random());
      const Format& f = format(dtype);
      const uint16_t scale = f32_to_f16(0.01f);
      for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(f.bytes))
        std::memcpy(bytes.data() + at, &scale, 2);
    }
    view = {std::move(name), dtype, {rows, cols}, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
  }
  Source(const Source&) = delete;
};

const kernels::Kernels& scalar() { return **kernels::select(cpu_features(), "scalar"); }

// Float and code activations of the same rows.
struct Input {
  std::vector<float> x;
  Memory codes;
  kernels::Activations view;

  Input(int64_t rows, int64_t cols)
      : x(static_cast<size_t>(rows * cols)),
        codes(*Memory::allocate(static_cast<size_t>(kernels::Quantised::bytes(rows, cols)))),
        view{x.data(), cols, kernels::Quantised::at(codes.data(), rows, cols), rows} {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (float& value : x) value = normal(random);
    for (int64_t unit = 0; unit < quantize_units(rows, view.codes); ++unit)
      quantize_unit(scalar(), x.data(), cols, rows, view.codes, unit);
  }
};

std::vector<float> product(const Linear& linear, const Input& in, Range blocks) {
  const int64_t width = 16 * blocks.size();
  std::vector<float> y(static_cast<size_t>(in.view.rows * width), NAN);
  auto scratch = Memory::allocate(static_cast<size_t>(linear.scratch_bytes()) + 64);
  linear.run(blocks, in.view, y.data(), width, scratch->data());
  return y;
}

double exact(const Source& w, int64_t row, const Input& in, int64_t t) {
  std::vector<float> values(static_cast<size_t>(w.view.cols()));
  format(w.view.dtype).decode(w.view.row(row), values.data(), w.view.cols());
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(in.x[static_cast<size_t>(t) * values.size() + i]);
  }
  return sum;
}

TEST(Linear, StacksPartsOfDifferentFormats) {
  const Source a("a", DType::q8_0, 40, 64, 1);
  const Source b("b", DType::f32, 7, 64, 2);
  const Source c("c", DType::q4_0, 16, 64, 3);
  const Input in(3, 64);
  for (const int threads : {1, 2, 3}) {
    const auto owner = *ThreadPool::create(threads);
    ThreadPool& pool = *owner;
    const Context context{scalar(), pool};
    auto linear =
        Linear::describe(context, {{a.view, {}}, {b.view, std::vector<float>(7, 2.0f)}, {c.view, {}}}, Precision::file);
    ASSERT_TRUE(linear.ok()) << linear.error().str();
    EXPECT_EQ(linear->blocks(), 3 + 1 + 1);
    EXPECT_EQ(linear->offset(1), 48);
    EXPECT_EQ(linear->offset(2), 64);
    EXPECT_TRUE(linear->reads_codes());
    auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
    ASSERT_TRUE(linear->pack(context, memory->data(), {}).ok());
    const std::vector<float> y = product(*linear, in, {0, 5});
    const Source* sources[] = {&a, &b, &c};
    for (size_t part = 0; part < 3; ++part) {
      for (int64_t t = 0; t < 3; ++t) {
        for (int64_t r = 0; r < linear->rows(part); ++r) {
          const double want = exact(*sources[part], r, in, t);
          EXPECT_NEAR(y[static_cast<size_t>(t * 80 + linear->offset(part) + r)], want, part == 1 ? 1e-4 : 0.3);
        }
      }
    }
    for (int64_t column = 40; column < 48; ++column) EXPECT_EQ(y[static_cast<size_t>(column)], 0);  // padding
    ASSERT_NE(linear->bias(), nullptr);
    EXPECT_EQ(linear->bias()[47], 0);
    EXPECT_EQ(linear->bias()[48], 2);
    EXPECT_EQ(linear->bias()[55], 0);

    // A range that starts inside one part and ends in another.
    const std::vector<float> piece = product(*linear, in, {2, 4});
    for (int64_t t = 0; t < 3; ++t) {
      EXPECT_EQ(std::memcmp(piece.data() + t * 32, y.data() + t * 80 + 32, 32 * sizeof(float)), 0);
    }
  }
}

TEST(Linear, Fp32ModeDecodesIntegers) {
  const Source w("w", DType::q4_0, 20, 96, 4);
  const Input in(2, 96);
  const auto owner = *ThreadPool::create(2);
  ThreadPool& pool = *owner;
  const Context context{scalar(), pool};
  auto linear = Linear::describe(context, {{w.view, {}}}, Precision::f32);
  ASSERT_TRUE(linear.ok());
  EXPECT_FALSE(linear->reads_codes());
  EXPECT_EQ(linear->file_dtype(0), DType::q4_0);
  auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
  ASSERT_TRUE(linear->pack(context, memory->data(), {}).ok());
  const std::vector<float> y = product(*linear, in, {0, 2});
  for (int64_t t = 0; t < 2; ++t) {
    for (int64_t r = 0; r < 20; ++r) EXPECT_NEAR(y[static_cast<size_t>(t * 32 + r)], exact(w, r, in, t), 1e-5);
  }
}

TEST(Linear, Int8ModeQuantisesFloatingTypesOnly) {
  const Source a("a", DType::f32, 20, 96, 1), b("b", DType::q8_0, 16, 96, 2);
  const auto owner = *ThreadPool::create(2);
  const Context context{scalar(), *owner};
  auto linear = Linear::describe(context, {{a.view, {}}, {b.view, {}}}, Precision::int8);
  ASSERT_TRUE(linear.ok());
  EXPECT_TRUE(linear->reads_row_codes() && linear->reads_codes());
  EXPECT_EQ(linear->file_dtype(0), DType::f32);
  auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
  ASSERT_TRUE(linear->pack(context, memory->data(), {}).ok());
  std::vector<float> row(96);
  for (int64_t r = 0; r < 20; ++r) {
    linear->row(r, row.data());
    const auto* const want = reinterpret_cast<const float*>(a.view.row(r));
    float top = 0;
    for (int i = 0; i < 96; ++i) top = std::max(top, std::fabs(want[i]));
    for (size_t i = 0; i < 96; ++i) EXPECT_NEAR(row[i], want[i], top / 150);  // factors spread the steps
  }

  TensorView wide = a.view;
  wide.shape = {1, kernels::kMaxRowCodes + 1};
  EXPECT_EQ(Linear::describe(context, {{wide, {}}}, Precision::int8).error().code, Code::unsupported);
  EXPECT_TRUE(Linear::describe(context, {{wide, {}}}, Precision::file).ok());
}

// A row of zeros is zeros. A row with an infinity or a NaN has no codes: the first such row of the first such tensor is
// named, wherever its values stand.
TEST(Linear, Int8OfRowsWithoutAScale) {
  const auto owner = *ThreadPool::create(3);
  const Context context{scalar(), *owner};
  const auto pack = [&](std::vector<float>& values, bool transposed, std::vector<float>* row) -> Result<void> {
    const TensorView view{"odd",
                          DType::f32,
                          {transposed ? 70 : 100, transposed ? 100 : 70},
                          reinterpret_cast<const std::byte*>(values.data()),
                          values.size() * sizeof(float)};
    const Source good("good", DType::bf16, 20, 70, 3);
    auto linear = Linear::describe(context, {{.weight = view, .map = {.transposed = transposed}}, {good.view, {}}},
                                   Precision::int8);
    EXPECT_TRUE(linear.ok());
    auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
    MIAO_CHECK_OK(linear->pack(context, memory->data(), {}));
    row->clear();  // the first value of each
    std::vector<float> weights(70);
    for (int64_t r = 0; r < 100; ++r) {
      linear->row(r, weights.data());
      row->push_back(weights[0]);
    }
    return {};
  };
  std::vector<float> row;
  std::vector<float> values(7000, 0.5f);
  std::fill_n(values.begin() + 99 * 70, 70, 0.0f);
  std::fill_n(values.begin() + 3 * 70, 70, 1e-40f);  // less than any scale
  ASSERT_TRUE(pack(values, false, &row).ok());
  EXPECT_EQ(row[99], 0);
  EXPECT_EQ(row[3], 0);
  EXPECT_NE(row[98], 0);
  for (const bool transposed : {false, true}) {
    for (const float wrong : {std::nanf(""), std::numeric_limits<float>::infinity(), -INFINITY}) {
      std::vector<float> broken = values;
      for (const size_t r : {size_t{81}, size_t{37}}) broken[transposed ? 69 * 100 + r : r * 70 + 69] = wrong;
      const auto packed = pack(broken, transposed, &row);
      ASSERT_FALSE(packed.ok());
      EXPECT_EQ(packed.error().code, Code::corrupt);
      EXPECT_EQ(packed.error().where, "odd");
      EXPECT_NE(packed.error().message.find("row 37 "), std::string::npos) << packed.error().message;
    }
  }
}

// A column of large weights does not make the others coarse, and a column of zeros takes no part in the activations.
// Written the other way round, and by any number of threads, the bytes are the same.
TEST(Linear, Int8FactorsOfColumns) {
  Source a("a", DType::f32, 20, 70, 1), turned("turned", DType::f32, 70, 20, 2);
  const auto value = [](Source& s, int64_t r, int64_t c) {
    return reinterpret_cast<float*>(s.bytes.data()) + r * s.view.cols() + c;
  };
  for (int64_t r = 0; r < 20; ++r) {
    *value(a, r, 5) *= 1000;
    *value(a, r, 6) = 0;
    for (int64_t c = 0; c < 70; ++c) *value(turned, c, r) = *value(a, r, c);
  }
  std::string first;
  for (const int threads : {1, 3}) {
    for (const bool transposed : {false, true}) {
      const auto owner = *ThreadPool::create(threads);
      const Context context{scalar(), *owner};
      const RowMap map{.transposed = transposed};
      auto linear =
          Linear::describe(context, {{.weight = transposed ? turned.view : a.view, .map = map}}, Precision::int8);
      ASSERT_TRUE(linear.ok()) << linear.error().str();
      auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
      ASSERT_TRUE(linear->pack(context, memory->data(), {}).ok());
      const std::string bytes(reinterpret_cast<const char*>(memory->data()), memory->size());
      if (first.empty()) first = bytes;
      EXPECT_EQ(bytes, first);
      EXPECT_GT(linear->factor()[5], 100 * linear->factor()[4]);
      EXPECT_EQ(linear->factor()[6], 0);
      std::vector<float> row(70);
      for (int64_t r = 0; r < 20; ++r) {
        linear->row(r, row.data());
        for (int64_t c = 0; c < 70; ++c) {
          if (c == 5) continue;
          EXPECT_NEAR(row[static_cast<size_t>(c)], *value(a, r, c), 0.1) << r << " " << c;
        }
      }
    }
  }
}

TEST(Linear, GivesSourceRowsBackInOrder) {
  const Source w("w", DType::f32, 9000, 512, 6);  // 18 MB: several slices
  const auto owner = *ThreadPool::create(2);
  ThreadPool& pool = *owner;
  const Context context{scalar(), pool};
  auto linear = Linear::describe(context, {{w.view, {}}}, Precision::file);
  ASSERT_TRUE(linear.ok());
  auto memory = Memory::allocate(static_cast<size_t>(linear->packed_bytes()));
  const std::byte* next = w.view.data;
  int calls = 0;
  const auto packed = linear->pack(context, memory->data(), [&](const TensorView& rows) {
    EXPECT_EQ(rows.data, next);
    EXPECT_EQ(rows.bytes, static_cast<uint64_t>(rows.rows()) * 2048);
    next += rows.bytes;
    ++calls;
  });
  EXPECT_TRUE(packed.ok());
  EXPECT_EQ(next, w.view.data + w.view.bytes);
  EXPECT_GE(calls, 3);
}

TEST(Linear, Errors) {
  const auto owner = *ThreadPool::create(1);
  ThreadPool& pool = *owner;
  const Context context{scalar(), pool};
  const Source good("good", DType::f32, 16, 32, 1);
  const Source narrow("narrow", DType::f32, 16, 31, 1);
  TensorView integers = good.view;
  integers.dtype = DType::i32;
  TensorView vector = good.view;
  vector.shape = {16 * 32};
  struct Case {
    std::vector<LinearPart> parts;
    Code code;
  };
  const Case cases[] = {{{{good.view, {}}, {narrow.view, {}}}, Code::invalid},
                        {{{integers, {}}}, Code::unsupported},
                        {{{vector, {}}}, Code::invalid},
                        {{{good.view, {1, 2, 3}}}, Code::invalid}};
  for (const Case& c : cases) {
    auto linear = Linear::describe(context, c.parts, Precision::file);
    ASSERT_FALSE(linear.ok());
    EXPECT_EQ(linear.error().code, c.code) << linear.error().str();
    EXPECT_FALSE(linear.error().where.empty());
  }
}

}  // namespace
}  // namespace miao::graph
