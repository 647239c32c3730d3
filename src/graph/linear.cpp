// Packing goes 16 rows at a time from the file's mapping straight to the packed block, so that it needs no memory
// beside the two; FP32 and int8 mode decode the 16 rows into a per-thread buffer first.
#include "graph/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace miao::graph {

using kernels::kLanes;

namespace {

constexpr int64_t kSliceBytes = int64_t{8} << 20;  // of a source tensor between two calls of `done`

}  // namespace

Result<Linear> Linear::describe(const Context& context, std::vector<LinearPart> parts, Precision precision) {
  MIAO_CHECK(!parts.empty());
  Linear out;
  out.precision_ = precision;
  out.cols_ = parts[0].map.transposed ? parts[0].weight.rows() : parts[0].weight.cols();
  bool any_bias = false;
  for (const LinearPart& part : parts) {
    const TensorView& w = part.weight;
    const int64_t cols = part.map.transposed ? w.rows() : w.cols(),
                  file_rows = part.map.transposed ? w.cols() : w.rows();
    if (w.shape.size() != 2 || cols != out.cols_ || file_rows < 1 || cols < 1) {
      return Error{Code::invalid, "expected a matrix with " + std::to_string(out.cols_) + " columns", w.name};
    }
    Segment s;
    s.map = part.map;
    s.rows = part.rows > 0 ? part.rows : file_rows;
    MIAO_CHECK(s.map(0) >= 0 && s.map(s.rows - 1) < file_rows);
    if (!part.bias.empty() && static_cast<int64_t>(part.bias.size()) != s.rows) {
      return Error{
          Code::invalid,
          "the bias has " + std::to_string(part.bias.size()) + " values for " + std::to_string(s.rows) + " rows",
          w.name};
    }
    if (s.map.transposed && format(w.dtype).block != 1) {
      return Error{Code::unsupported, std::string("a transposed matrix of type ") + format(w.dtype).name, w.name};
    }
    const kernels::MatMul* own = &context.kernels.matmul[static_cast<size_t>(w.dtype)];
    const bool parted = precision == Precision::bf16x3 || precision == Precision::bf16x2 ||
                        (precision == Precision::floats && own->reads != kernels::Reads::codes);
    s.decode = parted ? w.dtype != DType::f32 : precision == Precision::f32 && own->reads == kernels::Reads::codes;
    s.kernel = s.decode ? &context.kernels.matmul[static_cast<size_t>(DType::f32)] : own;
    if (parted)
      s.kernel =
          precision == Precision::bf16x2 ? &context.kernels.bf16x2_of(w.dtype) : &context.kernels.bf16x3_of(w.dtype);
    if (s.kernel->run == nullptr || format(w.dtype).decode == nullptr) {
      return Error{Code::unsupported, std::string("weights of type ") + format(w.dtype).name + " cannot be multiplied",
                   w.name};
    }
    if (precision == Precision::int8 && own->reads != kernels::Reads::codes) {
      if (out.cols_ > kernels::kMaxRowCodes) {
        return Error{Code::unsupported, "rows of " + std::to_string(out.cols_) + " are too long for int8 sums", w.name};
      }
      s.kernel = &context.kernels.int8;
      s.decode = true;
    }
    s.source = w;
    s.first = out.blocks_;
    s.blocks = (s.rows + kLanes - 1) / kLanes;
    s.block_bytes = s.kernel->block_bytes(out.cols_);
    out.blocks_ += s.blocks;
    out.packed_bytes_ += kernels::round_up(s.blocks * s.block_bytes, 64);
    out.scratch_bytes_ = std::max(out.scratch_bytes_, s.kernel->scratch_bytes(out.cols_));
    out.adds_ &= s.kernel->run_add != nullptr;
    out.reads_codes_ |= s.kernel->reads == kernels::Reads::codes;
    out.reads_row_codes_ |= s.kernel->reads == kernels::Reads::row_codes;
    out.reads_parts_ |= s.kernel->reads == kernels::Reads::parts;
    any_bias |= !part.bias.empty();
    out.segments_.push_back(std::move(s));
  }
  out.packed_bytes_ += out.factor_bytes();
  if (any_bias) {
    out.bias_.assign(static_cast<size_t>(out.width()), 0.0f);
    for (size_t i = 0; i < parts.size(); ++i) {
      std::copy(parts[i].bias.begin(), parts[i].bias.end(), out.bias_.begin() + out.offset(i));
    }
  }
  return out;
}

