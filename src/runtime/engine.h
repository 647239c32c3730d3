// Engine: a loaded decoder or encoder-decoder ready to run, with its tokenizer, thread pool and KV cache. One caller at
// a time.
//
//   MIAO_TRY(auto engine, Engine::open("model.gguf", {.threads = 2}));
//   Sequence text = engine->new_sequence();
//   MIAO_TRY(Logits logits, engine->forward(text, ids));      // rows of float32 (vocab)
//
// An encoder-decoder reads its input first, and its sequences go on from that:
//
//   MIAO_TRY(std::vector<Sequence> memory, engine->encode({{.ids = source}}));
//   MIAO_TRY(Logits logits, engine->forward(text, start, Want::last, &memory[0]));
//
// Logits are a function of the tokens alone: thread count, chunk size, neighbours in a batch and instruction set do
// not change a bit of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/linear.h"
#include "graph/pass.h"
#include "models/spec.h"
#include "runtime/blockwise.h"
#include "runtime/input.h"
#include "runtime/kv_cache.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace miao::io {
class Checkpoint;
}  // namespace miao::io
namespace miao::prep {
class Tokenizer;
class ChatTemplate;
}  // namespace miao::prep

namespace miao::runtime {

enum class Compute : uint8_t {
  automatic,  // weights as the file stores them; integer formats read int8 activations
  f32,        // every weight and activation in FP32, and FP32 keys and values unless EngineOptions::kv says otherwise
  bf16x3,     // as f32 and as exact, by products of bf16 parts: faster for many tokens on processors with AMX
  bf16x2,     // the same with about 16 bits of each number instead of 24, in half the time
  floats,     // as automatic, with floating weights as bf16x3: the same results but for rounding errors of FP32
  int8,       // floating matrices of blocks as int8 with a scale a row, activations as int8 with a scale a token
};
graph::Precision precision_of(Compute compute);

struct EngineOptions {
  int threads = 0;  // 0 = what the machine allows (base/cpu.h)
  Compute compute = Compute::automatic;
  std::optional<kernels::KvType> kv;  // unset = f32 where all weights compute in FP32, else as the file says, else f16
  int64_t ctx = 0;                    // positions a sequence may have; 0 = the model's own limit, at most 4096
  int chunk = 256;                    // tokens of a prompt that go through the model together
  std::string isa;                    // "scalar", "avx2", ...; empty = MIAO_ISA, else the best
  // Folder of packed weights that other Engines left there; the destructor adds those of this one. Empty = none.
  std::filesystem::path packs;
  // Once true, open() ends with Error cancelled, and the destructor writes nothing more; with `packs` it outlives the
  // Engine.
  const std::atomic<bool>* cancel = nullptr;
  bool weights = true;  // false: they are not read; the Engine tells what it would take, and must not run
  int64_t blocks = 0;   // see models::LoadOptions
};

enum class Want : uint8_t { none, last, all };  // rows of logits a slice wants

// New tokens of one sequence. A batch may mix prompts and single tokens; a sequence may appear once.
struct Slice {
  Sequence* sequence = nullptr;
  std::span<const int32_t> tokens;
  Want logits = Want::last;
  const Sequence* memory = nullptr;  // of an encoder-decoder: what encode() has made of the input
};

// Where the memory and the bytes go.
struct MemoryReport {
  int64_t weights = 0;      // packed weights
  bool cached = false;      // they were packed by an earlier run
  int64_t embedding = 0;    // mapped from the file, read row by row; 0 where the output matrix serves for it
  int64_t buffers = 0;      // activations of one chunk, scratch of all threads, logits
  int64_t kv_reserved = 0;  // KV pages made so far
  int64_t kv_per_token = 0;
};
// One group of weights that share format and kernel.
struct KernelReport {
  std::string weights;  // "qkv", "o", "gate_up", "down", "lm_head"
  std::string format;   // "Q4_1"
  std::string gemv, gemm;
  int64_t bytes = 0;     // read once a token
  double products = 0;   // weights that one token is multiplied with
  bool integer = false;  // by int8 products, else in FP32
};

// What a model's architecture is, from its headers alone: which class below runs it.
Result<models::ModelSpec::Shape> model_shape(const std::filesystem::path& path);

class Engine : public Blockwise {
 public:
  // Errors: whatever is wrong with the file, the options, or the machine (memory, instruction set).
  static Result<std::unique_ptr<Engine>> open(const std::filesystem::path& path, const EngineOptions& options = {});
  static Result<std::unique_ptr<Engine>> open(io::Checkpoint checkpoint, const EngineOptions& options);
  ~Engine() override;

