// Downloading from a Hugging Face endpoint: one metadata request for the commit and its file list, then each missing
// blob, then its link, and last the ref, so that a reader of the cache never follows a ref to missing files of ours.
#include "io/hub/huggingface.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "io/hub/cache.h"
#include "io/hub/download.h"
#include "io/hub/heads.h"
#include "io/hub/http.h"
#include "io/hub/model_files.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

struct RemoteFile {
  std::string path;
  uint64_t size = 0;
  std::string etag;    // blob name; empty = not told
  bool large = false;  // the etag is a SHA-256
};

struct FileList {
  std::string commit;
  std::vector<RemoteFile> files;

  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const RemoteFile& file : files) out.push_back(file.path);
    return out;
  }
  const RemoteFile* find(const std::string& path) const {
    for (const RemoteFile& file : files) {
      if (file.path == path) return &file;
    }
    return nullptr;
  }
};

struct Hub {
  const ModelRef& ref;
  const ResolveOptions& options;
  HfSettings settings;
  HfRepo repo;
};

std::string text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}
uint64_t number(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_unsigned() ? it->get<uint64_t>() : 0;
}

std::string clean_etag(std::string etag) {
  if (etag.starts_with("W/")) etag = etag.substr(2);
  std::erase(etag, '"');
  return etag;
}
bool is_hex(std::string_view text, size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
// A blob's name becomes a file name.
bool is_blob_name(std::string_view etag) {
  return !etag.empty() && etag.size() <= 128 &&
         std::all_of(etag.begin(), etag.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

// What an answer other than 2xx means for the user.
Error explain(const Hub& hub, const HttpResponse& response) {
  const std::string place = hub.ref.str();
  const std::string page = url_for_people(hub.settings.endpoint) + (hub.settings.endpoint.ends_with('/') ? "" : "/");
  const std::string repo_page = url_for_people(hub.settings.endpoint + "/" + hub.ref.name);
  const auto code = response.first_headers.find("x-error-code");
  const std::string reason = code == response.first_headers.end() ? std::string() : code->second;
  const std::string token_help = hub.settings.token.empty() ? "then set HF_TOKEN to your access token"
                                                            : "with the account that the token belongs to";
  if (reason == "GatedRepo" || response.status == 403) {
    return {Code::invalid, "access is gated: accept the terms at " + repo_page + ", " + token_help, place};
  }
  if (reason == "RevisionNotFound") return {Code::not_found, "has no revision '" + hub.ref.revision + "'", place};
  if (reason == "EntryNotFound") return {Code::not_found, "has no such file", place};
  if (response.status == 401) {
    return {Code::not_found,
            "does not exist, or is private or gated: check the name at " + repo_page +
                (hub.settings.token.empty() ? " and set HF_TOKEN if it needs an account"
                                            : "; the token was not accepted for it"),
            place};
  }
  if (response.status == 404) return {Code::not_found, "does not exist at " + page + "; check the name", place};
  return {Code::io, "HTTP status " + std::to_string(response.status) + " from " + url_for_people(response.url), place};
}

Result<FileList> parse_list(const Hub& hub, std::string_view body) {
  const std::string place = hub.ref.str() + ": model information";
  MIAO_TRY(const Json root, parse_json(body, place));
  if (!root.is_object()) return Error{Code::corrupt, "is not a JSON object", place};
  FileList out{.commit = text(root, "sha"), .files = {}};
  if (!is_commit(out.commit)) return Error{Code::corrupt, "names no commit", place};
  const auto siblings = root.find("siblings");
  if (siblings == root.end() || !siblings->is_array()) return Error{Code::corrupt, "lists no files", place};
  for (const Json& item : *siblings) {
    if (!item.is_object()) continue;
    RemoteFile file{.path = text(item, "rfilename"), .size = number(item, "size"), .etag = text(item, "blobId")};
    if (!is_safe_relative(file.path)) continue;
    const auto lfs = item.find("lfs");
    if (lfs != item.end() && lfs->is_object()) {
      file.etag = text(*lfs, "sha256");
      file.large = true;
      if (const uint64_t size = number(*lfs, "size")) file.size = size;
    }
    out.files.push_back(std::move(file));
  }
  return out;
}

Result<FileList> ask_list(const Hub& hub, Http& http) {
  const std::string revision = hub.ref.revision.empty() ? "main" : hub.ref.revision;
  HttpRequest request{.url = hub.settings.endpoint + "/api/models/" + percent_encode(hub.ref.name, "/") + "/revision/" +
                             percent_encode(revision) + "?blobs=true",
                      .headers = {"Accept: application/json"},
                      .bearer = hub.settings.token};
  MIAO_TRY(const HttpResponse response, fetch(http, request, hub.options));
  if (response.status != 200) return explain(hub, response);
  return parse_list(hub, response.body);
}

std::string file_url(const Hub& hub, const FileList& list, const std::string& path) {
  return hub.settings.endpoint + "/" + percent_encode(hub.ref.name, "/") + "/resolve/" + list.commit + "/" +
         percent_encode(path, "/");
}

// Mirrors may list names only: ask for size and blob name of one file.
Result<void> ask_file(const Hub& hub, Http& http, const FileList& list, RemoteFile& file) {
  HttpRequest request{.url = file_url(hub, list, file.path),
                      .head = true,
                      .leave_origin = false,
                      .headers = {"Accept-Encoding: identity"},
                      .bearer = hub.settings.token};
  MIAO_TRY(const HttpResponse response, fetch(http, request, hub.options));
  if (response.status >= 400) return explain(hub, response);
  std::string etag = clean_etag(response.header("x-linked-etag"));
  const std::string size =
      response.header("x-linked-size").empty() ? response.header("content-length") : response.header("x-linked-size");
  if (etag.empty()) etag = clean_etag(response.header("etag"));
  if (!is_blob_name(etag))
    return Error{Code::corrupt, "the server gives no usable ETag for " + file.path, hub.ref.str()};
  file.etag = etag;
  file.large = is_hex(etag, 64);
  file.size = std::strtoull(size.c_str(), nullptr, 10);
  return {};
}

fs::path blob_path(const Hub& hub, const RemoteFile& file) { return hub.repo.dir / "blobs" / file.etag; }
fs::path snapshot_path(const Hub& hub, const std::string& commit) { return hub.repo.dir / "snapshots" / commit; }

// snapshots/<commit>/<path> -> ../../blobs/<etag>, with one more ".." for every directory in path.
Result<void> link_file(const Hub& hub, const std::string& commit, const RemoteFile& file) {
  const fs::path link = snapshot_path(hub, commit) / file.path, blob = blob_path(hub, file);
  std::error_code error;
  if (fs::exists(link, error)) return {};
  MIAO_CHECK_OK(make_directories(link.parent_path()));
  if (hub.settings.symlinks) {
    fs::remove(link, error);  // one whose blob is gone
    fs::create_symlink(blob.lexically_relative(link.parent_path()), link, error);
  }
  if (!hub.settings.symlinks || error) {
    const fs::path temporary = link.string() + ".tmp." + std::to_string(::getpid());
    fs::copy_file(blob, temporary, fs::copy_options::overwrite_existing, error);
    if (!error) fs::rename(temporary, link, error);
  }
  if (error) return Error{Code::io, "cannot link to its blob: " + error.message(), link.string()};
  sync_directory(link.parent_path());
  return {};
}

Result<void> write_ref(const Hub& hub, const std::string& commit) {
  if (hub.ref.revision == commit) return {};
  const fs::path path = hub.repo.dir / "refs" / (hub.ref.revision.empty() ? "main" : hub.ref.revision);
  if (read_trimmed(path) == commit) return {};
  MIAO_CHECK_OK(make_directories(path.parent_path()));
  return write_file_atomic(path, commit);
}

Result<void> mark_cache(const Hub& hub) {
  const fs::path tag = hub.settings.cache / "CACHEDIR.TAG";
  std::error_code ignored;
  if (fs::exists(tag, ignored)) return {};
  MIAO_CHECK_OK(make_directories(hub.settings.cache));
  return write_file_atomic(tag, "Signature: 8a477f597d28d172789f06886806bc55\n# Models from the Hugging Face hub.\n");
}

// The list of a commit's files is kept, so that a later call knows without the network what a complete copy is.
fs::path list_path(const Hub& hub, const std::string& commit) { return hub.repo.lists / (commit + ".json"); }

Result<void> save_list(const Hub& hub, const FileList& list) {
  Json files = Json::array();
  for (const RemoteFile& file : list.files) files.push_back({{"rfilename", file.path}, {"size", file.size}});
  MIAO_CHECK_OK(make_directories(hub.repo.lists));
  return write_file_atomic(list_path(hub, list.commit), dump_json(Json{{"sha", list.commit}, {"siblings", files}}));
}

std::optional<FileList> saved_list(const Hub& hub, const std::string& commit) {
  auto body = read_file(list_path(hub, commit), size_t{64} << 20);
  if (!body.ok()) return std::nullopt;
  auto list = parse_list(hub, *body);
  if (!list.ok() || list->commit != commit) return std::nullopt;
  return std::move(*list);
}

// The files of a snapshot that another program made.
FileList scan_snapshot(const Hub& hub, const std::string& commit) {
  FileList out{.commit = commit, .files = {}};
  const fs::path root = snapshot_path(hub, commit);
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (fs::is_regular_file(it->path(), ignored))
      out.files.push_back({.path = it->path().lexically_relative(root).string()});
  }
  return out;
}

// A cached copy that has every wanted file, or what stands in the way.
Result<fs::path> cached_copy(const Hub& hub, bool trust_scan) {
  const Error absent{Code::not_found, "is not in the cache", hub.ref.str()};
  const std::string commit = cached_commit(hub.repo, hub.ref.revision);
  std::error_code ignored;
  if (commit.empty() || !fs::is_directory(snapshot_path(hub, commit), ignored)) return absent;
  std::optional<FileList> list = saved_list(hub, commit);
  if (!list && !trust_scan) return absent;
  if (!list) list = scan_snapshot(hub, commit);
  MIAO_TRY(const Selection selection, select_files(list->paths(), hub.ref.file, hub.ref.str()));
  for (const std::string& path : selection.files) {
    const fs::path file = snapshot_path(hub, commit) / path;
    const RemoteFile* known = list->find(path);
    std::error_code missing;
    const uint64_t size = fs::file_size(file, missing);
    if (missing || (known && known->size && size != known->size)) {
      return Error{Code::not_found, "is only partly in the cache: " + path + " is missing", hub.ref.str()};
    }
  }
  const fs::path root = snapshot_path(hub, commit);
  return selection.entry.empty() ? root : root / selection.entry;
}

Result<fs::path> fetch_copy(const Hub& hub) {
  const HttpOptions quick{.connect_seconds = hub.settings.metadata_seconds,
                          .stall_seconds = hub.settings.metadata_seconds,
                          .netrc = hub.settings.token.empty(),
                          .cancel = hub.options.cancel};
  Http http(quick);
  MIAO_TRY(FileList list, ask_list(hub, http));
  MIAO_TRY(const Selection selection, select_files(list.paths(), hub.ref.file, hub.ref.str()));

  std::vector<RemoteFile> wanted;
  uint64_t missing = 0;
  std::error_code ignored;
  for (const std::string& path : selection.files) {
    RemoteFile file = *list.find(path);
    if (!is_blob_name(file.etag) || file.size == 0) MIAO_CHECK_OK(ask_file(hub, http, list, file));
    if (!fs::exists(blob_path(hub, file), ignored)) missing += file.size;
    wanted.push_back(std::move(file));
  }
  // Small files first: a bad configuration shows before gigabytes have come.
  std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  MIAO_CHECK_OK(mark_cache(hub));
  MIAO_CHECK_OK(make_directories(hub.repo.dir / "blobs"));
  MIAO_CHECK_OK(check_space(hub.repo.dir, missing));

  HttpOptions patient = quick;
  patient.stall_seconds = hub.settings.download_seconds;
  Http files(patient);
  for (const RemoteFile& file : wanted) {
    if (!fs::exists(snapshot_path(hub, list.commit) / file.path, ignored)) {
      const fs::path blob = blob_path(hub, file);
      Download job{.url = file_url(hub, list, file.path),
                   .bearer = hub.settings.token,
                   .target = blob,
                   .partial = blob.string() + ".miao.incomplete",
                   .lock = hub.repo.locks / (file.etag + ".lock"),
                   .name = file.path,
                   .sha256 = file.large ? file.etag : "",
                   .git_sha1 = !file.large && is_hex(file.etag, 40) && file.size ? file.etag : "",
                   .size = file.size,
                   .explain = [&](const HttpResponse& response) { return explain(hub, response); }};
      MIAO_CHECK_OK(download(files, job, hub.options));
    }
    MIAO_CHECK_OK(link_file(hub, list.commit, file));
  }
  MIAO_CHECK_OK(write_ref(hub, list.commit));
  MIAO_CHECK_OK(save_list(hub, list));
  const fs::path root = snapshot_path(hub, list.commit);
  return selection.entry.empty() ? root : root / selection.entry;
}

// What a file is to somebody who wants to know what a model is: its beginning, all of it, or nothing.
enum class Part { none, head, all };
Part wanted_part(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  const bool root = path.find('/') == std::string::npos;
  if (path.ends_with(".gguf") || (root && path.ends_with(".safetensors")) || path == "model.bin") return Part::head;
  const bool description = name == "config.json" || name.ends_with(".index.json") || name == "modules.json" ||
                           name == "config_sentence_transformers.json" || name == "sentence_bert_config.json";
  return description ? Part::all : Part::none;
}

Result<Checkpoint> fetch_headers(const Hub& hub) {
  Http http({.connect_seconds = hub.settings.metadata_seconds,
             .stall_seconds = hub.settings.metadata_seconds,
             .netrc = hub.settings.token.empty(),
             .cancel = hub.options.cancel});
  MIAO_TRY(const FileList list, ask_list(hub, http));
  MIAO_TRY(const Selection selection, select_files(list.paths(), hub.ref.file, hub.ref.str()));
  std::vector<Checkpoint::Head> heads;
  const ModelRef whole{.kind = ModelRef::Kind::hf, .name = hub.ref.name, .revision = hub.ref.revision};
  for (const std::string& path : selection.files) {
    const Part part = wanted_part(path);
    if (part == Part::none) continue;
    const RemoteFile& file = *list.find(path);
    const HeadRequest request{.url = file_url(hub, list, path),
                              .bearer = hub.settings.token,
                              .name = path,
                              .place = whole.str() + "/" + path,
                              .size = file.size,
                              .whole = part == Part::all,
                              .explain = [&](const HttpResponse& response) { return explain(hub, response); }};
    MIAO_TRY(Checkpoint::Head head, fetch_head(http, request, hub.options));
    heads.push_back(std::move(head));
    if (hub.options.progress) hub.options.progress({"headers", heads.size(), selection.files.size()});
  }
  return Checkpoint::of_heads(whole.str(), selection.entry, std::move(heads));
}

}  // namespace

Result<Checkpoint> open_hf_headers(const ModelRef& ref, const ResolveOptions& options) {
  const HfSettings settings = hf_settings(options);
  return fetch_headers({.ref = ref, .options = options, .settings = settings, .repo = hf_repo(settings, ref.name)});
}

Result<fs::path> resolve_hf(const ModelRef& ref, const ResolveOptions& options) {
  const HfSettings settings = hf_settings(options);
  const Hub hub{.ref = ref, .options = options, .settings = settings, .repo = hf_repo(settings, ref.name)};
  if (is_offline(options)) {
    auto cached = cached_copy(hub, true);
    if (!cached.ok()) cached.error().message += "; the network is switched off (--offline, HF_HUB_OFFLINE)";
    return cached;
  }
  if (!options.refresh) {
    if (auto cached = cached_copy(hub, false); cached.ok()) return cached;
  }
  auto fetched = fetch_copy(hub);
  if (!fetched.ok() && fetched.error().code == Code::io && !options.refresh) {
    if (auto cached = cached_copy(hub, true); cached.ok()) {
      log_warn(fetched.error().str() + "; using the cached copy");
      return cached;
    }
  }
  return fetched;
}

}  // namespace miao::io
