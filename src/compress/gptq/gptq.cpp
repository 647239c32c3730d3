// GPTQ of a matrix, some thousand rows at a time: what is aimed at, the sweep over its columns, the rounds that refine
// what it gave, and the blocks of the file.
#include "compress/gptq.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "compress/gptq/gram.h"
#include "compress/gptq/stripe.h"

namespace miao::compress {

namespace {

constexpr int64_t kStripe = 4096;  // rows at a time: what is kept of them has many times the size of their codes

Result<void> check(DType dtype, const Family* f, std::span<const float> src, int64_t cols) {
  if (!f)
    return Error{
        Code::unsupported, std::string(format(dtype).name) + " has no blocks whose errors could be made up for", {}};
  if (cols % f->block != 0) {
    return Error{Code::unsupported,
                 "rows of " + std::to_string(cols) + " values are not whole blocks of " + format(dtype).name,
                 {}};
  }
  for (size_t i = 0; i < src.size(); ++i) {
    if (std::fabs(src[i]) <= f->largest) continue;
    return Error{
        Code::invalid,
        "value " + std::to_string(i % static_cast<size_t>(cols)) + " is beyond the range of " + format(dtype).name,
        "row " + std::to_string(i / static_cast<size_t>(cols))};
  }
  return {};
}

void pack(Stripe& s, std::byte* dst) {
  const int64_t bytes = format(s.f.dtype).bytes;
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t col = 0; col < s.cols(); col += s.f.block, dst += bytes) {
      s.f.pack(s.scales_at(row, col), s.codes.data() + s.at(row, col), dst);
    }
  }
}

}  // namespace

Result<void> encode_gptq(DType dtype, std::span<const float> src, const Feedback& feedback, const GptqOptions& options,
                         const graph::Context& context, std::byte* dst) {
  const Family* const f = family(dtype);
  const int64_t cols = feedback.cols, rows = static_cast<int64_t>(src.size()) / cols;
  MIAO_CHECK(rows * cols == static_cast<int64_t>(src.size()));
  MIAO_CHECK_OK(check(dtype, f, src, cols));
  const auto stopped = [&] { return options.cancel && options.cancel->load(std::memory_order_relaxed); };
  for (int64_t first = 0; first < rows; first += kStripe) {
    if (stopped()) return Error{Code::cancelled, "interrupted", {}};
    Stripe stripe(*f, feedback, src.data() + first * cols, std::min(kStripe, rows - first));
    if (!feedback.drift.empty()) aim(stripe, static_cast<float>(options.drift), context);
    sweep(stripe, context);
    std::vector<float> pull(stripe.error.size());
    if (options.rounds > 0)
      add_product(context, stripe.error.data(), cols, stripe.rows, feedback.h.data(), cols, cols, cols, pull.data(),
                  cols);
    for (int round = 0; round < options.rounds; ++round) refine(stripe, context, pull);
    pack(stripe, dst + first * row_bytes(dtype, cols));
  }
  return {};
}

}  // namespace miao::compress
