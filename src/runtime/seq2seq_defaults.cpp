// seq2seq_defaults(): see seq2seq.h.
#include <algorithm>

#include "base/json.h"
#include "io/checkpoint.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/seq2seq.h"

namespace miao::runtime {

namespace {

constexpr int64_t kUsualLimit = 512;

// Values of one file of settings; null is the same as absent.
class Settings {
 public:
  Settings(Json json, std::string where) : json_(std::move(json)), where_(std::move(where)) {}

  Result<int64_t> integer(const char* key, int64_t low, int64_t high, int64_t fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number_integer()) return wrong(key, "a whole number");
    const auto number = value->get<int64_t>();
    if (number < low || number > high) {
      return wrong(key, "within " + std::to_string(low) + " to " + std::to_string(high));
    }
    return number;
  }
  Result<double> number(const char* key, double fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number()) return wrong(key, "a number");
    return value->get<double>();
  }
  // One id or several.
  Result<std::vector<int32_t>> ids(const char* key) const {
    const Json* value = find(key);
    std::vector<int32_t> out;
    if (!value) return out;
    MIAO_CHECK_OK(add_ids(key, *value, out));
    return out;
  }
  Result<int32_t> id(const char* key) const {
    MIAO_TRY(const std::vector<int32_t> all, ids(key));
    return all.empty() ? -1 : all.front();
  }
  Result<std::vector<std::vector<int32_t>>> words(const char* key) const {
    const Json* value = find(key);
    std::vector<std::vector<int32_t>> out;
    if (!value) return out;
    if (!value->is_array()) return wrong(key, "a list of lists of token ids");
    for (const Json& word : *value) {
      if (!word.is_array()) return wrong(key, "a list of lists of token ids");
      MIAO_CHECK_OK(add_ids(key, word, out.emplace_back()));
    }
    return out;
  }
  Result<BeamOptions::Early> early() const {
    const Json* value = find("early_stopping");
    if (!value) return BeamOptions::Early::no;
    if (value->is_boolean()) return value->get<bool>() ? BeamOptions::Early::yes : BeamOptions::Early::no;
    if (value->is_string() && value->get<std::string>() == "never") return BeamOptions::Early::never;
    return wrong("early_stopping", "true, false or \"never\"");
  }

 private:
  const Json* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }
  Error wrong(const char* key, const std::string& wanted) const {
    return {Code::invalid, "'" + std::string(key) + "' is not " + wanted, where_};
  }
  Result<void> add_ids(const char* key, const Json& value, std::vector<int32_t>& out) const {
    const auto add = [&](const Json& id) {
      if (!id.is_number_integer()) return false;
      const auto number = id.get<int64_t>();
      if (number < 0 || number > INT32_MAX) return false;
      out.push_back(static_cast<int32_t>(number));
      return true;
    };
    bool good = true;
    if (value.is_array()) {
      for (const Json& id : value) good = good && add(id);
    } else {
      good = add(value);
    }
    return good ? Result<void>() : Result<void>(wrong(key, "a token id or a list of them"));
  }

  Json json_;
  std::string where_;
};

Result<Settings> open_settings(const io::Checkpoint& checkpoint) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    MIAO_TRY(const std::optional<std::string> text, checkpoint.text_file(name));
    if (!text) continue;
    const std::string where = (checkpoint.path() / name).string();
    MIAO_TRY(Json json, parse_json(*text, where));
    if (!json.is_object()) return Error{Code::invalid, "is not an object", where};
    return Settings(std::move(json), where);
  }
  return Settings(Json::object(), checkpoint.path().string());
}

Result<void> read(const Settings& s, int64_t ctx, Seq2SeqOptions& o) {
  MIAO_TRY(o.start, s.id("decoder_start_token_id"));
  if (o.start < 0) {
    MIAO_TRY(o.start, s.id("bos_token_id"));
  }
  MIAO_TRY(o.beam.ends, s.ids("eos_token_id"));
  MIAO_TRY(o.beam.beams, s.integer("num_beams", 1, 256, 1));
  MIAO_TRY(o.beam.length_penalty, s.number("length_penalty", 1));
  MIAO_TRY(o.beam.early, s.early());
  // Lengths of transformers count the start token.
  MIAO_TRY(const int64_t longest, s.integer("max_length", 1, 1 << 20, o.beam.max_tokens + 1));
  MIAO_TRY(o.beam.max_tokens, s.integer("max_new_tokens", 1, 1 << 20, std::max<int64_t>(1, longest - 1)));
  o.beam.max_tokens = std::min(o.beam.max_tokens, ctx - 1);
  MIAO_TRY(const int64_t shortest, s.integer("min_length", 0, 1 << 20, 0));
  MIAO_TRY(o.rules.min_tokens, s.integer("min_new_tokens", 0, 1 << 20, std::max<int64_t>(0, shortest - 1)));
  MIAO_TRY(o.rules.repetition_penalty, s.number("repetition_penalty", 1));
  MIAO_TRY(o.rules.no_repeat_ngram, s.integer("no_repeat_ngram_size", 0, 1 << 20, 0));
  MIAO_TRY(o.rules.bad_words, s.words("bad_words_ids"));
  MIAO_TRY(o.rules.first, s.id("forced_bos_token_id"));
  MIAO_TRY(o.rules.last, s.id("forced_eos_token_id"));
  MIAO_TRY(o.rules.suppressed, s.ids("suppress_tokens"));
  MIAO_TRY(o.rules.suppressed_first, s.ids("begin_suppress_tokens"));
  return {};
}

}  // namespace

Result<Seq2SeqOptions> seq2seq_defaults(const Engine& engine) {
  const io::Checkpoint& checkpoint = engine.checkpoint();
  if (!engine.spec().encoder) return Error{Code::unsupported, "this model is a decoder", checkpoint.path().string()};
  Seq2SeqOptions out;
  out.beam.max_tokens = std::min(kUsualLimit, engine.ctx() - 1);
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) {
    const KeyValues& meta = checkpoint.meta();
    MIAO_TRY(const std::string_view architecture, meta.string("general.architecture"));
    MIAO_TRY(const int64_t start, meta.integer(std::string(architecture) + ".decoder_start_token_id", 0));
    if (start < 0 || start >= engine.vocab()) {
      return Error{Code::invalid, "the decoder's start token is not in the vocabulary", meta.source()};
    }
    out.start = static_cast<int32_t>(start);
  } else {
    MIAO_TRY(const Settings settings, open_settings(checkpoint));
    MIAO_CHECK_OK(read(settings, engine.ctx(), out));
  }
  if (out.start < 0 || out.start >= engine.vocab()) {
    return Error{Code::not_found, "decoder_start_token_id is missing or not in the vocabulary",
                 checkpoint.path().string()};
  }
  if (const auto tokenizer = engine.tokenizer(); tokenizer.ok() && out.beam.ends.empty()) {
    for (int32_t id = 0; id < (*tokenizer)->vocab_size(); ++id) {
      if ((*tokenizer)->is_eog(id)) out.beam.ends.push_back(id);
    }
  }
  return out;
}

}  // namespace miao::runtime