Result<Linear> Linear::with(const Context& context,
                            const std::function<TensorView(std::string_view name)>& tensor) const {
  std::vector<LinearPart> parts;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    LinearPart part{.weight = tensor(s.source.name), .bias = {}, .rows = s.rows, .map = s.map};
    if (part.weight.elements() != s.source.elements() || part.weight.cols() != s.source.cols()) {
      return Error{Code::invalid, "is to be replaced by a tensor of another shape", s.source.name};
    }
    part.weight.shape = s.source.shape;  // which may be all experts one below the other
    if (bias()) part.bias.assign(bias() + offset(i), bias() + offset(i) + s.rows);
    parts.push_back(std::move(part));
  }
  return describe(context, std::move(parts), precision_);
}

int64_t Linear::factor_bytes() const {
  return reads_row_codes_ ? kernels::round_up(cols_ * static_cast<int64_t>(sizeof(float)), 64) : 0;
}

void Linear::attach(const std::byte* memory) {
  if (reads_row_codes_) factor_ = reinterpret_cast<const float*>(memory);
  memory += factor_bytes();
  for (Segment& s : segments_) {
    s.packed = memory;
    s.source.data = nullptr;
    memory += kernels::round_up(s.blocks * s.block_bytes, 64);
  }
}

std::string Linear::recipe() const {
  std::string out = std::to_string(cols_);
  for (const Segment& s : segments_) {
    out += "; " + s.source.name + ' ' + format(s.source.dtype).name + (s.decode ? " decoded" : "");
    if (s.kernel->reads == kernels::Reads::row_codes) out += " int8";
    if (s.kernel->reads == kernels::Reads::parts) out += " parts";
    for (const int64_t n : s.source.shape) out += ' ' + std::to_string(n);
    out += ':';
    for (const int64_t n : {s.rows, s.map.first, s.map.run, s.map.step, int64_t{s.map.transposed}, s.block_bytes})
      out += ' ' + std::to_string(n);
  }
  return out + '\n';
}

// The 3/4 power of a column's RMS: more makes activations coarse, less weights, and between 1/2 and 1 the loss hardly
// changes. Of a column of zeros it is 0. Threads share columns; sums run over the rows in order.
void Linear::find_factors(const Context& context, float* factor) const {
  context.pool.run([&](Worker& worker) {
    const Range mine = worker.split(cols_);
    std::vector<double> sum(static_cast<size_t>(mine.size()));
    int64_t rows = 0;
    for (const Segment& s : segments_) {
      if (s.kernel->reads != kernels::Reads::row_codes) continue;
      rows += s.rows;
      const Format& type = format(s.source.dtype);
      std::vector<float> values(static_cast<size_t>(s.map.transposed ? s.source.cols() : mine.size()));
      if (s.map.transposed) {
        for (int64_t c = 0; c < mine.size(); ++c) {
          type.decode(s.source.row(mine.begin + c), values.data(), s.source.cols());
          for (int64_t r = 0; r < s.rows; ++r)
            sum[static_cast<size_t>(c)] +=
                double{values[static_cast<size_t>(s.map(r))]} * double{values[static_cast<size_t>(s.map(r))]};
        }
        continue;
      }
      for (int64_t r = 0; r < s.rows; ++r) {
        type.decode(s.source.row(s.map(r)) + mine.begin * type.bytes, values.data(), mine.size());
        for (size_t c = 0; c < sum.size(); ++c) sum[c] += double{values[c]} * double{values[c]};
      }
    }
    for (size_t c = 0; c < sum.size(); ++c) {
      const double size = std::sqrt(sum[c] / static_cast<double>(rows));
      factor[mine.begin + static_cast<int64_t>(c)] =
          std::isfinite(size) ? static_cast<float>(std::sqrt(size * std::sqrt(size))) : 1.0f;
    }
  });
}

Result<void> Linear::pack(const Context& context, std::byte* memory,
                          const std::function<void(const TensorView&)>& done) {
  const std::byte* const begin = memory;
  if (reads_row_codes_) {
    find_factors(context, reinterpret_cast<float*>(memory));
    factor_ = reinterpret_cast<const float*>(memory);
  }
  memory += factor_bytes();
  for (const Segment& s : segments_) {
    const int64_t source_bytes = kLanes * row_bytes(s.source.dtype, cols_);  // of a block
    const int64_t slice = std::max<int64_t>(context.pool.threads(), kSliceBytes / source_bytes);
    std::vector<int64_t> bad(static_cast<size_t>(context.pool.threads()), s.rows);  // the first row of each thread
    for (int64_t first = 0; first < s.blocks; first += slice) {
      const int64_t count = std::min(slice, s.blocks - first);
      context.pool.run([&](Worker& worker) {
        const Range mine = worker.split(count);
        bad[static_cast<size_t>(worker.index)] = pack_blocks(s, {first + mine.begin, first + mine.end}, memory);
      });
      if (const int64_t row = *std::min_element(bad.begin(), bad.end()); row < s.rows) {
        return Error{
            Code::corrupt,
            "output row " + std::to_string(s.map(row)) +
                " holds an infinity or a NaN, for which int8 has no code; fetch the file again, or compute in fp32",
            s.source.name};
      }
      if (!done || s.map.run > 0 || s.map.transposed) continue;
      TensorView packed = s.source;
      packed.shape[0] = std::min(count * kLanes, s.rows - first * kLanes);
      packed.data = s.source.row(s.map(first * kLanes));
      packed.bytes = static_cast<uint64_t>(packed.rows() * row_bytes(packed.dtype, cols_));
      done(packed);
    }
    if (done && (s.map.run > 0 || s.map.transposed) && &s == &segments_.back()) done(s.source);
    memory += kernels::round_up(s.blocks * s.block_bytes, 64);
  }
  attach(begin);
  return {};
}

