// encode_row and encode_matrix: checks, weights and the loop over blocks.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "compress/rounding.h"
#include "compress/rounding/family.h"
#include "compress/rounding/plain.h"
#include "compress/rounding/search.h"
#include "compress/rounding/weights.h"

namespace miao::compress {

namespace {

// The largest magnitude that a format holds; what rounds to infinity is beyond it.
float largest_value(DType dtype) {
  if (const Family* f = family(dtype)) return f->largest;
  if (dtype == DType::f16) return 65519.996f;
  if (dtype == DType::bf16) return 3.3961775e38f;  // 0x7f7f7fff
  return FLT_MAX;
}

// A job that was checked: what rows have in common.
struct Job {
  DType dtype;
  Rounding method;
  const Family* family;  // null: F32, F16, BF16
  int64_t cols;
  Importance importance;
};

Error not_finite(const Job& job, std::span<const float> src, float limit) {
  size_t at = 0;
  while (std::fabs(src[at]) <= limit) ++at;
  const std::string value = std::isnan(src[at]) ? "NaN" : std::to_string(src[at]);
  if (std::fabs(src[at]) <= FLT_MAX) {
    return {Code::invalid,
            "value " + std::to_string(at) + " is " + value + ", beyond the range of " + format(job.dtype).name +
                ": store this tensor as BF16 or F32",
            ""};
  }
  return {Code::invalid,
          "value " + std::to_string(at) + " is " + value + ": the checkpoint is damaged or its training diverged", ""};
}

Result<void> check_values(const Job& job, std::span<const float> src) {
  const float limit = largest_value(job.dtype);
  bool inside = true;
  for (const float v : src) inside &= std::fabs(v) <= limit;
  if (!inside) return not_finite(job, src, limit);
  return {};
}

void encode_nearest(const Family& f, std::span<const float> src, std::byte* dst) {
  int8_t codes[kMaxBlock];
  for (size_t i = 0; i < src.size(); i += static_cast<size_t>(f.block), dst += format(f.dtype).bytes) {
    Scales scales;
    encode_plain(f, &src[i], scales, codes);
    f.pack(scales, codes, dst);
  }
}

void encode_searched(const Job& job, std::span<const float> src, std::byte* dst) {
  const Family& f = *job.family;
  constexpr size_t kAtOnce = 256;  // values: whole blocks of every format
  const RowWeights weights(f, src, job.importance);
  float w[kAtOnce], theirs[kAtOnce];
  int8_t codes[kMaxBlock];
  for (size_t i = 0; i < src.size(); i += kAtOnce) {
    const size_t n = std::min(kAtOnce, src.size() - i);
    for (size_t b = 0; b < n; b += static_cast<size_t>(f.block)) weights.block(i + b, w + b, theirs + b);
    Scales scales[kAtOnce / 32];
    const auto blocks = static_cast<int>(n) / f.block;
    search_scales(f, &src[i], w, job.importance.empty() ? nullptr : theirs, blocks, scales);
    for (int b = 0; b < blocks; ++b, dst += format(f.dtype).bytes) {
      nearest_codes(f, scales[b], &src[i + static_cast<size_t>(b * f.block)], codes);
      f.pack(scales[b], codes, dst);
    }
  }
}

template <class Convert>
void encode_halves(std::span<const float> src, std::byte* dst, Convert convert) {
  for (size_t i = 0; i < src.size(); ++i) {
    const uint16_t bits = convert(src[i]);
    std::memcpy(dst + 2 * i, &bits, 2);
  }
}

Result<void> encode(const Job& job, std::span<const float> src, std::byte* dst) {
  MIAO_CHECK_OK(check_values(job, src));
  if (job.family && job.method == Rounding::nearest) {
    encode_nearest(*job.family, src, dst);
  } else if (job.family) {
    encode_searched(job, src, dst);
  } else if (job.dtype == DType::f16) {
    encode_halves(src, dst, f32_to_f16);
  } else if (job.dtype == DType::bf16) {
    encode_halves(src, dst, f32_to_bf16);
  } else if (!src.empty()) {
    std::memcpy(dst, src.data(), src.size_bytes());
  }
  return {};
}

Result<Job> make_job(DType dtype, Rounding method, int64_t cols, std::span<const float> importance) {
  if (!can_encode(dtype)) return Error{Code::unsupported, std::string("no encoder for ") + format(dtype).name, ""};
  const int block = format(dtype).block;
  if (cols % block != 0) {
    return Error{Code::unsupported,
                 "rows of " + std::to_string(cols) + " are not whole blocks of " + format(dtype).name + " (" +
                     std::to_string(block) + "): take a format with smaller blocks",
                 ""};
  }
  Job job = {dtype, method, family(dtype), cols, {}};
  if (method == Rounding::importance) {
    MIAO_TRY(job.importance, usable_importance(importance, cols));
  } else {
    MIAO_CHECK(importance.empty());
  }
  return job;
}

// What the threads of encode_matrix share.
struct Shared {
  std::atomic<int64_t> next{0}, done{0};
  std::atomic<int64_t> first_bad{INT64_MAX};  // lowest row with an error
  std::atomic<bool> cancelled{false};
  int64_t reported = 0;  // to progress; the calling thread's
};

// Rows are handed out in order, so all below first_bad are looked at whatever the threads do.
void encode_rows(const Job& job, std::span<const float> src, int64_t rows, const MatrixOptions& options, Worker& worker,
                 Shared& shared, std::byte* dst) {
  const int64_t bytes = row_bytes(job.dtype, job.cols);
  for (int64_t r = worker.next(shared.next); r < rows && r < shared.first_bad; r = worker.next(shared.next)) {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed)) {
      shared.cancelled = true;
      return;
    }
    const auto row = src.subspan(static_cast<size_t>(r * job.cols), static_cast<size_t>(job.cols));
    if (!encode(job, row, dst + r * bytes).ok()) {
      int64_t seen = shared.first_bad;
      while (r < seen && !shared.first_bad.compare_exchange_weak(seen, r)) {
      }
      return;
    }
    const int64_t done = ++shared.done;
    if (worker.index == 0 && options.progress) options.progress(shared.reported = done);
  }
}

}  // namespace

bool can_encode(DType dtype) {
  return family(dtype) || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

Result<void> encode_row(DType dtype, Rounding method, std::span<const float> src, std::span<const float> importance,
                        std::byte* dst) {
  MIAO_TRY(const Job job, make_job(dtype, method, static_cast<int64_t>(src.size()), importance));
  return encode(job, src, dst);
}

Result<void> encode_matrix(DType dtype, std::span<const float> src, int64_t cols, const MatrixOptions& options,
                           ThreadPool& pool, std::byte* dst) {
  MIAO_CHECK(cols > 0 && static_cast<int64_t>(src.size()) % cols == 0);
  MIAO_TRY(const Job job, make_job(dtype, options.method, cols, options.importance));
  const int64_t rows = static_cast<int64_t>(src.size()) / cols;
  Shared shared;
  pool.run([&](Worker& worker) { encode_rows(job, src, rows, options, worker, shared, dst); });
  if (const int64_t r = shared.first_bad; r < rows) {
    auto bad = check_values(job, src.subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)));
    return std::move(bad.error()).at("row " + std::to_string(options.first_row + r));
  }
  if (shared.cancelled) return Error{Code::cancelled, "cancelled", ""};
  if (options.progress && shared.reported < rows) options.progress(rows);
  return {};
}

}  // namespace miao::compress
