#include "io/side_files.h"

#include <algorithm>

#include "base/file.h"
#include "base/json.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxBytes = 128 << 20;
constexpr std::string_view kExtensions[] = {".json", ".txt", ".model", ".jinja", ".spm", ".tiktoken", ".md", ".py"};

bool is_side_file(const std::string& name) {
  if (name.starts_with('.') || name.ends_with(".index.json")) return false;
  for (const std::string_view legal : {"LICENSE", "LICENCE", "NOTICE", "COPYING"}) {
    if (name.starts_with(legal)) return true;
  }
  const std::string extension = fs::path(name).extension().string();
  return std::find(std::begin(kExtensions), std::end(kExtensions), extension) != std::end(kExtensions);
}

Error of_system(const char* what, const std::error_code& error, const fs::path& path) {
  return {Code::io, std::string(what) + ": " + error.message(), path.string()};
}

Result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  error.clear();
  fs::create_directory(folder, error);
  return error ? of_system("cannot make the folder", error, folder) : Result<void>();
}

// Folders that come along: those of modules.json (whose paths are plain names), and of templates.
Result<std::vector<std::string>> folders(const fs::path& from) {
  std::vector<std::string> out{"additional_chat_templates"};
  const fs::path modules = from / "modules.json";
  std::error_code ignored;
  if (!fs::is_regular_file(modules, ignored)) return out;
  MIAO_TRY(const std::string text, read_file(modules, kMaxBytes));
  MIAO_TRY(const Json list, parse_json(text, modules.string()));
  for (const Json& module : list) {
    if (!module.is_object() || !module.contains("path") || !module["path"].is_string()) continue;
    std::string path = module["path"].get<std::string>();
    while (path.ends_with('/')) path.pop_back();
    if (!path.empty() && !path.starts_with('.') && path.find('/') == std::string::npos) out.push_back(path);
  }
  return out;
}

class Copier {
 public:
  Copier(fs::path from, fs::path to, std::span<const std::string_view> except)
      : from_(std::move(from)), to_(std::move(to)), except_(except) {}

  // `folder`: under both; empty = they themselves.
  Result<void> copy(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(from_ / folder, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      const std::string name = it->path().filename().string();
      if (it->is_regular_file(ignored) && is_side_file(name)) names.push_back((fs::path(folder) / name).string());
    }
    if (error) return of_system("cannot be listed", error, from_ / folder);
    std::sort(names.begin(), names.end());
    if (!names.empty()) MIAO_CHECK_OK(make_folder(to_ / folder));
    for (const std::string& name : names) {
      if (std::find(except_.begin(), except_.end(), name) != except_.end()) continue;
      MIAO_TRY(const std::string bytes, read_file(from_ / name, kMaxBytes));
      MIAO_CHECK_OK(write_file_atomic(to_ / name, bytes));
      done_.push_back(name);
    }
    return {};
  }
  std::vector<std::string> done() && { return std::move(done_); }

 private:
  fs::path from_, to_;
  std::span<const std::string_view> except_;
  std::vector<std::string> done_;
};

}  // namespace

Result<std::vector<std::string>> copy_side_files(const fs::path& from, const fs::path& to,
                                                 std::span<const std::string_view> except) {
  MIAO_CHECK_OK(make_folder(to));
  std::error_code error;
  if (fs::equivalent(from, to, error)) {
    return Error{Code::invalid, "is the folder that is read; name another one for the output", to.string()};
  }
  Copier copier(from, to, except);
  MIAO_CHECK_OK(copier.copy(""));
  MIAO_TRY(const std::vector<std::string> more, folders(from));
  for (const std::string& folder : more) {
    if (fs::is_directory(from / folder, error)) MIAO_CHECK_OK(copier.copy(folder));
  }
  return std::move(copier).done();
}

}  // namespace miao::io
