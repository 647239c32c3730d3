// Fuzzes config.json, from its text to the ModelSpec of a family. What is accepted is sane enough to plan memory with.
#include <cstdint>
#include <fstream>
#include <string_view>

#include "base/check.h"
#include "base/key_values.h"
#include "io/checkpoint.h"
#include "io/testing.h"
#include "models/family.h"
#include "models/source.h"

using namespace miao;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = KeyValues::from_json(text, "config.json");
  if (!config.ok()) return 0;
  for (const auto& [key, value] : *config) {
    (void)config->integer(key);
    (void)config->numbers(key);
    (void)config->string(key, "");
  }
  static const io::TempDir dir;
  static const bool written =
      io::SafetensorsBuilder().tensor("model.embed_tokens.weight", {1}, {1}).write(dir / "model.safetensors").ok();
  MIAO_CHECK(written);
  std::ofstream(dir / "config.json", std::ios::binary) << text;
  const auto checkpoint = io::Checkpoint::open(dir.path());
  MIAO_CHECK(checkpoint.ok());
  auto source = models::Source::open(*checkpoint);
  if (!source.ok()) return 0;
  const auto family = models::find_family(*source);
  if (!family.ok()) return 0;
  source->use((*family)->hf);
  const auto spec = (*family)->spec(*source);
  if (!spec.ok()) return 0;
  MIAO_CHECK(spec->layers > 0 && spec->layers < 1 << 20 && spec->vocab > 0 && spec->ctx > 0);
  MIAO_CHECK(spec->block.attn.heads > 0 && spec->block.attn.kv_heads > 0 && spec->block.attn.head_dim > 0);
  return 0;
}
