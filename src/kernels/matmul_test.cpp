// Products of the quantised formats: every ISA against the scalar table bit for bit, the scalar table against decoded
// weights in double precision, at awkward sizes and with extreme codes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/memory.h"
#include "kernels/kernels.h"

namespace miao::kernels {
namespace {

constexpr DType kQuantised[] = {DType::q4_0,   DType::q4_1,   DType::q5_0, DType::q5_1, DType::q8_0,
                                DType::q2_k,   DType::q3_k,   DType::q4_k, DType::q5_k, DType::q6_k,
                                DType::iq4_nl, DType::iq4_xs, DType::mxfp4};

// Random blocks of a format whose F16 fields are small finite numbers: any code, scales between -0.05 and 0.05.
std::vector<uint8_t> random_row(DType dtype, int64_t cols, std::mt19937& rng, bool extreme) {
  const Format& f = format(dtype);
  std::vector<uint8_t> row(static_cast<size_t>(row_bytes(dtype, cols)));
  for (auto& b : row) b = extreme ? (rng() % 2 ? 0xff : 0x80) : static_cast<uint8_t>(rng());
  const auto put = [&](size_t at, float v) {
    const uint16_t bits = f32_to_f16(v);
    std::memcpy(row.data() + at, &bits, 2);
  };
  std::uniform_real_distribution<float> d(-0.05f, 0.05f);
  for (int64_t b = 0; b < cols / f.block; ++b) {
    const size_t at = static_cast<size_t>(b * f.bytes);
    switch (dtype) {
      case DType::mxfp4:
        row[at] = static_cast<uint8_t>(118 + rng() % 12);
        break;
      case DType::q2_k:
        put(at + 80, d(rng)), put(at + 82, d(rng));
        break;
      case DType::q3_k:
        put(at + 108, d(rng));
        break;
      case DType::q6_k:
        put(at + 208, d(rng));
        break;
      case DType::q4_1:
      case DType::q5_1:
      case DType::q4_k:
      case DType::q5_k:
        put(at, d(rng)), put(at + 2, d(rng));
        break;
      default:
        put(at, d(rng));
    }
  }
  return row;
}

struct Inputs {
  Memory memory;
  Activations in;

  Inputs(int64_t rows, int64_t cols, std::mt19937& rng, bool extreme)
      : memory(*Memory::allocate(static_cast<size_t>(Quantised::bytes(rows, cols)))) {
    std::memset(memory.data(), 0xff, memory.size());  // what fills up the last tile is NaN
    in = {nullptr, 0, Quantised::at(memory.data(), rows, cols), rows};
    std::uniform_real_distribution<float> s(0.001f, 0.1f);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t g = 0; g < cols / 32; ++g) {
        const int64_t at = in.codes.index(r, g);
        int sums[2] = {};
        for (int i = 0; i < 32; ++i) {
          const int v = extreme ? (rng() % 2 ? 127 : -127) : static_cast<int>(rng() % 255) - 127;
          in.codes.q[32 * at + i] = static_cast<int8_t>(v);
          sums[i / 16] += v;
        }
        const float scale = in.codes.scale[at] = s(rng);
        in.codes.nsum[at] = -sums[0] - sums[1];
        in.codes.dsum[at] = scale * static_cast<float>(sums[0] + sums[1]);
        for (int h = 0; h < 2; ++h) {
          in.codes.nsum16[h][at] = -sums[h];
          in.codes.dsum16[h][at] = scale * static_cast<float>(sums[h]);
        }
      }
    }
  }
};

class QuantProduct : public testing::TestWithParam<DType> {};

TEST_P(QuantProduct, EveryIsaEqualsScalarAndScalarEqualsDecodedWeights) {
  const DType dtype = GetParam();
  const Kernels* tables[static_cast<size_t>(Isa::count)];
  const int isas = available(cpu_features(), tables);
  std::mt19937 rng(7);
  for (const int64_t cols : {int64_t{format(dtype).block}, int64_t{3 * format(dtype).block}, int64_t{768}}) {
    for (const int64_t out_rows : {16, 40, 64}) {
      for (const int64_t rows : {1, 2, 4, 5, 7, 13, 16, 17, 33}) {
        const bool extreme = (rows + out_rows) % 3 == 0;
        const int64_t blocks = round_up(out_rows, 16) / 16;
        std::vector<std::vector<uint8_t>> weights;
        for (int64_t i = 0; i < out_rows; ++i) weights.push_back(random_row(dtype, cols, rng, extreme));
        const MatMul& scalar = tables[0]->matmul[static_cast<size_t>(dtype)];
        const int64_t stride = scalar.block_bytes(cols);
        Memory packed = *Memory::allocate(static_cast<size_t>(stride * blocks));
        for (int64_t b = 0; b < blocks; ++b) {
          const void* ptrs[16];
          for (int64_t i = 0; i < 16; ++i)
            ptrs[i] = 16 * b + i < out_rows ? weights[static_cast<size_t>(16 * b + i)].data() : nullptr;
          scalar.pack(ptrs, cols, packed.as<uint8_t>(static_cast<size_t>(b * stride)));
        }
        const Inputs inputs(rows, cols, rng, extreme);
        const int64_t ldy = 16 * blocks + 3;
        std::vector<float> want(static_cast<size_t>(rows * ldy), -1.f);
        scalar.run(packed.data(), cols, blocks, inputs.in, want.data(), ldy, nullptr);
        std::vector<float> decoded(static_cast<size_t>(cols));
        for (int64_t o = 0; o < out_rows; ++o) {
          format(dtype).decode(weights[static_cast<size_t>(o)].data(), decoded.data(), cols);
          for (int64_t r = 0; r < rows; ++r) {
            double sum = 0, size = 0;
            for (int64_t k = 0; k < cols; ++k) {
              const Quantised& codes = inputs.in.codes;
              const int64_t at = codes.index(r, k / 32);
              const double a = static_cast<double>(codes.scale[at]) * codes.q[32 * at + k % 32];
              sum += a * static_cast<double>(decoded[static_cast<size_t>(k)]);
              size += std::fabs(a * static_cast<double>(decoded[static_cast<size_t>(k)]));
            }
            ASSERT_NEAR(want[static_cast<size_t>(r * ldy + o)], sum, 2e-5 * size + 1e-6) << "row " << r << " out " << o;
          }
        }
        for (int i = 1; i < isas; ++i) {
          const MatMul& m = tables[i]->matmul[static_cast<size_t>(dtype)];
          ASSERT_EQ(m.block_bytes(cols), stride);
          Memory scratch = *Memory::allocate(static_cast<size_t>(m.scratch_bytes(cols)));
          std::vector<float> got(want.size(), -1.f);
          m.run(packed.data(), cols, blocks, inputs.in, got.data(), ldy, scratch.data());
          ASSERT_EQ(std::memcmp(got.data(), want.data(), 4 * got.size()), 0)
              << tables[i]->name << " rows " << rows << " cols " << cols << " out " << out_rows;
        }
      }
    }
  }
}

