// What is behind an Engine.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/memory.h"
#include "prep/chat_template.h"
#include "runtime/engine.h"
#include "runtime/loaded.h"

namespace miao::runtime {

struct Engine::State {
  explicit State(std::unique_ptr<Loaded> parts)
      : loaded(std::move(parts)), checkpoint(loaded->checkpoint), model(loaded->model.get()) {}

  std::unique_ptr<Loaded> loaded;
  io::Checkpoint& checkpoint;
  models::Model* model;
  std::unique_ptr<KvCache> kv;
  std::unique_ptr<KvCache> memory;  // of an encoder-decoder: what encode() gives
  std::optional<Result<std::optional<prep::ChatTemplate>>> chat_template;
  int64_t chunk = 0;
  double load_seconds = 0;
  bool can_run = true;  // weights are there
  // Of the pass in hand; kept so that a token step allocates nothing.
  Memory logits;
  std::vector<int32_t> ids, wanted;
  std::vector<graph::PassSlice> slices;
  std::vector<Sequence*> sequences;
  std::vector<int64_t> starts;  // sizes of the batch's sequences before it
  Memory frames;                // of audio behind the first convolution
  int64_t embedded = 0;         // rows read since the embedding's pages were given back

  void make_caches();  // as the model has keys and values
  int64_t vocab() const { return model->spec().vocab; }
  int64_t logits_stride() const { return kernels::round_up(vocab(), kernels::kLanes); }
  std::optional<uint64_t> logits_bytes(int64_t rows) const;  // nothing = too many to count
  int64_t frames_bytes(int64_t input_ctx) const;             // of audio
  int64_t rows_of_logits() const;                            // of a pass that wants those of all rows
  Result<void> check(std::span<const Slice> batch);
  Result<int64_t> prepare(std::span<const Slice> batch);
  bool run(int64_t& logits_row, Cancel cancel, const graph::Blocks* blocks = nullptr);

  // encode()
  int64_t encoder_rows(const EncoderInput& input) const;
  Result<void> check(const EncoderInput& input) const;
  bool convolve(const EncoderInput& input, Cancel cancel);
  bool run_encoder(std::span<const EncoderInput> inputs, std::span<Sequence> out, Cancel cancel);
};

}  // namespace miao::runtime
