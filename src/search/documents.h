// Documents: what is searched, read from files of text, of Markdown, and of JSON lines.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::search {

// What one document is.
enum class Split : uint8_t {
  automatic,   // by the name: json of .jsonl and .ndjson, paragraphs of .md and of files in folders, else lines
  lines,       // each line
  paragraphs,  // lines up to an empty one; a heading of Markdown goes with what stands below it
  json,        // each line is an object, and one of its fields the text
};

struct ReadOptions {
  Split split = Split::automatic;
  std::string field = "text";  // of Split::json
};

// A file that was read.
struct Source {
  std::string name;  // as the user wrote it, or below the folder that he wrote
  Split split = Split::lines;
  std::string field;
  std::string bytes;
};

// Where a document stands in its source.
struct Document {
  uint32_t begin = 0, end = 0;  // bytes
  uint32_t line = 0;            // its first, from 1
};

// Files, and the .txt and .md files in folders and the folders below, by name; what is hidden is left out. "-" is not
// known here. Warns of text that is not UTF-8 (broken bytes are read as U+FFFD) and of binary files in folders, which
// are left out. Errors: what cannot be read, invalid for a binary file, not_found for a folder without text.
Result<std::vector<Source>> read_sources(std::span<const std::string> paths, const ReadOptions& options = {});
// One more source, of text that was read elsewhere.
Result<Source> make_source(std::string name, std::string bytes, const ReadOptions& options = {});

std::vector<Document> find_documents(const Source& source);  // those that are not blank
// Its text. Errors: invalid for a line that is no JSON object or has no text in the field; they name the line.
Result<std::string> text_of(const Source& source, const Document& document);
// The other fields of a line of JSON, as JSON; empty where there are none.
std::string fields_of(const Source& source, const Document& document);

}  // namespace miao::search