// The format can hold scales that overflow what AVX-512 adds to its sums; all sets must still agree.
TEST_P(QuantProduct, UnpackedRowsAreThoseOfTheFile) {
  const DType dtype = GetParam();
  std::mt19937 rng(11);
  const MatMul& m = (*select(cpu_features(), "scalar"))->matmul[static_cast<size_t>(dtype)];
  for (const int64_t cols : {int64_t{format(dtype).block}, int64_t{768}}) {
    std::vector<std::vector<uint8_t>> rows;
    const void* ptrs[16] = {};
    for (int lane = 0; lane < 15; ++lane) {  // the last is absent
      rows.push_back(random_row(dtype, cols, rng, lane % 4 == 3));
      ptrs[lane] = rows.back().data();
    }
    Memory packed = *Memory::allocate(static_cast<size_t>(m.block_bytes(cols)));
    m.pack(ptrs, cols, packed.data());
    std::vector<float> want(static_cast<size_t>(cols)), got(want.size());
    for (int lane = 0; lane < 15; ++lane) {
      format(dtype).decode(ptrs[lane], want.data(), cols);
      m.unpack(packed.data(), cols, lane, got.data());
      ASSERT_EQ(std::memcmp(got.data(), want.data(), 4 * got.size()), 0) << "cols " << cols << " lane " << lane;
    }
  }
}

TEST(Mxfp4, ScalesBeyondAllRealOnesGiveTheSameFiniteNumbersOnEveryIsa) {
  const Kernels* tables[static_cast<size_t>(Isa::count)];
  const int isas = available(cpu_features(), tables);
  std::mt19937 rng(11);
  constexpr int64_t cols = 64, rows = 16;
  for (int exponent = 225; exponent < 256; ++exponent) {
    std::vector<uint8_t> row = random_row(DType::mxfp4, cols, rng, false);
    for (size_t b = 0; b < row.size(); b += static_cast<size_t>(format(DType::mxfp4).bytes))
      row[b] = static_cast<uint8_t>(exponent);
    const void* ptrs[16];
    std::fill(std::begin(ptrs), std::end(ptrs), row.data());
    const MatMul& scalar = tables[0]->matmul[static_cast<size_t>(DType::mxfp4)];
    Memory packed = *Memory::allocate(static_cast<size_t>(scalar.block_bytes(cols)));
    scalar.pack(ptrs, cols, packed.data());
    const Inputs inputs(rows, cols, rng, false);
    std::vector<float> want(16 * rows);
    scalar.run(packed.data(), cols, 1, inputs.in, want.data(), 16, nullptr);
    for (const float x : want) ASSERT_TRUE(std::isfinite(x)) << exponent;
    for (int i = 1; i < isas; ++i) {
      const MatMul& m = tables[i]->matmul[static_cast<size_t>(DType::mxfp4)];
      Memory scratch = *Memory::allocate(static_cast<size_t>(m.scratch_bytes(cols)));
      std::vector<float> got(want.size());
      m.run(packed.data(), cols, 1, inputs.in, got.data(), 16, scratch.data());
      ASSERT_EQ(std::memcmp(got.data(), want.data(), 4 * got.size()), 0) << tables[i]->name << " 2^" << exponent - 127;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantProduct, testing::ValuesIn(kQuantised),
                         [](const auto& info) { return std::string(format(info.param).name); });

// MIAO_ISA (read by the caller) forces a table, and the table that comes back is the one asked for.
TEST(Select, ForcedTableIsTheOneThatRuns) {
  const Kernels* tables[static_cast<size_t>(Isa::count)];
  const int isas = available(cpu_features(), tables);
  for (int i = 0; i < isas; ++i) {
    auto k = select(cpu_features(), tables[i]->name);
    ASSERT_TRUE(k.ok());
    EXPECT_STREQ((*k)->name, tables[i]->name);
    EXPECT_EQ(*k, tables[i]);
    const std::string gemm = (*k)->matmul[static_cast<size_t>(DType::q4_0)].gemm;
    EXPECT_NE(gemm.find(std::string(".") + tables[i]->name), std::string::npos) << gemm;
  }
  EXPECT_EQ(*select(cpu_features(), ""), tables[isas - 1]);
  EXPECT_EQ(select(cpu_features(), "sse9").error().code, Code::invalid);
}

}  // namespace
}  // namespace miao::kernels
