// Activations in the forms that products read: as they are, quantised by groups or by whole rows, split into parts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace miao::kernels {

constexpr int kLanes = 16;     // output rows of a packed weight block; lanes of a vector
constexpr int kGroup = 32;     // activations that share one scale
constexpr int kTileRows = 16;  // activation rows side by side
constexpr int kFewRows = 4;    // up to here rows are quantised one after another
constexpr int kPage = 64;      // keys of one KV page and of one attention tile
constexpr int kChunk = 64;     // codes of a row side by side in RowCodes

// Sums of more products of two codes would leave int32.
constexpr int64_t kMaxRowCodes = 131072;

static inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Quantised activations: 32 values of row r are entry index(r, g) of every array, x ~ scale * q with q in [-127, 127].
// Few rows stand one after another. Many rows stand in tiles of 16, in a tile group by group and there side by side, so
// that products read a tile front to back.
struct Quantised {
  int8_t* q = nullptr;                    // (entries, 32)
  float* scale = nullptr;                 // max |x| / 127
  float* dsum = nullptr;                  // scale * sum of the codes
  int32_t* nsum = nullptr;                // minus the sum of the codes
  float* dsum16[2] = {nullptr, nullptr};  // the same of each half
  int32_t* nsum16[2] = {nullptr, nullptr};
  int64_t groups = 0;  // of a row
  bool tiled = false;

  int64_t row_step() const { return tiled ? 1 : groups; }  // within a tile
  int64_t group_step() const { return tiled ? kTileRows : 1; }
  int64_t index(int64_t row, int64_t group) const {
    return tiled ? (row / kTileRows * groups + group) * kTileRows + row % kTileRows : row * groups + group;
  }

  static int64_t entries(int64_t rows, int64_t cols) {
    return (rows > kFewRows ? round_up(rows, kTileRows) : rows) * (cols / kGroup);
  }
  static int64_t bytes(int64_t rows, int64_t cols) {
    return entries(rows, cols) * kGroup + 7 * round_up(entries(rows, cols) * 4, 64);
  }
  // Arrays for `rows` rows in memory of bytes(rows, cols), 64-byte aligned.
  static Quantised at(void* memory, int64_t rows, int64_t cols) {
    Quantised out;
    out.groups = cols / kGroup;
    out.tiled = rows > kFewRows;
    const int64_t n = entries(rows, cols), step = round_up(n * 4, 64);
    auto* p = static_cast<int8_t*>(memory) + n * kGroup;
    out.q = static_cast<int8_t*>(memory);
    out.scale = reinterpret_cast<float*>(p);
    out.dsum = reinterpret_cast<float*>(p + step);
    out.nsum = reinterpret_cast<int32_t*>(p + 2 * step);
    for (int h = 0; h < 2; ++h) {
      out.dsum16[h] = reinterpret_cast<float*>(p + (3 + h) * step);
      out.nsum16[h] = reinterpret_cast<int32_t*>(p + (5 + h) * step);
    }
    return out;
  }
};

// Activations quantised by whole rows: x ~ scale * c, where c = (q - 128) + 128 * carry. Most values fit the byte q and
// have no carry; the few that stand far out of a row, which would else make its scale coarse, do. Bytes are unsigned
// because VNNI's first factor is. Rows stand in tiles of 16 (fewer, where there are fewer), in a tile chunk by chunk
// and there side by side: a tile of 16 rows x 64 codes is what the tile unit of AMX loads. Chunks are filled up with
// 128.
//
// A product of integers is exact however it is cut, so carries cost no bit, only the few products that they take.
struct RowCarry {
  int32_t quad;      // columns 4 * quad ..
  uint8_t digit[4];  // magnitudes of their carries, at most 127
};
struct RowCarries {
  const RowCarry* list;
  int32_t plus, minus;  // entries list[0 .. plus) count positive, list[room - minus .. room) negative
  const RowCarry* end;  // list + room
  bool any() const { return plus + minus > 0; }
};
struct RowCodes {
  uint8_t* q = nullptr;
  float* scale = nullptr;     // (rows)
  int32_t* count = nullptr;   // (rows, 2): how many entries of carries are positive, how many negative
  RowCarry* carry = nullptr;  // (rows, room)
  int64_t chunks = 0;         // of a row
  int64_t height = 0;         // rows of a tile
  int64_t room = 0;

