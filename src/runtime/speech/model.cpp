#include "runtime/speech/model.h"

#include <optional>
#include <string>

#include "io/checkpoint.h"
#include "models/suppressed.h"

namespace miao::runtime {

namespace {

// The tokenizer is a file of its own.
Result<void> within(int32_t id, int64_t vocab, const std::string& place) {
  if (id < vocab) return {};
  return Error{Code::corrupt,
               "the tokenizer has a control token " + std::to_string(id) + " and the model only " +
                   std::to_string(vocab) + " tokens; take the files of one model",
               place};
}

}  // namespace

Result<SpeechModel> SpeechModel::of(Engine& engine) {
  const std::string place = engine.checkpoint().path().string();
  const models::ModelSpec* const encoder = engine.spec().encoder.get();
  if (!encoder || encoder->features == 0) {
    return Error{Code::unsupported, "is no model of speech; give a Whisper model", place};
  }
  SpeechModel out;
  out.engine = &engine;
  out.bins = static_cast<int>(encoder->features);
  if (out.bins > 128 || engine.input_ctx() != 1500) {
    return Error{Code::unsupported,
                 "reads windows of " + std::to_string(engine.input_ctx()) + " rows of " + std::to_string(out.bins) +
                     " bins, not Whisper's: 1500 rows of at most 128 bins; give its engine no context length",
                 place};
  }
  MIAO_TRY(out.tokenizer, engine.tokenizer());
  auto tokens = prep::WhisperTokens::find(*out.tokenizer);
  if (!tokens.ok()) return std::move(tokens.error()).at(place);
  out.tokens = std::move(*tokens);
  const prep::WhisperTokens& t = out.tokens;
  for (const std::optional<int32_t> id : {std::optional(t.eot()), std::optional(t.sot()), std::optional(t.translate()),
                                          std::optional(t.transcribe()), t.sot_lm(), t.sot_prev(), t.no_speech()}) {
    if (!id) continue;
    MIAO_CHECK_OK(within(*id, engine.vocab(), place));
    if (*id != t.eot()) out.suppressed.push_back(*id);
  }
  for (const auto& language : t.languages()) MIAO_CHECK_OK(within(language.id, engine.vocab(), place));
  MIAO_CHECK_OK(within(t.first_timestamp(), engine.vocab(), place));
  MIAO_TRY(const models::SuppressedTokens suppressed, models::read_suppressed(engine.checkpoint()));
  out.suppressed.insert(out.suppressed.end(), suppressed.anywhere.begin(), suppressed.anywhere.end());
  out.suppressed_first = suppressed.first;
  return out;
}

}  // namespace miao::runtime
