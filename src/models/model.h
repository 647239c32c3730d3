// Model: a checkpoint made ready to run: spec, packed weights and the Programs of its forward pass.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/context.h"
#include "graph/program.h"
#include "io/checkpoint.h"
#include "models/spec.h"
#include "models/weights.h"

namespace miao::models {

// What an encoder gives. head: what the file has a head for, else one vector a text, pooled as the file says or by the
// mean; tokens: the last hidden state; sentence: one vector a text, whatever the head.
enum class Rows : uint8_t { head, tokens, sentence };

struct LoadOptions {
  Rows rows = Rows::head;
  bool encoder_alone = false;  // of an encoder-decoder, which then is an encoder
  // f32: integer formats are decoded and everything computes in FP32; int8: floating matrices of blocks become int8.
  graph::Precision precision = graph::Precision::file;
  // Of keys and values. Unset: F32 with f32, or where the file's matrices are F32 and stay so; else what the file asks
  // for (kKvKey), else F16.
  std::optional<kernels::KvType> kv;
  int64_t ctx = 0;      // longest sequence; 0 = the model's own, at most kDefaultCtx. Of an encoder-decoder: of both
  int64_t chunk = 256;  // rows of a pass
  std::filesystem::path packs;                // folder of packed weights (pack_cache.h); empty = none
  const std::atomic<bool>* cancel = nullptr;  // once true, loading ends with Error cancelled, and keep_packed() at once
  bool weights = true;  // false: they are not read; the Model knows what it would take, and cannot run
  int64_t blocks = 0;   // so many of the model's blocks, evenly spread, as if it had no others: to measure; 0 = all
};
constexpr int64_t kDefaultCtx = 4096;
// Metadata of a file that was measured with keys and values in another type than F16: its name (kernels/kv.h).
constexpr std::string_view kKvKey = "miao.kv";

// Weights that share their place in the model, format and kernels.
struct WeightGroup {
  std::string name;  // "qkv", "o", "gate_up", "down", "lm_head"
  DType dtype;
  const kernels::MatMul* kernel;
  int64_t bytes;    // packed
  double products;  // weights that one token is multiplied with: of experts, those of the ones that it goes to
};

class Model {
 public:
  // The checkpoint and the context's parts must outlive the Model. An unsupported architecture is an Error before any
  // weight is read; Errors about tensors and hyper-parameters name them.
  static Result<std::unique_ptr<Model>> load(const io::Checkpoint& checkpoint, const LoadOptions& options,
                                             const graph::Context& context);

  // Matrices in the place of those of the same names and shapes, in any type; their data must live as long as they
  // are in place. One that is given without data goes back to what the checkpoint holds. Errors: not_found, invalid
  // (its shape), unsupported; then some may have been replaced, and the Model must not run.
  Result<void> replace(std::span<const TensorView> tensors);
  // Keys and values in another type; caches of before are of no use then.
  Result<void> use_kv(kernels::KvType kv);

  const ModelSpec& spec() const { return spec_; }
  graph::Program& program() { return program_; }
  // Of an encoder-decoder: the encoder, and where it reads audio the convolution of all frames; else null.
  graph::Program* encoder() { return encoder_ ? &*encoder_ : nullptr; }
  graph::Program* convolution() { return convolution_ ? &*convolution_ : nullptr; }
  int64_t encoder_ctx() const { return encoder_ctx_; }
  kernels::KvType kv() const { return kv_; }
  int64_t ctx() const { return ctx_; }
  int64_t weight_bytes() const { return packed_bytes(weights_); }
  int64_t buffer_bytes() const {
    return program_.bytes() + (encoder_ ? encoder_->bytes() : 0) + (convolution_ ? convolution_->bytes() : 0);
  }
  bool weights_from_cache() const { return weights_.pack.data() != nullptr; }
  // Writes the packed weights to the cache, where it was wanted and lacks them. It takes a second for some GB: call it
  // when nobody waits.
  void keep_packed() const;
  // Read row by row from the mapped checkpoint; null where the packed output matrix serves for it.
  const TensorView* embedding() const {
    return spec_.tied && !weights_.head->reads_row_codes() ? nullptr : &weights_.embedding;
  }
  std::vector<WeightGroup> groups() const;
  // Every matrix with the kind of step that multiplies with it, an encoder's first.
  std::vector<std::pair<std::string_view, const graph::Linear*>> products() const;

 private:
  Model(ModelSpec spec, const LoadOptions& options, const io::Checkpoint& checkpoint, const graph::Context& context)
      : spec_(std::move(spec)), options_(options), checkpoint_(checkpoint), context_(context), program_(context) {}
  static Result<std::unique_ptr<Model>> read(const io::Checkpoint& checkpoint, const LoadOptions& options,
                                             const graph::Context& context);
  Result<void> build_programs();
  TensorView tensor(std::string_view name) const;  // as it is now
  Result<void> repack(graph::Linear& linear);
  Result<void> build_encoder_programs();
  Result<void> check_memory() const;

  ModelSpec spec_;
  LoadOptions options_;
  const io::Checkpoint& checkpoint_;
  graph::Context context_;
  Weights weights_;
  std::map<std::string, TensorView, std::less<>> replacements_;  // by name
  std::map<const graph::Linear*, Memory> repacked_;
  kernels::KvType kv_ = kernels::KvType::f16;
  int64_t ctx_ = 0, encoder_ctx_ = 0;
  graph::Program program_;
  std::optional<graph::Program> encoder_, convolution_;
};

// What a checkpoint's architecture is, before anything is loaded; an unsupported one is an Error that lists the others.
Result<ModelSpec::Shape> shape_of(const io::Checkpoint& checkpoint);
// All of the headers.
Result<ModelSpec> spec_of(const io::Checkpoint& checkpoint);
// Whether what goes in is features of audio, also from the headers.
Result<bool> reads_audio(const io::Checkpoint& checkpoint);
// The names of supported architectures and families, for reports.
std::vector<std::string> supported_architectures();

}  // namespace miao::models
