#include "io/gguf_metadata.h"

#include <algorithm>

#include "io/checkpoint.h"
#include "io/gguf_writer.h"

namespace miao::io {

GgufValue::GgufValue(const std::vector<std::string>& values)
    : type_(GgufType::array), bytes_(array_head(GgufType::string, values.size())) {
  for (const std::string& value : values) bytes_ += string(value);
}

GgufMetadata GgufMetadata::of(const Checkpoint& gguf) {
  GgufMetadata out;
  for (const GgufKey& k : gguf.gguf_keys()) {
    if (k.key.starts_with("split.") || k.key.starts_with(kCanaryKeys) || k.key == kChecksumsKey) continue;
    GgufValue value(k.type, {reinterpret_cast<const char*>(k.value.data()), k.value.size()});
    out.entries_.push_back({std::string(k.key), std::move(value), false});
  }
  return out;
}

void GgufMetadata::put(std::string_view key, GgufValue value, bool reserved) {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  if (at == entries_.end()) {
    entries_.push_back({std::string(key), std::move(value), reserved});
  } else {
    *at = {std::string(key), std::move(value), reserved};
  }
}

bool GgufMetadata::erase(std::string_view key) {
  return std::erase_if(entries_, [&](const Entry& e) { return e.key == key; }) > 0;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  return at == entries_.end() ? nullptr : &at->value;
}

}  // namespace miao::io
