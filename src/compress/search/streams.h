// Windows of tokens, or texts of an encoder, on their way through the blocks of a model, one block at a time: what has
// passed a block need not pass it again, however many kinds of weights are tried behind it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/table.h"
#include "runtime/blockwise.h"

namespace miao::compress {

class Streams {
 public:
  // `windows` and `cancel` must outlive it.
  Streams(runtime::Blockwise& model, std::span<const std::vector<int32_t>> windows, const std::atomic<bool>* cancel);

  int64_t block() const { return block_; }  // the next
  // Through block() with the weights that are in place now. Not of the last block: results() goes on from there.
  Result<void> advance();
  // From block() to the end, with the weights that are in place: `take` gets the rows of all windows in order.
  Result<void> results(const runtime::Blockwise::Sink& take);

 private:
  runtime::Blockwise& model_;
  std::span<const std::vector<int32_t>> windows_;
  const std::atomic<bool>* cancel_;
  int64_t block_ = 0, ld_ = 0;
  std::vector<float> x_;  // (tokens of all windows, ld_)
};

// What the results were with the weights of the beginning, and how far others are from them: KL divergence, in nats,
// of distributions (a decoder's of the next token, a head's of classes); of vectors half the squared distance between
// them at length 1, which is 1 - cosine. Both are of second order in a change of weights.
class Base {
 public:
  // Keeps the results of all windows: `streams` is at its first block, or stands where all that follows is as it was.
  // Errors: corrupt for results that are no numbers.
  static Result<Base> of(runtime::Blockwise& model, Streams& streams, std::span<const std::vector<int32_t>> windows);
  // The mean over the rows of each window, of what `streams` give now. Errors: as of().
  Result<std::vector<double>> divergence(runtime::Blockwise& model, Streams& streams) const;

 private:
  enum class Kind : uint8_t { tokens, one_class, each_class, vectors };
  static Result<Kind> kind_of(runtime::Blockwise& model);
  using Each = std::function<void(size_t row, std::span<const float> values, std::span<float> scratch)>;
  Result<void> each_row(runtime::Blockwise& model, Streams& streams, const Each& body) const;
  std::span<const float> row(size_t i) const { return std::span(rows_).subspan(i * cols_, cols_); }
  double distance(const kernels::Kernels& k, size_t row, std::span<const float> other, std::span<float> scratch) const;

  Kind kind_ = Kind::tokens;
  size_t cols_ = 0;
  std::vector<float> rows_;        // (rows, cols_)
  std::vector<double> log_sums_;   // of each row, of tokens
  std::vector<size_t> of_window_;  // rows
};

}  // namespace miao::compress
