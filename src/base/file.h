// Files: read-only mappings, whole-file reads, atomic writes, files without a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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
  // Size, inode and times of the file as it was opened, as text. Another file, or the same one after any write, says
  // something else: the time of the last change of the inode cannot be set.
  const std::string& identity() const { return identity_; }
  // For data that is streamed: read it into huge pages where the file system has them. Before the first touch.
  void want_huge_pages() const;
  // Brings the pages of a range in. False where one cannot be read, for a disk error or because the file has become
  // shorter; touching it would end the process. Kernels before Linux 5.14 cannot tell: true.
  bool readable(std::span<const std::byte> range) const;
  // Gives the pages of a range back to the page cache (they fault in again when read).
  void release(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_, identity_;
};

// A file that has no name until all of it is written: whoever ends early, or is ended, leaves nothing behind. Not every
// file system can do that (network ones cannot).
class NamelessFile {
 public:
  static Result<NamelessFile> create(const std::filesystem::path& folder);
  NamelessFile(NamelessFile&& other) noexcept : folder_(std::move(other.folder_)), fd_(std::exchange(other.fd_, -1)) {}
  ~NamelessFile();

  Result<void> append(std::span<const std::byte> bytes);
  // Gives it a name in its folder; what has that name already stays, and that is no Error. Nothing is flushed: after a
  // loss of power the file may hold anything.
  Result<void> name(const std::string& file_name);

 private:
  NamelessFile(std::filesystem::path folder, int fd) : folder_(std::move(folder)), fd_(fd) {}
  std::filesystem::path folder_;
  int fd_ = -1;
};

// A file that takes its name only when all of it is written and flushed: until commit() whoever looks sees what was
// there before, and a file that is not committed leaves nothing behind. (Where the file system cannot do without a
// name, it has one of its own beside `path` meanwhile, which stays if the process is killed. The next one that writes
// `path` deletes it.)
class AtomicFile {
 public:
  // Errors are those of replaceable(), and those of the file system. `nameless` false: as where files need a name.
  static Result<AtomicFile> create(const std::filesystem::path& path, unsigned mode = 0644, bool nameless = true);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  // Takes the room for a file of so many bytes, so that a full disk is told before the work. Says nothing on file
  // systems that cannot.
  Result<void> reserve(uint64_t bytes);
  Result<void> append(std::span<const std::byte> bytes);
  // Other bytes in place of some that were appended.
  Result<void> patch(uint64_t offset, std::span<const std::byte> bytes);
  uint64_t size() const { return size_; }  // bytes appended
  // Opens what was written so far; good until commit().
  std::filesystem::path readable() const;
  // Flushes and renames. Nothing else may be called after it.
  Result<void> commit();

 private:
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {}
  Error failed(const char* what) const;

  std::filesystem::path path_, temporary_;
  bool named_ = false;  // `temporary_` is there
  int fd_ = -1;
  uint64_t size_ = 0;
};

// Whether a file can be written at `path` by a rename: invalid where something else stands there (a device, a pipe, a
// folder), not_found or io where its folder is missing or cannot be written to.
Result<void> replaceable(const std::filesystem::path& path);
// The whole file as text; `max_bytes` bounds it.
Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30);
// invalid where the bytes of a file are no text: UTF-16, or with a byte 0 in it.
Result<void> check_text(std::string_view bytes, std::string_view where);
// An AtomicFile of these bytes: a reader sees the old or the new content, nothing between.
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view bytes);
// The same for bytes that stand in several places; `mode` is that of the file.
Result<void> write_file_atomic(const std::filesystem::path& path, std::span<const std::string_view> parts,
                               unsigned mode);

}  // namespace miao
