// Whether a model file is still what was written: the checksums of its tensors and its canary (compress/canary.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace miao::compress {

struct VerifyReport {
  int64_t tensors = 0, checked = 0;  // those that have a checksum
  uint64_t bytes = 0;                // of the checked ones
  std::vector<std::string> damaged;  // names
  enum class Canary : uint8_t { absent, same, differs, skipped } canary = Canary::absent;
  std::string writer;  // "miao 0.1.0", or empty

  bool anything() const { return checked > 0 || canary == Canary::same || canary == Canary::differs; }
  bool good() const { return anything() && damaged.empty() && canary != Canary::differs; }
};

struct VerifyOptions {
  bool canary = true;  // also runs the model
  int threads = 0;
  std::function<void(uint64_t done, uint64_t total)> progress;  // bytes of tensors
  const std::atomic<bool>* cancel = nullptr;
};

// Damage is in the report. Errors: a file that cannot be read at all, cancelled, corrupt for checksums that do not fit
// the tensors of the file.
Result<VerifyReport> verify_file(const std::filesystem::path& model, const VerifyOptions& options);

}  // namespace miao::compress