int64_t Linear::pack_blocks(const Segment& s, Range blocks, std::byte* memory) const {
  // Rows that the kernel cannot read where they stand: columns of a transposed tensor, and decoded ones.
  const Format& type = format(s.source.dtype);
  const int64_t value_bytes = type.bytes;  // transposed: of one value
  std::vector<std::byte> copies(static_cast<size_t>(s.map.transposed ? kLanes * value_bytes * cols_ : 0));
  std::vector<float> decoded(static_cast<size_t>(s.decode ? kLanes * cols_ : 0));
  const float* const factor = s.kernel->reads == kernels::Reads::row_codes ? factor_ : nullptr;
  int64_t bad = s.rows;
  for (int64_t b = blocks.begin; b < blocks.end; ++b) {
    const void* rows[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t r = b * kLanes + lane;
      rows[lane] = nullptr;  // zeros
      if (r >= s.rows) continue;
      const std::byte* row = nullptr;
      if (s.map.transposed) {
        std::byte* const copy = copies.data() + lane * value_bytes * cols_;
        const std::byte* from = s.source.data + s.map(r) * value_bytes;
        const int64_t step = s.source.cols() * value_bytes;
        for (int64_t c = 0; c < cols_; ++c, from += step)
          std::memcpy(copy + c * value_bytes, from, static_cast<size_t>(value_bytes));
        row = copy;
      } else {
        row = s.source.row(s.map(r));
      }
      rows[lane] = row;
      if (!s.decode) continue;
      float* const values = decoded.data() + lane * cols_;
      type.decode(row, values, cols_);
      for (int64_t c = 0; factor && c < cols_; ++c) values[c] = factor[c] > 0 ? values[c] / factor[c] : 0.0f;
      rows[lane] = values;
    }
    s.kernel->pack(rows, cols_, memory + b * s.block_bytes);
    for (int lane = 0; lane < kLanes && s.kernel->reads == kernels::Reads::row_codes; ++lane) {
      float first = 0;  // of a row whose scale is NaN, as any other value
      s.kernel->unpack(memory + b * s.block_bytes, 1, lane, &first);
      if (std::isnan(first)) bad = std::min(bad, b * kLanes + lane);
    }
  }
  return bad;
}

template <class F>
void Linear::each_segment(Range blocks, F f) const {
  for (const Segment& s : segments_) {
    const int64_t begin = std::max(blocks.begin, s.first);
    const int64_t end = std::min(blocks.end, s.first + s.blocks);
    if (begin < end) f(s, s.packed + (begin - s.first) * s.block_bytes, end - begin, 16 * (begin - blocks.begin));
  }
}

void Linear::run(Range blocks, const kernels::Activations& in, float* y, int64_t ldy, void* scratch) const {
  each_segment(blocks, [&](const Segment& s, const std::byte* packed, int64_t count, int64_t column) {
    s.kernel->run(packed, cols_, count, in, y + column, ldy, scratch);
  });
}

void Linear::run_add(Range blocks, const kernels::Activations& in, bool to_y, float* y, int64_t ldy,
                     void* scratch) const {
  each_segment(blocks, [&](const Segment& s, const std::byte* packed, int64_t count, int64_t column) {
    const kernels::Addend add{bias() ? bias() + 16 * blocks.begin + column : nullptr, to_y};
    s.kernel->run_add(packed, cols_, count, in, add, y + column, ldy, scratch);
  });
}

void Linear::row(int64_t index, float* out) const {
  const Segment& s = segments_[0];
  s.kernel->unpack(s.packed + index / kLanes * s.block_bytes, cols_, static_cast<int>(index % kLanes), out);
  if (s.kernel->reads != kernels::Reads::row_codes) return;
  for (int64_t c = 0; c < cols_; ++c) out[c] *= factor_[c];
}

}  // namespace miao::graph
