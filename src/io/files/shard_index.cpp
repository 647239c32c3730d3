#include "io/files/shard_index.h"

#include <simdjson.h>
#include <optional>
#include <unordered_set>

#include "io/files/format.h"

namespace miao::io {

namespace {

constexpr size_t kMaxShards = 10000;

std::optional<std::string_view> repeated_key(const simdjson::dom::object& object) {
  std::unordered_set<std::string_view> seen;
  for (const auto& [key, value] : object) {
    if (!seen.insert(key).second) return key;
  }
  return std::nullopt;
}

bool is_shard_name(std::string_view name) {
  return plain_name(name) && name.find_first_of("/\\") == std::string_view::npos && name.ends_with(".safetensors");
}

}  // namespace

Result<ShardIndex> parse_shard_index(std::string_view text, const std::string& where) {
  auto damaged = [&](std::string message) {
    return Error{Code::corrupt, std::move(message) + "; fetch it again", where};
  };
  simdjson::dom::parser parser;
  simdjson::dom::object root, map;
  if (const auto error = parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(root)) {
    return damaged(std::string("is not a JSON object (") + simdjson::error_message(error) + ")");
  }
  if (const auto name = repeated_key(root)) return damaged("names " + in_quotes(*name) + " twice");
  if (root["weight_map"].get(map)) return damaged("has no object \"weight_map\"");
  if (const auto name = repeated_key(map)) return damaged("names tensor " + in_quotes(*name) + " twice");

  ShardIndex out;
  std::unordered_set<std::string_view> known;
  for (const auto& [name, value] : map) {
    std::string_view shard;
    if (value.get(shard)) return damaged("gives tensor " + in_quotes(name) + " a shard that is not a string");
    out.shard_of.emplace(name, shard);
    if (!known.insert(shard).second) continue;
    if (!is_shard_name(shard)) {
      return Error{Code::corrupt,
                   "names the shard " + in_quotes(shard) + ", which is not a plain .safetensors file name", where};
    }
    out.shards.emplace_back(shard);
    if (out.shards.size() > kMaxShards) return damaged("names more than " + std::to_string(kMaxShards) + " shards");
  }
  if (out.shards.empty()) return damaged("names no tensors");
  return out;
}

}  // namespace miao::io
