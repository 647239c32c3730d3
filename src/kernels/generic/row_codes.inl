// int8 codes with one scale a row: activations to RowCodes, weights to packed blocks (quant/int8_layout.h) and back.
// A code is x * (127 / reach), rounded to nearest even. The reach of weights is the largest magnitude of their row.
// That of activations is shorter, because a row of them has a few values far out of the others: what goes beyond is
// carried.

#include "kernels/generic/parts.h"
#include "kernels/quant/int8_layout.h"

namespace miao::kernels::MIAO_ISA {
namespace {

inline Vec load_part(const float* p, int64_t n) {
  return n >= 16 ? load(p) : n > 0 ? load_n(p, static_cast<int>(n)) : set1(0.0f);
}

struct RowScale {
  float scale = 0;
  float factor = 0;  // 0: all codes are 0
};
inline RowScale row_scale(float top) {
  constexpr float kTiny = 0x1p-119f;  // the reciprocal of less would overflow; such rows count as zero
  if (top < kTiny) return {};
  if (!(top < __builtin_inff())) return {__builtin_nanf(""), 0.0f};  // an infinity or a NaN must come out as NaN
  return {top / 127.0f, 127.0f / top};
}

// The n values of a row.
struct Plain {
  const float* x;
  int64_t n;

  Vec at(int64_t i) const { return load(x + i); }
  Vec part(int64_t i) const { return load_part(x + i, n - i); }  // zeros behind the end
  float value(int64_t i) const { return x[i]; }
};
struct Scaled {
  const float* x;
  int64_t n;
  const float* factor;

