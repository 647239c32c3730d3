#include "models/suppressed.h"

#include <optional>
#include <string>

#include "models/keys.h"
#include "models/source.h"

namespace miao::models {

namespace {

Result<std::vector<int32_t>> ids_at(const KeyValues& config, const std::string& key) {
  std::vector<int32_t> out;
  if (!config.find(key)) return out;
  MIAO_TRY(const KeyValues::Ints* ids, config.integers(key));
  for (const int64_t id : *ids) {
    if (id >= 0 && id <= INT32_MAX) out.push_back(static_cast<int32_t>(id));
  }
  return out;
}

Result<SuppressedTokens> both_at(const KeyValues& anywhere, const std::string& key, const KeyValues& first,
                                 const std::string& first_key) {
  SuppressedTokens out;
  MIAO_TRY(out.anywhere, ids_at(anywhere, key));
  MIAO_TRY(out.first, ids_at(first, first_key));
  return out;
}

}  // namespace

Result<SuppressedTokens> read_suppressed(const io::Checkpoint& checkpoint) {
  using Kind = io::Checkpoint::Kind;
  const KeyValues& meta = checkpoint.meta();
  const std::string key = kSuppressed.hf, first_key = kSuppressedFirst.hf;
  if (checkpoint.kind() == Kind::ct2) return both_at(meta, "suppress_ids", meta, "suppress_ids_begin");
  if (checkpoint.kind() == Kind::gguf) {
    MIAO_TRY(const Source source, Source::open(checkpoint));
    return both_at(meta, source.name(kSuppressed), meta, source.name(kSuppressedFirst));
  }
  MIAO_TRY(const std::optional<std::string> text, checkpoint.text_file("generation_config.json"));
  const std::string place = (checkpoint.path() / "generation_config.json").string();
  MIAO_TRY(const KeyValues config, KeyValues::from_json(text.value_or("{}"), place));
  return both_at(config.find(key) ? config : meta, key, config.find(first_key) ? config : meta, first_key);
}

}  // namespace miao::models