  Result<const prep::ChatTemplate*> chat_template() const;  // null: the checkpoint has none
  int64_t ctx() const;                                      // the limit of a sequence
  int64_t input_ctx() const;                                // of an encoder-decoder: rows that an input may have
  int64_t vocab() const;
  kernels::KvType kv_type() const;
  Result<void> use_kv(kernels::KvType kv);  // from now on; no sequence may be there
  MemoryReport memory() const;
  // What memory() comes to when each of so many sequences has so many positions, with logits of one row each, and an
  // input as long as input_ctx(); INT64_MAX where that is too large to count.
  MemoryReport memory(int64_t sequences, int64_t positions) const;
  std::vector<KernelReport> kernels() const;
  double load_seconds() const;

  Sequence new_sequence();
  // out_of_memory, with the numbers, when keys, values and logits of so many sequences do not fit into the memory that
  // is free now. open() warns where one sequence of ctx() positions does not; nothing is reserved before forward().
  Result<void> check_memory(int64_t sequences, int64_t positions) const;

  // Of an encoder-decoder: reads each input once, and keeps what every block of the decoder asks of it. The results
  // must not outlive the Engine; any number of sequences may go on from one. Errors: invalid (the message names the
  // input) for one that is empty, longer than input_ctx(), or holds an id that the model lacks; unsupported for a
  // decoder; out_of_memory; cancelled.
  Result<std::vector<Sequence>> encode(std::span<const EncoderInput> inputs, const std::atomic<bool>* cancel = nullptr);
  // Whether encode() would take it, of an encoder-decoder: before long work on many.
  Result<void> check_input(const EncoderInput& input) const;

  // Runs the tokens of all slices and appends them to their sequences. The result holds the wanted rows in the order of
  // slices and tokens. Errors (nothing has changed then): invalid for an id outside the vocabulary, an empty slice, a
  // sequence named twice or a sequence that would pass ctx(); out_of_memory; cancelled soon after `cancel` became true.
  // Slices with the same `memory` that stand side by side read it once.
  Result<Logits> forward(std::span<const Slice> slices, Cancel cancel = nullptr);
  Result<Logits> forward(Sequence& sequence, std::span<const int32_t> tokens, Want want = Want::last,
                         Cancel cancel = nullptr);
  Result<Logits> forward(Sequence& sequence, std::span<const int32_t> tokens, Want want, const Sequence* memory,
                         Cancel cancel = nullptr);
  // log(sum of exp(x)): what turns logits into log-probabilities. `scratch` is as large as the logits. From any thread.
  // Errors: corrupt for NaN and infinities.
  Result<float> log_sum_exp(std::span<const float> logits, std::span<float> scratch) const;
  // All rows of a long text in bounded memory: `sink(first, logits)` gets rows first, first + 1, ... chunk by chunk.
  // An Error in the middle leaves the chunks before it in the sequence. `memory`: see Slice.
  Result<void> forward_all(Sequence& sequence, std::span<const int32_t> tokens, const Sink& sink,
                           Cancel cancel = nullptr, const Sequence* memory = nullptr);

  // The tokens, behind those of the sequence, through some blocks alone: what they give each other is `blocks.in` and
  // `blocks.out`, a row for each token. `sink` gets logits as of forward_all() where these blocks go on to the end. The
  // sequence is then as it was. Not of encoder-decoders.
  Result<void> forward_blocks(Sequence& sequence, std::span<const int32_t> tokens, graph::Blocks blocks,
                              const Sink& sink, Cancel cancel = nullptr);
  Result<void> run_blocks(Inputs inputs, graph::Blocks blocks, const Sink& sink, Cancel cancel = nullptr) override;

  // After each named step of each pass: fn(name, values, rows, columns, stride). Empty = off.
  using Tap =
      std::function<void(std::string_view name, const float* values, int64_t rows, int64_t cols, int64_t stride)>;
  void tap(Tap fn);
  // Seconds per kind of step since the last call with on = true; empty when off.
  void profile(bool on);
  std::vector<std::pair<std::string, double>> profile() const;
  double block_seconds() const;  // of the decoder's blocks alone, of the same

 private:
  struct State;
  static Result<std::unique_ptr<Engine>> over(std::unique_ptr<Loaded> loaded, const EngineOptions& options,
                                              double start);
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace miao::runtime
