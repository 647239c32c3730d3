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

// 31 bits at a time.
class Lcg {
 public:
  uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 33;
  }

 private:
  uint64_t state_ = 0x6d69616f;
};

// Values within -1 and 1, as Whisper's features are.
std::vector<float> noise(int64_t count) {
  Lcg random;
  std::vector<float> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<float>(random.next() >> 7) / 0x1p23f - 1);
  return out;
}

}  // namespace

std::vector<int32_t> canary_ids(int64_t vocab) {
  constexpr int kIds = 24;
  Lcg random;
  std::vector<int32_t> out;
  for (int i = 0; i < kIds && vocab > 0; ++i)
    out.push_back(static_cast<int32_t>(random.next() % static_cast<uint64_t>(vocab)));
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
  if (const auto& encoder = engine->spec().encoder) {
    const std::vector<float> features = noise(encoder->features * 2 * static_cast<int64_t>(ids.size()));
    runtime::EncoderInput input;
    if (features.empty()) {
      input.ids = ids;
    } else {
      input.features = features;
    }
    MIAO_TRY(memory, engine->encode({&input, 1}, cancel));
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
