// Packed weights on disk, so that the second start of a model maps them and is ready. docs/formats/packed.md draws the
// file. A pack is named for all that its bytes depend on, so it is never out of date, only unused; it is written once,
// linked when complete, checked at each use, and deleted when it is damaged. Whatever goes wrong here costs time and
// nothing else: callers log the Error and pack the weights themselves.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/memory.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace miao::models {

struct PackKey {
  std::string name;    // 32 hex digits
  std::string source;  // path of the checkpoint: a pack whose checkpoint is gone goes too
};

// The bytes of a pack, mapped; or a copy in memory where the mapping has no huge pages, since products that stream
// their weights from small pages are slower for good.
struct Pack {
  MappedFile file;
  Memory copy;
  const std::byte* data() const { return copy.size() > 0 ? copy.data() : file.bytes().data(); }
};

// The pack of `bytes` bytes, every one of them checked with all threads. Errors: not_found; corrupt, and then the file
// has been deleted.
Result<Pack> open_pack(const std::filesystem::path& folder, const PackKey& key, uint64_t bytes, ThreadPool& pool);

constexpr uint64_t kMaxPackBytes = uint64_t{8} << 30;         // of one; and a quarter of the memory that is free
constexpr uint64_t kMaxPackFolderBytes = uint64_t{20} << 30;  // of all; and a tenth of the disk

// Writes a pack. Errors: out_of_memory for one that is larger than kMaxPackBytes; io; cancelled. Makes room first:
// packs without a checkpoint go, and of the others those used longest ago, until all are within `most` bytes. It takes
// no more than half of what is free on the disk.
Result<void> save_pack(const std::filesystem::path& folder, const PackKey& key, std::span<const std::byte> bytes,
                       const std::atomic<bool>* cancel, uint64_t most = kMaxPackFolderBytes);

struct PackFile {
  std::filesystem::path path;
  std::string source;  // empty for a file that is none of ours, or of another version
  uint64_t bytes = 0;
  int64_t used = 0;  // nanoseconds since 1970
  bool orphan() const;
};
// Those of a folder, the one used longest ago first.
std::vector<PackFile> list_packs(const std::filesystem::path& folder);
// Deletes those without a checkpoint; gives back the bytes that went.
uint64_t delete_orphans(const std::filesystem::path& folder);

}  // namespace miao::models