  int64_t chunk_step() const { return height * kChunk; }
  int64_t offset(int64_t row) const { return row / height * chunks * chunk_step() + row % height * kChunk; }
  RowCarries carries(int64_t row) const {
    const RowCarry* const list = carry + row * room;
    return {list, count[2 * row], count[2 * row + 1], list + room};
  }

  static int64_t code_bytes(int64_t rows, int64_t cols) {
    return (rows > kTileRows ? round_up(rows, kTileRows) : rows) * round_up(cols, kChunk);
  }
  static int64_t room_of(int64_t cols) { return 8 + cols / 32; }
  static int64_t bytes(int64_t rows, int64_t cols) {
    return code_bytes(rows, cols) + round_up(rows * (12 + room_of(cols) * static_cast<int64_t>(sizeof(RowCarry))), 64);
  }
  // Arrays for `rows` rows in memory of bytes(rows, cols), 64-byte aligned.
  static RowCodes at(void* memory, int64_t rows, int64_t cols) {
    auto* const q = static_cast<uint8_t*>(memory);
    auto* const carry = reinterpret_cast<RowCarry*>(q + code_bytes(rows, cols));
    auto* const scale = reinterpret_cast<float*>(carry + rows * room_of(cols));
    return {q,
            scale,
            reinterpret_cast<int32_t*>(scale + rows),
            carry,
            (cols + kChunk - 1) / kChunk,
            rows < kTileRows ? rows : kTileRows,
            room_of(cols)};
  }
};

// Activations as sums of three bf16 numbers, x = large + middle + small, exact but for what is smaller than 2^-50;
// infinities become NaN. Rows stand in tiles of 16 (fewer, where there are fewer), in a tile chunk by chunk, part by
// part, and there side by side: what the tile unit of AMX loads. Chunks are filled up with 0.
struct FloatParts {
  static constexpr int kParts = 3;
  static constexpr int64_t kDepth = 32;  // columns of a chunk
  static constexpr int64_t kSlab = 512;  // columns that products of many rows read of all rows, before they go on

  uint16_t* p = nullptr;
  int64_t chunks = 0;  // of a row
  int64_t height = 0;  // rows of a tile

  int64_t part_step() const { return height * kDepth; }
  int64_t chunk_step() const { return kParts * part_step(); }
  int64_t offset(int64_t row) const { return row / height * chunks * chunk_step() + row % height * kDepth; }

  static int64_t bytes(int64_t rows, int64_t cols) {
    return (rows > kTileRows ? round_up(rows, 2 * kTileRows) : rows) * round_up(cols, kDepth) * kParts * 2;
  }
  // Memory of bytes(rows, cols), 64-byte aligned.
  static FloatParts at(void* memory, int64_t rows, int64_t cols) {
    return {static_cast<uint16_t*>(memory), (cols + kDepth - 1) / kDepth, rows < kTileRows ? rows : kTileRows};
  }
};

// Which of its forms a kernel reads.
enum class Reads : uint8_t { values, codes, row_codes, parts };

// Activations of `rows` tokens. Rows that fill up the last tile must be
// readable; what they hold does not matter to the result (but to the speed: see quantize_unit).
struct Activations {
  const float* x = nullptr;  // (rows, cols), row stride ldx
  int64_t ldx = 0;
  Quantised codes;
  int64_t rows = 0;
  RowCodes row_codes;
  FloatParts parts;

  // `count` rows from `first` on, which is a multiple of 2 * kTileRows, or 0.
  Activations part(int64_t first, int64_t count) const {
    Activations out = *this;
    out.rows = count;
    if (first == 0) return out;
    if (x) out.x += first * ldx;
    if (codes.q) {
      const int64_t at = codes.index(first, 0);
      out.codes.q += at * kGroup;
      out.codes.scale += at;
      out.codes.dsum += at;
      out.codes.nsum += at;
      for (int h = 0; h < 2; ++h) {
        out.codes.dsum16[h] += at;
        out.codes.nsum16[h] += at;
      }
    }
    if (row_codes.q) {
      out.row_codes.q += row_codes.offset(first);
      out.row_codes.scale += first;
      out.row_codes.count += 2 * first;
      out.row_codes.carry += first * row_codes.room;
    }
    if (parts.p) out.parts.p += parts.offset(first);
    return out;
  }
};

}  // namespace miao::kernels
