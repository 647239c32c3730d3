// Store: what an index keeps in its file: vectors of texts, and which passages the documents have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "search/vectors.h"

namespace miao::search {

struct Passage {
  uint32_t begin, end, line;  // its document
  uint32_t from, to;          // bytes of the document's text
  uint32_t row;               // of the vectors
};

struct SourceEntry {
  uint64_t content = 0, settings = 0;  // checksums: of the bytes, and of how they were split
  std::vector<Passage> passages;
};

struct Store {
  VectorIndex vectors;
  std::string key;               // what the vectors depend on, kKeySize letters
  std::vector<uint64_t> hashes;  // of the text of each row
  std::vector<SourceEntry> sources;

  static constexpr size_t kKeySize = 32;
  static constexpr const char* kExtension = ".miaoindex";

  // An empty store where there is no file, and where it is damaged, with a warning. Errors: invalid for a file that is
  // no index (one with kExtension counts as damaged instead), or that has another key; io; out_of_memory.
  static Result<Store> load(const std::filesystem::path& path, const std::string& key, int64_t dim);
  Result<void> save(const std::filesystem::path& path) const;
};

struct IndexFile {
  std::filesystem::path path;
  uint64_t bytes = 0;
};
// The indexes in a folder, and what killed writers left of them.
std::vector<IndexFile> list_indexes(const std::filesystem::path& folder);

}  // namespace miao::search
