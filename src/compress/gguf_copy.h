// A model as a GGUF file to work on: itself where it is one, else a copy without a name that goes with the object. All
// of compress knows tensors by GGUF's names.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/checkpoint.h"
#include "io/gguf_writer.h"

namespace miao::compress {

class GgufCopy {
 public:
  // `beside`: a file in the folder whose disk takes the copy, which is as large as the model. Weights keep their types.
  // Errors: those of models::to_gguf, io, cancelled.
  static Result<GgufCopy> of(const io::Checkpoint& model, const std::filesystem::path& beside,
                             const std::function<void(uint64_t done, uint64_t total)>& progress,
                             const std::atomic<bool>* cancel);

  // What has been written and finished.
  static GgufCopy of(io::GgufWriter file);

  const std::filesystem::path& path() const { return path_; }       // as long as the object lives
  const std::vector<std::string>& notes() const { return notes_; }  // what GGUF cannot say of the model

 private:
  std::filesystem::path path_;
  std::vector<std::string> notes_;
  std::optional<io::GgufWriter> file_;
};

}  // namespace miao::compress
