#include "runtime/speech/model.h"

#include <optional>
#include <string>

#include "io/checkpoint.h"

namespace miao::runtime {

namespace {

Result<void> add_ids(const KeyValues& config, const char* key, std::vector<int32_t>& to) {
  const KeyValues::Value* value = config.find(key);
  if (!value) return {};
  MIAO_TRY(const KeyValues::Ints* ids, config.integers(key));
  for (const int64_t id : *ids) {
    if (id >= 0 && id <= INT32_MAX) to.push_back(static_cast<int32_t>(id));
  }
  return {};
}

// CTranslate2 keeps the lists in config.json, transformers in generation_config.json, older ones in config.json.
Result<void> read_suppressed(const io::Checkpoint& checkpoint, SpeechModel& model) {
  const KeyValues& meta = checkpoint.meta();
  if (checkpoint.kind() == io::Checkpoint::Kind::ct2) {
    MIAO_CHECK_OK(add_ids(meta, "suppress_ids", model.suppressed));
    return add_ids(meta, "suppress_ids_begin", model.suppressed_first);
  }
  MIAO_TRY(const std::optional<std::string> text, checkpoint.text_file("generation_config.json"));
  const std::string place = (checkpoint.path() / "generation_config.json").string();
  MIAO_TRY(const KeyValues config, KeyValues::from_json(text.value_or("{}"), place));
  MIAO_CHECK_OK(add_ids(config.find("suppress_tokens") ? config : meta, "suppress_tokens", model.suppressed));
  return add_ids(config.find("begin_suppress_tokens") ? config : meta, "begin_suppress_tokens", model.suppressed_first);
}

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
  MIAO_CHECK_OK(read_suppressed(engine.checkpoint(), out));
  return out;
}

}  // namespace miao::runtime
