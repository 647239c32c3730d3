// int8 codes with one scale a row: activations to RowCodes, weights to packed blocks (quant/int8_layout.h) and back.
// A code is x * (127 / max |x|), rounded to nearest even.

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

// The largest magnitude; NaN where there is one.
inline float row_top(const float* x, int64_t n) {
  Vec a = set1(0.0f), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a = max_magnitude(load(x + i), a);
    b = max_magnitude(load(x + i + 16), b);
    c = max_magnitude(load(x + i + 32), c);
    d = max_magnitude(load(x + i + 48), d);
  }
  for (; i < n; i += 16) a = max_magnitude(load_part(x + i, n - i), a);
  return max_abs(max_magnitude(a, b), max_magnitude(c, d));
}

// Up to 64 codes plus 128, filled up with 128.
inline void put_chunk(const float* x, int64_t n, Vec factor, uint8_t* out) {
  if (n >= kChunk) {
    store_codes(out, load(x) * factor, load(x + 16) * factor, load(x + 32) * factor, load(x + 48) * factor);
  } else {
    const auto part = [&](int64_t at) { return load_part(x + at, n - at) * factor; };
    store_codes(out, part(0), part(16), part(32), part(48));
  }
}

void quantize_row(const float* x, int64_t n, const RowCodes& out, int64_t row) {
  const RowScale s = row_scale(row_top(x, n));
  const int64_t step = out.chunk_step();
  uint8_t* q = out.q + out.offset(row);
  out.scale[row] = s.scale;
  const Vec factor = set1(s.factor);
  for (int64_t i = 0; i < n; i += kChunk, q += step) {
    if (s.factor == 0) {
      __builtin_memset(q, 128, kChunk);
    } else {
      put_chunk(x + i, n - i, factor, q);
    }
  }
}

// 64 values of a file's row from k on, zeros behind its end. The row may stand at any address.
template <class E>
struct Chunk {
  Vec v[4];

  Chunk(const void* row, int64_t k, int64_t cols) {
    E part[kChunk] = {};
    const int64_t n = cols - k < kChunk ? cols - k : kChunk;
    __builtin_memcpy(part, static_cast<const E*>(row) + k, static_cast<size_t>(n) * sizeof(E));
    for (int i = 0; i < 4; ++i) v[i] = load(part + 16 * i);
  }
};

template <class E>
void pack_int8(const void* const rows[kLanes], int64_t cols, void* dst) {
  __builtin_memset(dst, 0, static_cast<size_t>(int8_block_bytes(cols)));
  auto* const scale = static_cast<float*>(dst);
  auto* const start = reinterpret_cast<int32_t*>(scale + kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    Vec top = set1(0.0f);
    for (int64_t k = 0; k < cols; k += kChunk) {
      for (const Vec& v : Chunk<E>(rows[lane], k, cols).v) top = max_magnitude(v, top);
    }
    const RowScale s = row_scale(max_abs(top, top));
    scale[lane] = s.scale;
    if (s.factor == 0) continue;
    const Vec factor = set1(s.factor);
    auto* to = static_cast<int8_t*>(dst) + kInt8Head + 4 * lane;
    int32_t sum = 0;
    for (int64_t k = 0; k < cols; k += kChunk) {
      const Chunk<E> from(rows[lane], k, cols);
      uint8_t codes[kChunk];
      store_codes(codes, from.v[0] * factor, from.v[1] * factor, from.v[2] * factor, from.v[3] * factor);
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
  for (MatMul& m : table.int8) {
    m.reads = Reads::row_codes;
    m.block_bytes = int8_block_bytes;
    m.unpack = unpack_int8;
    m.scratch_bytes = int8_scratch;
  }
  table.int8[0].pack = pack_int8<float>;
  table.int8[1].pack = pack_int8<F16>;
  table.int8[2].pack = pack_int8<BF16>;
}

}  // namespace miao::kernels::MIAO_ISA
