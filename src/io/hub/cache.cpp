// Paths and scans of the cache directories.
#include "io/hub/cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/env.h"
#include "base/file.h"
#include "base/log.h"
#include "io/hub/model_files.h"

namespace miao::io {

namespace fs = std::filesystem;

fs::path home_directory() { return env("HOME").value_or("/"); }

fs::path miao_cache() {
  if (const auto dir = env("MIAO_CACHE")) return expand_home(*dir);
  if (const auto dir = env("XDG_CACHE_HOME")) return fs::path(*dir) / "miao";
  return home_directory() / ".cache" / "miao";
}

bool env_flag(const char* name, bool fallback) {
  std::string value = env(name).value_or(fallback ? "1" : "");
  std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::toupper(c); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

double env_seconds(const char* name, double fallback) {
  const std::string text = env(name).value_or("");
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && value > 0 && value < 1e6 ? value : fallback;
}

bool is_offline(const ResolveOptions& options) {
  return options.offline || env_flag("HF_HUB_OFFLINE") || env_flag("MIAO_OFFLINE");
}

fs::path expand_home(const std::string& path) {
  if (path == "~") return home_directory();
  return path.starts_with("~/") ? home_directory() / path.substr(2) : fs::path(path);
}

std::string read_trimmed(const fs::path& path) {
  auto text = read_file(path, 1 << 16);
  if (!text.ok()) return {};
  const size_t begin = text->find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text->substr(begin, text->find_last_not_of(" \t\r\n") - begin + 1);
}

Usage disk_usage(const fs::path& path) {
  Usage out;
  std::set<std::pair<dev_t, ino_t>> seen;
  auto add = [&](const fs::path& file) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
    ++out.files;
    out.modified = std::max<int64_t>(out.modified, info.st_mtime);
    if (seen.insert({info.st_dev, info.st_ino}).second) out.bytes += static_cast<uint64_t>(info.st_size);
  };
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    add(path);
    return out;
  }
  for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    add(it->path());
  }
  return out;
}

Result<fs::path> find_model(const fs::path& root, const std::string& place) {
  std::vector<std::string> ggufs, directories;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    const fs::path path = it->path();
    const std::string relative = path.lexically_relative(root).string();
    if (is_main_gguf(relative)) ggufs.push_back(relative);
    if (path.filename() != "config.json") continue;
    std::error_code ignored;
    const fs::path dir = path.parent_path();
    bool weights = false;
    for (fs::directory_iterator file(dir, ignored), last; !ignored && file != last; file.increment(ignored)) {
      weights = weights || file->path().extension() == ".safetensors" || file->path().filename() == "model.bin";
    }
    if (weights) directories.push_back(dir == root ? "." : dir.lexically_relative(root).string());
  }
  std::vector<std::string>& found = directories.empty() ? ggufs : directories;
  std::sort(found.begin(), found.end());
  if (found.size() == 1) return found[0] == "." ? root : root / found[0];
  if (found.empty()) {
    return Error{Code::not_found, "holds no model: no .gguf file and no directory with config.json and weights", place};
  }
  return Error{Code::invalid, "holds several models, choose one with :FILE at the end: " + join_names(found), place};
}

void for_each_entry(const fs::path& folder, const std::function<void(const fs::path&)>& visit) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) visit(it->path());
  if (error && error != std::errc::no_such_file_or_directory) {
    log_warn(folder.string() + ": cannot be listed: " + error.message());
  }
}

namespace {

// The file of a URL, or what an interrupted download has left of it; no value for a folder with neither.
std::optional<CachedModel> url_model(const fs::path& dir) {
  CachedModel model{.ref = read_trimmed(dir / ".url"), .path = dir, .complete = false};
  bool any = false;
  for_each_entry(dir, [&](const fs::path& file) {
    const std::string name = file.filename().string();
    if (name.starts_with('.') || name.ends_with(".etag")) return;  // our own; no file of a URL begins with a dot
    const Usage usage = disk_usage(file);
    any = true;
    model.bytes += usage.bytes;
    model.modified = std::max(model.modified, usage.modified);
    if (name.ends_with(".incomplete")) return;
    model.path = file;
    model.complete = true;
  });
  if (!any || model.ref.empty()) return std::nullopt;
  return model;
}

CachedModel package_model(const fs::path& dir, std::string ref) {
  const Usage usage = disk_usage(dir), own = disk_usage(dir / ".source.json");
  CachedModel model{.ref = std::move(ref), .path = dir, .bytes = usage.bytes - own.bytes, .modified = usage.modified};
  if (const auto path = find_model(dir, model.ref); path.ok()) model.path = *path;
  return model;
}

}  // namespace

void list_miao_cache(std::vector<CachedModel>& out) {
  for_each_entry(miao_cache() / "models", [&](const fs::path& dir) {
    const std::string name = dir.filename().string();
    const size_t cut = name.rfind("--");
    if (name.starts_with("pypi--") && cut > 6) {
      out.push_back(package_model(dir, "pypi:" + name.substr(6, cut - 6) + "==" + name.substr(cut + 2)));
    } else if (name.starts_with("url--")) {
      if (auto model = url_model(dir)) out.push_back(std::move(*model));
    }
  });
}

}  // namespace miao::io
