// Session: what stands behind a Model: an Engine for what writes, Encoders for what reads, and who may use them now.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>

#include "models/spec.h"
#include "runtime/defaults.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "runtime/generate.h"
#include "runtime/seq2seq.h"

namespace miao::python {

using Cancel = const std::atomic<bool>*;

// What a model is, by what decides which methods it has: its shape, and of an encoder what its head is for.
enum Kind : unsigned {
  kDecoder = 1,
  kTextToText = 2,  // encoder-decoders
  kSpeech = 4,
  kEmbedder = 8,
  kSorter = 16,   // several classes of texts
  kRanker = 32,   // one or two of them, perhaps of pairs: how well they fit together
  kTagger = 64,   // classes of tokens
  kReader = 128,  // begin and end of an answer
  kClassifier = kSorter | kRanker,
  kEncoder = kEmbedder | kClassifier | kTagger | kReader,
};

// All but the turn, and what is said to be set for good, belongs to the thread that has the turn.
class Session {
 public:
  static Result<std::shared_ptr<Session>> open(const std::filesystem::path& path,
                                               const runtime::EngineOptions& options);
  ~Session();

  // Set for good.
  Kind kind() const { return kind_; }
  const models::ModelSpec& spec() const { return engine_ ? engine_->spec() : head().spec(); }
  const io::Checkpoint& checkpoint() const { return engine_ ? engine_->checkpoint() : head().checkpoint(); }
  Result<const prep::Tokenizer*> tokenizer() const { return engine_ ? engine_->tokenizer() : head().tokenizer(); }
  Result<const prep::ChatTemplate*> chat_template() const;  // null: there is none
  const char* isa() const { return engine_ ? engine_->isa() : head().isa(); }
  int64_t ctx() const { return engine_ ? engine_->ctx() : head().ctx(); }
  int64_t vocab() const { return engine_ ? engine_->vocab() : spec().vocab; }
  std::vector<runtime::KernelReport> kernels() const { return engine_ ? engine_->kernels() : head().kernels(); }
  const runtime::Engine& engine() const { return *engine_; }                         // of all but encoders
  const runtime::Encoder& head() const { return *encoders_[0]; }                     // of encoders
  const Result<runtime::GenerationDefaults>& defaults() const { return defaults_; }  // of decoders
  const Result<runtime::Seq2SeqOptions>& search() const { return search_; }          // of encoder-decoders
  // Width of what the encoder gives.
  int64_t encoder_dim() const { return spec().encoder ? spec().encoder->dim : spec().dim; }
  int process() const { return process_; }

  // With the turn.
  runtime::Engine& engine() { return *engine_; }
  runtime::Generator& generator() { return *generator_; }  // keeps the last text: a chat computes what is new
  // What gives such rows. One that is not there yet is loaded from the same files: the blocks are in memory once more.
  Result<runtime::Encoder*> encoder(models::Rows rows, Cancel cancel);
  runtime::MemoryReport memory() const;

  std::timed_mutex turn;

 private:
  Session(std::filesystem::path path, runtime::EngineOptions options);

  const std::filesystem::path path_;
  runtime::EngineOptions options_;
  Kind kind_ = kDecoder;
  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<runtime::Encoder> encoders_[3];  // by models::Rows
  std::optional<runtime::Generator> generator_;
  Result<runtime::GenerationDefaults> defaults_ = runtime::GenerationDefaults();
  Result<runtime::Seq2SeqOptions> search_ = runtime::Seq2SeqOptions();
  const int process_;
};

// Waits for the turn, then work(session, cancel) -> Result<T>. Error cancelled when `cancel` was raised before.
template <class Work>
auto in_turn(Session& session, Cancel cancel, Work&& work) -> std::invoke_result_t<Work&, Session&, Cancel> {
  std::unique_lock turn(session.turn, std::defer_lock);
  while (!turn.try_lock_for(std::chrono::milliseconds(20))) {
    if (*cancel) return Error{Code::cancelled, "stopped while another thread used the model", {}};
  }
  return work(session, cancel);
}

}  // namespace miao::python
