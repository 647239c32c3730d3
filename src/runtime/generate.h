// Generator: one text that grows: prompt ids in, streamed text out, with stop rules, cancellation and figures.
//
//   ids -> [common prefix with the last call: kept] -> forward -> Sampler -> StreamDecoder -> StopMatcher -> on_text
//
// A Generator keeps its sequence between calls: a prompt that begins as the last one did (the next turn of a chat) is
// computed only from where it differs. What comes out does not depend on that.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"
#include "runtime/sampler.h"

namespace miao::runtime {

struct GenerateOptions {
  SamplerOptions sampling;
  int64_t max_tokens = -1;                    // -1 = until the model ends its answer or the context is full
  std::vector<std::string> stop;              // not shown; see stop.h
  std::vector<int32_t> stop_tokens;           // besides those of the tokenizer
  bool ignore_end = false;                    // goes on behind end tokens, for measurements
  bool show_special = false;                  // control tokens appear in the text
  const std::atomic<bool>* cancel = nullptr;  // set to true: the answer ends with what there is
};

enum class StopReason : uint8_t { end_of_text, stop_string, max_tokens, context_full, cancelled };
const char* stop_reason_name(StopReason reason);  // "end", "stop string", "max tokens", "context full", "cancelled"

struct GenerateStats {
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;     // of the prompt, from the calls before
  int64_t new_tokens = 0;        // sampled, an end token included
  double prefill_seconds = 0;    // prompt_tokens - reused_tokens through the model
  double first_seconds = 0;      // start of the call to the first token
  double decode_seconds = 0;     // from the first token to the last: new_tokens - 1 steps
  double prefill_tok_s() const;  // 0 where there is nothing to divide
  double decode_tok_s() const;
};

struct Generated {
  std::string text;             // all that on_text got
  std::vector<int32_t> tokens;  // sampled ones, without the end token
  StopReason reason = StopReason::end_of_text;
  std::string stop;  // the stop string that ended it
  uint64_t seed = 0;
  GenerateStats stats;
};

class Generator {
 public:
  explicit Generator(Engine& engine) : engine_(engine), sequence_(engine.new_sequence()) {}

  // on_text gets each piece of text as soon as it is certain; pieces are valid UTF-8. Errors: invalid for an empty
  // prompt or one that fills the context (nothing is cut off), for bad sampling options and stop strings; corrupt for
  // logits that are not numbers; those of Engine::forward. Where Engine::tokenizer() is an Error, ids come out alone:
  // the text is empty, only options.stop_tokens end it, and stop strings are that Error.
  using OnText = std::function<void(std::string_view)>;
  Result<Generated> run(std::span<const int32_t> prompt, const GenerateOptions& options, const OnText& on_text = {});

  int64_t size() const { return static_cast<int64_t>(past_.size()); }  // positions kept
  void clear();

 private:
  Result<Logits> feed(std::span<const int32_t> tokens, const std::atomic<bool>* cancel);

  Engine& engine_;
  Sequence sequence_;
  std::vector<int32_t> past_;  // the tokens of sequence_
};

}  // namespace miao::runtime
