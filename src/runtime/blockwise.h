// Blockwise: what every loaded model is, and what work on weights (calibration, sensitivity) needs of it whatever its
// kind: its blocks one at a time, matrices in other types, and what each matrix reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/pass.h"
#include "models/spec.h"
#include "tensor/tensor.h"

namespace miao::io {
class Checkpoint;
}  // namespace miao::io
namespace miao::graph {
struct Context;
}  // namespace miao::graph
namespace miao::prep {
class Tokenizer;
}  // namespace miao::prep

namespace miao::runtime {

struct Loaded;

// Rows of results inside the model (of decoders logits), valid until it runs again.
class Logits {
 public:
  Logits() = default;
  Logits(const float* data, int64_t rows, int64_t vocab, int64_t stride)
      : data_(data), rows_(rows), vocab_(vocab), stride_(stride) {}
  int64_t rows() const { return rows_; }
  int64_t vocab() const { return vocab_; }
  std::span<const float> row(int64_t i) const { return {data_ + i * stride_, static_cast<size_t>(vocab_)}; }

 private:
  const float* data_ = nullptr;
  int64_t rows_ = 0, vocab_ = 0, stride_ = 0;
};

class Blockwise {
 public:
  virtual ~Blockwise() = default;
  Blockwise(const Blockwise&) = delete;
  Blockwise& operator=(const Blockwise&) = delete;

  const models::ModelSpec& spec() const;
  const io::Checkpoint& checkpoint() const;  // for its key/values and side files
  // What is wrong with the text side of a checkpoint is an Error here, so that token ids can be run without it.
  Result<const prep::Tokenizer*> tokenizer() const;  // Error: why there is none that can be used
  ThreadPool& pool();
  const graph::Context& context() const;
  const char* isa() const;

  // See models::Model::replace(). Results of before are gone.
  Result<void> replace(std::span<const TensorView> tensors);

  // What each product reads, before activations are rounded: fn(its tensors, values, rows, columns, stride). A row that
  // goes to several experts comes once for each. Empty = off.
  struct Reader {
    std::string_view tensor;  // its name in the file
    int64_t row = 0;          // of the tensor, where the matrix that reads begins: experts may share a tensor
  };
  using ReadTap = std::function<void(std::span<const Reader> readers, const float* values, int64_t rows, int64_t cols,
                                     int64_t stride)>;
  void tap_reads(ReadTap fn);
  // Every matrix product of a pass: the step that makes it, and the tensors whose rows it multiplies with. Experts that
  // share tensors are a product each.
  struct Product {
    std::string_view kind;  // as KernelReport::weights
    std::vector<Reader> tensors;
  };
  std::vector<Product> products() const;

  // Inputs of ids, each by itself, through some blocks alone: what they give each other is `blocks.in` and
  // `blocks.out`, a row for each id, inputs one below the other. Where these blocks go on to the end, `sink` gets the
  // results piece by piece, `first` counting those of all inputs. Not of encoder-decoders. Errors: those of running.
  using Inputs = std::span<const std::vector<int32_t>>;
  using Cancel = const std::atomic<bool>*;
  using Sink = std::function<Result<void>(int64_t first, const Logits& rows)>;
  virtual Result<void> run_blocks(Inputs inputs, graph::Blocks blocks, const Sink& sink, Cancel cancel = nullptr) = 0;

 protected:
  explicit Blockwise(Loaded& loaded) : loaded_(loaded) {}  // the derived class owns it

 private:
  Loaded& loaded_;
};

// A decoder's Engine or an Encoder, by what the file holds. Errors: those of opening; unsupported for an
// encoder-decoder, and for one whose blocks share their weights: they do not stand for themselves.
struct BlockwiseOptions {
  int threads = 0;
  int64_t ctx = 0;  // of decoders
  Blockwise::Cancel cancel = nullptr;
};
Result<std::unique_ptr<Blockwise>> open_blockwise(const std::filesystem::path& path, const BlockwiseOptions& options);

}  // namespace miao::runtime
