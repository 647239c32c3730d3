// Windows of tokens on their way through the blocks of a decoder, one block at a time: what has passed a block need not
// pass it again, however many kinds of weights are tried behind it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"

namespace miao::compress {

class Streams {
 public:
  // `windows` and `cancel` must outlive it.
  Streams(runtime::Engine& engine, std::span<const std::vector<int32_t>> windows, const std::atomic<bool>* cancel);

  int64_t block() const { return block_; }  // the next
  // Through block() with the weights that are in place now. Not of the last block: logits() goes on from there.
  Result<void> advance();
  // From block() to the end, with the weights that are in place. `take` gets the rows of a window in order.
  using Take = std::function<Result<void>(size_t window, int64_t first, const runtime::Logits& logits)>;
  Result<void> logits(const Take& take);

 private:
  Result<void> run(size_t window, graph::Blocks blocks, const runtime::Engine::Sink& sink);

  runtime::Engine& engine_;
  std::span<const std::vector<int32_t>> windows_;
  const std::atomic<bool>* cancel_;
  runtime::Sequence sequence_;
  int64_t block_ = 0, ld_ = 0;
  std::vector<std::vector<float>> x_;  // of each window, (tokens, ld_)
};

// What the distributions of the next token were with the weights of the beginning.
class Base {
 public:
  // Keeps the logits of all windows: `streams` is at its first block, or stands where all that follows is as it was.
  static Result<Base> of(runtime::Engine& engine, Streams& streams, std::span<const std::vector<int32_t>> windows);
  // Mean KL divergence, in nats a token, of each window, of what `streams` give now. Errors: corrupt for logits that
  // are no numbers.
  Result<std::vector<double>> divergence(runtime::Engine& engine, Streams& streams) const;

 private:
  int64_t vocab_ = 0;
  std::vector<std::vector<float>> logits_;     // of each window, (tokens, vocab)
  std::vector<std::vector<double>> log_sums_;  // of each window, (tokens)
};

}  // namespace miao::compress
