// See documents.h.
#include "search/documents.h"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

namespace miao::search {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxFile = size_t{1} << 30;

std::string place(const Source& source, uint32_t line) { return source.name + ":" + std::to_string(line); }

Split split_of(const fs::path& path, bool in_folder) {
  const std::string end = path.extension().string();
  if (end == ".jsonl" || end == ".ndjson") return Split::json;
  return in_folder || end == ".md" || end == ".markdown" ? Split::paragraphs : Split::lines;
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos; }

// Calls f(begin, end, number) for each line, without its line break.
template <class F>
void each_line(std::string_view text, F f) {
  uint32_t number = 1;
  for (size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    f(at, end, number);
    at = end + 1;
  }
}

void warn_of_broken_text(const Source& source) {
  if (simdjson::validate_utf8(source.bytes)) return;
  uint32_t first = 0;
  each_line(source.bytes, [&](size_t begin, size_t end, uint32_t number) {
    if (first == 0 && !simdjson::validate_utf8(source.bytes.data() + begin, end - begin)) first = number;
  });
  log_warn(place(source, first) + ": is not UTF-8; broken bytes are read as U+FFFD");
}

Result<Source> checked(Source source) {
  MIAO_CHECK_OK(check_text(source.bytes, source.name));
  warn_of_broken_text(source);
  return source;
}

Result<Source> read_source(const fs::path& path, Split split, const ReadOptions& options) {
  std::error_code ignored;
  const auto size = fs::file_size(path, ignored);  // of a pipe it is not known
  if (!ignored && size <= kMaxFile) {
    MIAO_CHECK_OK(require_memory(size, path.string(), "search fewer documents"));
  }
  Source out{.name = path.string(), .split = split, .field = options.field, .bytes = {}};
  MIAO_TRY(out.bytes, read_file(path, kMaxFile));
  return checked(std::move(out));
}

Error not_readable(const fs::path& path, const std::error_code& error) {
  return {error == std::errc::no_such_file_or_directory ? Code::not_found : Code::io, "cannot read: " + error.message(),
          path.string()};
}

// Links to folders are not followed, so there are no circles.
Result<void> read_folder(const fs::path& folder, const ReadOptions& options, std::vector<Source>& out) {
  std::error_code error;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator it(folder, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const std::string name = it->path().filename().string();
    if (name.starts_with('.')) {
      it.disable_recursion_pending();
      continue;
    }
    const std::string kind = it->path().extension().string();
    const bool text = kind == ".txt" || kind == ".md" || kind == ".markdown";
    if (text && it->is_regular_file(ignored)) files.push_back(it->path());
  }
  if (error) return not_readable(folder, error);
  if (files.empty()) return Error{Code::not_found, "holds no .txt or .md file", folder.string()};
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const Split split = options.split == Split::automatic ? split_of(file, true) : options.split;
    auto source = read_source(file, split, options);
    if (!source.ok() && source.error().code != Code::invalid) return source.error();
    if (source.ok()) {
      out.push_back(std::move(*source));
    } else {
      log_warn(source.error().where + ": " + source.error().message + "; left out");
    }
  }
  return {};
}

bool heading(std::string_view line) {
  const size_t marks = line.find_first_not_of('#');
  return marks > 0 && marks <= 6 && marks < line.size() && line[marks] == ' ';
}

std::vector<Document> find_paragraphs(std::string_view text) {
  std::vector<Document> out;
  bool open = false, titles_only = false;  // titles_only: all lines so far are headings
  each_line(text, [&](size_t begin, size_t end, uint32_t number) {
    const std::string_view line = text.substr(begin, end - begin);
    if (blank(line)) {
      if (!titles_only) open = false;
      return;
    }
    const bool title = heading(line);
    if (!open || (title && !titles_only)) {
      out.push_back({static_cast<uint32_t>(begin), 0, number});
      open = true;
      titles_only = true;
    }
    titles_only = titles_only && title;
    out.back().end = static_cast<uint32_t>(end);
  });
  return out;
}

Result<Json> object_of(const Source& source, const Document& document) {
  const std::string where = place(source, document.line);
  MIAO_TRY(Json value,
           parse_json(std::string_view(source.bytes).substr(document.begin, document.end - document.begin), where));
  if (!value.is_object()) return Error{Code::invalid, "is not a JSON object", where};
  return value;
}

}  // namespace

Result<Source> make_source(std::string name, std::string bytes, const ReadOptions& options) {
  const Split split = options.split == Split::automatic ? split_of(name, false) : options.split;
  return checked({std::move(name), split, options.field, std::move(bytes)});
}

Result<std::vector<Source>> read_sources(std::span<const std::string> paths, const ReadOptions& options) {
  std::vector<Source> out;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
      return not_readable(path, error ? error : std::make_error_code(std::errc::no_such_file_or_directory));
    }
    if (!fs::is_directory(status) && !fs::is_regular_file(status) && !fs::is_fifo(status)) {
      return Error{Code::invalid, "is not a file of text, nor a folder", path};  // a device may never end
    }
    if (fs::is_directory(status)) {
      MIAO_CHECK_OK(read_folder(path, options, out));
    } else {
      const Split split = options.split == Split::automatic ? split_of(path, false) : options.split;
      MIAO_TRY(Source source, read_source(path, split, options));
      out.push_back(std::move(source));
    }
  }
  return out;
}

std::vector<Document> find_documents(const Source& source) {
  const std::string_view text = source.bytes;
  if (source.split == Split::paragraphs) return find_paragraphs(text);
  std::vector<Document> out;
  each_line(text, [&](size_t begin, size_t end, uint32_t number) {
    if (!blank(text.substr(begin, end - begin))) {
      out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), number});
    }
  });
  return out;
}

Result<std::string> text_of(const Source& source, const Document& document) {
  if (source.split != Split::json) return source.bytes.substr(document.begin, document.end - document.begin);
  MIAO_TRY(const Json object, object_of(source, document));
  const auto field = object.find(source.field);
  if (field == object.end() || !field->is_string()) {
    return Error{Code::invalid,
                 std::string(field == object.end() ? "has no field '" : "has no text in the field '") + source.field +
                     "'; name the field that holds it",
                 place(source, document.line)};
  }
  return field->get<std::string>();
}

std::string fields_of(const Source& source, const Document& document) {
  if (source.split != Split::json) return {};
  auto object = object_of(source, document);
  if (!object.ok()) return {};
  object->erase(source.field);
  return object->empty() ? std::string() : dump_json(*object);
}

}  // namespace miao::search
