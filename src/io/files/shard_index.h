// model.safetensors.index.json: which file holds which tensor.
//
//   {"metadata": {...}, "weight_map": {TENSOR: SHARD, ...}}
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace miao::io {

struct ShardIndex {
  std::unordered_map<std::string, std::string> shard_of;  // of each tensor
  std::vector<std::string> shards;                        // in the order of their first tensor
};

// Shards are plain names of .safetensors files, so that none reaches out of the directory. No name stands twice in the
// index or in its weight_map: which of two values holds would depend on the reader. `where` names the file in errors.
Result<ShardIndex> parse_shard_index(std::string_view text, const std::string& where);

}  // namespace miao::io
