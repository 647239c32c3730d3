// Linear: a weight matrix packed for the kernels, made of one or several tensors stacked by output rows (Q, K and V).
//
//   parts      q (576 rows, Q4_1) | k (192, Q4_1) | v (192, Q6_K)    each padded to whole blocks of 16 rows
//   columns    0            576      768         960                 of the output; offset(part) is where one starts
//
// Parts keep their own formats: mixed files need no special case. Codes and scales are those of the file, and floating
// formats are multiplied in FP32, unless Precision says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/context.h"
#include "tensor/tensor.h"

namespace miao::graph {

// Where the rows of a part stand in a tensor that holds several matrices, or one that is written the other way round.
//   stacked      q q k v          row r is first + r
//   by heads     q k v q k v      row r is first + r / run * step + r % run
struct RowMap {
  int64_t first = 0, run = 0, step = 0;  // run 0 = stacked
  bool transposed = false;               // the tensor is (in, out): its columns are the rows. Floating types only

  int64_t operator()(int64_t r) const { return first + (run > 0 ? r / run * step + r % run : r); }
};

struct LinearPart {
  TensorView weight;        // (out, in)
  std::vector<float> bias;  // (rows), or empty
  int64_t rows = 0;         // of the tensor that belong to the part; 0 = all of them
  RowMap map;
};

enum class Precision : uint8_t {
  file,
  f32,     // integer formats are decoded
  bf16x3,  // as f32, by products of bf16 parts (see kernels::Kernels::bf16x3)
  bf16x2,  // the same with two parts of each number at most: errors of 2^-16 of a product, in half the time
  floats,  // as file, floating formats as bf16x3
  int8,    // floating formats become int8 codes with one scale a row, and with one factor a column (see factor())
};

class Linear {
 public:
  // Describes the packed form; pack() makes it. Errors: unsupported (a dtype without kernels), invalid (shapes).
  static Result<Linear> describe(const Context& context, std::vector<LinearPart> parts, Precision precision);

  // Described anew with other tensors of the same shapes in the place of its own, in their types: with(name) gives what
  // the tensor of that name is now, with its data. Not packed.
  Result<Linear> with(const Context& context, const std::function<TensorView(std::string_view name)>& tensor) const;

  int64_t packed_bytes() const { return packed_bytes_; }
  // Packs to `memory` (packed_bytes(), 64-byte aligned) with all threads. `done(rows)` gets the rows of a source that
  // have just been packed and are not read again, some MiB at a time, so that their pages can go. Error: corrupt, where
  // Precision::int8 meets an infinity or a NaN; it names tensor and row.
  Result<void> pack(const Context& context, std::byte* memory, const std::function<void(const TensorView&)>& done);
  // Takes `memory` for what pack() would write there.
  void attach(const std::byte* memory);
  // Before either: what pack() will write, as text. With the same text, the tensors of the same files give the same
  // bytes.
  std::string recipe() const;

  int64_t cols() const { return cols_; }          // inputs
  int64_t width() const { return 16 * blocks_; }  // outputs with padding
  int64_t blocks() const { return blocks_; }      // of 16 outputs
  int64_t offset(size_t part) const { return 16 * segments_[part].first; }
  int64_t part_blocks(size_t part) const { return segments_[part].blocks; }
  int64_t rows(size_t part) const { return segments_[part].rows; }
  size_t parts() const { return segments_.size(); }
  // Some part reads Activations::codes, Activations::row_codes, or Activations::parts.
  bool reads_codes() const { return reads_codes_; }
  bool reads_row_codes() const { return reads_row_codes_; }
  bool reads_parts() const { return reads_parts_; }
  // What row codes are made of: x[i] * factor()[i]. Columns of large weights give a part of their size to the
  // activations, so that they do not make the codes of all others coarse. Set by pack() and attach(); null = 1.
  const float* factor() const { return factor_; }
  const float* bias() const { return bias_.empty() ? nullptr : bias_.data(); }  // (width), or null
  int64_t scratch_bytes() const { return scratch_bytes_; }                      // of run()

  // y[t * ldy + 16 * (b - blocks.begin) + lane] for all rows t of `in` and the blocks b of the range; no bias.
  void run(Range blocks, const kernels::Activations& in, float* y, int64_t ldy, void* scratch) const;
  // The same plus the bias, and plus what y holds if so, where adds(): all kernels can.
  void run_add(Range blocks, const kernels::Activations& in, bool to_y, float* y, int64_t ldy, void* scratch) const;
  bool adds() const { return adds_; }

  // The weights of output `index` of the first part, (cols): as the file's row decodes.
  void row(int64_t index, float* out) const;

  // The tensor of a part, by its name in the file, and the row of it that is the part's first.
  std::string_view source(size_t part) const { return segments_[part].source.name; }
  int64_t source_row(size_t part) const { return segments_[part].map(0); }
  // For reports: the kernels and file format of a part.
  const kernels::MatMul& kernel(size_t part) const { return *segments_[part].kernel; }
  DType file_dtype(size_t part) const { return segments_[part].source.dtype; }
  int64_t part_bytes(size_t part) const { return segments_[part].blocks * segments_[part].block_bytes; }

 private:
  struct Segment {
    TensorView source;
    RowMap map;
    const kernels::MatMul* kernel = nullptr;
    const std::byte* packed = nullptr;
    int64_t rows = 0;
    int64_t first = 0;  // block
    int64_t blocks = 0;
    int64_t block_bytes = 0;
    bool decode = false;  // the kernel packs FP32 rows, the source holds something else or needs its factors
  };
  // f(segment, packed blocks, their number, column of y) for each part of a range.
  template <class F>
  void each_segment(Range blocks, F f) const;
  // Returns the first row that has no codes, or the number of rows.
  int64_t pack_blocks(const Segment& segment, Range blocks, std::byte* memory) const;
  int64_t factor_bytes() const;  // in front of the packed segments
  void find_factors(const Context& context, float* factor) const;

  std::vector<Segment> segments_;
  Precision precision_ = Precision::file;
  std::vector<float> bias_;
  const float* factor_ = nullptr;
  int64_t cols_ = 0, blocks_ = 0, packed_bytes_ = 0, scratch_bytes_ = 0;
  bool reads_codes_ = false, reads_row_codes_ = false, reads_parts_ = false, adds_ = true;
};

}  // namespace miao::graph
