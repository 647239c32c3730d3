// Whisper's rule of times: what may follow in a transcript with timestamps, that of openai-whisper.
#pragma once

#include <cstdint>

#include "prep/whisper_tokens.h"
#include "runtime/beam_search.h"

namespace miao::runtime {

// A transcript begins with a time, at most `latest_start` steps in; times come in pairs (the end of one segment, the
// start of the next) except directly before the end; they do not decrease, and a segment has a length; and where times
// together are likelier than any single other token, one of them follows.
TokenRule time_rule(const prep::WhisperTokens& tokens, int32_t latest_start);

}  // namespace miao::runtime
