// Encoder: a loaded model of the kin of BERT, ready to run. One caller at a time.
//
//   MIAO_TRY(auto encoder, Encoder::open("all-MiniLM-L6-v2", {.threads = 2}));
//   MIAO_TRY(Encoded rows, encoder->run({{.ids = ids}}));      // float32 rows
//
// Inputs of any lengths go through the model together, one below the other: no work is spent on padding, and a result
// is a function of its own input alone, bit for bit.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/model.h"
#include "runtime/engine.h"
#include "runtime/input.h"

namespace miao::runtime {

struct EncoderOptions {
  int threads = 0;  // 0 = what the machine allows
  Compute compute = Compute::automatic;
  int64_t ctx = 0;                         // tokens an input may have; 0 = the model's own limit
  int batch = 512;                         // tokens that go through the model together, more where one input has more
  models::Rows rows = models::Rows::head;  // what a result row is
  std::string isa;                         // empty = MIAO_ISA, else the best
  std::filesystem::path packs;             // folder of packed weights (see EngineOptions); empty = none are kept
  const std::atomic<bool>* cancel = nullptr;  // once true, open() ends with Error cancelled
  bool weights = true;                        // see EngineOptions
  int64_t blocks = 0;
};

// Rows inside the Encoder, valid until its next run().
class Encoded {
 public:
  Encoded(const float* data, int64_t cols, int64_t stride, std::span<const int64_t> first)
      : data_(data), cols_(cols), stride_(stride), first_(first) {}
  int64_t cols() const { return cols_; }
  int64_t rows(size_t input) const { return first_[input + 1] - first_[input]; }
  std::span<const float> row(size_t input, int64_t i = 0) const {
    return {data_ + (first_[input] + i) * stride_, static_cast<size_t>(cols_)};
  }

 private:
  const float* data_;
  int64_t cols_, stride_;
  std::span<const int64_t> first_;  // the first row of each input, and one more
};

class Encoder : public Blockwise {
 public:
  // Errors: whatever is wrong with the file, the options, or the machine; unsupported for a decoder.
  static Result<std::unique_ptr<Encoder>> open(const std::filesystem::path& path, const EncoderOptions& options = {});
  static Result<std::unique_ptr<Encoder>> open(io::Checkpoint checkpoint, const EncoderOptions& options);
  ~Encoder() override;

  int64_t ctx() const;  // the limit of an input. spec().head says what the rows are
  std::vector<KernelReport> kernels() const;
  MemoryReport memory() const;
  // What memory() comes to when so many inputs of so many tokens go through it at once.
  MemoryReport memory(int64_t inputs, int64_t tokens) const;
  double load_seconds() const;

  // One row an input where the head is pooled, else one a token. Errors: invalid for an input without ids, with more
  // than ctx(), with an id or a type that the model lacks (the message names the input); cancelled soon after `cancel`
  // became true; out_of_memory.
  Result<Encoded> run(std::span<const EncoderInput> inputs, const std::atomic<bool>* cancel = nullptr);

  // Inputs go through the blocks as in run(), and `sink` gets the rows that it would give.
  Result<void> run_blocks(Inputs inputs, graph::Blocks blocks, const Sink& sink, Cancel cancel = nullptr) override;

  void profile(bool on);
  std::vector<std::pair<std::string, double>> profile() const;
  double block_seconds() const;  // of the blocks alone, of the same

 private:
  struct State;
  explicit Encoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace miao::runtime
