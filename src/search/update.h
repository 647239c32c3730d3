// Update: brings a Store in line with documents: what is new is embedded, what is gone is dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "runtime/encoder.h"
#include "search/documents.h"
#include "search/store.h"

namespace miao::search {

struct IndexOptions {
  std::filesystem::path file;         // where the index is kept; empty = nowhere
  std::optional<std::string> prompt;  // before each passage; unset = document_prompt()
  int64_t passage = 256;              // tokens of a passage at most, where the model reads so many
  int64_t exact_rows = kExactRows;    // with fewer passages nothing is prepared for approximate search
  double save_seconds = 60;           // between two saves of what has been embedded
  std::function<void(const char* what, uint64_t done, uint64_t total)> progress;  // in bytes: of text, of vectors
  const std::atomic<bool>* cancel = nullptr;
};

struct IndexReport {
  size_t passages = 0;
  size_t embedded = 0;  // texts, in this call; the others were in the file
};

// The prompts that sentence-transformers uses for the two sides: those with the names query, and document, passage or
// corpus; else the model's default. Empty where there are none.
std::string query_prompt(const runtime::Encoder& encoder);
std::string document_prompt(const runtime::Encoder& encoder);

// Leaves one entry in the store for each source. Errors and saves as Index::open() says.
Result<IndexReport> update(Store& store, runtime::Encoder& encoder, std::span<const Source> sources,
                           const IndexOptions& options);

}  // namespace miao::search
