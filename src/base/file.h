// Files: read-only mappings, whole-file reads, atomic writes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao {

// A read-only mapping of a regular file. Move-only; the bytes live as long as the object.
// A file that another process shrinks while mapped ends the process with a message that names it (see guard in
// file.cpp).
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Gives the pages of a range back to the page cache (they fault in again when read).
  void release(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// invalid where something stands at `path` that a rename must not replace: a device, a pipe, a folder.
Result<void> replaceable(const std::filesystem::path& path);
// The whole file as text; `max_bytes` bounds it.
Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30);
// Writes to a temporary beside `path`, fsyncs, renames: a reader sees the old or the new content, nothing between.
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

}  // namespace miao
