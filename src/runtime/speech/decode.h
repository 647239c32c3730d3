// One window of speech to tokens, again at higher temperatures where the result is bad.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/rng.h"
#include "runtime/speech/model.h"
#include "runtime/transcribe.h"

namespace miao::runtime {

struct WindowText {
  std::vector<int32_t> tokens;  // without the end
  double avg_log_probability = 0;
  double compression_ratio = 0;
  double no_speech = 0;
  double temperature = 0;
};

// `prompt` holds the start token. `seeds`: of draws.
Result<WindowText> decode_window(const SpeechModel& model, const Sequence& memory, std::span<const int32_t> prompt,
                                 const TranscribeOptions& options, Rng& seeds);

// Bytes of the text over those of its compressed form.
double compression_ratio(const std::string& text);

// The text of tokens, without control tokens and times.
std::string speech_text(const SpeechModel& model, std::span<const int32_t> tokens);

}  // namespace miao::runtime
