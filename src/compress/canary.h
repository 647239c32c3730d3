// The canary of a model file: a few token ids and the SHA-256 of what the model computes from them. miao's results are
// the same bits on every machine, so that a file, or a build, that computes anything else is found out, which checksums
// of the weights alone cannot do.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::compress {

// Keys of GGUF metadata: u32 ids, the digest, and who wrote them.
inline constexpr std::string_view kCanaryIds = "miao.canary.ids", kCanaryLogits = "miao.canary.logits",
                                  kWriterKey = "miao.version";

// Ids all over a vocabulary, the same for every model of its size.
std::vector<int32_t> canary_ids(int64_t vocab);

// SHA-256, in hexadecimal digits, of the float32 rows of all ids: logits of a decoder, of an encoder-decoder with the
// ids on both sides, or noise as what it hears, what Encoder::run gives of an encoder. Errors: those of opening and
// running the model.
Result<std::string> canary_digest(const std::filesystem::path& model, std::span<const int32_t> ids, int threads = 0,
                                  const std::atomic<bool>* cancel = nullptr);

}  // namespace miao::compress
