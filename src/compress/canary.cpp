#include "compress/canary.h"

#include <algorithm>

#include "base/sha256.h"
#include "io/checkpoint.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::compress {

namespace {

using models::ModelSpec;

void add(Hasher& hasher, std::span<const float> row) {
  hasher.add({reinterpret_cast<const char*>(row.data()), row.size_bytes()});
}

Result<std::string> digest_of_encoder(const std::filesystem::path& path, std::span<const int32_t> ids, int threads,
                                      const std::atomic<bool>* cancel) {
  MIAO_TRY(const auto encoder, runtime::Encoder::open(path, {.threads = threads, .packs = {}, .cancel = cancel}));
  const runtime::EncoderInput input{.ids = ids};
  MIAO_TRY(const runtime::Encoded rows, encoder->run({&input, 1}, cancel));
  Hasher hasher;
  for (int64_t i = 0; i < rows.rows(0); ++i) add(hasher, rows.row(0, i));
  return hasher.hex();
}

}  // namespace

std::vector<int32_t> canary_ids(int64_t vocab) {
  constexpr int kIds = 24;
  std::vector<int32_t> out;
  uint64_t state = 0x6d69616f;
  for (int i = 0; i < kIds && vocab > 0; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out.push_back(static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocab)));
  }
  return out;
}

Result<std::string> canary_digest(const std::filesystem::path& model, std::span<const int32_t> ids, int threads,
                                  const std::atomic<bool>* cancel) {
  MIAO_TRY(const ModelSpec::Shape shape, runtime::model_shape(model));
  if (shape == ModelSpec::Shape::encoder) return digest_of_encoder(model, ids, threads, cancel);
  MIAO_TRY(const auto engine,
           runtime::Engine::open(model, {.threads = threads,
                                         .ctx = std::max<int64_t>(64, static_cast<int64_t>(ids.size())),
                                         .isa = {},
                                         .packs = {},
                                         .cancel = cancel}));
  std::vector<runtime::Sequence> memory;
  if (engine->spec().encoder) {
    MIAO_TRY(memory, engine->encode({{{.ids = ids}}}, cancel));
  }
  Hasher hasher;
  runtime::Sequence sequence = engine->new_sequence();
  const auto take = [&](int64_t, const runtime::Logits& logits) -> Result<void> {
    for (int64_t i = 0; i < logits.rows(); ++i) add(hasher, logits.row(i));
    return {};
  };
  MIAO_CHECK_OK(engine->forward_all(sequence, ids, take, cancel, memory.empty() ? nullptr : memory.data()));
  return hasher.hex();
}

}  // namespace miao::compress
