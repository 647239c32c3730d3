// Fuzzes model.safetensors.index.json: what is accepted names shards by plain file names.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/files/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto index = miao::io::parse_shard_index(text, "model.safetensors.index.json");
  if (!index.ok()) return 0;
  MIAO_CHECK(!index->shards.empty() && index->shards.size() <= index->shard_of.size());
  for (const std::string& shard : index->shards) {
    MIAO_CHECK(shard.find_first_of(std::string("/\\\0", 3)) == std::string::npos && shard.ends_with(".safetensors"));
  }
  return 0;
}