  Vec at(int64_t i) const { return load(x + i) * load(factor + i); }
  Vec part(int64_t i) const { return load_part(x + i, n - i) * load_part(factor + i, n - i); }
  float value(int64_t i) const { return x[i] * factor[i]; }
};

// The largest magnitude, NaN where there is one, and the mean magnitude.
struct RowSize {
  float top, mean;
};
template <class Row>
inline RowSize row_size(const Row& x) {
  Vec top[4], sum[4];
  MIAO_UNROLL for (int j = 0; j < 4; ++j) top[j] = sum[j] = set1(0.0f);
  const auto take = [&](int j, Vec v) {
    top[j] = max_magnitude(v, top[j]);
    sum[j] = sum[j] + abs(v);
  };
  int64_t i = 0;
  for (; i + 64 <= x.n; i += 64) {
    MIAO_UNROLL for (int j = 0; j < 4; ++j) take(j, x.at(i + 16 * j));
  }
  for (; i < x.n; i += 16) take(0, x.part(i));
  const float total = reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
  return {max_abs(max_magnitude(top[0], top[1]), max_magnitude(top[2], top[3])), total / static_cast<float>(x.n)};
}

// Writes codes and carries of a row. False: there is no room for the carries.
template <class Row>
inline bool put_codes(const Row& x, float factor, const RowCodes& out, int64_t row) {
  constexpr float kLimit = 127.5f;  // from here on a code has a carry
  uint8_t* q = out.q + out.offset(row);
  RowCarry* plus = out.carry + row * out.room;
  RowCarry* minus = plus + out.room;  // this one and those behind it are taken
  const RowCarry *const first = plus, *const end = minus;
  const Vec factors = set1(factor);
  for (int64_t i = 0; i < x.n; i += kChunk, q += out.chunk_step()) {
    Vec v[4];
    uint64_t far = 0;
    if (i + kChunk <= x.n) {
      MIAO_UNROLL for (int j = 0; j < 4; ++j) v[j] = x.at(i + 16 * j) * factors;
    } else {
      MIAO_UNROLL for (int j = 0; j < 4; ++j) v[j] = x.part(i + 16 * j) * factors;
    }
    MIAO_UNROLL for (int j = 0; j < 4; ++j) { far |= far_lanes(v[j], kLimit) << 16 * j; }
    store_codes(q, v[0], v[1], v[2], v[3]);
    for (; far != 0; far &= far - 1) {
      const int at = __builtin_ctzll(far);
      const auto code = static_cast<int>(__builtin_rintf(x.value(i + at) * factor));
      const int size = code < 0 ? -code : code, digit = (size + 64) / 128, low = size - 128 * digit;
      const auto quad = static_cast<int32_t>((i + at) / 4);
      q[at] = static_cast<uint8_t>(128 + (code < 0 ? -low : low));
      const bool fresh = code < 0 ? minus == end || minus->quad != quad : plus == first || plus[-1].quad != quad;
      if (fresh && plus == minus) return false;
      if (fresh) *(code < 0 ? --minus : plus++) = {quad, {}};
      (code < 0 ? minus : plus - 1)->digit[at % 4] = static_cast<uint8_t>(digit);
    }
  }
  out.count[2 * row] = static_cast<int32_t>(plus - first);
  out.count[2 * row + 1] = static_cast<int32_t>(end - minus);
  return true;
}

template <class Row>
void put_row(const Row& x, const RowCodes& out, int64_t row) {
  // Of normal values one in a million is beyond 6 mean magnitudes. A digit of a carry holds 127 at most, so no value
  // may be beyond 128 times the reach.
  constexpr float kReach = 6.0f, kDeepest = 0x1p-7f;
  const RowSize size = row_size(x);
  const RowScale whole = row_scale(size.top);
  if (whole.factor == 0) {
    out.scale[row] = whole.scale;
    out.count[2 * row] = out.count[2 * row + 1] = 0;
    for (int64_t c = 0; c < out.chunks; ++c)
      __builtin_memset(out.q + out.offset(row) + c * out.chunk_step(), 128, kChunk);
    return;
  }
  float reach = kReach * size.mean;
  if (reach < size.top * kDeepest) reach = size.top * kDeepest;
  for (;; reach *= 2) {
    const RowScale s = reach < size.top ? row_scale(reach) : whole;
    if (s.factor == 0) continue;  // too small to be a scale
    out.scale[row] = s.scale;
    if (put_codes(x, s.factor, out, row)) return;
  }
}

void quantize_row(const float* x, const float* factor, int64_t n, const RowCodes& out, int64_t row) {
  if (factor == nullptr) return put_row(Plain{x, n}, out, row);
  put_row(Scaled{x, n, factor}, out, row);
}

void pack_int8(const void* const rows[kLanes], int64_t cols, void* dst) {
  __builtin_memset(dst, 0, static_cast<size_t>(int8_block_bytes(cols)));
  auto* const scale = static_cast<float*>(dst);
  auto* const start = reinterpret_cast<int32_t*>(scale + kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    const Plain row{static_cast<const float*>(rows[lane]), cols};
    const RowScale s = row_scale(row_size(row).top);
    scale[lane] = s.scale;
    if (s.factor == 0) continue;
    const Vec factor = set1(s.factor);
    auto* to = static_cast<int8_t*>(dst) + kInt8Head + 4 * lane;
    int32_t sum = 0;
    for (int64_t k = 0; k < cols; k += kChunk) {
      uint8_t codes[kChunk];
      store_codes(codes, row.part(k) * factor, row.part(k + 16) * factor, row.part(k + 32) * factor,
                  row.part(k + 48) * factor);
      for (int j = 0; j < kChunk; j += 4, to += 4 * kLanes) {
        for (int b = 0; b < 4; ++b) {
          const int code = codes[j + b] - 128;
          to[b] = static_cast<int8_t>(code);
          sum += code;
        }
      }
    }
    start[lane] = -128 * sum;
  }
}

void unpack_int8(const void* packed, int64_t cols, int lane, float* row) {
  const Int8Block block(packed);
  for (int64_t k = 0; k < cols; ++k) {
    row[k] = static_cast<float>(block.codes[k / 4 * 4 * kLanes + 4 * lane + k % 4]) * block.scale[lane];
  }
}

int64_t int8_scratch(int64_t) { return 0; }

}  // namespace

void fill_row_codes(Kernels& table) {
  table.quantize_row = quantize_row;
  table.int8.reads = Reads::row_codes;
  table.int8.block_bytes = int8_block_bytes;
  table.int8.pack = pack_int8;
  table.int8.unpack = unpack_int8;
  table.int8.scratch_bytes = int8_scratch;
}

}  // namespace miao::kernels::MIAO_ISA
