// Reading, listing and removing what is in the shared Hugging Face cache. Writing is in huggingface.cpp.
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/env.h"
#include "io/hub/cache.h"
#include "io/hub/huggingface.h"
#include "io/hub/model_files.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

fs::path hf_home() {
  if (const auto home = env("HF_HOME")) return expand_home(*home);
  if (const auto cache = env("XDG_CACHE_HOME")) return fs::path(*cache) / "huggingface";
  return home_directory() / ".cache" / "huggingface";
}

std::string hf_token(const ResolveOptions& options) {
  std::string token = options.token;
  if (token.empty()) token = env("HF_TOKEN").value_or("");
  if (token.empty()) token = env("HUGGING_FACE_HUB_TOKEN").value_or("");
  if (token.empty() && !env_flag("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
    const auto path = env("HF_TOKEN_PATH");
    token = read_trimmed(path ? expand_home(*path) : hf_home() / "token");
  }
  // A line break or other control character would end the header that carries it.
  std::erase_if(token, [](unsigned char c) { return c <= 0x20 || c >= 0x7f; });
  return token;
}

// refs/<rev> -> commit of a repository.
std::map<std::string, std::string> read_refs(const fs::path& repo) {
  std::map<std::string, std::string> out;
  std::error_code error;
  for (fs::recursive_directory_iterator it(repo / "refs", error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored) || it->path().string().find(".tmp.") != std::string::npos) continue;
    out[it->path().lexically_relative(repo / "refs").string()] = read_trimmed(it->path());
  }
  return out;
}

std::vector<fs::path> files_below(const fs::path& dir) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::recursive_directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_directory(ignored)) out.push_back(it->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool has_partial(const fs::path& repo) {
  std::error_code error;
  for (fs::directory_iterator it(repo / "blobs", error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".incomplete") return true;
  }
  return false;
}

}  // namespace

HfSettings hf_settings(const ResolveOptions& options) {
  HfSettings out;
  if (const auto cache = env("HF_HUB_CACHE"))
    out.cache = expand_home(*cache);
  else if (const auto legacy = env("HUGGINGFACE_HUB_CACHE"))
    out.cache = expand_home(*legacy);
  else
    out.cache = hf_home() / "hub";
  out.endpoint = env("HF_ENDPOINT").value_or("https://huggingface.co");
  while (out.endpoint.ends_with('/')) out.endpoint.pop_back();
  out.token = hf_token(options);
  out.symlinks = !env_flag("HF_HUB_DISABLE_SYMLINKS");
  out.metadata_seconds = env_seconds("HF_HUB_ETAG_TIMEOUT", 10);
  out.download_seconds = env_seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10);
  return out;
}

HfRepo hf_repo(const HfSettings& settings, const std::string& name) {
  std::string dir = "models--" + name;
  if (const size_t slash = dir.find('/'); slash != std::string::npos) dir.replace(slash, 1, "--");
  return {settings.cache / dir, settings.cache / ".locks" / dir, miao_cache() / "hub" / dir};
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 && revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string cached_commit(const HfRepo& repo, const std::string& revision) {
  if (is_commit(revision)) return revision;
  const std::string commit = read_trimmed(repo.dir / "refs" / (revision.empty() ? "main" : revision));
  return is_commit(commit) ? commit : std::string();
}

void list_hf_cache(std::vector<CachedModel>& out) {
  for_each_entry(hf_settings({}).cache, [&](const fs::path& repo) {
    const std::string dir = repo.filename().string();
    if (!dir.starts_with("models--")) return;
    std::string name = dir.substr(8);
    if (const size_t cut = name.find("--"); cut != std::string::npos)
      name = name.substr(0, cut).append("/").append(name, cut + 2);
    const auto refs = read_refs(repo);
    const bool partial = has_partial(repo);
    bool any = false;
    for_each_entry(repo / "snapshots", [&](const fs::path& snapshot) {
      const std::string commit = snapshot.filename().string();
      std::string revision = commit;
      for (const auto& [ref, target] : refs) {
        if (target == commit && (revision == commit || ref == "main")) revision = ref;
      }
      const Usage usage = disk_usage(snapshot);
      if (usage.files == 0) return;
      any = true;
      CachedModel model{.ref = "hf:" + name + (revision == "main" ? "" : "@" + revision),
                        .path = snapshot,
                        .bytes = usage.bytes,
                        .modified = usage.modified,
                        .complete = !partial};
      const auto files = files_below(snapshot);
      if (files.size() == 1 && is_main_gguf(files[0].filename().string())) model.path = files[0];
      out.push_back(std::move(model));
    });
    if (!any && partial) {
      const Usage usage = disk_usage(repo / "blobs");
      out.push_back({"hf:" + name, repo, usage.bytes, usage.modified, false});
    }
  });
}

Result<Removal> plan_hf_removal(const ModelRef& ref) {
  const HfRepo repo = hf_repo(hf_settings({}), ref.name);
  const Error absent{Code::not_found, "is not in the cache; see miao ls", ref.str()};
  std::error_code ignored;
  if (!fs::is_directory(repo.dir, ignored)) return absent;
  Removal out;
  if (ref.revision.empty() && ref.file.empty()) {
    for (const fs::path& path : {repo.dir, repo.locks, repo.lists}) {
      if (fs::exists(path, ignored)) out.paths.push_back(path);
    }
    out.bytes = disk_usage(repo.dir).bytes;
    return out;
  }
  const std::string commit = cached_commit(repo, ref.revision);
  const fs::path snapshot = repo.dir / "snapshots" / commit;
  if (commit.empty() || !fs::is_directory(snapshot, ignored)) return absent;

  std::vector<fs::path> doomed = files_below(snapshot);
  const size_t all = doomed.size();
  if (!ref.file.empty()) {
    std::vector<std::string> names;
    for (const fs::path& path : doomed) names.push_back(path.lexically_relative(snapshot).string());
    MIAO_TRY(const Selection selection, select_files(names, ref.file, ref.str()));
    doomed.clear();
    for (const std::string& file : selection.files) doomed.push_back(snapshot / file);
  }
  std::set<fs::path> kept;  // blobs that another snapshot file still needs
  const std::set<fs::path> doomed_set(doomed.begin(), doomed.end());
  for (const fs::path& path : files_below(repo.dir / "snapshots")) {
    if (!doomed_set.contains(path)) kept.insert(fs::weakly_canonical(path, ignored));
  }
  const fs::path blobs = fs::weakly_canonical(repo.dir / "blobs", ignored);
  for (const fs::path& path : doomed) {
    const fs::path target = fs::weakly_canonical(path, ignored);
    if (kept.contains(target)) continue;
    out.bytes += disk_usage(path).bytes;
    if (target.parent_path() == blobs) out.paths.push_back(repo.dir / "blobs" / target.filename());
  }
  if (doomed.size() < all) {
    out.paths.insert(out.paths.end(), doomed.begin(), doomed.end());
    return out;
  }
  out.paths.push_back(snapshot);
  for (const auto& [name, target] : read_refs(repo.dir)) {
    if (target == commit) out.paths.push_back(repo.dir / "refs" / name);
  }
  const fs::path list = repo.lists / (commit + ".json");
  if (fs::exists(list, ignored)) out.paths.push_back(list);
  return out;
}

}  // namespace miao::io
