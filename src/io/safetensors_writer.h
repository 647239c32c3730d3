// SafetensorsWriter: a safetensors file, its tensors streamed as TensorFile says. create(), write(), finish(), patch()
// and commit() are those of GgufWriter.
//
// Metadata of this format is text alone: the checksums are one text with a blank between them, under the same name.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/tensor_file.h"

namespace miao::io {

struct TextEntry {
  std::string key, text;
  bool reserved = false;  // patch() puts another text of this length in its place
};

class SafetensorsWriter {
 public:
  // Puts "format": "pt", without which transformers does not read a file, in front of the metadata, and the checksums
  // behind it. Data stands in the order of `tensors`: those of wider elements first keep all of them aligned. Errors:
  // what the format cannot hold (two of one name, blocks, more than 8 dimensions), and those of AtomicFile.
  static Result<SafetensorsWriter> create(const std::filesystem::path& path, std::vector<TextEntry> metadata,
                                          std::vector<TensorInfo> tensors, const std::atomic<bool>* cancel = nullptr);

  Result<void> write(std::string_view tensor, std::span<const std::byte> piece) { return file_.write(tensor, piece); }
  Result<void> finish();
  std::filesystem::path readable() const { return file_.readable(); }
  // Another text of the same length; of ASCII alone, without quotes, backslashes and control characters.
  Result<void> patch(std::string_view key, std::string_view text);
  Result<void> commit();

 private:
  struct Place {
    std::string key;
    uint64_t offset, bytes;  // of the text
    bool open;
  };
  SafetensorsWriter(TensorFile file, std::vector<Place> places) : file_(std::move(file)), places_(std::move(places)) {}

  TensorFile file_;
  std::vector<Place> places_;
};

}  // namespace miao::io
